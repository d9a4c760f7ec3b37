#!/usr/bin/env bash
# The digest program: links neither zlib nor libm, and prints the same for every table that
# runs here and for other thread counts.
set -euo pipefail
BUILD=${BUILD:-build}
export OMP_WAIT_POLICY=passive
program=$BUILD/digest
if ldd "$program" | grep -E 'libz|libm[.-]|libstdc'; then
    echo "the digest links a library that it must not need"
    exit 1
fi
if nm -u "$program" | grep -wE 'U (sqrtf?|fmaf?|expf?|logf?|tanhf?|pow|cos|inflate|gz[a-z]+)'; then
    echo "the digest calls a function that it must not need"
    exit 1
fi
"$program" > "$BUILD/digest.txt"
[ "$(wc -l < "$BUILD/digest.txt")" -eq 20 ]
[ "$(cut -c1-64 "$BUILD/digest.txt" | sort -u | wc -l)" -eq 20 ]
for table in plain $("$program" tables); do
    "$program" "$table" | diff "$BUILD/digest.txt" -
done
OMP_NUM_THREADS=1 "$program" | diff "$BUILD/digest.txt" -
OMP_THREAD_LIMIT=1 "$program" | diff "$BUILD/digest.txt" -
