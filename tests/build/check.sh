#!/usr/bin/env bash
# `make check`: everything that needs more than a compiler.  A skip is a failure here.
# `check.sh [NAME...]` runs only the checks named.
set -uo pipefail
BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
export OMP_WAIT_POLICY=passive NO_INSTALL=1
unset MAKEFLAGS MFLAGS
faults=()

check() { # check NAME command...
    local name=$1 started=$SECONDS
    shift
    case " ${wanted[*]} " in *" all "* | *" $name "*) ;; *) return ;; esac
    if "$@" > "$BUILD/check-$name.log" 2>&1; then
        echo "ok    $name ($((SECONDS - started)) s)"
    else
        echo "FAIL  $name ($((SECONDS - started)) s): $BUILD/check-$name.log ends with"
        tail -15 "$BUILD/check-$name.log"
        faults+=("$name")
    fi
}

programs() { # programs FOLDER: the test programs that a build left there
    local source
    for source in tests/test_*.c; do echo "$1/tests/$(basename "$source" .c)"; done
}

tests() { # the test suite, nothing skipped
    make -j2 BUILD="$BUILD" all test-programs "$BUILD/digest" "$BUILD/fuzz_exact" &&
        BUILD=$BUILD tests/build/run_tests.sh --no-skip $(programs "$BUILD")
}

cases() { # PyTorch's single ops, in float32 and float64, are within the bounds
    local ports=tests/ports/pytorch file kind
    for file in cases cases_denormal cases_nonfinite; do
        for kind in --float --double; do
            "$PYTHON" "$ports/cases.py" "golden/$file.safetensors" "$BUILD/$file.safetensors" cpu \
                "$kind" &&
                "$BUILD/gomokunet" verify "golden/$file.safetensors" "$BUILD/$file.safetensors" ||
                return
        done
    done
}

all_golden() { # golden/ anew, the large ones too
    make -j2 BUILD="$BUILD" "$BUILD/tests/test_golden_files" &&
        GN_GOLDEN=check BUILD=$BUILD tests/build/run_tests.sh --no-skip \
            "$BUILD/tests/test_golden_files"
}

# The sanitizers' library must come first, and Criterion's test processes end without exit handlers,
# so leaks are left to valgrind.  Programs about building are run by `tests`.
sanitizers() {
    local b=$BUILD/asan programs=()
    for source in ${SANITIZE:-tests/test_*.c}; do
        [ "$source" = tests/test_build.c ] || programs+=("$b/tests/$(basename "$source" .c)")
    done
    make -j2 BUILD="$b" CFLAGS="-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
        "$b/gomokunet" "$b/fuzz_exact" "${programs[@]}" &&
        ASAN_OPTIONS=detect_leaks=0 BUILD=$b tests/build/fuzz.sh 1000 &&
        ASAN_OPTIONS=detect_leaks=0 BUILD=$b tests/build/run_tests.sh "${programs[@]}"
}

# Races: clang with its OpenMP, whose archer library knows what a barrier is.
threads() {
    local b=$BUILD/tsan
    make -j2 BUILD="$b" CC=clang CFLAGS="-O1 -fsanitize=thread" "$b/digest" "$b/gomokunet" || return
    export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66"
    export OMP_TOOL_LIBRARIES=${ARCHER:-/usr/lib/llvm-14/lib/libarcher.so} OMP_NUM_THREADS=3
    [ -f "$OMP_TOOL_LIBRARIES" ] || { echo "$OMP_TOOL_LIBRARIES is not there"; return 1; }
    # The tool must see a race before its silence means anything.
    echo 'int main(void) { int n = 0;
    _Pragma("omp parallel for") for (int i = 0; i < 9999; i++) n += i;
    return n == 0; }' | clang -x c - -g -O1 -fopenmp -fsanitize=thread -o "$b/race" || return
    "$b/race" 2> /dev/null
    [ $? -eq 66 ] || { echo "the thread sanitizer does not see a race"; return 1; }
    "$b/digest" && "$b/digest" plain &&
        "$b/gomokunet" train --board-size 5 --num-blocks 2 --channels 6 --steps 3 --threads 3 \
            --use-checkpoint --batch-size 16 --out "$b/run"
}

