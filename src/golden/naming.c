/* Naming a precision by simulation.
 *
 * A tolerance as wide as bfloat16's rounding would let through every mistake that is smaller.  So
 * no format has a tolerance: the op is computed again in float64 with its inputs, products,
 * contributions or results rounded to the format, and the candidate must agree with that, not with
 * the truth.
 *
 * Ops that sum nothing are run again as a whole, and every element must be the simulated one up to
 * float32's own bound: a result that is stored in the format may be the neighbour only where that
 * bound reaches over the midpoint.  Sums are simulated at a few hundred places; there the errors
 * must be the simulated errors (correlation at least .9, the rest at most .3 of them), and
 * elsewhere no larger than those.  SPDX-License-Identifier: MIT */
#include "golden/naming.h"
#include "golden/gates.h"

#include <stdlib.h>
#include <string.h>

static const double u = 0x1p-24;
enum { SAMPLES = 384, LEAST = 96, PRODUCTS = 1 << 20 };

static gn_verdict verdict_of(gn_precision p)
{
    static const gn_verdict verdicts[GN_PRECISIONS] = {
        GN_VERDICT_TF32, GN_VERDICT_TF32, GN_VERDICT_TF32, GN_VERDICT_BF16,
        GN_VERDICT_BF16, GN_VERDICT_FP16, GN_VERDICT_FTZ};
    return verdicts[p];
}

/* What explains a tensor: the first that did, and of a few numbers all. */
typedef struct named {
    gn_verdict verdict;
    unsigned formats;
} named;

static void explained(named *n, gn_precision p)
{
    n->verdict = n->verdict == GN_VERDICT_WRONG ? verdict_of(p) : n->verdict;
    n->formats |= 1u << verdict_of(p);
}

/* A number or two may be several formats': the first is not enough. */
static bool looks_on(const named *n, const gn_evidence *e)
{
    return n->verdict == GN_VERDICT_WRONG || e->count < NUMBERS;
}

/* --- Ops that sum nothing --------------------------------------------------------------------- */

/* The element is what the simulated op gives in float32, rounded to the format where it is stored.
 */
static bool agrees(const gn_evidence *e, size_t i, const gn_rounding *r, double simulated)
{
    const double got = (double)e->got[i], bound = e->bound[i];
    if (!finite(simulated) || !finite(got))
        return gn_judge_inside(e, i);
    if (!r->stored)
        return size_of(got - simulated) <= bound;
    return got >= gn_precision_round(r->precision, simulated - bound) &&
           got <= gn_precision_round(r->precision, simulated + bound);
}

static gn_status name_op(named *out, const gn_evidence *e, gn_err *err)
{
    gn_rounding list[GN_ROUNDINGS];
    const int count = gn_roundings(list, e->sums->count > 1);
    double *simulated = malloc(e->count * sizeof *simulated + 1);
    gn_status st = simulated == NULL
                       ? gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu numbers", e->count)
                       : GN_OK;
    for (int k = 0; k < count && st == GN_OK && looks_on(out, e); k++) {
        if (!gn_sums_can(e->sums, &list[k]) ||
            (list[k].stored && !gn_precision_holds(list[k].precision, e->got, e->count)))
            continue;
        st = gn_sums_rerun(e->sums, &list[k], simulated, e->count, err);
        bool all = st == GN_OK;
        for (size_t i = 0; i < e->count && all; i++)
            all = agrees(e, i, &list[k], simulated[i]);
        if (all)
            explained(out, list[k].precision);
    }
    free(simulated);
    return st;
}

/* --- Sums of products ------------------------------------------------------------------------- */

