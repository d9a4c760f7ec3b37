/* Judging cases: what a network's trace is judged by, op by op, for one op at a time.
 *
 * Backward and normalisation read the candidate's own outputs and statistics, as in a trace.  T0
 * has no rounding at all: what is not exact there is told.  T1 tells the order of the sum.
 * SPDX-License-Identifier: MIT */
#include "golden/cases_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/audit.h"
#include "golden/bounds.h"
#include "golden/cases_update.h"
#include "golden/probe.h"
#include "golden/terms.h"

static const double u = 0x1p-24, tiny = 0x1p-149;

typedef struct trial {
    gn_audit audit; /* for its findings; its status is the trial's */
    const gn_reader *golden, *candidate;
    const char *path;
    gn_case_run same, truth; /* float32 and float64, on the same numbers */
} trial;

static gn_err *errors(const trial *t)
{
    return t->audit.replay.err;
}

static void keep(trial *t, gn_status st)
{
    if (t->audit.replay.status == GN_OK)
        t->audit.replay.status = st;
}

static bool good(const trial *t)
{
    return t->audit.replay.status == GN_OK;
}

bool gn_is_cases(const gn_reader *golden)
{
    const char *level = gn_reader_metadata(golden, "level");
    return level != NULL && strcmp(level, "cases") == 0;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* The tensor of a file, NULL where it is not there or of another shape. */
static const gn_entry *entry_of(const gn_reader *file, const gn_case_tensor *t)
{
    const gn_entry *e = gn_reader_find(file, t->name);
    const gn_shape s = gn_case_file_shape(t);
    bool same = e != NULL && e->type == GN_F32 && e->rank == s.rank;
    for (int i = 0; i < s.rank && same; i++)
        same = e->dim[i] == s.dim[i];
    return same ? e : NULL;
}

/* Our layout; the caller frees it. */
static float *turned(trial *t, const gn_entry *e, const gn_case_tensor *tensor)
{
    const size_t count = gn_shape_count(tensor->at.shape);
    float *to = malloc((count + 1) * sizeof *to);
    if (to == NULL) {
        keep(t, gn_fail(errors(t), GN_E_NOMEM, "verify: no memory for %s", tensor->name));
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        to[i] = ((const float *)e->data)[gn_case_place(tensor, i)];
    return to;
}

/* Puts a file's numbers where both runs have that tensor. */
static void take(trial *t, const gn_entry *e, const gn_case_tensor *ours,
                 const gn_case_tensor *wide)
{
    float *from = turned(t, e, ours);
    for (size_t i = 0; from != NULL && i < gn_shape_count(ours->at.shape); i++) {
        ((float *)ours->at.data)[i] = from[i];
        ((double *)wide->at.data)[i] = (double)from[i];
    }
    free(from);
}

/* --- Bounds ----------------------------------------------------------------------------------- */

/* gamma S and Q of every element, from its terms. */
static bool measure(const gn_sums *s, size_t terms, double *bound, double *quad, size_t count)
{
    const double n = (double)terms + 2, gamma = n * u / (1 - n * u);
    double *list = malloc(2 * terms * sizeof *list);
    for (size_t e = 0; e < count && list != NULL; e++) {
        double S = 0, Q = 0;
        gn_sums_gather(s, e, list, list + terms);
        for (size_t i = 0; i < terms; i++) {
            const double p = list[i] * list[terms + i];
            S += p < 0 ? -p : p;
            Q += p * p;
        }
        bound[e] = gamma * S + (double)terms * tiny;
        quad[e] = __builtin_sqrt(Q);
    }
    free(list);
    return list != NULL;
}

/* invstd by the variance that it was made of: d inv = -inv^3/2 d var. */
static void bound_inverse(const trial *t, double *bound, size_t channels)
{
    const double *inv = t->truth.call.out[3].data, *mean = t->truth.call.out[1].data;
    for (size_t j = 0; j < channels; j++) {
        const double m = 8 * u * mean[j];
        bound[j] = inv[j] * inv[j] * inv[j] / 2 * (2 * bound[j] + m * m) + 4 * u * inv[j];
    }
}

/* Fills bound, and quad where the tensor is a sum of products; returns their number or 0. */
static size_t bounds_of(trial *t, const gn_case_tensor *x, const gn_sums *s, double *bound,
                        double *quad)
{
    const gn_call *c = &s->call[0];
    const size_t count = gn_shape_count(x->at.shape);
    const bool norm = strcmp(c->op->name, "batch_norm") == 0;
    if (gn_case_update_op(c->op->name) != NULL) {
        gn_case_update_bound(bound, c, x->index);
        return 0;
    }
    const bool whole = norm && x->role == GN_ROLE_OUTPUT && x->index == 0;
    const size_t terms = whole ? 0 : gn_sums_terms(s);
    if (terms > 0) {
        if (!measure(s, terms, bound, quad, count))
            keep(t, gn_fail(errors(t), GN_E_NOMEM, "verify: no memory for %zu terms", terms));
        if (norm && x->role == GN_ROLE_OUTPUT && x->index == 3)
            bound_inverse(t, bound, count);
        return norm && x->index == 3 ? 0 : terms;
    }
    if (x->role == GN_ROLE_OUTPUT)
        gn_bound_output(bound, c);
    else if (!gn_bound_gradient(bound, c, x->index, x->at.data))
        keep(t, gn_fail(errors(t), GN_E_NOMEM, "verify: no memory for %zu bounds", count));
    return 0;
}

/* --- Findings --------------------------------------------------------------------------------- */

static bool in_tier(const gn_case *c, const char *tier)
{
    return strncmp(c->name, tier, strlen(tier)) == 0;
}

/* What a tier adds to the verdict. */
static void remark(trial *t, gn_finding *f, const gn_case_tensor *x, const float *got)
{
    const gn_case *c = t->same.c;
    if (in_tier(c, "T0/") && f->verdict == GN_VERDICT_BOUND)
        snprintf(f->note, sizeof f->note,
                 "not exact, though these integers are in any order: no "
                 "direct sum in float32 (a transformed convolution?)");
    if (in_tier(c, "T1/") && f->verdict <= GN_VERDICT_BOUND)
        keep(t, gn_probe_name(f->note, sizeof f->note, c, x, got, errors(t)));
}

static void judge(trial *t, const gn_case_tensor *ours, const gn_case_tensor *wide)
{
    const size_t count = gn_shape_count(ours->at.shape);
    const gn_entry *e = entry_of(t->candidate, ours);
    if (e == NULL) {
        gn_audit_missing(&t->audit, "", ours->name, gn_case_file_shape(ours));
        return;
    }
    const gn_call c = t->truth.call;
    const bool output = ours->role == GN_ROLE_OUTPUT;
    const gn_sums s = {.count = 1, .call = {c}, .output = output ? ours->index : 0,
                       .index = {output && ours->index == 3 ? 2 : ours->index}};
    float *got = turned(t, e, ours);
    double *bound = calloc(2 * count + 1, sizeof *bound);
    if (bound == NULL && good(t))
        keep(t, gn_fail(errors(t), GN_E_NOMEM, "verify: no memory for %zu bounds", count));
    if (good(t)) {
        double *quad = bound + count;
        const size_t terms = bounds_of(t, wide, &s, bound, quad);
        const gn_shape shape = ours->at.shape;
        const gn_evidence evidence = {
            got,
            ours->at.data,
            wide->at.data,
            bound,
            terms > 0 ? quad : NULL,
            count,
            output && shape.rank > 0 ? shape.dim[shape.rank - 1] : 1,
            terms,
            gn_case_update_op(c.op->name) == NULL ? &s : NULL};
        gn_finding *f = gn_audit_finding(&t->audit, "", ours->name);
        gn_audit_judge(&t->audit, f, &evidence, shape, ours->map);
        if (f != NULL && good(t))
            remark(t, f, ours, got);
    }
    free(bound);
    free(got);
}

/* --- One case --------------------------------------------------------------------------------- */

static void pass(trial *t, gn_pass pass)
{
    keep(t, gn_case_pass(&t->same, pass, errors(t)));
    if (good(t))
        keep(t, gn_case_pass(&t->truth, pass, errors(t)));
}

/* Judges the outputs of one kind: the first (statistics false), or the others. */
static void outputs(trial *t, const gn_case_tensor *ours, const gn_case_tensor *wide, int count,
                    bool statistics)
{
    for (int i = 0; i < count && good(t); i++)
        if (ours[i].role == GN_ROLE_OUTPUT && (ours[i].index > 0) == statistics)
            judge(t, &ours[i], &wide[i]);
}

/* The candidate's own outputs, for what comes after them. */
static bool take_outputs(trial *t, const gn_case_tensor *ours, const gn_case_tensor *wide,
                         int count, bool statistics)
{
    bool any = false;
    for (int i = 0; i < count && good(t); i++) {
        const gn_entry *e = entry_of(t->candidate, &ours[i]);
        if (ours[i].role != GN_ROLE_OUTPUT || (ours[i].index > 0) != statistics || e == NULL)
            continue;
        take(t, e, &ours[i], &wide[i]);
        any = true;
    }
    return any;
}

static void run(trial *t, const gn_case_tensor *ours, const gn_case_tensor *wide, int count)
{
    pass(t, GN_FORWARD);
    outputs(t, ours, wide, count, true);
    if (take_outputs(t, ours, wide, count, true) && good(t))
        pass(t, GN_RECOMPUTE);
    outputs(t, ours, wide, count, false);
    if (t->same.c->inference || !good(t))
        return;
    take_outputs(t, ours, wide, count, false);
    pass(t, GN_BACKWARD);
    for (int i = 0; i < count && good(t); i++)
        if (ours[i].role == GN_ROLE_GRADIENT)
            judge(t, &ours[i], &wide[i]);
}

static void one_case(trial *t, const gn_case *c)
{
    gn_case_tensor ours[GN_CASE_TENSORS], wide[GN_CASE_TENSORS];
    t->truth = (gn_case_run){0};
    keep(t, gn_case_open(&t->same, c, gn_table_fast(), errors(t)));
    if (good(t))
        keep(t, gn_case_open(&t->truth, c, &gn_double, errors(t)));
    const int count = good(t) ? gn_case_tensors(&t->same, ours) : 0;
    bool here = count > 0 && gn_reader_find(t->golden, ours[0].name) != NULL;
    if (here)
        gn_case_tensors(&t->truth, wide);
    for (int i = 0; i < count && here && good(t); i++) {
        const gn_entry *e = entry_of(t->golden, &ours[i]);
        if (ours[i].role == GN_ROLE_GIVEN && e == NULL)
            keep(t, gn_fail(errors(t), GN_E_FORMAT,
                            "%s: no golden file: %s is missing or of "
                            "another shape",
                            t->path, ours[i].name));
        else if (ours[i].role == GN_ROLE_GIVEN)
            take(t, e, &ours[i], &wide[i]);
    }
    if (here && good(t))
        run(t, ours, wide, count);
    gn_case_close(&t->same);
    gn_case_close(&t->truth);
}

gn_status gn_cases_judge(gn_verification *out, const gn_reader *golden, const gn_reader *candidate,
                         const char *path, gn_err *err)
{
    trial t = {.golden = golden, .candidate = candidate, .path = path};
    const gn_scope everything = {
        .golden = golden, .candidate = candidate, .level = GN_LEVEL_TRACE, .fused = ""};
    t.audit.out = out;
    t.audit.scope = &everything;
    t.audit.replay.err = err;
    t.audit.replay.candidate = candidate;
    for (size_t i = 0; i < gn_cases() && good(&t); i++)
        one_case(&t, gn_case_at(i));
    return t.audit.replay.status;
}
