/* Summing in any order and any precision; see precision.h.  SPDX-License-Identifier: MIT */
#include "golden/precision.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "gomokunet/numeric.h"

const char *gn_precision_name(gn_precision p)
{
    static const char *const names[GN_PRECISIONS] = {"tf32", "tf32", "tf32", "bf16",
                                                     "bf16", "fp16", "ftz"};
    return names[p];
}

enum { FLOAT_BITS = 24, EVEN, AWAY, ZERO };

/* Keeps `bits` significant bits of a float. */
static float keep(float x, int bits, int mode)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7f800000) == 0x7f800000)
        return x;
    const uint32_t unit = 1u << (FLOAT_BITS - bits), half = unit >> 1;
    if (mode == AWAY)
        u += half;
    else if (mode == EVEN)
        u += half - 1 + ((u / unit) & 1);
    u &= ~(unit - 1);
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Half precision: 11 bits, but fixed steps of 2^-24 below 2^-14; above 65504 it is infinite. */
static double to_half(double x)
{
    const double size = x < 0 ? -x : x, step = 0x1p-24;
    if (size < 0x1p-14) {
        const double shift = 0x1.8p52 * step;
        return (x + shift) - shift;
    }
    const double y = (double)keep((float)x, 11, EVEN);
    return y > 65504 || y < -65504 ? x / 0.0 : y;
}

double gn_precision_round(gn_precision p, double x)
{
    const float f = (float)x;
    switch (p) {
    case GN_TF32_NEAREST:
        return (double)keep(f, 11, EVEN);
    case GN_TF32_AWAY:
        return (double)keep(f, 11, AWAY);
    case GN_TF32_TRUNCATED:
        return (double)keep(f, 11, ZERO);
    case GN_BF16_NEAREST:
        return (double)keep(f, 8, EVEN);
    case GN_BF16_TRUNCATED:
        return (double)keep(f, 8, ZERO);
    case GN_FP16_NEAREST:
        return to_half(x);
    case GN_FLUSH:
        return x < 0x1p-126 && x > -0x1p-126 ? 0 : x;
    }
    return x;
}

double gn_precision_unit(gn_precision p)
{
    static const double units[GN_PRECISIONS] = {0x1p-12, 0x1p-12, 0x1p-11, 0x1p-9,
                                                0x1p-8,  0x1p-12, 0x1p-24};
    return units[p];
}

bool gn_precision_holds(gn_precision p, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = (double)x[i];
        if (value - value == 0 && gn_precision_round(p, value) != value)
            return false;
    }
    return true;
}

static bool multiplies_only(gn_precision p)
{
    return p == GN_TF32_NEAREST || p == GN_TF32_AWAY || p == GN_TF32_TRUNCATED;
}

/* Sums in the format itself are of rounded factors, and what they end with is stored; but a loss
 * made of a softmax in the format is not. */
static bool makes_sense(const gn_rounding *r, bool parts)
{
    const bool wide = !r->products && !r->parts && !r->stored && r->adding == GN_WIDE;
    if (multiplies_only(r->precision) || r->precision == GN_FLUSH)
        return wide;
    if (r->adding != GN_WIDE)
        return (r->stored || (r->products && r->adding <= GN_ACROSS)) && r->a && r->b &&
               r->parts == parts && !(r->adding == GN_SUM_FIRST && r->products);
    return (!r->parts || (parts && r->stored)) && (!r->products || r->a == r->b);
}

int gn_roundings(gn_rounding *list, bool parts)
{
    int count = 0;
    for (int p = 0; p < GN_PRECISIONS; p++)
        for (int adding = GN_WIDE; adding <= GN_SUM_FIRST; adding++)
            for (int bits = 31; bits >= 0; bits--) {
                const gn_rounding r = {(gn_precision)p,  (bits & 1) != 0, (bits & 2) != 0,
                                       (bits & 4) != 0,  (bits & 8) != 0, (bits & 16) != 0,
                                       (gn_adding)adding, false};
                if (makes_sense(&r, parts) && (bits | adding) != 0)
                    list[count++] = r;
            }
    return count;
}

/* The sum of a run, every step of it rounded. */
static double narrow_run(const gn_rounding *r, double sum, const double *a, const double *b,
                         size_t count, size_t stride)
{
    for (size_t i = 0; i < count; i++) {
        const double p = a[i * stride] * b[i * stride];
        sum = gn_precision_round(r->precision,
                                 sum + (r->products ? gn_precision_round(r->precision, p) : p));
    }
    return sum;
}

double gn_rounded_sum(const gn_rounding *r, const double *a, const double *b, size_t count,
                      size_t inner)
{
    double sum = 0;
    switch (r->adding) {
    case GN_WIDE:
        for (size_t i = 0; i < count; i++)
            sum += r->products ? gn_precision_round(r->precision, a[i] * b[i]) : a[i] * b[i];
        return sum;
    case GN_CHAIN:
        return narrow_run(r, 0, a, b, count, 1);
    case GN_ACROSS:
        for (size_t i = 0; i < inner; i++)
            sum = narrow_run(r, sum, a + i, b + i, (count - i + inner - 1) / inner, inner);
        return sum;
    case GN_LEAVES:
    case GN_LEAVES_BACK:
        for (size_t k = 0, runs = (count + inner - 1) / inner; k < runs; k++) {
            const size_t i = (r->adding == GN_LEAVES ? k : runs - 1 - k) * inner;
            const size_t length = inner < count - i ? inner : count - i;
            sum = gn_precision_round(r->precision, sum + narrow_run(r, 0, a + i, b + i, length, 1));
        }
        return sum;
    case GN_SUM_FIRST:
        for (size_t i = 0; i < count; i++)
            sum += b[i] == b[0] ? a[i] : NAN; /* they share none: no such computation */
        return gn_precision_round(r->precision, sum) * b[0];
    }
    return sum;
}

static bool all_equal(const double *b, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (b[i] != b[0])
            return false;
    return true;
}

double gn_order_sum(int order, const double *a, const double *b, size_t count)
{
    enum { LANES = 32 };
    float lane[LANES] = {0};
    const bool mean = order == 3 && all_equal(b, count);
    for (size_t i = 0; i < count; i++) {
        const float x = (float)a[i], y = mean ? 1 : (float)b[i];
        float *sum = &lane[order == 2 ? i % LANES : 0];
        if (order == 0) {
            *sum = gn_fmaf(x, y, *sum);
        } else {
            const float product = x * y;
            *sum += product;
        }
    }
    for (int step = 1; step < LANES && order == 2; step *= 2)
        for (int i = 0; i + step < LANES; i += 2 * step)
            lane[i] += lane[i + step];
    return mean ? (double)lane[0] * b[0] : (double)lane[0];
}
