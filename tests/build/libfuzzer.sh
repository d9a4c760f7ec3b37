#!/usr/bin/env bash
# Fuzzes one kind of file with clang's libFuzzer and two sanitizers: `libfuzzer.sh HARNESS SECONDS`.
#
# It starts from tests/fuzz/corpus/HARNESS; what it learns stays in BUILD/fuzz/HARNESS and is where
# the next run goes on.  A finding is left in BUILD/fuzz as HARNESS-crash-..., and is a failure.
set -euo pipefail
HARNESS=${1:?a harness}
SECONDS_LEFT=${2:-600}
BUILD=${BUILD:-build}
[ -d "tests/fuzz/corpus/$HARNESS" ] || { echo "tests/fuzz/corpus/$HARNESS is not there"; exit 2; }
fuzz=$BUILD/fuzz
mkdir -p "$fuzz/$HARNESS"
make -s -j2 BUILD="$fuzz" CC="${FUZZ_CC:-clang}" OPENMP=0 \
    CFLAGS="-O2 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" \
    "$fuzz/fuzz-$HARNESS"
options=(-max_total_time="$SECONDS_LEFT" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024
         -print_final_stats=1 -artifact_prefix="$fuzz/$HARNESS-")
[ ! -f "tests/fuzz/$HARNESS.dict" ] || options+=(-dict="tests/fuzz/$HARNESS.dict")
ASAN_OPTIONS=allocator_may_return_null=1 "$fuzz/fuzz-$HARNESS" "${options[@]}" \
    "$fuzz/$HARNESS" "tests/fuzz/corpus/$HARNESS"
