#!/usr/bin/env bash
# What can be seen without running anything:
#
#   static.sh sources [ROOT]        no sum whose order OpenMP or the machine would choose
#   static.sh symbols OBJ [PREFIX]  the numeric core calls nothing of libm but square roots
#   static.sh fused OBJ [PREFIX]    a*b + c is fused where the source says fma, and nowhere else
#   static.sh soft                  without the word fma the plain ops hold no fused instruction
#
# OBJ: the folder `obj` of a build.  PREFIX: of the binutils, "s390x-linux-gnu-".
set -uo pipefail
command=${1:-} obj=${2:-} prefix=${3:-}
wrong=0

complain() {
    echo "$*"
    wrong=1
}

sources() {
    local files found
    files=$(find "${obj:-.}/src" "${obj:-.}/include" -name '*.[ch]')
    [ -n "$files" ] || complain "no sources found"
    found=$(grep -nE '\breduction *\(|\bomp +atomic\b' $files)
    [ -z "$found" ] || complain "$found: sums in an order of their own"
    found=$(grep -nE '\b_Atomic\b|<stdatomic|\batomic_[a-z]+ *\(|__(atomic|sync)_' $files)
    [ -z "$found" ] || complain "$found: an atomic"
}

# Memory, strings, text, OpenMP, the compiler's own integer helpers, the rounding mode.
allowed='gn_[a-z0-9_]*|mem(cpy|move|set|cmp)|str(n?cmp|len|r?chr|tol|toul?l)|v?snprintf'
allowed="$allowed|[mc]alloc|realloc|free|aligned_alloc|madvise|posix_memalign|__assert_fail|qsort"
allowed="$allowed|GOMP_[a-z_]*|omp_[a-z_]*|__kmpc_[a-z0-9_]*|__cpu_(model|indicator_init)"
allowed="$allowed|_GLOBAL_OFFSET_TABLE_|__u?(div|mod)[dt]i[34]|fe[gs]etround|sqrtf?"

symbols() {
    local folder object name checked=0
    for folder in base tensor ops kernels autograd checkpoint net train; do
        for object in "$obj/$folder"/*.o; do
            [ -f "$object" ] || continue
            case $object in # the rest of train reads and writes files
            */train/optimiser.o | */train/running.o) ;;
            */train/*) continue ;;
            esac
            checked=$((checked + 1))
            for name in $("${prefix}nm" -u "$object" | awk '{ print $2 }' |
                          grep -vxE "$allowed"); do
                complain "$object calls $name"
            done
        done
    done
    [ "$checked" -gt 0 ] || complain "$obj: no object found"
    echo "$checked objects call nothing that they should not"
}

instructions() { # of an object: "mnemonic operands" a line
    "${prefix}objdump" -d --no-show-raw-insn "$1" | awk -F '\t' 'NF > 1 { print (NF > 2 ? $2 " " $3 : $2) }'
}

# x86; aarch64 and RISC-V, whose fnmul is no sum; s390x.
is_fused='^(vfn?m(add|sub)|fn?m(add|sub)|fml[as]|m[as][de]br?|[vw]fn?m[as])[^ ]*( |$)'

fused() {
    local object name count total=0 checked=0
    # The benchmarks' own are not the product: the peak is made of fused multiply-adds.
    for object in $(find "$obj" -path "$obj/bench" -prune -o -name '*.o' -print | sort); do
        name=${object#"$obj"/}
        checked=$((checked + 1))
        count=$(instructions "$object" | grep -cE "$is_fused")
        total=$((total + count))
        case $name in
        base/fma.o | ops/plain_float.o | kernels/fast_*.o) ;;
        *) [ "$count" -eq 0 ] || complain "$name holds $count fused multiply-adds" ;;
        esac
        # The kernels are worth nothing if the compiler made scalars of them.
        case $name in
        */fast_avx2.o) packed='^vfn?madd[0-9]+ps .*%ymm' ;;
        */fast_avx512.o) packed='^vfn?madd[0-9]+ps .*%zmm' ;;
        */fast_neon.o) packed='^fmla +v[0-9]+\.4s' ;;
        *) continue ;;
        esac
        count=$(instructions "$object" | grep -cE "$packed")
        [ "$count" -gt 50 ] || complain "$name holds $count packed fused multiply-adds"
        # The contract has no fma in double.
        count=$(instructions "$object" | grep -cE '^vfn?m(add|sub)[0-9]+[ps]d ')
        [ "$count" -eq 0 ] || complain "$name holds $count fused multiply-adds of doubles"
    done
    [ "$checked" -gt 0 ] && [ "$total" -gt 0 ] || complain "$obj: no fused multiply-add seen at all"
    echo "$checked objects, $total fused multiply-adds, all where the source asks for them"
}

# fma.h takes the software way if the compiler does not tell of its fma: what is fused then, the
# compiler has fused by itself.
soft() {
    local count cc=${CC:-gcc}
    case $($cc -dumpmachine) in x86_64*) ;; *) echo "not x86-64"; exit 77 ;; esac
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    $cc -Iinclude -Isrc -O3 -mavx2 -mfma -U__FMA__ -U__FP_FAST_FMAF \
        ${SOFT_FLAGS:--std=c11 -ffp-contract=off} -fno-math-errno -fno-trapping-math \
        -c src/ops/plain.c -o "$work/plain.o" || exit 1
    [ "$(instructions "$work/plain.o" | wc -l)" -gt 1000 ] || complain "nothing was compiled"
    count=$(instructions "$work/plain.o" | grep -cE "$is_fused")
    [ "$count" -eq 0 ] || complain "the compiler fuses $count times by itself"
}

case $command in
sources | symbols | fused | soft) $command ;;
*) echo "static.sh sources|symbols|fused|soft"; exit 2 ;;
esac
exit $wrong
