/* Naming a flush to zero: what is off by no more than denormal numbers can take away, and is right
 * without that.  It is told by no simulation: a machine may flush factors, products or results.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "golden/gates.h"
#include "golden/naming.h"

static const double u = 0x1p-24, smallest_normal = 0x1p-126;

/* What the terms of an element can lose where denormal factors, products and sums are 0. */
static double flush_loss(const gn_evidence *e, size_t i, double *a, double *b)
{
    double loss = (double)(e->terms + 1) * smallest_normal;
    gn_sums_gather(e->sums, i, a, b);
    for (size_t k = 0; k < e->terms; k++)
        if (size_of(a[k]) < smallest_normal || size_of(b[k]) < smallest_normal)
            loss += size_of(a[k] * b[k]);
    return loss;
}

/* Every element outside its bound is off by what was flushed and no more. */
static bool only_flushed(const gn_evidence *e, double *terms)
{
    size_t outside = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double got = (double)e->got[i], error = size_of(got - e->want[i]);
        if (gn_judge_inside(e, i))
            continue;
        outside++;
        if (!(got == 0 && size_of(e->want[i]) < smallest_normal) &&
            !(gn_judge_is_sum(e) &&
              error <= e->bound[i] + flush_loss(e, i, terms, terms + e->terms)))
            return false;
    }
    return outside > 0;
}

/* The tensor without what flushing may have done to it: the nearest to the truth that it allows. */
static void unflushed(float *out, const gn_evidence *e, double *terms)
{
    for (size_t i = 0; i < e->count; i++) {
        const double off = (double)e->got[i] - e->want[i];
        out[i] = e->got[i];
        if (off == 0 || !finite(off))
            continue;
        const double loss = flush_loss(e, i, terms, terms + e->terms);
        const double rest = size_of(off) > loss ? size_of(off) - loss : 0;
        if (loss > u * size_of(off))
            out[i] = (float)(e->want[i] + (off < 0 ? -rest : rest));
    }
}

/* Flushing excuses what it takes away: what is left of a sum's errors must be float32's own. */
gn_status gn_name_flushed(bool *out, const gn_evidence *e, gn_err *err)
{
    double *terms = malloc((2 * e->terms + 1) * sizeof *terms);
    float *rest = malloc((e->count + 1) * sizeof *rest);
    gn_status st = terms != NULL && rest != NULL
                       ? GN_OK
                       : gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu terms", e->terms);
    *out = st == GN_OK && only_flushed(e, terms);
    if (*out && gn_judge_is_sum(e)) {
        gn_finding unseen = {.verdict = GN_VERDICT_UNJUDGED};
        gn_evidence without = *e;
        unflushed(rest, e, terms);
        without.got = rest;
        st = gn_judge_sums(out, &unseen, &without, err);
    }
    free(terms);
    free(rest);
    return st;
}
