/* a*b + c rounded once, in line: the one operation the whole numeric contract rests on.
 *
 * Where the compiler has an instruction for it, the builtin becomes that instruction.  Elsewhere
 * (baseline x86-64) it is computed in double, because libm's fmaf may not be trusted: musl's and
 * msun's round twice.  Nothing here ever calls libm.  Assumes round to nearest (see guard.h).
 * SPDX-License-Identifier: MIT */
#ifndef GN_BASE_FMA_H
#define GN_BASE_FMA_H

#include <stdint.h>
#include <string.h>

/* The software version, also compiled where there is hardware, so that tests can compare them.
 *
 * The product of two floats has at most 48 bits and an exponent within +-300: exact in double.
 * TwoSum (Knuth) gives the rounded sum and its exact error.  Rounding that sum to float would
 * round twice; so it is first rounded to odd: if it is inexact and its last bit is 0, it moves to
 * the neighbour on the side of the error, whose last bit is 1.  A double rounded to odd has more
 * than 2 * 24 + 1 bits, and then the second rounding is right (Boldo and Melquiond 2008), for
 * denormal results too, since those keep fewer bits. */
static inline float gn_fmaf_soft(float a, float b, float c)
{
    const double product = (double)a * (double)b;
    const double addend = (double)c;
    double sum = product + addend;
    const double part = sum - product;
    const double error = (product - (sum - part)) + (addend - part);

    /* Not `error != 0`: with infinities the error is NaN, and the sum must stay as it is. */
    if (error < 0 || error > 0) {
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if ((bits & 1) == 0) {
            /* bits + 1 is the next double away from zero.  The sum is not 0 here: if it were,
             * it would be exact. */
            bits += (error > 0) == (sum > 0) ? UINT64_C(1) : ~UINT64_C(0);
            memcpy(&sum, &bits, sizeof sum);
        }
    }
    return (float)sum;
}

/* __FP_FAST_FMAF is gcc's word for "an instruction" (RISC-V, s390x, POWER). */
#if defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMAF)
#define GN_HARDWARE_FMA 1
#else
#define GN_HARDWARE_FMA 0
#endif

static inline float gn_fmaf_inline(float a, float b, float c)
{
#if GN_HARDWARE_FMA
    return __builtin_fmaf(a, b, c);
#else
    return gn_fmaf_soft(a, b, c);
#endif
}

#endif
