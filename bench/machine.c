/* The machine's clock, its peak of fused multiply-adds and its memory.
 * SPDX-License-Identifier: MIT */
#include "machine.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "gomokunet/numeric.h"

double machine_now(void)
{
    struct timespec t;
    clock_gettime(omp_get_max_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- The peak ------------------------------------------------------------------------------ */

#if defined(__x86_64__)
#include <immintrin.h>

/* Twelve chains of fused multiply-adds, since two units of four cycles each keep eight busy.  The
 * first accumulator is not 1, which is a fixed point: clang drops such a chain. */
#define FMA_LOOP(name, set, vec, splat, fma, add, first)                                         \
    __attribute__((target(set))) static float name(long count)                                   \
    {                                                                                            \
        vec acc[12], a = splat(0.999f), b = splat(1e-3f);                                        \
        _Pragma("GCC unroll 16") for (int i = 0; i < 12; i++) acc[i] = splat((float)i + 2);      \
        for (long n = 0; n < count; n++)                                                         \
            _Pragma("GCC unroll 16") for (int i = 0; i < 12; i++) acc[i] = fma(acc[i], a, b);    \
        _Pragma("GCC unroll 16") for (int i = 1; i < 12; i++) acc[0] = add(acc[0], acc[i]);      \
        return first(acc[0]);                                                                    \
    }
FMA_LOOP(fma_loop_256, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps,
         _mm256_cvtss_f32)
FMA_LOOP(fma_loop_512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps,
         _mm512_cvtss_f32)

static bool wide(void) { return __builtin_cpu_supports("avx512f"); }
static float fma_loop(long count) { return wide() ? fma_loop_512(count) : fma_loop_256(count); }
static double flops_a_round(void) { return wide() ? 12 * 16 * 2 : 12 * 8 * 2; }
#else
static float fma_loop(long count)
{
    float acc[32];
    for (int i = 0; i < 32; i++)
        acc[i] = (float)i;
    for (long n = 0; n < count; n++)
        for (int i = 0; i < 32; i++)
            acc[i] = gn_fmaf(acc[i], 0.999f, 1e-3f);
    for (int i = 1; i < 32; i++)
        acc[0] += acc[i];
    return acc[0];
}
static double flops_a_round(void) { return 32 * 2; }
#endif

static volatile float sink; /* so that the loops are not left out */

/* GFLOP/s of all threads together, the best of several tries. */
double machine_peak(void)
{
    const long rounds = 400000;
    double best = 0;
    for (int tries = 0; tries < 20; tries++) {
        const double start = machine_now();
#pragma omp parallel
        sink = fma_loop(rounds);
        const double rate = 1e-9 * flops_a_round() * (double)rounds / (machine_now() - start);
        best = rate > best ? rate : best;
    }
    return best * omp_get_max_threads();
}

/* GB/s of memory, reads and writes: a[i] += k b[i] over arrays that no cache holds. */
double machine_bandwidth(void)
{
    const size_t count = (size_t)64 << 20;
    float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);
    double best = 0;
    if (a == NULL || b == NULL)
        abort();
    for (int tries = -1; tries < 5; tries++) {
        const double start = machine_now();
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++)
            a[i] = tries < 0 ? (b[i] = 1) : a[i] + 0.5f * b[i];
        const double rate = 3e-9 * (double)(count * sizeof *a) / (machine_now() - start);
        best = tries >= 0 && rate > best ? rate : best;
    }
    sink = a[count / 2];
    free(a);
    free(b);
    return best;
}
