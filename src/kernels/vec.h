/* A vector of floats: the only place that knows an instruction set.
 *
 * `vec` is the compiler's vector type, so + is written as usual; load, store (both unaligned),
 * splat and fma are intrinsics, because lane loops of __builtin_fmaf become scalar code in clang
 * and in gcc for aarch64 (measured).  splat is not `(vec){0} + x`: that turns -0 into +0.
 * A tile of accumulators is ROWS x VECS vectors; it must leave room for VECS loads and a splat
 * among the 16 (AVX2) or 32 registers.  NEON is written but was never run.
 * SPDX-License-Identifier: MIT */
#ifndef GN_KERNELS_VEC_H
#define GN_KERNELS_VEC_H

#if defined(__AVX512F__)
#include <immintrin.h>
#define VEC_NAME "avx512"
enum { LANES = 16, ROWS = 8, VECS = 2 };
typedef __m512 vec;
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_splat(x) _mm512_set1_ps(x)
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VEC_NAME "avx2"
enum { LANES = 8, ROWS = 6, VECS = 2 };
typedef __m256 vec;
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_splat(x) _mm256_set1_ps(x)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)

#elif defined(__aarch64__)
#include <arm_neon.h>
#define VEC_NAME "neon"
enum { LANES = 4, ROWS = 6, VECS = 4 };
typedef float32x4_t vec;
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_splat(x) vdupq_n_f32(x)
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)

#else
#error "kernels/ needs an instruction set with fused multiply-add: see select.c"
#endif

enum { COLS = VECS * LANES, TILE = ROWS * COLS };

#endif