/* The sum of one element under every rounding of the list. */
static void simulate(double *out, const gn_evidence *e, size_t element, const gn_rounding *list,
                     int count, double *terms)
{
    double *a = terms, *b = a + e->terms, *ra = b + e->terms, *rb = ra + e->terms;
    gn_sums_gather(e->sums, element, a, b);
    for (int k = 0; k < count; k++) {
        const gn_precision p = list[k].precision;
        if (k == 0 || list[k - 1].precision != p)
            for (size_t i = 0; i < e->terms; i++) {
                ra[i] = gn_precision_round(p, a[i]);
                rb[i] = gn_precision_round(p, b[i]);
            }
        const double *x = list[k].a ? ra : a, *y = list[k].b ? rb : b;
        double total = 0;
        for (int part = 0; part < e->sums->count; part++) {
            const size_t n = gn_sums_part(e->sums, part), at = (size_t)(x - (list[k].a ? ra : a));
            const double *factor = list[k].adding == GN_SUM_FIRST ? b + at : y + at;
            const double sum = e->sums->unit[part] /* copied as it is */
                                   ? a[at]
                                   : gn_rounded_sum(&list[k], x, factor, n,
                                                    gn_sums_inner(e->sums, part));
            total += list[k].parts ? gn_precision_round(p, sum) : sum;
            x += n;
        }
        if (list[k].wide_bias) /* its product is (1, bias) */
            total += b[e->terms - 1] - rb[e->terms - 1];
        out[k] = list[k].stored ? gn_precision_round(p, total) : total;
    }
}

/* How much of the errors a simulation may leave unexplained: .3, of few errors less, for one of
 * many simulations fits a few numbers by chance. */
static double allowed(size_t errors)
{
    const double part = errors < FEW ? (double)errors / FEW : 1;
    return 0.3 * part * part;
}

/* Sums over pairs of errors, the candidate's and the simulated. */
typedef struct fit {
    double xx, xy, yy, rest, yw, ww, noise;
    size_t count;
} fit;

static void fit_add(fit *f, const gn_evidence *e, size_t i, double envelope, double simulated)
{
    const double x = (double)e->got[i] - e->want[i], y = simulated - e->want[i];
    const double own = RMS_GATE * envelope * u * e->quad[i];
    f->xx += x * x;
    f->xy += x * y;
    f->yy += y * y;
    f->rest += (x - y) * (x - y);
    f->yw += y * e->want[i];
    f->ww += e->want[i] * e->want[i];
    f->noise += own * own;
    f->count++;
}

/* What is left unexplained, of 1; 2: too much, or they do not correlate.  Simulated errors that
 * follow the result (a constant was rounded) are one number, which a mistake may hit by chance: no
 * more may be left than a few numbers allow, or float32's own errors. */
static double fit_rest(const fit *f)
{
    if (!(f->xx > 0 && f->yy > 0 && f->xy >= 0.9 * root(f->xx * f->yy)))
        return 2;
    const double follows = f->ww > 0 ? f->yw * f->yw / (f->yy * f->ww) : 0;
    const double limit = allowed(1 + (size_t)((double)f->count * larger(0, 1 - follows)));
    const double own = root(f->noise / f->xx), rest = root(f->rest / f->xx);
    return rest <= larger(limit, own < 0.3 ? own : 0.3) ? rest : 2;
}

static double unexplained(const gn_evidence *e, double envelope, const double *simulated,
                          size_t stride, size_t samples)
{
    fit f = {0};
    for (size_t k = 0; k < samples; k++)
        fit_add(&f, e, gn_judge_place(e, k, samples), envelope, simulated[k * stride]);
    return fit_rest(&f);
}

/* Simulated sums of the samples, one column for each rounding. */
typedef struct columns {
    gn_rounding rounding[GN_ROUNDINGS];
    bool uneven[GN_ROUNDINGS]; /* found so, and left out */
    int count;
    size_t samples;
    double *simulated, *terms, envelope;
} columns;

/* The root mean square of a column's errors in units of u Q. */
static double usual_error(const gn_evidence *e, const columns *c, int column)
{
    double square = 0;
    for (size_t k = 0; k < c->samples; k++) {
        const double x = gn_judge_relative(e, gn_judge_place(e, k, c->samples),
                                           c->simulated[k * (size_t)c->count + (size_t)column]);
        square += x * x;
    }
    return root(square / (double)c->samples);
}

/* What a column's simulation leaves of an element's error, in units of u Q: all of it where the
 * simulation overflows. */
static double error_left(const gn_evidence *e, const columns *c, int column, size_t element)
{
    const double got = (double)e->got[element];
    double simulated;
    simulate(&simulated, e, element, &c->rounding[column], 1, c->terms);
    return gn_judge_relative(e, element, finite(simulated) ? got - simulated + e->want[element]
                                                           : got);
}

