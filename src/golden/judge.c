/* The verdict on one tensor, by three gates.
 *
 * The theoretical bound of each element is loose for long sums: it lets through a dropped image.
 * So two more gates measure the error against what float32 itself does, in several orders, on the
 * same data: its root mean square over the tensor and over each channel, and its largest element,
 * in units of u sqrt(sum of (ab)^2).  What fails is compared with simulations of other precisions
 * before it is called wrong.  Comparisons are written so that NaN fails them.
 * SPDX-License-Identifier: MIT */
#include "golden/judge.h"

#include <stdlib.h>
#include <string.h>

static const double u = 0x1p-24;
enum { SAMPLES = 384, RMS_GATE = 4, MAX_GATE = 12, FEW = 32 };

static double root(double x) { return __builtin_sqrt(x); }
static double size_of(double x) { return x < 0 ? -x : x; }
static double larger(double a, double b) { return a > b ? a : b; }
static bool finite(double x) { return x - x == 0; }

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

/* Infinities and NaNs must be where the truth has them. */
static bool inside(const gn_evidence *e, size_t i)
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
        const bool exact = error == 0 || inside(e, i);
        const double ratio = error == 0 ? 0
                             : e->bound[i] > 0 && finite(error) ? error / e->bound[i]
                             : exact ? 0 : 1e300;
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

/* --- Gates 2 and 3: the tensor and its channels ------------------------------------------------ */

/* Sums sampled at random places, in other orders and precisions. */
typedef struct samples {
    size_t count;
    size_t at[SAMPLES];
    double order[GN_ORDERS][SAMPLES], precision[GN_PRECISIONS][SAMPLES];
} samples;

