#!/usr/bin/env bash
# Each table's kernels are in its own vectors, fused multiply-adds packed, and nothing of a better
# instruction set is in what every processor runs.
set -uo pipefail
BUILD=${BUILD:-build}
CC=${CC:-gcc}
objdump=$($CC -print-prog-name=objdump)
command -v "$objdump" > /dev/null || exit 77
wrong=0

count() { "$objdump" -d "$BUILD/obj/$1" | grep -cE "$2"; }

has() { # has OBJECT PATTERN: at least twenty of them
    [ -f "$BUILD/obj/$1" ] || return
    [ "$(count "$1" "$2")" -ge 20 ] || { echo "$1: hardly any $2"; wrong=1; }
}

lacks() {
    [ -f "$BUILD/obj/$1" ] || return
    [ "$(count "$1" "$2")" -eq 0 ] || { echo "$1: $(count "$1" "$2") times $2"; wrong=1; }
}

has kernels/fast_sse2.o 'mulpd .*%xmm'
lacks kernels/fast_sse2.o 'vfmadd|%ymm|%zmm'
has kernels/fast_avx2.o 'vfmadd[0-9]*ps .*%ymm'
lacks kernels/fast_avx2.o '%zmm'
has kernels/fast_avx512.o 'vfmadd[0-9]*ps .*%zmm'
has kernels/fast_neon.o 'fmla[[:space:]]+v[0-9]+\.4s'
for object in ops/plain_double.o base/exact.o base/real_math.o train/rate.o; do
    lacks "$object" 'vfmadd|fmla|fmadd'
done
exit $wrong
