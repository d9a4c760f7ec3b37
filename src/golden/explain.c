/* How near a tensor is to what a mistake makes of it; see explain.h.  SPDX-License-Identifier: MIT
 */
#include "golden/explain.h"
#include "golden/gates.h"

#include <stdlib.h>
#include <string.h>

static const double u = 0x1p-24, nothing = GN_UNEXPLAINED;

static double rms(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return __builtin_sqrt(sum / (double)(count > 0 ? count : 1));
}

/* Error over what is allowed; NaN is far off. */
static double part(double error, double allowed)
{
    if (error == 0)
        return 0;
    return error <= nothing && allowed > 0 ? error / allowed : nothing;
}

/* What a tensor may be off: the judge's evidence, or that of the mistaken sums. */
typedef struct allowance {
    const double *bound, *quad; /* quad: NULL where nothing is summed */
    double more;                /* a mistake that makes numbers larger makes their errors larger */
    double each;                /* and so much for each element */
} allowance;

/* The judge's gates with `want` in place of the truth: the largest part of what they allow. */
static double closeness(const gn_finding *f, const gn_evidence *e, const double *want,
                        const allowance *a)
{
    double worst = 0, sum = 0, most = 0, most_same = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double error = size_of((double)e->got[i] - want[i]);
        worst = larger(worst,
                       part(error, a->more * a->bound[i] + 4 * u * size_of(want[i]) + a->each));
        if (a->quad == NULL || !(a->quad[i] > 0))
            continue;
        const double unit = u * a->quad[i], x = error / unit;
        sum += x * x;
        most = larger(most, x);
        most_same = larger(most_same, size_of((double)e->same[i] - e->want[i]) / unit);
    }
    if (a->quad == NULL || f->envelope <= 0)
        return worst;
    const double spread = __builtin_sqrt(sum / (double)e->count), allowed = a->more * f->envelope;
    return larger(worst, larger(part(spread, RMS_GATE * allowed),
                                part(most, MAX_GATE * allowed + most_same)));
}

/* An approximation: most elements are off, all of them by a small part. */
static double approximate(const gn_evidence *e, double roughly)
{
    double worst = 0;
    size_t off = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double error = size_of((double)e->got[i] - e->want[i]);
        worst = larger(worst, part(error, roughly * size_of(e->want[i]) + 4 * e->bound[i]));
        off += error <= e->bound[i] ? 0 : 1;
    }
    return 2 * off > e->count ? worst : nothing;
}

/* --- Trying the catalogue --------------------------------------------------------------------- */

/* Far more than float32 may ever be off from it: not worth a closer look. */
static bool hopeless(const gn_evidence *e, const double *want)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double d = (double)e->got[i] - want[i];
        error += d * d;
        size += want[i] * want[i];
    }
    return !(error <= 1e-6 * size);
}

/* How far the candidate is off from the tensor just computed with a mistake.  Where that is sums of
 * products, by S and Q of those sums: their terms may stand elsewhere than the sound ones. */
static double off_by(gn_trial *t, const gn_finding *f, const gn_evidence *e, const double *want)
{
    const double before = rms(e->want, e->count), after = rms(want, e->count);
    const double each = t->mistake->loose * u * after;
    allowance a = {e->bound, e->quad, larger(1, before > 0 ? after / before : 1), each};
    if (hopeless(e, want))
        return nothing;
    double *bound = malloc(2 * (e->count + 1) * sizeof *bound);
    if (bound == NULL) {
        t->replay.status = gn_fail(t->replay.err, GN_E_NOMEM, "diagnose: no memory for bounds");
        return nothing;
    }
    double *quad = bound + e->count + 1;
    const double n = (double)e->terms + 2, gamma = n * u / (1 - n * u);
    if (e->terms > 0 && e->quad != NULL &&
        gn_trial_again(t, GN_LANE_ABSOLUTE, f->name, bound, e->count) &&
        gn_trial_again(t, GN_LANE_SQUARE, f->name, quad, e->count)) {
        for (size_t i = 0; i < e->count; i++) {
            bound[i] = gamma * bound[i] + n * 0x1p-149;
            quad[i] = __builtin_sqrt(quad[i]);
        }
        a = (allowance){bound, quad, 1, each};
    }
    /* No evidence where the sound result were about as near, in such a bound. */
    const double sound = closeness(f, e, e->want, &a), with = closeness(f, e, want, &a);
    const double off = with <= sound / 2 ? with : nothing;
    free(bound);
    return off;
}

bool gn_contradicts(const gn_evidence *e, const double *want)
{
    double other = 0;
    for (size_t i = 0; i < e->count; i++)
        other = larger(
            other, part(size_of(want[i] - e->want[i]), 2 * e->bound[i] + 8 * u * size_of(want[i])));
    return other > 1;
}

/* Whether the tensor comes out of such an approximation: an output, or the gradient that a softmax
 * makes of its p.  The others' gradients are made of recorded outputs. */
static bool approximates(const gn_trial *t, const gn_mistake *m, const char *name)
{
    static const char back[] = "grad_forward/";
    const gn_tape *tape = t->net.tape;
    if (strncmp(name, "grad", 4) != 0) {
        const int k = gn_trial_record(t, name);
        return k != GN_NONE && m->where(gn_tape_record_at(tape, k));
    }
    for (int k = 0; k < gn_tape_records(tape) && strncmp(name, back, sizeof back - 1) == 0; k++) {
        const gn_record *r = gn_tape_record_at(tape, k);
        if (gn_record_is(r, "softmax_cross_entropy") &&
            strcmp(gn_tape_value(tape, r->in[0])->name, name + sizeof back - 1) == 0)
            return m->where(r);
    }
    return false;
}

double gn_explain(gn_trial *t, const gn_mistake *m, const gn_finding *f, const gn_evidence *e,
                  double *want)
{
    if (m->by_verdict)
        return (f->formats >> m->verdict & 1) != 0 ? 0 : nothing;
    if (m->roughly > 0)
        return approximates(t, m, f->name) ? approximate(e, m->roughly) : nothing;
    double least = nothing;
    for (int v = 0; v < (m->variants > 0 ? m->variants : 1); v++)
        if (gn_trial_run(t, m, v, f->name, want, e->count)) {
            const double left = off_by(t, f, e, want);
            least = left < least ? left : least;
        }
    return least;
}

double gn_off(const gn_finding *f, const gn_evidence *e)
{
    return closeness(f, e, e->want, &(allowance){e->bound, e->quad, 1, 0});
}
