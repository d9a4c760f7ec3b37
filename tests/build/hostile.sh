#!/usr/bin/env bash
# Hosts built with -ffast-math, in every rounding mode, with denormals off in either way, whose pool
# of threads is made before or after they call the library: the same bits, and every thread's state
# as it was.  tests/hostile_host.c explains the words.
set -uo pipefail
BUILD=${BUILD:-build}
CC=${CC:-gcc}
export OMP_WAIT_POLICY=passive
mkdir -p "$BUILD/hostile"
host=$BUILD/hostile/host
ln -sf ../libgomokunet.so "$BUILD/hostile/libgomokunet.so.0"
openmp=$([ "${OPENMP:-1}" = 0 ] || echo -fopenmp)
$CC -std=c11 -O2 -ffast-math $openmp -Iinclude tests/hostile_host.c -L"$BUILD" -lgomokunet \
    -Wl,-rpath,"$(realpath "$BUILD/hostile")" -o "$host" || exit 1
want=$("$host" clean after) || exit 1
wrong=0
for pool in before after; do
    for state in clean started ftz daz up down zero ftz-up; do
        status=0
        got=$("$host" $state $pool 2>&1) || status=$?
        if [ $status -ne 0 ] || [ "$got" != "$want" ]; then
            echo "state $state, pool $pool: exit status $status, got $got, want $want"
            wrong=1
        fi
    done
done
exit $wrong
