/* The same kernels as CUDA: what OpenCL's words are there, then the files as they stand.
 *
 *     clang -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -nocudainc -nocudalib \
 *         -ffp-contract=off -O2 -S kernels.cu -o kernels.ptx
 *     nvcc -fmad=false -ftz=false -prec-div=true -prec-sqrt=true -ptx kernels.cu
 *
 * The first needs clang alone, and is what was tried: its PTX has fma.rn where the page writes fma,
 * div.rn, sqrt.rn, and nothing that is approximate or flushes.  SPDX-License-Identifier: MIT */
#ifdef __clang__ /* its own names for what CUDA's headers declare; none of these is included */
#define __global__ __attribute__((__global__))
#define __device__ __attribute__((__device__))
#define ITEM                                                                                       \
    (__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x())
#define fma __nvvm_fma_rn_f
#define sqrt __nvvm_sqrt_rn_f
#define mul_hi __nvvm_mulhi_ull
__device__ inline int min(int a, int b)
{
    return a < b ? a : b;
}
__device__ inline int max(int a, int b)
{
    return a > b ? a : b;
}
__device__ inline bool isnan(float x)
{
    return x != x;
}
#define as_float(bits) __builtin_bit_cast(float, bits)
#define as_uint(x) __builtin_bit_cast(uint, x)
#else
#define ITEM (blockIdx.x * blockDim.x + threadIdx.x)
#define fma __fmaf_rn
#define sqrt __fsqrt_rn
#define mul_hi __umul64hi
#define as_float __uint_as_float
#define as_uint __float_as_uint
#endif

typedef unsigned int uint;
#define ulong unsigned long long
#define get_global_id(dimension) ((int)ITEM)

#define kernel extern "C" __global__
#define global
#define static static __device__
#include "exact.cl"
#include "gomokunet.cl"
#include "training.cl"
