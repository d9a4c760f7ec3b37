#!/usr/bin/env bash
# `make matrix`: one digest, whatever computes it.  Builds the digest program for every target,
# compiler and flag, runs it with every table, number of threads and checkpoint policy, and compares
# its text with tests/digest.txt.  One row a run; what is missing or differs is a fault.
# `matrix.sh [short]`: short takes a few minutes, and each kind of row at least once.
set -uo pipefail
export OMP_WAIT_POLICY=passive LC_ALL=C
unset MAKEFLAGS MFLAGS OMP_NUM_THREADS
mkdir -p "${BUILD:=$PWD/build}"
short=$([ "${1:-}" = short ] && echo yes)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=0 wrong=0
form='%-8s %-22s %-38s %-3s %-7s %7s %-8s %7s  %s\n'

row() { # row TABLE THREADS POLICY SECONDS RESULT: of the build at hand
    printf "$form" "$target" "$compiler" "$flags" "$openmp" "$@"
    rows=$((rows + 1))
    case $5 in ok | refused*) ;; *) wrong=$((wrong + 1)) ;; esac
}

# build TARGET COMPILER OPENMP FLAGS [make-arguments...]: the program, or a row that says why not.
build() {
    target=$1 compiler=$2 flags=$4 emulator=()
    openmp=$([ "$3" = 0 ] && echo no || echo yes)
    local arguments=(CC="$2" OPENMP="$3" CFLAGS="$4") said
    shift 4
    rm -rf "$work/b"
    if ! command -v "$compiler" > /dev/null; then
        row - - - - "FAULT: $compiler is not there (make deps-matrix)"
        return 1
    fi
    if ! make -s -j2 BUILD="$work/b" "${arguments[@]}" "$@" "$work/b/digest" \
        > "$work/log" 2>&1; then
        said=$(grep -m1 '#error' "$work/log")
        [ -z "$said" ] || { row - - - - "refused: ${said##*#error }"; return 1; }
        tail -20 "$work/log"
        row - - - - "FAULT: does not build"
        return 1
    fi
    if grep -E '^[^ ]+:[0-9]+:.*warning:' "$work/log"; then # not the linker's or the driver's own
        row - - - - "FAULT: warnings"
        return 1
    fi
}

try() { # try TABLE THREADS POLICY: runs what was built last
    local started=${EPOCHREALTIME/./} spent result=ok
    "${emulator[@]}" "$work/b/digest" "$@" > "$work/out" 2>&1 ||
        result="FAULT: status $?: $(tail -1 "$work/out")"
    spent=$((${EPOCHREALTIME/./} - started))
    if [ "$result" = ok ] && ! diff tests/digest.txt "$work/out" > "$work/diff"; then
        result="FAULT: another digest, first $(sed -n 's/^> [0-9a-f]*  //p' "$work/diff" | head -1)"
    fi
    row "$@" "$((spent / 1000000)).$(((spent / 100000) % 10))" "$result"
}

tables() { "${emulator[@]}" "$work/b/digest" --tables; }

each_table() { # each_table THREADS POLICY
    local table
    for table in $(tables); do try "$table" "$1" "$2"; done
}

everything() { # every table, number of threads and policy
    local threads policy
    for policy in none cheap block every:1 every:2 every:3; do
        for threads in 1 2 3 8; do each_table "$threads" "$policy"; done
    done
}

fused() { # fused PREFIX: where fma is an instruction of every program, only the source asks for it
    tests/build/static.sh fused "$work/b/obj" "$1" || wrong=$((wrong + 1))
}

printf "$form" target compiler flags OMP table threads schedule seconds digest

# --- This machine ---------------------------------------------------------------------------------
if [ "$short" ]; then
    build native gcc 1 -O0 && each_table 3 block
    build native gcc 0 -O3 && each_table 1 none
    build native clang 1 -Os && each_table 2 every:2
    build native clang 0 -O1 && each_table 1 block
    build native gcc 1 -O2 && for threads in 1 2 3 8; do each_table $threads none; done &&
        for policy in cheap block every:1 every:2 every:3; do try fast 2 $policy; done
else
    for compiler in gcc clang; do
        for level in -O0 -O1 -O2 -O3 -Os; do
            build native $compiler 0 $level && each_table 1 block
            build native $compiler 1 $level || continue
            if [ $level = -O2 ]; then everything; else each_table 3 every:2; fi
        done
    done
    build native gcc 1 "-O1 -ffinite-math-only -fassociative-math" && each_table 3 block
    build native clang 0 "-O3 -ffast-math" && each_table 1 block
    build native clang 1 "-O3 -march=native -ffp-contract=fast" && each_table 3 block
fi
build native gcc 1 "-Ofast -ffast-math" && each_table 3 block
build native gcc 1 "-O3 -march=native -ffp-contract=fast" && { each_table 3 block; fused ""; }

# --- Other machines -------------------------------------------------------------------------------
levels=$([ "$short" ] && echo -O2 || echo "-O0 -O2 -O3")
for level in $levels; do
    build musl musl-gcc 0 $level LDFLAGS=-static && each_table 1 block

    # Most kernels run i386 programs themselves.
    build i386 i686-linux-gnu-gcc 1 "$level -msse2 -mfpmath=sse" LDFLAGS=-static && {
        "$work/b/digest" --tables > /dev/null 2>&1 || emulator=(qemu-i386)
        each_table 2 every:2
    }
    for machine in aarch64 riscv64 s390x; do
        # Where guard.c knows no control register, fesetround is in libm.
        libm=$([ $machine = aarch64 ] || echo -lm)
        build $machine $machine-linux-gnu-gcc 1 $level LDFLAGS=-static LDLIBS=$libm || continue
        emulator=(qemu-$machine)
        each_table 2 block
        [ $level = -O0 ] || fused $machine-linux-gnu- # which looks for packed ones, too
    done
done

grep -q avx512f /proc/cpuinfo || echo "no AVX-512 here: its table was built, and not run"
echo "$rows rows, $wrong wrong, $((SECONDS / 60)) min $((SECONDS % 60)) s"
tail -1 tests/digest.txt
[ "$rows" -gt 20 ] && [ "$wrong" -eq 0 ]
