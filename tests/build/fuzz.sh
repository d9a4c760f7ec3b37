#!/usr/bin/env bash
# Every table, and the kernels with other sizes of blocks, against the plain ops on random cases.
# `fuzz.sh [CASES]`; `make fuzz-exact` runs for as long as one likes.
set -euo pipefail
BUILD=${BUILD:-build}
OMP_WAIT_POLICY=passive "$BUILD/fuzz_exact" --cases "${1:-3000}"
