/* e^x, log x and tanh x for float, correctly rounded: every machine's answer is the same because
 * only one answer is right.
 *
 * Twice computed, in Ziv's way.  First in double (real_math.c), whose error is below 2^-51 of the
 * value, twice that under a host's rounding mode; if no boundary between two floats' territories
 * lies within 2^-49, the float nearest to the double is the answer.  Of all 2^32 inputs about a
 * hundred fail that: their value is computed again to 2^-59.  That and the last rounding are done
 * in 64-bit integers, which know neither rounding modes nor flags of a compiler.  That is enough:
 * a search through all inputs found none nearer to a boundary than 2^-57.8 (log), see
 * tests/test_numeric.c for the nearest.  No table, no fma, no libm.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/numeric.h"

#include <string.h>

/* --- 64-bit fixed point and a small floating format --------------------------------------- */

/* A positive number m * 2^(e - 63), with the top bit of m set: m reads as 1.xxx. */
typedef struct wide {
    uint64_t m;
    int e;
} wide;

static const uint64_t ONE_Q63 = UINT64_C(1) << 63;

/* ln 2 as an integer over 2^64, and the 48 bits that follow. */
static const uint64_t LN2_Q64 = UINT64_C(0xb17217f7d1cf79ab);
static const uint64_t LN2_NEXT = UINT64_C(0xc9e3b39803f2);

/* The upper half of the 128-bit product: both as fractions of 2^64, the product as one, cut. */
static uint64_t mul_high(uint64_t a, uint64_t b)
{
    const uint64_t a1 = a >> 32, a0 = (uint32_t)a;
    const uint64_t b1 = b >> 32, b0 = (uint32_t)b;
    const uint64_t middle = a1 * b0 + ((a0 * b0) >> 32); /* fits: (2^32 - 1) 2^32 */
    const uint64_t low = a0 * b1 + (uint32_t)middle;
    return a1 * b1 + (middle >> 32) + (low >> 32);
}

/* m * 2^(e - 63) for any m > 0. */
static wide normalise(uint64_t m, int e)
{
    while (m < ONE_Q63) {
        m <<= 1;
        e--;
    }
    return (wide){m, e};
}

/* a / b, cut to 63 bits or more. */
static wide divide(wide a, wide b)
{
    /* A quotient of the mantissas below 1, so that each step gives one bit after the point. */
    int e = a.e - b.e - 1;
    uint64_t rest = a.m;
    if (rest >= b.m) {
        rest >>= 1; /* at most the last bit is lost: 2^-63 */
        e++;
    }
    uint64_t quotient = 0;
    for (int bit = 0; bit < 64; bit++) {
        const uint64_t carry = rest >> 63;
        rest <<= 1;
        quotient <<= 1;
        if (carry != 0 || rest >= b.m) {
            rest -= b.m; /* modulo 2^64 takes care of the carry */
            quotient |= 1;
        }
    }
    return normalise(quotient, e);
}

/* The nearest float.  Ties do not occur: these functions have none, except at arguments that
 * never come here.  A carry out of the 24 bits moves the exponent up by itself, from denormal to
 * normal and from the largest float to infinity. */
static float round_wide(wide value, int negative)
{
    if (value.e > 127)
        value = (wide){ONE_Q63, 128}; /* infinity, as bits */
    const int normal = value.e >= -126;
    const int drop = normal ? 40 : 40 + (-126 - value.e); /* bits that do not fit */
    uint64_t kept = drop <= 64 ? ((value.m >> (drop - 1)) + 1) >> 1 : 0;
    if (normal)
        kept += (uint64_t)(value.e + 126) << 23; /* kept holds the hidden bit, worth one more */
    uint32_t bits = (uint32_t)kept | (negative ? UINT32_C(0x80000000) : 0);
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* True if every real number within 2^-49 of value rounds to the same float, *nearest.  Infinities
 * and zeros pass (a denormal double is as good as zero), NaN does not. */
static int rounds_safely(double value, float *nearest)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff), negative = (int)(bits >> 63);
    if (exponent == 0 || exponent == 0x7ff) {
        *nearest = exponent == 0 ? negative ? -0.0f : 0.0f : (float)value;
        return value == value;
    }
    const uint64_t m = bits << 11 | ONE_Q63, margin = 1 << 14;
    const uint64_t more = m + margin < m ? UINT64_MAX : m + margin;
    const float below = round_wide((wide){m - margin, exponent - 1023}, negative);
    *nearest = round_wide((wide){more, exponent - 1023}, negative);
    return memcmp(&below, nearest, sizeof below) == 0;
}

/* Splits x = n ln 2 + r, 0 <= r < ln 2.  Here 2^-26 < |x| < 128, a multiple of 2^-49, so x is
 * exact as an integer over 2^56.  Returns r over 2^64, off by at most 2 units (LN2_NEXT). */