/* Errors are of that size everywhere: no element and no channel stands out.  Below half precision's
 * smallest normal number they are larger for their numbers: there the simulation itself decides. */
static bool even(const gn_evidence *e, const columns *c, int column)
{
    const gn_rounding *r = &c->rounding[column];
    const double usual = usual_error(e, c, column);
    const double unit = r->stored ? 2 * gn_precision_unit(r->precision) / u : 0;
    const bool half = r->precision == GN_FP16_NEAREST;
    const double floor = half ? 0x1p-24 / u : 0; /* its smallest step */
    for (size_t channel = 0; channel < e->channels; channel++) {
        double sum = 0;
        size_t count = 0;
        for (size_t i = channel; i < e->count; i += e->channels, count++) {
            double x = gn_judge_relative(e, i, (double)e->got[i]);
            const double last = e->quad[i] > 0 ? (unit * size_of(e->want[i]) + floor) / e->quad[i]
                                               : 0;
            if ((!(e->quad[i] > 0) || !finite((double)e->got[i])) && !gn_judge_inside(e, i))
                return false;
            if (half && x > RMS_GATE * usual + last)
                x = error_left(e, c, column, i);
            if (!(x <= MAX_GATE * usual + last))
                return false;
            sum += x > last ? (x - last) * (x - last) : 0;
        }
        if (count >= FEW && !(root(sum / (double)count) <= RMS_GATE * usual))
            return false;
    }
    return true;
}

/* The column that leaves the least of the errors unexplained, the first of those that are as good;
 * -1: none explains them. */
static int best_column(const gn_evidence *e, const columns *c)
{
    int best = -1;
    double least = 1;
    for (int k = 0; k < c->count; k++) {
        if (c->uneven[k])
            continue;
        const double rest = unexplained(e, c->envelope, c->simulated + k, (size_t)c->count,
                                        c->samples);
        if (rest < 0.8 * least - 0.005 || (best < 0 && rest < 1)) {
            least = rest;
            best = k;
        }
    }
    return best;
}

/* Sums kept in the format in an order that nobody told.  No simulation has their errors, but their
 * size: a chain over chains, every step rounded.  What also follows the result is a wrong factor.
 */
static int column_in_some_order(const gn_evidence *e, const columns *c)
{
    double ey = 0, ee = 0, yy = 0, square = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double error = (double)e->got[i] - e->want[i];
        const double x = gn_judge_relative(e, i, (double)e->got[i]);
        ey += error * e->want[i];
        ee += error * error;
        yy += e->want[i] * e->want[i];
        square += x * x;
    }
    for (int k = 0; k < c->count; k++)
        if (c->rounding[k].adding == GN_LEAVES && c->rounding[k].products &&
            root(square / (double)e->count) <= 1.5 * usual_error(e, c, k) &&
            size_of(ey) <= 0.5 * root(ee * yy))
            return k;
    return -1;
}

/* Leaves the roundings that are of this kind, and whose results the tensor can hold. */
static void choose_columns(columns *c, const gn_evidence *e, bool narrow_sums)
{
    gn_rounding all[GN_ROUNDINGS];
    bool holds[GN_PRECISIONS];
    for (int p = 0; p < GN_PRECISIONS; p++)
        holds[p] = gn_precision_holds((gn_precision)p, e->got, e->count);
    const int count = gn_roundings(all, e->sums->count > 1);
    c->count = 0;
    memset(c->uneven, 0, sizeof c->uneven);
    for (int k = 0; k < count; k++) {
        if (narrow_sums != (all[k].products || all[k].adding != GN_WIDE) ||
            (all[k].stored && !holds[all[k].precision]))
            continue;
        c->rounding[c->count++] = all[k];
        if (!narrow_sums && !all[k].stored && all[k].b && gn_sums_bias(e->sums)) {
            all[k].wide_bias = true;
            c->rounding[c->count++] = all[k];
        }
    }
}

