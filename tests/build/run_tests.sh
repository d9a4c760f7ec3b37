#!/usr/bin/env bash
# Runs Criterion programs and adds up what they say: `run_tests.sh [--no-skip] PROGRAM...`
#
# The last line is "N passed, N failed, N skipped".  A program that dies without its closing line
# counts as one failure.  --no-skip: a skipped test is a failure too.
set -uo pipefail
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} OMP_WAIT_POLICY=passive
export GN_SHARED_DATA=${GN_SHARED_DATA:-$PWD/../shared/data}
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export BUILD GN_PROGRAM=$BUILD/gomokunet
unset MAKEFLAGS MFLAGS MAKELEVEL

no_skip=0
if [ "${1:-}" = --no-skip ]; then no_skip=1; shift; fi

count() { sed -n "s/.*Synthesis:.*$1: \([0-9]*\).*/\1/p" <<<"$clean" | tail -1; }

passed=0 failed=0 skipped=0
for program in "$@"; do
    started=$SECONDS
    output=$("$program" --jobs "${TEST_JOBS:-2}" 2>&1)
    status=$?
    clean=$(sed 's/\x1b\[[0-9;]*m//g' <<<"$output")
    good=$(count Passing) failing=$(count Failing) crashing=$(count Crashing)
    bad=$((${failing:-0} + ${crashing:-0}))
    skips=$(grep -c '^\[SKIP\]' <<<"$clean")
    if [ -z "$good" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        bad=$((bad + 1))
        echo "$program: ended with status $status"
    fi
    [ "$bad" -eq 0 ] && [ "$skips" -eq 0 ] || grep -v 'Synthesis' <<<"$clean"
    printf '%-24s %4d passed, %d failed, %d skipped  (%d s)\n' "$(basename "$program")" \
        "${good:-0}" "$bad" "$skips" $((SECONDS - started))
    passed=$((passed + ${good:-0})) failed=$((failed + bad)) skipped=$((skipped + skips))
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 1
[ "$no_skip" -eq 0 ] || [ "$skipped" -eq 0 ] || { echo "a skip is a failure here"; exit 1; }
