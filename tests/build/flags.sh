#!/usr/bin/env bash
# No CFLAGS can change a bit: fast-math flags build the right thing, or stop with a clear #error.
# Other optimisation levels, another compiler and no OpenMP give the same digest.
# `flags.sh [quick]`: quick builds one variant, else all.
set -uo pipefail
BUILD=${BUILD:-$PWD/build}
CC=${CC:-gcc}
export OMP_WAIT_POLICY=passive
unset MAKEFLAGS MFLAGS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0

variant() { # variant NAME make-arguments...
    local name=$1 started=$SECONDS
    shift
    if ! make -s -j2 BUILD="$work/b" "$@" "$work/b/digest" > "$work/log" 2>&1; then
        if grep -q '#error' "$work/log"; then
            echo "$name: refused: $(grep -m1 '#error' "$work/log")"
        else
            echo "$name: does not build"
            tail -20 "$work/log"
            wrong=1
        fi
    elif grep -E '^[^ ]+:[0-9]+:.*warning:' "$work/log"; then # not the driver's own
        echo "$name: warnings"
        wrong=1
    elif "$work/b/digest" | diff "$BUILD/digest.txt" -; then
        echo "$name: the same digest ($((SECONDS - started)) s)"
    else
        echo "$name: another digest"
        wrong=1
    fi
    rm -rf "$work/b"
}

"$BUILD/digest" > "$BUILD/digest.txt" || exit 1
variant "-ffast-math -Ofast" CC="$CC" CFLAGS="-Ofast -ffast-math -funsafe-math-optimizations"
[ "${1:-}" = quick ] && exit $wrong
variant "-O0, no OpenMP" CC="$CC" CFLAGS=-O0 OPENMP=0
variant "-O3 -march=native -ffp-contract=fast" CC="$CC" \
    CFLAGS="-O3 -march=native -ffp-contract=fast"
variant "-ffinite-math-only" CC="$CC" CFLAGS="-O1 -ffinite-math-only -fassociative-math"
variant "-fassociative-math -fno-signed-zeros -freciprocal-math" CC="$CC" \
    CFLAGS="-O3 -fassociative-math -fno-signed-zeros -freciprocal-math"
if command -v clang > /dev/null; then
    variant "clang" CC=clang
    variant "clang -O3 -ffast-math, no OpenMP" CC=clang OPENMP=0 CFLAGS="-O3 -ffast-math"
else
    echo "clang is not there: skipped"
fi
exit $wrong
