/* exp, log and tanh, correctly rounded, in 64-bit integers: section 21 of docs/numerics.md.
 *
 * A device's own functions may be several ulp off; these are the nearest float for every one of the
 * 2^32 arguments, on any device.
 * SPDX-License-Identifier: MIT */
#pragma OPENCL FP_CONTRACT OFF

typedef struct {
    ulong m; /* the value is m * 2^(e-63), the top bit of m is set */
    int e;
} num;

#define ONE ((ulong)1 << 63)
#define LN2 0xb17217f7d1cf79abul /* ln 2 over 2^64 */

static num norm(ulong m, int e)
{
    num v = {m, e};
    for (; v.m < ONE; v.m <<= 1)
        v.e--;
    return v;
}

static num quotient(num a, num b) /* long division */
{
    int e = a.e - b.e - 1;
    ulong rest = a.m, q = 0;
    if (rest >= b.m) {
        rest >>= 1;
        e++;
    }
    for (int i = 0; i < 64; i++) {
        const ulong carry = rest >> 63;
        rest <<= 1;
        q <<= 1;
        if (carry || rest >= b.m) {
            rest -= b.m;
            q |= 1;
        }
    }
    return norm(q, e);
}

static uint nearest(num v, uint sign) /* ties do not come here */
{
    if (v.e > 127)
        return sign | 0x7f800000;
    const int drop = v.e >= -126 ? 40 : -86 - v.e;
    const ulong kept = drop <= 64 ? ((v.m >> (drop - 1)) + 1) >> 1 : 0;
    return sign | (uint)(kept + (v.e >= -126 ? (ulong)(v.e + 126) << 23 : 0));
}

/* x = n ln 2 + r, 0 <= r < ln 2, for 2^-25 <= |x| < 128; |x| is the float with bits a, times
 * 2^twice.  Returns r over 2^64. */
static ulong reduce(uint a, uint negative, uint twice, int *n)
{
    const ulong m = (a & 0x7fffff) | 0x800000, x = m << ((a >> 23) - 94 + twice); /* over 2^56 */
    const ulong k = mul_hi(x, 0xb8aa3b295c17f0bcul) >> 55; /* floor(x / ln 2); 1/ln 2 over 2^63 */
    const ulong part = k * LN2 + (k * 0xc9e3b39803f2ul >> 48); /* k ln 2 over 2^64, modulo 2^64 */
    *n = negative ? -(int)k - 1 : (int)k;
    return negative ? LN2 - ((x << 8) - part) : (x << 8) - part;
}

static ulong series(ulong r) /* (e^r - 1) / r over 2^63 */
{
    ulong sum = ONE;
    for (int k = 20; k >= 2; k--)
        sum = ONE + mul_hi(r, sum) / (ulong)k;
    return sum;
}

static uint exp_bits(uint x)
{
    const uint a = x & 0x7fffffff, negative = x >> 31;
    if (a > 0x7f800000)
        return x; /* NaN */
    if (a < 0x33000000)
        return 0x3f800000; /* |x| < 2^-25: 1 */
    if (a >= 0x42d00000)
        return negative ? 0 : 0x7f800000; /* |x| >= 104 */
    int n;
    const ulong r = reduce(a, negative, 0, &n);
    const num v = {ONE + mul_hi(r, series(r)), n};
    return nearest(v, 0);
}

static uint tanh_bits(uint x)
{
    const uint a = x & 0x7fffffff, sign = x & 0x80000000;
    if (a > 0x7f800000 || a < 0x39800000)
        return x; /* NaN; |x| < 2^-12: x */
    if (a >= 0x41200000)
        return sign | 0x3f800000; /* |x| >= 10: 1 */
    int n; /* (e^y - 1) / (e^y + 1), y = 2|x| */
    const ulong r = reduce(a, 0, 1, &n), s = series(r), rise = mul_hi(r, s);
    if (n == 0) {
        const num t = norm(r, 0);
        return nearest(quotient(norm(mul_hi(t.m, s), t.e), norm(ONE + (rise >> 1), 1)), sign);
    }
    const ulong shift = ONE >> n;
    return nearest(quotient(norm(ONE + rise - shift, 0),
                            norm((ONE >> 1) + (rise >> 1) + (shift >> 1), 1)), sign);
}

static num log_near_one(ulong m, ulong one) /* |log(m / one)| = 2 atanh(s) */
{
    const num s = quotient(norm(m > one ? m - one : one - m, 63), norm(m + one, 63));
    const ulong f = s.m >> (-1 - s.e), z = mul_hi(f, f);
    ulong sum = 0;
    for (int k = 13; k >= 0; k--)
        sum = ONE / (ulong)(2 * k + 1) + mul_hi(z, sum);
    return norm(mul_hi(s.m, sum), s.e + 2);
}

static uint log_bits(uint x)
{
    if ((x & 0x7fffffff) == 0)
        return 0xff800000; /* +-0: -Inf */
    if (x > 0x7f800000)
        return 0x7fc00000; /* x < 0, NaN: NaN */
    if (x == 0x7f800000 || x == 0x3f800000)
        return x == 0x3f800000 ? 0 : x;
    int e = (int)(x >> 23) - 127;
    ulong m = x & 0x7fffff, one = 0x800000;
    if (e > -127)
        m |= one;
    else
        for (e = -126; m < one; e--)
            m <<= 1;
    if (m > 0xb504f3) { /* sqrt(1/2) < m/one < sqrt(2) */
        one <<= 1;
        e++;
    }
    if (e == 0)
        return nearest(log_near_one(m, one), m < one ? 0x80000000 : 0);
    const num c = norm((ulong)(e < 0 ? -e : e), 63); /* |e| ln 2 over 2^(63 - c.e) */
    ulong sum = mul_hi(c.m, LN2);
    if (m != one) {
        const num p = log_near_one(m, one);
        const ulong f = p.m >> (c.e - p.e);
        sum = (e > 0) == (m > one) ? sum + f : sum - f;
    }
    return nearest(norm(sum, c.e), e < 0 ? 0x80000000 : 0);
}

static float exact_exp(float x)
{
    return as_float(exp_bits(as_uint(x)));
}

static float exact_log(float x)
{
    return as_float(log_bits(as_uint(x)));
}

static float exact_tanh(float x)
{
    return as_float(tanh_bits(as_uint(x)));
}
