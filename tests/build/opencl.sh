#!/usr/bin/env bash
# The OpenCL port in tests/ports/opencl has the bits: whole networks, several steps, single ops.
# Two mistakes made in its kernels on purpose must be told, and bad input refused.
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

golden dense --board-size 9 --num-blocks 2 --channels 20 --batch-size 8 --steps 10
golden separable --conv separable --board-size 9 --num-blocks 2 --channels 20 --batch-size 8 --steps 10
golden odd --board-size 5 --num-blocks 1 --channels 3 --batch-size 3 --steps 3
golden sgd --optimizer sgd --board-size 6 --num-blocks 1 --channels 17 --batch-size 11 --steps 4
golden inference --board-size 5 --num-blocks 1 --channels 4 --batch-size 1 --steps 0
for name in dense separable odd sgd inference; do same "$work/$name.safetensors"; done
for name in cases cases_denormal cases_nonfinite; do same "golden/$name.safetensors"; done

odd=$work/odd.safetensors

# A mistake: kernels of one's own, one line of them changed.
mistake() { # mistake FILE SED-COMMAND VERDICT TENSOR
    rm -rf "$work/kernels" && mkdir "$work/kernels" && cp $kernels/*.cl "$work/kernels"
    sed -i "$2" "$work/kernels/$1"
    ! cmp -s "$work/kernels/$1" "$kernels/$1" || { echo "$2 changes nothing"; exit 1; }
    "$port" "$odd" "$work/candidate" --kernels "$work/kernels" > /dev/null
    ! "$program" verify "$odd" "$work/candidate" --require bits --all > "$work/got" ||
        { echo "$2: verify finds nothing"; exit 1; }
    grep -q "^$3 *$4" "$work/got" ||
        { echo "$2: expected $3 $4"; grep -v '^bits' "$work/got"; exit 1; }
    echo "$2: $(grep -m1 "^$3 *$4" "$work/got")"
}
mistake gomokunet.cl 's/acc = fma(x\[n \* I + k\], weight\[o \* I + k\], acc)/acc = acc + x[n * I + k] * weight[o * I + k]/' \
    bound eval_forward/policy_logits
mistake gomokunet.cl 's/n + step < N;/n + step < N - 1;/' wrong grad/input_conv.0.weight

refuse() { # refuse WHAT-IS-SAID ARGUMENTS...
    local status=0 said=$1
    shift
    "$port" "$@" > /dev/null 2> "$work/log" || status=$?
    [ $status -eq 2 ] && grep -q -- "$said" "$work/log" ||
        { echo "$*: exit $status, expected 2 and \"$said\""; cat "$work/log"; exit 1; }
}
golden part --board-size 5 --num-blocks 1 --channels 4 --batch-size 1 --except 'param/value_fc.0.bias'
refuse 'tensor param/value_fc.0.bias is missing' "$work/part.safetensors" "$work/none"
sed 's/"channels":"3"/"channels":"4"/' "$odd" > "$work/other"
refuse 'tensor param/input_conv.0.weight has 135 elements, expected 180' "$work/other" "$work/none"
sed 's/"channels":"3"/"channels":"x"/' "$odd" > "$work/other"
refuse 'metadata channels is "x", expected a number' "$work/other" "$work/none"
refuse 'has in its name no such device' "$odd" "$work/none" --device 'no such device'
refuse 'cannot be opened' "$odd" "$work/none" --kernels "$work/nowhere"
refuse 'two files are needed' "$odd"
OCL_ICD_VENDORS=$work/nowhere refuse 'of 0 OpenCL devices none keeps the contract' "$odd" "$work/none"

# A device that lacks something: a bit that no device here has stands for the one it lacks.
mkdir -p "$work/ports/opencl" "$work/ports/reader"
cp tests/ports/reader/*.c "$work/ports/reader" && cp $kernels/*.[ch] "$work/ports/opencl"
for bit in CORRECTLY_ROUNDED_DIVIDE_SQRT DENORM; do
    sed "s/{CL_FP_$bit,/{CL_FP_SOFT_FLOAT,/" $kernels/device.c > "$work/ports/opencl/device.c"
    ! cmp -s $kernels/device.c "$work/ports/opencl/device.c" || { echo "$bit is not asked for"; exit 1; }
    ${CC:-gcc} -std=c11 "$work"/ports/opencl/*.c -lOpenCL -lm -o "$port"
    refuse 'device .* lacks [cd]' "$odd" "$work/none"
done
[ ! -e "$work/none" ] && [ ! -e "$work/none.part" ] || { echo "a refused run left a file"; exit 1; }
