/* The verdict on one tensor, by three gates.
 *
 * The theoretical bound of each element is loose for long sums: it lets through a dropped image.
 * So two more gates measure the error against what float32 itself does, in several orders, on the
 * same data: its root mean square over the tensor and over each channel, and its largest element,
 * in units of u sqrt(sum of (ab)^2).  What fails is compared with simulations of other precisions
 * before it is called wrong.  Comparisons are written so that NaN fails them.
 * SPDX-License-Identifier: MIT */
#include "golden/judge.h"
#include "golden/gates.h"

#include <stdlib.h>
#include <string.h>

#include "golden/naming.h"
#include "golden/transform.h"

static const double u = 0x1p-24;
enum { SAMPLES = 384 };

uint32_t gn_ulps(float a, float b)
{
    if (a != a || b != b)
        return a != a && b != b ? 0 : UINT32_MAX;
    int32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    /* Negative floats count downward from -0, which is one below +0. */
    const int64_t i = x < 0 ? -(int64_t)(x & 0x7fffffff) - 1 : x;
    const int64_t j = y < 0 ? -(int64_t)(y & 0x7fffffff) - 1 : y;
    return (uint32_t)(i > j ? i - j : j - i);
}

/* --- Bits ----------------------------------------------------------------------------------- */

static void count_bits(gn_finding *f, const gn_evidence *e)
{
    for (size_t i = 0; i < e->count; i++) {
        const uint32_t ulps = gn_ulps(e->got[i], e->same[i]);
        int bin = 0;
        while (bin < GN_ULP_BINS - 1 && ulps >> bin != 0)
            bin++;
        f->histogram[bin]++;
        f->different += ulps != 0;
        f->max_ulp = ulps > f->max_ulp ? ulps : f->max_ulp;
    }
}

void gn_distance(gn_finding *f, const float *got, const float *golden, size_t count)
{
    const gn_evidence e = {.got = got, .same = golden, .count = count};
    double sum = 0, most = -1;
    f->elements = count;
    count_bits(f, &e);
    for (size_t i = 0; i < count; i++) {
        const double d = size_of((double)got[i] - (double)golden[i]);
        sum += finite(d) ? d * d : 0;
        if (d > most || (!finite(d) && finite(most))) {
            most = d;
            f->element = i;
        }
    }
    f->rms_error = count == 0 ? 0 : root(sum / (double)count);
    f->expected = count == 0 ? 0 : golden[f->element];
    f->got = count == 0 ? 0 : got[f->element];
    f->truth = (double)f->expected;
}

/* --- Gate 1: every element ------------------------------------------------------------------- */

bool gn_judge_is_sum(const gn_evidence *e) { return e->terms > 0 && e->quad != NULL; }

bool gn_judge_inside(const gn_evidence *e, size_t i)
{
    const double got = (double)e->got[i], want = e->want[i];
    if (!finite(want))
        return want != want ? got != got : got == want;
    return size_of(got - want) <= e->bound[i];
}

/* The worst element is the one farthest outside in units of its bound. */
static bool gate_elements(gn_finding *f, const gn_evidence *e)
{
    bool all = true;
    double ours = 0, theirs = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double error = size_of((double)e->got[i] - e->want[i]);
        const bool exact = error == 0 || gn_judge_inside(e, i);
        const double ratio = error == 0                         ? 0
                             : e->bound[i] > 0 && finite(error) ? error / e->bound[i]
                             : exact                            ? 0
                                                                : 1e300;
        if (ratio > f->max_error_over_bound || (!exact && all)) {
            f->max_error_over_bound = ratio;
            f->element = i;
        }
        all = all && exact;
        theirs += finite(error) ? error * error : 0;
        const double own = (double)e->same[i] - e->want[i];
        ours += finite(own) ? own * own : 0;
    }
    f->rms_error = root(theirs / (double)e->count);
    f->reference_rms_error = root(ours / (double)e->count);
    return all;
}

/* --- Gates 2 and 3: the tensor and its channels ----------------------------------------------- */

/* Sums sampled at random places, in other orders. */
typedef struct orders {
    size_t count;
    double order[GN_ORDERS][SAMPLES];
    double expected[SAMPLES]; /* of a chain, in units of u: its error's root mean square */
} orders;

size_t gn_judge_place(const gn_evidence *e, size_t k, size_t samples)
{
    const double turn = (double)k * 0.6180339887498949;
    const size_t i = (size_t)((double)e->count * (turn - (double)(size_t)turn));
    return samples == e->count ? k : i < e->count ? i : e->count - 1;
}

/* Three orders may be lucky together, in a sum of a few terms or where all products are equal. Each
 * rounding of a number s is off by .42 u |s| in the root mean square.  A chain rounds a partial sum
 * and a product for each product that is not 0: the sums of the contract's order, or of a random
 * one, where n sums s_k have a mean square of s^2/3 + (n Q^2 - s^2)/6. */
