/* Naming the mistake that explains a candidate's wrong tensors.
 *
 * The audit shows every tensor with its evidence; each mistake of the catalogue is tried on those
 * that are outside their bound.  The mistake that explains most is named, then the one that
 * explains most of the rest.  Where two explain the same, the one that would change fewer of the
 * tensors that are right is named: that takes a second audit.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/diagnose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/audit.h"
#include "golden/explain.h"

static double larger(double a, double b)
{
    return a > b ? a : b;
}

typedef struct diagnosis {
    gn_diagnosis *out;
    gn_trial trial[2]; /* inference, training */
    size_t mistakes, room;
    double *left;         /* [suspect][mistake]: at most 1 where it explains */
    size_t *contradicted; /* by mistake: right tensors that it would change */
    bool *asked;          /* by mistake: whose contradictions the second audit counts */
    bool second;
    gn_err *err;
    gn_status status;
} diagnosis;

const char *gn_mistake_name(size_t index)
{
    const gn_mistake *m = gn_mistake_at(index);
    return m == NULL ? NULL : m->name;
}

const char *gn_mistake_says(size_t index)
{
    const gn_mistake *m = gn_mistake_at(index);
    return m == NULL ? NULL : m->says;
}

void gn_diagnosis_free(gn_diagnosis *d)
{
    free(d->suspect);
    free(d->cause);
    *d = (gn_diagnosis){0};
}

static void no_memory(diagnosis *d)
{
    d->status = gn_fail(d->err, GN_E_NOMEM, "diagnose: no memory for a list of tensors");
}

static bool grow(diagnosis *d)
{
    gn_diagnosis *o = d->out;
    if (o->suspects < d->room)
        return true;
    const size_t room = 2 * d->room + 32;
    gn_suspect *suspect = realloc(o->suspect, room * sizeof *suspect);
    o->suspect = suspect != NULL ? suspect : o->suspect;
    double *left = realloc(d->left, room * d->mistakes * sizeof *left);
    d->left = left != NULL ? left : d->left;
    if (suspect == NULL || left == NULL) {
        no_memory(d);
        return false;
    }
    d->room = room;
    return true;
}

/* A new suspect, explained by nothing so far; its row of the table.  NULL: no memory. */
static double *add_suspect(diagnosis *d, const gn_finding *f)
{
    if (!grow(d))
        return NULL;
    const size_t k = d->out->suspects++;
    gn_suspect *s = &d->out->suspect[k];
    *s = (gn_suspect){.verdict = f->verdict, .cause = -1};
    memcpy(s->name, f->name, sizeof s->name);
    for (size_t m = 0; m < d->mistakes; m++)
        d->left[k * d->mistakes + m] = GN_UNEXPLAINED;
    return d->left + k * d->mistakes;
}

/* Every element that differs is +0 for -0, or the reverse. */
static bool only_signs(const gn_finding *f, const gn_evidence *e)
{
    for (size_t i = 0; i < e->count; i++)
        if (!(e->got[i] == e->same[i]))
            return false;
    return f->different > 0;
}

static gn_trial *trial_of(diagnosis *d, const gn_audit *a)
{
    gn_trial *t = &d->trial[gn_program_training(a->replay.program[1])];
    if (t->net.tape == NULL)
        d->status = gn_trial_open(t, &a->replay, d->err);
    return t;
}

static void see(void *user, gn_audit *a, const gn_finding *f, const gn_evidence *e)
{
    diagnosis *d = user;
    const bool right = f->verdict <= GN_VERDICT_BOUND;
    if (d->status != GN_OK || right != d->second) {
        d->out->zero_signs += right && !d->second && only_signs(f, e);
        return;
    }
    gn_trial *t = trial_of(d, a);
    double *want = malloc((e->count + 1) * sizeof *want);
    double *left = d->second || d->status != GN_OK ? NULL : add_suspect(d, f);
    if (want == NULL)
        no_memory(d);
    if (left != NULL)
        d->out->suspect[d->out->suspects - 1].off = gn_off(f, e);
    for (size_t m = 0; m < d->mistakes && d->status == GN_OK && t->replay.status == GN_OK; m++) {
        if (left != NULL)
            left[m] = gn_explain(t, gn_mistake_at(m), f, e, want);
        else if (d->asked[m] && gn_trial_run(t, gn_mistake_at(m), 0, f->name, want, e->count))
            d->contradicted[m] += gn_contradicts(e, want) ? 1 : 0;
    }
    if (d->status == GN_OK)
        d->status = t->replay.status;
    gn_trial_clear(t);
    free(want);
}

