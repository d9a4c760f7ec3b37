/* A vector of floats: the only place that knows an instruction set.
 *
 * `vec` is the compiler's vector type, so + is written as usual; load, store (both unaligned),
 * splat and fma are intrinsics, because lane loops of __builtin_fmaf become scalar code in clang
 * and in gcc for aarch64 (measured).  splat is not `(vec){0} + x`: that turns -0 into +0.
 * A tile of accumulators is ROWS x VECS vectors; it must leave room for VECS loads and a splat
 * among the 16 (SSE2, AVX2) or 32 registers.  SSE2 has no fused multiply-add and gets one below.
 * SPDX-License-Identifier: MIT */
#ifndef GN_KERNELS_VEC_H
#define GN_KERNELS_VEC_H

#if defined(__AVX512F__)
#include <immintrin.h>
#define VEC_NAME "avx512"
enum { LANES = 16, BEST_ROWS = 8, BEST_VECS = 2 };
typedef __m512 vec;
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_splat(x) _mm512_set1_ps(x)
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VEC_NAME "avx2"
enum { LANES = 8, BEST_ROWS = 6, BEST_VECS = 2 };
typedef __m256 vec;
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_splat(x) _mm256_set1_ps(x)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)

#elif defined(__aarch64__)
#include <arm_neon.h>
#define VEC_NAME "neon"
enum { LANES = 4, BEST_ROWS = 6, BEST_VECS = 4 };
typedef float32x4_t vec;
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_splat(x) vdupq_n_f32(x)
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)

#elif defined(__SSE2__)
#include <emmintrin.h>

#include "base/fma.h"
#define VEC_NAME "sse2"
enum { LANES = 4, BEST_ROWS = 4, BEST_VECS = 2 };
typedef __m128 vec;
#define vec_load(p) _mm_loadu_ps(p)
#define vec_store(p, v) _mm_storeu_ps(p, v)
#define vec_splat(x) _mm_set1_ps(x)

/* The slow way, a lane at a time: about one call in 2^27 with numbers of all bits. */
__attribute__((noinline, cold)) static vec vec_fma_exact(vec a, vec b, vec c)
{
    for (int i = 0; i < LANES; i++)
        c[i] = gn_fmaf_soft(a[i], b[i], c[i]);
    return c;
}

/* In double the product is exact and the sum is rounded.  Rounding that to float is right unless
 * the sum lies halfway between two floats, where the bits that it lost decide: its low 29 bits are
 * 1000.., or it is below 2^-126, where floats have fewer bits.  (Rounding keeps order: a sum on
 * one side of halfway cannot have come from the other.)  0 is exact. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    const __m128d low = _mm_cvtps_pd(a) * _mm_cvtps_pd(b) + _mm_cvtps_pd(c);
    const __m128d high = _mm_cvtps_pd(_mm_movehl_ps(a, a)) * _mm_cvtps_pd(_mm_movehl_ps(b, b)) +
                         _mm_cvtps_pd(_mm_movehl_ps(c, c));
    const __m128 l = _mm_castpd_ps(low), h = _mm_castpd_ps(high);
    const __m128i tail = _mm_castps_si128(_mm_shuffle_ps(l, h, 0x88));
    const __m128i head = _mm_castps_si128(_mm_shuffle_ps(l, h, 0xdd));
    const __m128i halfway = _mm_cmpeq_epi32(_mm_slli_epi32(tail, 3), _mm_set1_epi32(INT32_MIN));
    /* 0 < |sum| < 2^-126, without the sign; less 1 and compared as if unsigned. */
    const __m128i size = _mm_add_epi32(_mm_slli_epi32(head, 1), _mm_set1_epi32(INT32_MAX));
    const __m128i tiny = _mm_cmplt_epi32(size, _mm_set1_epi32(INT32_MIN + 0x701fffff));
    if (__builtin_expect(_mm_movemask_epi8(_mm_or_si128(halfway, tiny)) != 0, 0))
        return vec_fma_exact(a, b, c);
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}

#else
#error "kernels/ needs vectors: see select.c"
#endif

/* How much is done at a time, in the units that the kernels explain.  No bit depends on it: tests
 * compile the kernels once more with other numbers. */
#ifndef GN_BLOCKS
#define GN_BLOCKS ROWS = BEST_ROWS, VECS = BEST_VECS, TERMS = 256, ROW_TILES = 4, \
                  SQUARE_TILES = 4, HOT_LEVELS = 3, UNITS = 9
#endif
enum { GN_BLOCKS, COLS = VECS * LANES, TILE = ROWS * COLS };

#endif