static gn_status take_samples(samples *s, const gn_evidence *e, gn_err *err)
{
    double *terms = malloc(2 * e->terms * sizeof *terms);
    if (terms == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu terms", e->terms);
    const bool all = e->count <= SAMPLES;
    s->count = all ? e->count : SAMPLES;
    for (size_t k = 0; k < s->count; k++) { /* spread, but not on a grid */
        const size_t i = all ? k : (size_t)((double)e->count * ((double)k * 0.6180339887498949 -
                                                                 (double)(size_t)((double)k *
                                                                 0.6180339887498949)));
        s->at[k] = i < e->count ? i : e->count - 1;
        e->gather(e->user, s->at[k], terms, terms + e->terms);
        for (int o = 0; o < GN_ORDERS; o++)
            s->order[o][k] = gn_order_sum(o, terms, terms + e->terms, e->terms);
        for (int p = 0; p < GN_PRECISIONS; p++)
            s->precision[p][k] = gn_precision_sum((gn_precision)p, terms, terms + e->terms,
                                                  e->terms);
    }
    free(terms);
    return GN_OK;
}

/* The error of element i in units of u Q; 0 where Q is 0, which gate 1 judges. */
static double relative(const gn_evidence *e, size_t i, double value)
{
    const double error = size_of(value - e->want[i]);
    return e->quad[i] > 0 && finite(error) ? error / (u * e->quad[i]) : 0;
}

/* What float32 itself does here: the worst of several orders. */
static double envelope(const gn_evidence *e, const samples *s)
{
    double worst = 0.5; /* one rounding of a sum that happens to be exact */
    for (int o = 0; o < GN_ORDERS; o++) {
        double sum = 0;
        for (size_t k = 0; k < s->count; k++) {
            const double x = relative(e, s->at[k], s->order[o][k]);
            sum += x * x;
        }
        worst = larger(worst, root(sum / (double)s->count));
    }
    return worst;
}

static bool gate_sums(gn_finding *f, const gn_evidence *e, const samples *s)
{
    double got = 0, same = 0, most = 0, most_same = 0;
    bool channels = true;
    for (size_t c = 0; c < e->channels; c++) {
        double x = 0, y = 0;
        size_t count = 0;
        for (size_t i = c; i < e->count; i += e->channels, count++) {
            const double a = relative(e, i, (double)e->got[i]);
            const double b = relative(e, i, (double)e->same[i]);
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

/* --- Names ----------------------------------------------------------------------------------- */

/* Whether every element is a number of that format: outputs were stored in it. */
static bool stored_in(const gn_evidence *e, gn_precision p)
{
    for (size_t i = 0; i < e->count; i++)
        if (finite((double)e->got[i]) && gn_precision_round(p, (double)e->got[i]) !=
                                             (double)e->got[i])
            return false;
    return true;
}

/* The simulation explains the errors: correlation at least .9, the rest at most .3 of them. */
static bool explains(const gn_evidence *e, const samples *s, gn_precision p, bool stored)
{
    double xx = 0, xy = 0, yy = 0, rest = 0;
    for (size_t k = 0; k < s->count; k++) {
        const size_t i = s->at[k];
        const double sim = stored ? gn_precision_round(p, s->precision[p][k]) : s->precision[p][k];
        const double x = (double)e->got[i] - e->want[i], y = sim - e->want[i];
        xx += x * x;
        xy += x * y;
        yy += y * y;
        rest += (x - y) * (x - y);
    }
    return xx > 0 && xy >= 0.9 * root(xx * yy) && rest <= 0.09 * xx;
}

static gn_verdict verdict_of(gn_precision p)
{
    static const gn_verdict verdicts[GN_PRECISIONS] = {
        GN_VERDICT_TF32, GN_VERDICT_TF32, GN_VERDICT_TF32, GN_VERDICT_BF16, GN_VERDICT_BF16,
        GN_VERDICT_FP16, GN_VERDICT_FTZ};
    return verdicts[p];
}

/* Every element outside its bound is 0 where the truth is denormal. */
static bool flushed(const gn_evidence *e)
{
    for (size_t i = 0; i < e->count; i++)
        if (!inside(e, i) && !(e->got[i] == 0 && size_of(e->want[i]) < 0x1p-126))
            return false;
    return true;
}

/* An op that sums nothing, stored in a narrow format: off by its rounding and no more. */
static bool rounded(const gn_evidence *e, gn_precision p, double unit)
{
    for (size_t i = 0; i < e->count; i++)
        if (!(size_of((double)e->got[i] - e->want[i]) <=
              1.5 * unit * size_of(e->want[i]) + 2 * e->bound[i]) &&
            !inside(e, i))
            return false;
    return stored_in(e, p);
}

static gn_verdict name(const gn_evidence *e, const samples *s)
{
    if (flushed(e))
        return GN_VERDICT_FTZ;
    for (int p = 0; p < GN_FLUSH && s != NULL; p++)
        for (int stored = 0; stored < 2; stored++)
            if ((stored == 0 || stored_in(e, (gn_precision)p)) &&
                explains(e, s, (gn_precision)p, stored == 1))
                return verdict_of((gn_precision)p);
    if (s == NULL && rounded(e, GN_BF16_NEAREST, 0x1p-9))
        return GN_VERDICT_BF16;
    if (s == NULL && rounded(e, GN_FP16_NEAREST, 0x1p-12))
        return GN_VERDICT_FP16;
    return GN_VERDICT_WRONG;
}

gn_status gn_judge(gn_finding *f, const gn_evidence *e, gn_err *err)
{
    f->elements = e->count;
    count_bits(f, e);
    const bool sums = e->terms > 0 && e->quad != NULL;
    bool good = gate_elements(f, e);
    f->verdict = GN_VERDICT_BITS;
    if (f->different == 0)
        return GN_OK;
    samples *s = sums ? malloc(sizeof *s) : NULL;
    if (sums && s == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for samples");
    const gn_status st = sums ? take_samples(s, e, err) : GN_OK;
    if (st == GN_OK) {
        good = (!sums || gate_sums(f, e, s)) && good;
        f->verdict = good ? GN_VERDICT_BOUND : name(e, s);
    }
    free(s);
    return st;
}