/* --- Naming ----------------------------------------------------------------------------------- */

static bool after_step(const gn_suspect *s)
{
    return strstr(s->name, "after") != NULL && strncmp(s->name, "grad", 4) != 0;
}

static bool inside(const diagnosis *d, size_t mistake, size_t suspect)
{
    return d->left[suspect * d->mistakes + mistake] <= 1;
}

/* That one number is near the right one is no evidence of an approximation: a loss is explained
 * with the gradient that the same exp made, or not at all. */
static bool lone_number(const diagnosis *d, size_t mistake, size_t suspect)
{
    bool lone = gn_mistake_at(mistake)->roughly > 0 &&
                strncmp(d->out->suspect[suspect].name, "loss/", 5) == 0;
    for (size_t k = 0; k < d->out->suspects && lone; k++)
        lone = strncmp(d->out->suspect[k].name, "grad", 4) != 0 || !inside(d, mistake, k);
    return lone;
}

/* A mistake in an op shows after the step too, but is no explanation of that alone. */
static bool explains(const diagnosis *d, size_t mistake, size_t suspect)
{
    const gn_update_slip *slip = gn_mistake_at(mistake)->update;
    bool alone = slip != NULL && (slip->running_of_batch || slip->idle) &&
                 after_step(&d->out->suspect[suspect]);
    for (size_t k = 0; k < d->out->suspects && alone; k++)
        alone = after_step(&d->out->suspect[k]) || !inside(d, mistake, k);
    return inside(d, mistake, suspect) && !alone && !lone_number(d, mistake, suspect);
}

static size_t explained(const diagnosis *d, size_t mistake)
{
    size_t count = 0;
    for (size_t k = 0; k < d->out->suspects; k++)
        count += d->out->suspect[k].cause < 0 && explains(d, mistake, k);
    return count;
}

static bool same_tensors(const diagnosis *d, size_t a, size_t b)
{
    for (size_t k = 0; k < d->out->suspects; k++)
        if (d->out->suspect[k].cause < 0 && explains(d, a, k) != explains(d, b, k))
            return false;
    return true;
}

/* The mistake that explains most of the rest; of equals, the one that contradicts least. */
static size_t best(const diagnosis *d, size_t *count, size_t *equals)
{
    size_t found = 0;
    *count = *equals = 0;
    for (size_t m = 0; m < d->mistakes; m++) {
        const size_t n = explained(d, m);
        *equals = n > *count ? 1 : *equals + (n == *count);
        if (n > *count || (n == *count && d->contradicted[m] < d->contradicted[found]))
            found = m;
        *count = n > *count ? n : *count;
    }
    return found;
}

static void count_cause(gn_cause *c, const gn_suspect *s)
{
    c->explained++;
    if (strncmp(s->name, "grad", 4) == 0)
        c->backward++;
    else if (after_step(s))
        c->update++;
    else
        c->forward++;
}

static bool name_one(diagnosis *d, size_t mistake)
{
    gn_diagnosis *o = d->out;
    gn_cause *more = realloc(o->cause, (o->causes + 1) * sizeof *more);
    if (more == NULL) {
        no_memory(d);
        return false;
    }
    o->cause = more;
    gn_cause *c = &o->cause[o->causes];
    *c = (gn_cause){.mistake = mistake};
    for (size_t m = 0; m < d->mistakes; m++)
        if (m != mistake && c->ties < GN_TIES && d->contradicted[m] == d->contradicted[mistake] &&
            explained(d, m) > 0 && same_tensors(d, m, mistake))
            c->tied[c->ties++] = m;
    for (size_t k = 0; k < o->suspects; k++) {
        gn_suspect *s = &o->suspect[k];
        if (s->cause >= 0 || !explains(d, mistake, k))
            continue;
        s->cause = (int)o->causes;
        s->left = d->left[k * d->mistakes + mistake];
        c->worst = larger(c->worst, s->left);
        count_cause(c, s);
    }
    o->causes++;
    return true;
}