memory() { # valgrind on a short run: no error, no leak.  It knows no AVX-512, our tables need none.
    local run=$BUILD/valgrind-run
    for more in "" "--conv separable --use-checkpoint --compare --debug"; do
        valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect \
            --errors-for-leak-kinds=definite,indirect "$BUILD/gomokunet" train --board-size 5 \
            --num-blocks 2 --channels 5 --batch-size 5 --steps 2 --threads 1 $more --out "$run" ||
            return
    done
    valgrind -q --error-exitcode=9 --leak-check=full "$BUILD/gomokunet" eval --threads 1 \
        --model "$run/model.safetensors" --data "$run/games.gomoku.gz" --batch-size 500
}

oracle() { "$PYTHON" tests/oracle/make_oracle.py --check; }

# Weights and whole training steps, out to PyTorch and back; then the guide's lines of Python.
pytorch() {
    local ports=$PWD/tests/ports/pytorch guide=$BUILD/guide
    ${CC:-gcc} -std=c11 -Wall -Wextra -Werror -Iinclude "$ports/step.c" "$BUILD/libgomokunet.a" \
        $(cat "$BUILD/libs") -fopenmp -o "$BUILD/port-step" &&
        "$PYTHON" "$ports/round_trip.py" "$BUILD/gomokunet" "$BUILD/port-step" || return
    mkdir -p "$guide" && sed -n '/^```python$/,/^```$/p' docs/guide.md | sed '/^```/d' \
        > "$guide/guide.py" && [ -s "$guide/guide.py" ] || return
    (cd "$guide" && "$BUILD/gomokunet" train --board-size 9 --num-blocks 2 --channels 8 --steps 2 &&
        PYTHONPATH=$ports "$PYTHON" guide.py &&
        "$BUILD/gomokunet" train --init weights.safetensors --steps 2 --out continued)
}

# PyTorch as a port: what `verify` says of its precisions, and of mistakes made in it.
candidates() {
    tests/build/docs.sh python && "$PYTHON" -B tests/ports/pytorch/verdicts.py "$BUILD/gomokunet"
}

naming() { "$PYTHON" -B tests/ports/pytorch/naming_rate.py "$BUILD/gomokunet" --least 0.8; }
npz() { "$PYTHON" -B tests/build/npz.py "$BUILD/gomokunet"; } # numpy.load, numpy.savez

gradients() { "$BUILD/gomokunet" gradcheck --per-tensor 40; }
matrix() { tests/build/matrix.sh short; }

exact() { # the page, implemented afresh in plain Python, against the library: the same bits
    local out=$BUILD/exact/out
    rm -rf "$out" && mkdir -p "$out" &&
        make BUILD="$BUILD" "$BUILD/exact/dump" "$BUILD/exact/recipes" &&
        "$BUILD/exact/recipes" && "$BUILD/exact/dump" "$out" &&
        "$PYTHON" -B tests/ports/exact/check.py "$out"
}

opencl() { tests/build/opencl.sh; } # a port with the bits, on whatever OpenCL device is there

fault_injection() { make BUILD="$BUILD" faults; }

benchmarks() { # every one of them, at its shortest; what they find is nobody's verdict
    make -j2 BUILD="$BUILD" bench BENCH='--quick --rows "inference dense 6x64*"' &&
        make BUILD="$BUILD" bench-scale SCALE="--quick --tries 1" &&
        make BUILD="$BUILD" bench-exactness ROUNDS=1 &&
        make BUILD="$BUILD" bench-roofline ROOFLINE="--tries 1"
}

clang_tests() { # the whole suite built by clang, and its own headers check
    local b=$BUILD/clang
    make -j2 BUILD="$b" CC=clang all test-programs "$b/digest" "$b/fuzz_exact" &&
        ! grep -E ':[0-9]+: warning:|:[0-9]+:[0-9]+: warning:' "$BUILD/check-clang.log" &&
        CC=clang BUILD=$b tests/build/run_tests.sh --no-skip $(programs "$b")
}

wanted=("${@:-all}")
make -s -j2 BUILD="$BUILD" all "$BUILD/digest" "$BUILD/fuzz_exact" > /dev/null || exit 1
[ "${BUILD#/}" != "$BUILD" ] || BUILD=$PWD/$BUILD
check tests tests
check golden all_golden
check cases cases
check layers tests/build/layers.sh
check lines tests/build/lines.sh
check gradcheck gradients
check oracle oracle
check pytorch pytorch
check candidates candidates
check naming naming
check npz npz
check matrix matrix
check cpus tests/build/cpus.sh
check exact exact
check opencl opencl
check faults fault_injection
check benchmarks benchmarks
check clang clang_tests
check sanitizers sanitizers
check threads threads
check valgrind memory

[ ${#faults[@]} -eq 0 ] || { echo "failed: ${faults[*]}"; exit 1; }
echo "all checks hold"
