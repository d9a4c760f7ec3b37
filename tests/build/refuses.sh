#!/usr/bin/env bash
# Without the Makefile's flags, which come last, the source itself refuses what would change bits.
set -uo pipefail
CC=${CC:-gcc}
wrong=0
for flags in -ffast-math -Ofast -ffinite-math-only -freciprocal-math -fno-signed-zeros \
    "-fassociative-math -fno-signed-zeros -fno-trapping-math"; do
    case $CC:$flags in *clang*:*reciprocal* | *clang*:*signed*) continue ;; esac # clang is silent
    said=$($CC -Iinclude -Isrc -std=c11 $flags -fsyntax-only src/base/guard.c 2>&1) &&
        { echo "src/base/guard.c accepts $flags"; wrong=1; }
    grep -q 'error.*GomokuNet promises bits' <<< "$said" || { echo "$flags: $said"; wrong=1; }
done
exit $wrong
