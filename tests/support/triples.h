/* Triples for a*b + c on which a careless fma fails.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_TRIPLES_H
#define GN_TESTS_TRIPLES_H

#include <stdint.h>
#include <string.h>

#include "base/fma.h"

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* NaN is a class. */
static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7fc00000u : bits;
}

/* Of four random words; `kind` mod 5: any bits at all; c near -a*b; denormal results; half a step
 * of c, less 2^-46 or so of it, which a sum in double takes for a tie; the same among denormals. */
static void triple(float t[3], const uint32_t r[4], uint64_t kind)
{
    const uint32_t k = r[3] % 61;
    for (int i = 0; i < 3; i++)
        t[i] = float_of(r[i]);
    if (kind % 5 == 1) {
        t[0] = float_of((r[0] & 0x807fffff) | (97 + k) << 23);
        t[1] = float_of((r[1] & 0x87ffffff) | 0x38000000);
        t[2] = float_of(bits_of(-(t[0] * t[1])) + (r[2] & 0xff) - 0x80 + (k << 23) - (30u << 23));
    } else if (kind % 5 == 2) { /* the product's exponent between -126 and -153 */
        t[0] = float_of((r[0] & 0x807fffff) | (k + 1) << 23);
        t[1] = float_of((r[1] & 0x807fffff) | (127 - k - (r[3] >> 8) % 28) << 23);
        t[2] = float_of(r[2] & 0x81ffffff);
    } else if (kind % 5 >= 3) {
        const float off = (float)(k + 1) * 0x1p-23f, step = kind % 5 == 3 ? 0x1p-12f : 0x1p-75f;
        t[0] = (1.0f + off) * (r[0] % 2 == 0 ? step : -step);
        t[1] = (1.0f - off) * step;
        t[2] = float_of((r[2] & 0x807fffff) | (kind % 5 == 3 ? 0x3f800000 : 0));
    }
}

/* Whether there is a hardware fma to compare with, and it.  On x86-64 the file is compiled for a
 * processor that may not have one. */
#if defined(__x86_64__)
static int hardware_has_fma(void) { return __builtin_cpu_supports("fma"); }
__attribute__((target("fma"))) static float hardware_fma(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}
#else
static int hardware_has_fma(void) { return GN_HARDWARE_FMA; }
static float hardware_fma(float a, float b, float c) { return gn_fmaf_inline(a, b, c); }
#endif

/* The vectors of this file's instruction set, SSE2 unless flags say more: their fma too. */
#if defined(__x86_64__) || defined(__aarch64__)
#include "kernels/vec.h"
#define TRIPLE_LANES LANES
static void vector_fma(float *out, const float *a, const float *b, const float *c)
{
    vec_store(out, vec_fma(vec_load(a), vec_load(b), vec_load(c)));
}
#else
#define TRIPLE_LANES 1
static void vector_fma(float *out, const float *a, const float *b, const float *c)
{
    *out = gn_fmaf_soft(*a, *b, *c);
}
#endif

/* Vector number n of triples, by software, by vector and by hardware: 0 if some two differ, with
 * the triple in t.  In every other vector one lane is alone with its kind, or another lane's slow
 * way would hide that its own was not taken. */
static int triples_agree(float t[3], uint64_t n, void (*words)(uint32_t r[4], uint64_t index))
{
    float a[TRIPLE_LANES], b[TRIPLE_LANES], c[TRIPLE_LANES], got[TRIPLE_LANES];
    for (uint64_t i = 0; i < TRIPLE_LANES; i++) {
        uint32_t r[4];
        words(r, n * TRIPLE_LANES + i);
        triple(t, r, n);
        const int quiet = n / 5 % 2 == 1 && n / 10 % TRIPLE_LANES != i;
        a[i] = quiet ? 1.0f : t[0];
        b[i] = quiet ? 0.75f : t[1];
        c[i] = quiet ? 3.0f : t[2];
    }
    vector_fma(got, a, b, c);
    for (int i = 0; i < TRIPLE_LANES; i++) {
        const uint32_t want = bits_of(hardware_fma(a[i], b[i], c[i]));
        t[0] = a[i];
        t[1] = b[i];
        t[2] = c[i];
        if (bits_of(got[i]) != want || bits_of(gn_fmaf_soft(a[i], b[i], c[i])) != want)
            return 0;
    }
    return 1;
}

#endif