static uint64_t reduce(double x, int *n)
{
    const double quotient = x * 0x1.71547652b82fep+0; /* 1 / ln 2 */
    *n = (int)quotient - (quotient < 0);              /* rounded down */
    const uint64_t fixed = (uint64_t)(int64_t)(x * 0x1p56) << 8; /* modulo 2^64 from here on */
    const int64_t next = *n * (int64_t)LN2_NEXT / (INT64_C(1) << 48);
    return fixed - (uint64_t)*n * LN2_Q64 - (uint64_t)next;
}

/* (e^r - 1) / r = 1 + r/2! + r^2/3! + ..., over 2^63, for 0 <= r < ln 2 over 2^64.
 * 20 terms reach 2^-69; each step cuts twice, the errors shrink as they go: below 3 units. */
static uint64_t exp_minus_one_over(uint64_t r)
{
    uint64_t sum = ONE_Q63;
    for (unsigned k = 20; k >= 2; k--)
        sum = ONE_Q63 + mul_high(r, sum) / k;
    return sum;
}

static float exp_accurate(float x)
{
    int n;
    const uint64_t r = reduce(x, &n);
    const uint64_t power = ONE_Q63 + mul_high(r, exp_minus_one_over(r)); /* 1 <= e^r < 2 */
    return round_wide((wide){power, n}, 0);
}

/* tanh x = (e^y - 1) / (e^y + 1), y = 2 |x| = n ln 2 + r.  For n = 0 the numerator is r times
 * the series, which keeps small x accurate. */
static float tanh_accurate(float x)
{
    const double y = 2 * (x < 0 ? -(double)x : x);
    int n;
    const uint64_t r = reduce(y, &n);
    const uint64_t series = exp_minus_one_over(r);
    const uint64_t rise = mul_high(r, series); /* e^r - 1 over 2^63 */
    wide top, bottom;
    if (n == 0) {
        const wide scaled = normalise(r, 0); /* r = m 2^(e - 64) */
        top = normalise(mul_high(scaled.m, series), scaled.e);
        bottom = normalise(ONE_Q63 + (rise >> 1), 1);
    } else { /* both divided by 2^n; the sum needs one bit before the point more */
        const uint64_t shift = ONE_Q63 >> n;
        top = normalise(ONE_Q63 + rise - shift, 0);
        bottom = normalise((ONE_Q63 >> 1) + (rise >> 1) + (shift >> 1), 1);
    }
    return round_wide(divide(top, bottom), x < 0);
}

/* log m = 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...), s = (m - one) / (m + one), |s| < 0.1716,
 * for the absolute value; m != one are integers of 25 bits.  14 terms reach 2^-72. */
static wide log_near_one(uint32_t m, uint32_t one)
{
    const wide s = divide(normalise(m > one ? m - one : one - m, 63), normalise(m + one, 63));
    const uint64_t fixed = s.m >> (-1 - s.e); /* s over 2^64; s < 1/2, so s.e <= -2 */
    const uint64_t z = mul_high(fixed, fixed);
    uint64_t sum = 0;
    for (unsigned k = 14; k-- > 0;)
        sum = ONE_Q63 / (2 * k + 1) + mul_high(z, sum);
    return normalise(mul_high(s.m, sum), s.e + 2); /* a product of two 1.xxx loses a place */
}

/* log x = e ln 2 + log m, sqrt(1/2) < m < sqrt 2, for x > 0, x != 1. */
static float log_accurate(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 23) - 127;
    uint32_t m = bits & 0x7fffff, one = UINT32_C(1) << 23;
    if (e == -127) { /* denormal: move the first bit up to the hidden one's place */
        for (e = -126; m < one; e--)
            m <<= 1;
    } else {
        m |= one;
    }
    if (m > 0xb504f3) { /* sqrt 2 * 2^23 */
        one <<= 1;
        e++;
    }

    if (e == 0)
        return round_wide(log_near_one(m, one), m < one);

    /* |e| ln 2 over 2^(64 - length), length the bits of |e|: as many places as fit. */
    const uint64_t count = (uint64_t)(e < 0 ? -e : e);
    const wide scaled = normalise(count, 63);
    const int length = scaled.e + 1;
    uint64_t sum = mul_high(scaled.m, LN2_Q64);
    if (m != one) {
        const wide part = log_near_one(m, one);
        const uint64_t fixed = part.m >> (length - 1 - part.e);
        sum = (e > 0) == (m > one) ? sum + fixed : sum - fixed;
    }
    return round_wide(normalise(sum, length - 1), e < 0);
}

/* --- The functions ------------------------------------------------------------------------ */

float gn_expf(float x)
{
    float nearest;
    const double y = gn_exp(x);
    if (rounds_safely(y, &nearest) || x != x)
        return y != y ? x : nearest;
    return exp_accurate(x);
}

float gn_logf(float x)
{
    float nearest;
    const double y = gn_log(x);
    if (rounds_safely(y, &nearest))
        return x == 1 ? 0.0f : nearest; /* y is -0 where the host rounds down */
    return y != y ? (float)y : log_accurate(x);
}

float gn_tanhf(float x)
{
    float nearest;
    const double y = gn_tanh(x);
    if (rounds_safely(y, &nearest))
        return nearest;
    return y != y ? (float)y : tanh_accurate(x);
}