static double expected_error(const double *a, const double *b, size_t count)
{
    double sum = 0, path = 0, Q2 = 0, n = 0;
    for (size_t i = 0; i < count; i++) {
        const double product = a[i] * b[i];
        sum += product;
        path += product != 0 ? sum * sum : 0;
        Q2 += product * product;
        n += product != 0;
    }
    const double any = n * (sum * sum / 3) + (n * Q2 - sum * sum) / 6;
    return 0.42 * root(larger(path, any) + Q2);
}

static gn_status take_samples(orders *s, const gn_evidence *e, gn_err *err)
{
    double *terms = malloc(2 * e->terms * sizeof *terms);
    if (terms == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu terms", e->terms);
    s->count = e->count <= SAMPLES ? e->count : SAMPLES;
    for (size_t k = 0; k < s->count; k++) {
        gn_sums_gather(e->sums, gn_judge_place(e, k, s->count), terms, terms + e->terms);
        s->expected[k] = expected_error(terms, terms + e->terms, e->terms);
        for (int o = 0; o < GN_ORDERS; o++)
            s->order[o][k] = gn_order_sum(o, terms, terms + e->terms, e->terms);
    }
    free(terms);
    return GN_OK;
}

double gn_judge_relative(const gn_evidence *e, size_t i, double value)
{
    const double error = size_of(value - e->want[i]);
    return e->quad[i] > 0 && finite(error) ? error / (u * e->quad[i]) : 0;
}

/* What float32 itself does here: the worst of several orders, and what a chain is expected to do.
 */
static double envelope(const gn_evidence *e, const orders *s)
{
    double chain = 0;
    for (size_t k = 0; k < s->count; k++) {
        const double Q = e->quad[gn_judge_place(e, k, s->count)];
        const double x = Q > 0 ? s->expected[k] / Q : 0;
        chain += x * x;
    }
    double worst = larger(0.5, root(chain / (double)s->count)); /* .5: one rounding */
    for (int o = 0; o < GN_ORDERS; o++) {
        double sum = 0;
        for (size_t k = 0; k < s->count; k++) {
            const double x = gn_judge_relative(e, gn_judge_place(e, k, s->count), s->order[o][k]);
            sum += x * x;
        }
        worst = larger(worst, root(sum / (double)s->count));
    }
    return worst;
}

static bool gate_sums(gn_finding *f, const gn_evidence *e, const orders *s)
{
    double got = 0, same = 0, most = 0, most_same = 0;
    bool channels = true;
    for (size_t c = 0; c < e->channels; c++) {
        double x = 0, y = 0;
        size_t count = 0;
        for (size_t i = c; i < e->count; i += e->channels, count++) {
            const double a = gn_judge_relative(e, i, (double)e->got[i]);
            const double b = gn_judge_relative(e, i, (double)e->same[i]);
            x += a * a;
            y += b * b;
            most = larger(most, a);
            most_same = larger(most_same, b);
        }
        got += x;
        same += y;
        f->envelope = c == 0 ? envelope(e, s) : f->envelope;
        if (count >= FEW)
            channels = channels && root(x / (double)count) <=
                                       RMS_GATE * larger(f->envelope, root(y / (double)count));
    }
    f->envelope = larger(f->envelope, root(same / (double)e->count));
    f->spread = root(got / (double)e->count);
    return channels && f->spread <= RMS_GATE * f->envelope &&
           most <= MAX_GATE * f->envelope + most_same;
}

gn_status gn_judge_sums(bool *good, gn_finding *f, const gn_evidence *e, gn_err *err)
{
    orders *s = malloc(sizeof *s);
    if (s == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for samples");
    const gn_status st = take_samples(s, e, err);
    *good = st == GN_OK && gate_sums(f, e, s);
    free(s);
    return st;
}

gn_status gn_judge(gn_finding *f, const gn_evidence *e, gn_err *err)
{
    f->elements = e->count;
    count_bits(f, e);
    const bool inside = gate_elements(f, e);
    f->verdict = GN_VERDICT_BITS;
    if (f->different == 0)
        return GN_OK;
    bool usual = true, transformed = false;
    gn_status st = GN_OK;
    if (gn_judge_is_sum(e))
        st = gn_judge_sums(&usual, f, e, err);
    if (st != GN_OK)
        return st;
    f->verdict = GN_VERDICT_BOUND;
    if (inside && usual)
        return GN_OK;
    st = gn_transform(&transformed, e, err);
    if (st == GN_OK && transformed)
        f->verdict = GN_VERDICT_TRANSFORM;
    else if (st == GN_OK)
        st = gn_name(&f->verdict, &f->formats, e, f->envelope, err);
    return st;
}
