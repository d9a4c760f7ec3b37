/* exp, log and tanh in double: the double table's functions, and the first try of exact.c.
 *
 * Only IEEE + - * / and integer work on exponents, in one written order, no fma and no table, so
 * every machine gets the same bits.  Accurate to about an ulp, not correctly rounded.  Series are
 * plain Taylor: their coefficients explain themselves (the compiler divides, correctly rounded),
 * and after the reduction of the argument they need one or two terms more than a best fit.
 * u below is 2^-53, the largest relative error of one operation.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/numeric.h"

#include <float.h>
#include <math.h> /* INFINITY and NAN only: no function of libm */
#include <string.h>

/* ln 2 in two parts: the first 42 bits, so that its product with an exponent (11 bits) is exact,
 * and the next 53, rounded.  1 / ln 2 rounded. */
static const double LN2_HI = 0xb17217f7d1cp-44, LN2_LO = 0xf79abc9e3b398p-96;
static const double LOG2_E = 0x1.71547652b82fep+0;

/* 2^n for -1022 <= n <= 1023. */
static double power_of_two(int n)
{
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* e^x - 1 - x for |x| <= 0.347: x^2 (1/2! + x/3! + ... + x^11/13!), cut 2^-57 below e^x.
 * Grouped by fours, since one long chain would wait for every product. */
static double exp_tail(double x)
{
    const double x2 = x * x, x4 = x2 * x2;
    const double a = (1.0 / 2 + x * (1.0 / 6)) + x2 * (1.0 / 24 + x * (1.0 / 120));
    const double b = (1.0 / 720 + x * (1.0 / 5040)) + x2 * (1.0 / 40320 + x * (1.0 / 362880));
    const double c = (1.0 / 3628800 + x * (1.0 / 39916800)) +
                     x2 * (1.0 / 479001600 + x * (1.0 / 6227020800.0));
    return x2 * (a + x4 * (b + x4 * c));
}

/* e^x = 2^n e^r, n = x / ln 2 rounded, |r| <= ln 2 / 2.
 * Error: the last addition u (of a value near 1), r and the tail added to it a quarter each. */
double gn_exp(double x)
{
    if (x > 710.0)
        return INFINITY;
    if (x < -746.0)
        return 0.0;
    if (x != x)
        return x;

    const int n = (int)(x * LOG2_E + (x < 0 ? -0.5 : 0.5));
    const double high = x - n * LN2_HI; /* exact: a difference of neighbours on a common grid */
    const double low = n * LN2_LO;
    const double value = 1.0 + (high + (exp_tail(high - low) - low));

    /* In two steps: 2^n alone may overflow, or underflow, where the result does not. */
    const int half = n / 2;
    return value * power_of_two(half) * power_of_two(n - half);
}

/* x = 2^e m, sqrt(1/2) < m <= sqrt 2; f = m - 1 is exact; s = f / (2 + f); then
 *
 *     log m = 2 atanh s = 2s + R s,  R = 2 s^2/3 + 2 s^4/5 + ...
 *
 * and since 2s = f - s f and s f = f^2/2 - s f^2/2, with h = f^2/2:
 *
 *     log m = f - (h - s (h + R)).
 *
 * So the largest term is exact and the rest, at most a quarter of it, carries the errors.
 * |s| < 0.1716: the series ends 2^-59 below the first term. */
double gn_log(double x)
{
    if (!(x > 0))
        return x == 0 ? -INFINITY : NAN; /* NaN comes here too */
    if (x > DBL_MAX)
        return x;

    int e = -1023;
    if (x < DBL_MIN) {
        x *= 0x1p54;
        e -= 54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    e += (int)(bits >> 52);
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) { /* sqrt 2 */
        m *= 0.5;
        e += 1;
    }

    const double f = m - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s, w = z * z;
    const double even = w * (2.0 / 5 + w * (2.0 / 9 + w * (2.0 / 13 + w * (2.0 / 17 +
                        w * (2.0 / 21)))));
    const double odd = z * (2.0 / 3 + w * (2.0 / 7 + w * (2.0 / 11 + w * (2.0 / 15 +
                       w * (2.0 / 19)))));
    const double h = 0.5 * f * f;
    const double rest = h - (s * (h + (even + odd)) + e * LN2_LO);
    return e * LN2_HI - (rest - f);
}

/* Below 0.85 Lambert's continued fraction tanh x = x / (1 + z/(3 + z/(5 + ... z/17))), z = x^2,
 * written as one fraction of polynomials, and 1 taken out of it: what is then subtracted from x
 * is a small part of it, without cancellation inside, and keeps tiny x accurate.  Cut at 2^-57.
 * Above, 1 - 2 / (e^(2x) + 1), where again the part that carries the errors is small. */
double gn_tanh(double x)
{
    const double a = x < 0 ? -x : x;
    if (a < 0x1p-28)
        return x; /* keeps -0; the next term, x^3/3, is below u/2 of x */
    if (a < 0.85) {
        const double z = x * x;
        const double top = 11486475 + z * (810810 + z * (12870 + z * 44));
        const double bottom = 34459425 + z * (16216200 + z * (945945 + z * (13860 + z * 45)));
        return x - x * (z * (top / bottom));
    }
    /* From 20 on, the distance to 1 is below half an ulp. */
    const double y = a < 20.0 ? 1.0 - 2.0 / (gn_exp(2.0 * a) + 1.0) : 1.0;
    return x > 0 ? y : x < 0 ? -y : x;
}
