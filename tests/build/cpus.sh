#!/usr/bin/env bash
# The choice at run time, on processors that qemu imitates: which tables run there, the digest, and
# some random cases.  (AVX-512 is not among them: qemu has none.)
set -uo pipefail
BUILD=${BUILD:-build}
export OMP_WAIT_POLICY=passive
command -v qemu-x86_64 > /dev/null && ${CC:-gcc} -dumpmachine | grep -q x86_64 || exit 77
wrong=0

cpu() { # cpu NAME TABLES
    local got
    got=$(qemu-x86_64 -cpu "$1" "$BUILD/digest" --tables 2> /dev/null | xargs)
    [ "$got" = "$2" ] || { echo "$1: tables $got, expected $2"; wrong=1; }
    qemu-x86_64 -cpu "$1" "$BUILD/digest" 2> /dev/null | diff "$BUILD/digest.txt" - || wrong=1
    qemu-x86_64 -cpu "$1" "$BUILD/fuzz_exact" --cases 300 2> /dev/null || wrong=1
}

"$BUILD/digest" > "$BUILD/digest.txt" || exit 1
cpu Nehalem "sse2 plain"
cpu max "avx2 sse2 plain"
exit $wrong
