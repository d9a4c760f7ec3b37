/* A number for all values of a float function, or for a sample of them, that any order of work
 * gives: the sum modulo 2^64 of mix(x, y) over the inputs x, as bits.  A port may compute it on
 * thousands of threads.  `make exhaustive` checks every value with MPFR and prints these numbers;
 * the test of the sample then stands for the whole.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_EXACT_DIGEST_H
#define GN_TESTS_EXACT_DIGEST_H

#include <stdint.h>
#include <string.h>

#include "gomokunet/numeric.h"

/* A step between the inputs of the sample: odd, so that all exponents and all low bits occur;
 * 16,711,936 inputs, more than 32,000 for each exponent. */
enum { SAMPLE_STEP = 257 };

static const struct {
    const char *name;
    float (*f)(float);
    uint64_t all, sample;
} exact_digests[] = {
    {"exp", gn_expf, UINT64_C(0x4ccc7cddaea06b26), UINT64_C(0x30dc7bf3f6c03156)},
    {"log", gn_logf, UINT64_C(0x117fa2a6bbdea567), UINT64_C(0x179609dfdc38a9ac)},
    {"tanh", gn_tanhf, UINT64_C(0xc805c4afc419cf8a), UINT64_C(0x156f4ccd9f14e0fd)},
};

enum { EXACT_FUNCTIONS = sizeof exact_digests / sizeof *exact_digests };

static inline float exact_input(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t exact_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? UINT32_C(0x7fc00000) : bits; /* NaN is a class */
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t exact_mix(uint32_t x, uint32_t y)
{
    uint64_t z = (uint64_t)x << 32 | y;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Of the inputs 0, step, 2 step, ... below 2^32, as bits. */
static inline uint64_t exact_digest(float (*f)(float), uint64_t step)
{
    uint64_t sum = 0;
    for (uint64_t x = 0; x < UINT64_C(1) << 32; x += step)
        sum += exact_mix((uint32_t)x, exact_bits(f(exact_input((uint32_t)x))));
    return sum;
}

#endif
