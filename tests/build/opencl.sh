#!/usr/bin/env bash
# The OpenCL port in tests/ports/opencl has the bits: whole networks, several steps, single ops.
# Mistakes made in its kernels on purpose must be told; bad input and poor devices be refused.
set -euo pipefail
BUILD=${BUILD:-$PWD/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive POCL_CACHE_DIR=$work/cache # kernels are compiled anew
mkdir "$POCL_CACHE_DIR"
port=$work/port program=$BUILD/gomokunet kernels=tests/ports/opencl
${CC:-gcc} -std=c11 -O2 -Wall -Wextra -Werror $kernels/*.c -lOpenCL -lm -o "$port"

golden() { # golden NAME OPTIONS...
    "$program" golden --seed 3 --lr 0.05 --out "$work/$1.safetensors" "${@:2}" 2> "$work/log" ||
        { cat "$work/log"; exit 1; }
}

# What `verify` says of the port's file is, word for word, what it says of the golden file itself:
# as many tensors, each with the bits, none missing, none unseen.
same() { # same GOLDEN
    "$port" "$1" "$work/candidate"
    "$program" verify "$1" "$1" --all > "$work/want"
    "$program" verify "$1" "$work/candidate" --all --require bits > "$work/got" ||
        { grep -v '^bits' "$work/got"; exit 1; }
    cmp "$work/want" "$work/got"
    echo "$(basename "$1"): $(tail -2 "$work/got" | head -1)"
}

small="--board-size 9 --num-blocks 2 --channels 20 --batch-size 8 --steps 10"
golden dense $small
golden separable --conv separable $small
golden odd --board-size 5 --num-blocks 1 --channels 3 --batch-size 3 --steps 3
golden sgd --optimizer sgd --board-size 6 --num-blocks 1 --channels 17 --batch-size 11 --steps 4
golden inference --board-size 5 --num-blocks 1 --channels 4 --batch-size 1 --steps 0
for name in dense separable odd sgd inference; do same "$work/$name.safetensors"; done
for name in cases cases_denormal cases_nonfinite; do same "golden/$name.safetensors"; done
odd=$work/odd.safetensors

# A mistake: kernels of one's own, one line of them changed.
mistake() { # mistake FROM TO VERDICT TENSOR
    rm -rf "$work/kernels" && mkdir "$work/kernels" && cp $kernels/*.cl "$work/kernels"
    sed -i "s/$1/$2/" "$work/kernels/gomokunet.cl"
    ! cmp -s "$work/kernels/gomokunet.cl" $kernels/gomokunet.cl || { echo "no $1"; exit 1; }
    "$port" "$odd" "$work/candidate" --kernels "$work/kernels" > /dev/null
    ! "$program" verify "$odd" "$work/candidate" --require bits --all > "$work/got" ||
        { echo "$2: verify finds nothing"; exit 1; }
    grep -m1 "^$3 *$4" "$work/got" ||
        { echo "$2: expected $3 $4"; grep -v '^bits' "$work/got"; exit 1; }
}
mistake 'fma(x\[n \* I + k\], weight\[o \* I + k\], acc)' 'x[n * I + k] * weight[o * I + k] + acc' \
    bound eval_forward/policy_logits
mistake 'n + step < N;' 'n + step < N - 1;' wrong grad/input_conv.0.weight # the last image dropped

refuse() { # refuse WHAT-IS-SAID ARGUMENTS...
    local status=0 said=$1
    shift
    "$port" "$@" > /dev/null 2> "$work/log" || status=$?
    [ $status -eq 2 ] && grep -q -- "$said" "$work/log" ||
        { echo "$*: exit $status, expected 2 and \"$said\""; cat "$work/log"; exit 1; }
}
none=$work/none
golden part --board-size 5 --num-blocks 1 --channels 4 --batch-size 1 \
    --except 'param/value_fc.0.bias'
refuse 'tensor param/value_fc.0.bias is missing' "$work/part.safetensors" "$none"
sed 's/"channels":"3"/"channels":"4"/' "$odd" > "$work/bad"
refuse 'bad: tensor param/input_conv.0.weight has 135 elements, expected 180' "$work/bad" "$none"
sed 's/"channels":"3"/"channels":"x"/' "$odd" > "$work/bad"
refuse 'bad: metadata channels is "x", expected a number' "$work/bad" "$none"
refuse 'has in its name no such device' "$odd" "$none" --device 'no such device'
refuse 'cannot be opened' "$odd" "$none" --kernels "$work/nowhere"
refuse 'two files are needed' "$odd"
OCL_ICD_VENDORS=$work/nowhere refuse 'of 0 OpenCL devices none keeps' "$odd" "$none"

# A device that lacks something: a bit that no device here has stands for the one it lacks.
mkdir -p "$work/ports/opencl"
cp -r tests/ports/reader "$work/ports" && cp $kernels/*.[ch] "$work/ports/opencl"
for bit in CORRECTLY_ROUNDED_DIVIDE_SQRT DENORM; do
    sed "s/{CL_FP_$bit,/{CL_FP_SOFT_FLOAT,/" $kernels/device.c > "$work/ports/opencl/device.c"
    ! cmp -s $kernels/device.c "$work/ports/opencl/device.c" || { echo "no $bit"; exit 1; }
    ${CC:-gcc} -std=c11 "$work"/ports/opencl/*.c -lOpenCL -lm -o "$port"
    refuse 'device .* lacks [cd]' "$odd" "$none"
done
[ ! -e "$none" ] && [ ! -e "$none.part" ] || { echo "a refused run left a file"; exit 1; }

# exp, log and tanh as they stand in exact.cl, compiled as C: the hardest inputs, every 997th.
{
    echo 'typedef uint32_t uint; typedef uint64_t ulong;'
    echo '#define mul_hi(a, b) ((ulong)((unsigned __int128)(a) * (b) >> 64))'
    sed '/^#pragma/d; /^static float exact_exp/,$d' $kernels/exact.cl
} > "$work/recipes.h"
${CC:-gcc} -std=gnu11 -O2 -D_GNU_SOURCE -Iinclude -Itests -I"$work" tests/ports/exact/recipes.c \
    "$BUILD/libgomokunet.a" $(cat "$BUILD/libs") -fopenmp -o "$work/recipes"
"$work/recipes"

# The kernels as CUDA: roundings as the page has them, nothing approximate, nothing flushed.
clang -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -nocudainc -nocudalib -ffp-contract=off \
    -Wno-unknown-cuda-version -O2 -S $kernels/kernels.cu -o "$work/ptx"
entries=$(grep -c '\.visible \.entry' "$work/ptx")
there=$(cat $kernels/*.cl | grep -c '^kernel void')
[ "$entries" -eq "$there" ] || { echo "$entries kernels in PTX, of $there"; exit 1; }
for op in fma div sqrt add mul; do
    grep -q "[^a-z]$op\.rn\.f32" "$work/ptx" || { echo "PTX: no $op.rn.f32"; exit 1; }
done
! grep -E '[^a-z](fma|div|sqrt|rsqrt|rcp|add|sub|mul|mad|ex2|lg2)\.(approx|full|ftz|f32|rn\.ftz)' \
    "$work/ptx" || { echo "PTX: not what the page has"; exit 1; }

# The lines of the README, and of the road.
ln -s "$BUILD" "$work/build" && ln -s "$PWD/tests" "$work/tests"
sed -n '/^```sh$/,/^```$/p' $kernels/README.md | sed '/^```/d' > "$work/lines"
(cd "$work" && bash -e lines 2> log) | grep -x '1614 tensors: 1614 bits'
cp "$work/dense.safetensors" "$work/ten.safetensors"
sed -n '/^cc .*opencl_port$/,/^```$/p' docs/port-to-gpu.md | sed '/^```/d' > "$work/lines"
[ "$(wc -l < "$work/lines")" -eq 3 ] && (cd "$work" && bash -e lines 2> log) | grep -x 'verdict: bits'