/* What the tied mistakes would change of the tensors that are right. */
static void count_contradictions(diagnosis *d, const char *golden, const char *candidate,
                                 int threads)
{
    gn_verification v;
    const gn_watch watch = {see, d};
    for (size_t m = 0; m < d->mistakes; m++)
        d->asked[m] = !gn_mistake_at(m)->by_verdict && !(gn_mistake_at(m)->roughly > 0) &&
                      explained(d, m) > 0;
    for (int i = 0; i < 2; i++) /* they read files that the second audit opens anew */
        gn_trial_close(&d->trial[i]);
    d->second = true;
    const gn_status st = gn_audit_files(&v, golden, candidate, threads, &watch, d->err);
    d->status = d->status == GN_OK ? st : d->status;
    if (st == GN_OK)
        gn_verification_free(&v);
}

static void name_all(diagnosis *d, const char *golden, const char *candidate, int threads)
{
    while (d->status == GN_OK) {
        size_t count, equals;
        size_t found = best(d, &count, &equals);
        if (count == 0)
            return;
        if (equals > 1 && !d->second) {
            count_contradictions(d, golden, candidate, threads);
            found = best(d, &count, &equals);
        }
        if (d->status != GN_OK || !name_one(d, found))
            return;
    }
}

/* --- The whole -------------------------------------------------------------------------------- */

/* A counter that went up by two, or not at all, is what a second update, or none, leaves. */
static void explain_counter(diagnosis *d, const gn_finding *f, double *left)
{
    const double updates = (double)f->got - (double)f->expected + 1;
    for (size_t m = 0; m < d->mistakes && strstr(f->name, ".num_batches_tracked") != NULL; m++) {
        const gn_update_slip *slip = gn_mistake_at(m)->update;
        if (slip != NULL && slip->running_times != 0 && f->elements == 1 &&
            updates == (slip->running_times > 0 ? slip->running_times : 0))
            left[m] = 0;
    }
}

/* No moments of a parameter that has no gradient, if that is the mistake. */
static void explain_moments(const diagnosis *d, const gn_finding *f, double *left)
{
    const char *name = strchr(f->name, '/');
    if (strncmp(f->name, "after_exp_avg", 13) != 0 || name == NULL)
        return;
    for (size_t k = 0; k < d->out->suspects; k++)
        for (size_t m = 0; m < d->mistakes; m++)
            if (gn_mistake_at(m)->update != NULL && gn_mistake_at(m)->update->idle &&
                strncmp(d->out->suspect[k].name, "grad/", 5) == 0 &&
                strcmp(d->out->suspect[k].name + 4, name) == 0 && inside(d, m, k))
                left[m] = 0;
}

/* Tensors that are wrong without evidence: missing, of another shape, counters. */
static void take_findings(diagnosis *d, const gn_verification *v)
{
    const size_t seen = d->out->suspects;
    d->out->judged = v->count;
    d->out->extra = v->extra;
    for (size_t i = 0; i < v->count && d->status == GN_OK; i++) {
        const gn_finding *f = &v->finding[i];
        bool known = false;
        for (size_t k = 0; k < seen && !known; k++)
            known = strcmp(d->out->suspect[k].name, f->name) == 0;
        d->out->unjudged += f->verdict == GN_VERDICT_UNJUDGED;
        double *left = f->verdict == GN_VERDICT_WRONG && !known ? add_suspect(d, f) : NULL;
        if (left != NULL) {
            explain_counter(d, f, left);
            explain_moments(d, f, left);
        }
    }
}

gn_status gn_diagnose(gn_diagnosis *out, const char *golden, const char *candidate, int threads,
                      gn_err *err)
{
    *out = (gn_diagnosis){0};
    diagnosis d = {.out = out, .mistakes = gn_mistake_count(), .err = err};
    gn_verification v = {0};
    const gn_watch watch = {see, &d};
    d.contradicted = calloc(d.mistakes, sizeof *d.contradicted);
    d.asked = calloc(d.mistakes, sizeof *d.asked);
    if (d.contradicted == NULL || d.asked == NULL)
        no_memory(&d);
    if (d.status == GN_OK) {
        const gn_status st = gn_audit_files(&v, golden, candidate, threads, &watch, err);
        d.status = d.status == GN_OK ? st : d.status;
    }
    if (d.status == GN_OK)
        take_findings(&d, &v);
    gn_verification_free(&v);
    if (d.status == GN_OK)
        name_all(&d, golden, candidate, threads);
    for (size_t k = 0; k < out->suspects && d.status == GN_OK; k++)
        out->unexplained += out->suspect[k].cause < 0;
    gn_trial_close(&d.trial[0]);
    gn_trial_close(&d.trial[1]);
    free(d.left);
    free(d.contradicted);
    free(d.asked);
    if (d.status != GN_OK)
        gn_diagnosis_free(out);
    return d.status;
}