/* Sums of rounded factors are tried first, sums that are rounded on the way only if they must. */
static void try_columns(named *out, const gn_evidence *e, columns *c)
{
    for (int narrow = 0; narrow < 2 && looks_on(out, e); narrow++) {
        choose_columns(c, e, narrow == 1);
        for (size_t k = 0; k < c->samples; k++)
            simulate(c->simulated + k * (size_t)c->count, e, gn_judge_place(e, k, c->samples),
                     c->rounding, c->count, c->terms);
        int best = best_column(e, c);
        for (; best >= 0 && !even(e, c, best); best = best_column(e, c))
            c->uneven[best] = true;
        if (best < 0 && narrow == 1) {
            best = column_in_some_order(e, c);
            best = best >= 0 && even(e, c, best) ? best : -1;
        }
        if (best >= 0)
            explained(out, c->rounding[best].precision);
        for (int k = 0; k < c->count && e->count < NUMBERS; k++)
            if (unexplained(e, c->envelope, c->simulated + k, (size_t)c->count, c->samples) <= 1 &&
                even(e, c, k))
                explained(out, c->rounding[k].precision);
    }
}

static gn_status name_sum(named *out, const gn_evidence *e, double envelope, gn_err *err)
{
    columns c = {.samples = PRODUCTS / e->terms, .envelope = envelope};
    c.samples = c.samples > SAMPLES ? SAMPLES : c.samples < LEAST ? LEAST : c.samples;
    c.samples = c.samples > e->count ? e->count : c.samples;
    c.simulated = malloc(c.samples * GN_ROUNDINGS * sizeof *c.simulated);
    c.terms = malloc(4 * e->terms * sizeof *c.terms);
    gn_status st = GN_OK;
    if (c.simulated == NULL || c.terms == NULL)
        st = gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu samples", c.samples);
    else
        try_columns(out, e, &c);
    free(c.simulated);
    free(c.terms);
    return st;
}

/* A batch norm's sums are of what it makes of its inputs; rounding those is another thing than
 * rounding factors.  It is run again as a whole. */
static gn_status name_normalised(named *out, const gn_evidence *e, double envelope,
                                 gn_err *err)
{
    gn_rounding list[GN_ROUNDINGS];
    const int count = gn_roundings(list, false);
    double *simulated = malloc(e->count * sizeof *simulated + 1), least = 1;
    if (simulated == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu numbers", e->count);
    gn_status st = GN_OK;
    named all = {.verdict = GN_VERDICT_WRONG};
    int best = -1;
    for (int k = 0; k < count && st == GN_OK; k++) {
        if (!gn_sums_can(e->sums, &list[k]) ||
            (list[k].stored && !gn_precision_holds(list[k].precision, e->got, e->count)))
            continue;
        st = gn_sums_rerun(e->sums, &list[k], simulated, e->count, err);
        fit f = {0};
        for (size_t i = 0; i < e->count && st == GN_OK; i++)
            fit_add(&f, e, i, envelope,
                    list[k].stored ? gn_precision_round(list[k].precision, simulated[i])
                                   : simulated[i]);
        if (st == GN_OK && fit_rest(&f) < least) {
            least = fit_rest(&f);
            best = (int)list[k].precision;
        }
        if (st == GN_OK && e->count < NUMBERS && fit_rest(&f) < 1)
            explained(&all, list[k].precision);
    }
    if (best >= 0)
        explained(out, (gn_precision)best);
    out->formats |= all.formats;
    free(simulated);
    return st;
}

gn_status gn_name(gn_verdict *out, unsigned *formats, const gn_evidence *e, double envelope,
                  gn_err *err)
{
    bool flush = false;
    named n = {.verdict = GN_VERDICT_WRONG};
    gn_status st = gn_name_flushed(&flush, e, err);
    if (st == GN_OK && flush)
        explained(&n, GN_FLUSH);
    else if (st == GN_OK && e->sums != NULL && !gn_judge_is_sum(e))
        st = name_op(&n, e, err);
    else if (st == GN_OK && e->sums != NULL)
        st = name_sum(&n, e, envelope, err);
    if (st == GN_OK && n.verdict == GN_VERDICT_WRONG && gn_judge_is_sum(e) &&
        gn_sums_normalise(e->sums))
        st = name_normalised(&n, e, envelope, err);
    *out = n.verdict;
    *formats = n.formats;
    return st;
}
