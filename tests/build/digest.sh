#!/usr/bin/env bash
# The digest program: links neither zlib nor libm, and prints what is kept in tests/digest.txt for
# every table and policy and for other thread counts.
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
expected=tests/digest.txt
[ "$(wc -l < $expected)" -eq 34 ]
[ "$(cut -c1-64 $expected | sort -u | wc -l)" -eq 34 ]
"$program" | diff $expected -
for table in $("$program" --tables); do "$program" "$table" 2 every:2 | diff $expected -; done
"$program" fast 1 none | diff $expected -
for binding in fused unfused; do "$program" fast 2 block $binding | diff $expected -; done
OMP_THREAD_LIMIT=1 "$program" | diff $expected -
