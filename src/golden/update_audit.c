/* What a training step left behind: parameters, moments, running statistics, counters.
 *
 * Steps are judged like ops, each by itself: the state before it and its gradients are what the
 * candidate recorded, the optimiser runs on them once in float32, by the contract, and once in
 * float64.  One who restarts each step starts it from the golden file's state and gradients.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "golden/audit.h"
#include "golden/fields.h"
#include "golden/gates.h"
#include "train/optimiser.h"
#include "train/running.h"

static const double u = 0x1p-24, tiny = 0x1p-149;

/* One step of the optimiser in both lanes. */
typedef struct update {
    gn_audit *audit;
    gn_optimizer_config config;
    double rate;
    uint64_t step;
    gn_store *store[2]; /* float32, float64 */
    gn_optimizer *optimizer[2];
    size_t elements; /* of all parameters */
} update;

static const gn_tape *tape_of(const update *t) { return t->audit->replay.net->tape; }

static const gn_value_info *info_of(const update *t, gn_value v)
{
    return gn_tape_value(tape_of(t), v);
}

static bool ok(const update *t) { return t->audit->replay.status == GN_OK; }

/* --- Reading --------------------------------------------------------------------------------- */

static void name_of(char *out, size_t room, uint64_t step, const char *group)
{
    if (step > 1)
        snprintf(out, room, "step/%llu/%s", (unsigned long long)step, group);
    else
        snprintf(out, room, "%s", group);
}

/* The state before a step: the golden file's for the first, and where each step is restarted. */
static const float *before(const update *t, const char *group, gn_value v)
{
    const gn_scope *s = t->audit->scope;
    const gn_value_info *info = info_of(t, v);
    const gn_reader *file = t->step == 1 || s->restarts ? s->golden : s->candidate;
    char from[64];
    name_of(from, sizeof from, t->step - 1, group);
    return gn_field_floats(file, t->step == 1 ? "param" : from, info->name, gn_shape_count(info->shape));
}

static const float *gradient(const update *t, gn_value v)
{
    const gn_scope *s = t->audit->scope;
    const gn_value_info *info = info_of(t, v);
    const size_t count = gn_shape_count(info->shape);
    char group[64];
    name_of(group, sizeof group, t->step, "grad");
    const float *own = gn_field_floats(s->candidate, group, info->name, count);
    return own == NULL && s->restarts && t->step > 1 ? gn_field_floats(s->golden, group, info->name, count)
                                                     : own;
}

static void widen(double *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

static bool load(void *to_float, void *to_double, const float *from, size_t count)
{
    if (from == NULL)
        return false;
    memcpy(to_float, from, count * sizeof(float));
    widen(to_double, from, count);
    return true;
}

static int moments_of(const update *t) { return t->config.kind == GN_ADAMW ? 2 : 1; }
static const char *const moment_groups[] = {"after_exp_avg", "after_exp_avg_sq"};

/* State and gradients into both lanes; false: `missing` was not recorded. */
static bool load_state(const update *t, const char **missing)
{
    for (gn_value v = 0; v < gn_tape_values(tape_of(t)); v++) {
        const size_t count = gn_shape_count(info_of(t, v)->shape);
        if (info_of(t, v)->kind != GN_PARAM)
            continue;
        *missing = info_of(t, v)->name;
        if (!load(gn_store_data(t->store[0], v), gn_store_data(t->store[1], v),
                  before(t, "after", v), count) ||
            !load(gn_store_grad(t->store[0], v), gn_store_grad(t->store[1], v), gradient(t, v),
                  count))
            return false;
        for (int i = 0; i < moments_of(t) && t->step > 1; i++)
            if (!load(gn_optimizer_moment(t->optimizer[0], i, v),
                      gn_optimizer_moment(t->optimizer[1], i, v), before(t, moment_groups[i], v),
                      count))
                return false;
    }
    return true;
}

/* --- Bounds ---------------------------------------------------------------------------------- */

/* The parts of one parameter's step, of the truth's lane: before, gradient, after. */
typedef struct parts {
    const double *p0, *g, *p, *m, *v; /* moments after the step */
    const float *m0, *v0;             /* before it; NULL: 0 */
    double coef, slack;               /* the clip factor, and how far off it may be, relatively */
    gn_adamw a;
    double rate, momentum, decay;
} parts;

/* A norm summed in float32 in any order may be off by about the root of the number of terms; where
 * nothing is clipped the factor is exactly 1. */
static double clip_slack(const update *t, double coef)
{
    return coef == 1 ? 0 : (16 + __builtin_sqrt((double)t->elements) / 2) * u;
}

static double at(const float *x, size_t i) { return x == NULL ? 0 : (double)x[i]; }

/* m = b1 m + c1 g', v = b2 v + c2 g' g', p = c0 p - c4 m/(sqrt(v)/c3 + eps): each rounding, and what
 * an earlier one makes of the later terms. */
static void bound_adamw(double *bp, double *bm, double *bv, const parts *x, size_t count)
{
    const gn_adamw *a = &x->a;
    for (size_t i = 0; i < count; i++) {
        const double g = size_of(x->g[i] * x->coef), m1 = a->rest1 * g, v1 = a->rest2 * g * g;
        bm[i] = u * (5 * m1 + 4 * size_of(a->beta1 * at(x->m0, i))) + x->slack * m1 + 4 * tiny;
        bv[i] = u * (7 * v1 + 4 * a->beta2 * at(x->v0, i)) + 2 * x->slack * v1 + 4 * tiny;
        const double low = x->v[i] > bv[i] ? x->v[i] - bv[i] : 0;
        const double root = (__builtin_sqrt(x->v[i] + bv[i]) - __builtin_sqrt(low));
        const double d = __builtin_sqrt(x->v[i]) / a->correction2 + a->eps;
        const double step = size_of(a->rate * x->m[i] / d);
        const double off = a->rate * bm[i] / d +
                           step * ((root / a->correction2 + 3 * u * d) / d + 4 * u);
        bp[i] = u * (2 * size_of(x->p0[i]) + size_of(x->p[i])) + off + tiny;
    }
}

static void bound_sgd(double *bp, double *bm, const parts *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double g = size_of(x->g[i] * x->coef), w = size_of(x->decay * x->p0[i]);
        const double old = size_of(x->momentum * at(x->m0, i));
        bm[i] = u * (5 * g + 4 * w + 4 * old) + x->slack * g + 4 * tiny;
        bp[i] = u * (size_of(x->p0[i]) + size_of(x->p[i])) +
                x->rate * (2 * bm[i] + 4 * u * (g + w + 2 * old)) + tiny;
    }
}

/* --- Parameters and moments ------------------------------------------------------------------- */

static gn_shape shape_of(const update *t, gn_value v) { return info_of(t, v)->shape; }

static void judge_one(const update *t, const char *what, gn_value v, const void *same,
                      const void *want, const double *bound)
{
    char group[64];
    name_of(group, sizeof group, t->step, what);
    const gn_shape shape = shape_of(t, v);
    const size_t count = gn_shape_count(shape);
    const float *got = gn_field_floats(t->audit->scope->candidate, group, info_of(t, v)->name, count);
    if (got == NULL) {
        gn_audit_missing(t->audit, group, info_of(t, v)->name, shape);
        return;
    }
    const gn_evidence e = {.got = got, .same = same, .want = want, .bound = bound, .count = count,
                           .channels = 1};
    gn_audit_judge(t->audit, gn_audit_finding(t->audit, group, info_of(t, v)->name), &e, shape,
                   false);
}

static void judge_param(const update *t, gn_value v, const double *p0)
{
    const size_t count = gn_shape_count(shape_of(t, v));
    double *bound = malloc(3 * (count + 1) * sizeof *bound);
    if (bound == NULL) {
        t->audit->replay.status = gn_fail(t->audit->replay.err, GN_E_NOMEM,
                                          "verify: no memory for %zu bounds", 3 * count);
        return;
    }
    const double coef = gn_optimizer_clipped(t->optimizer[1]);
    const bool adamw = t->config.kind == GN_ADAMW, first = t->step == 1;
    const parts x = {.p0 = p0, .g = gn_store_grad(t->store[1], v),
                     .p = gn_store_data(t->store[1], v),
                     .m = gn_optimizer_moment(t->optimizer[1], 0, v),
                     .v = adamw ? gn_optimizer_moment(t->optimizer[1], 1, v) : NULL,
                     .m0 = first ? NULL : before(t, moment_groups[0], v),
                     .v0 = first || !adamw ? NULL : before(t, moment_groups[1], v),
                     .coef = coef, .slack = clip_slack(t, coef),
                     .a = gn_optimizer_last(t->optimizer[1]), .rate = t->rate,
                     .momentum = t->config.momentum, .decay = t->config.weight_decay};
    double *bm = bound + count, *bv = bm + count;
    if (adamw)
        bound_adamw(bound, bm, bv, &x, count);
    else
        bound_sgd(bound, bm, &x, count);
    judge_one(t, "after", v, gn_store_data(t->store[0], v), x.p, bound);
    judge_one(t, moment_groups[0], v, gn_optimizer_moment(t->optimizer[0], 0, v), x.m, bm);
    if (adamw)
        judge_one(t, moment_groups[1], v, gn_optimizer_moment(t->optimizer[0], 1, v), x.v, bv);
    free(bound);
}

/* Both lanes' powers of beta1 and beta2 after the steps before this one. */
static void set_powers(const update *t)
{
    for (int lane = 0; lane < 2; lane++) {
        gn_powers *p = gn_optimizer_powers(t->optimizer[lane]);
        *p = (gn_powers){1, 1};
        for (uint64_t k = 1; k < t->step; k++) {
            p->first *= t->config.beta1;
            p->second *= t->config.beta2;
        }
    }
}

static void unjudged(const update *t, const char *missing)
{
    for (gn_value v = 0; v < gn_tape_values(tape_of(t)) && ok(t); v++)
        for (int i = -1; i < moments_of(t) && info_of(t, v)->kind == GN_PARAM; i++) {
            char group[64];
            name_of(group, sizeof group, t->step, i < 0 ? "after" : moment_groups[i]);
            gn_audit_unjudged(t->audit, group, info_of(t, v)->name, shape_of(t, v), missing);
        }
}

static void judge_step(const update *t)
{
    const char *missing = NULL;
    if (!load_state(t, &missing)) {
        unjudged(t, missing);
        return;
    }
    double **p0 = calloc((size_t)gn_tape_values(tape_of(t)), sizeof *p0);
    bool room = p0 != NULL;
    for (gn_value v = 0; v < gn_tape_values(tape_of(t)) && room; v++)
        if (info_of(t, v)->kind == GN_PARAM) {
            const size_t bytes = gn_shape_count(shape_of(t, v)) * sizeof(double);
            p0[v] = malloc(bytes + 1);
            room = p0[v] != NULL;
            if (room)
                memcpy(p0[v], gn_store_data(t->store[1], v), bytes);
        }
    if (!room)
        t->audit->replay.status = gn_fail(t->audit->replay.err, GN_E_NOMEM,
                                          "verify: no memory for %zu parameters", t->elements);
    set_powers(t);
    const gn_guard guard = gn_guard_enter(gn_program_threads(t->audit->replay.program[0]));
    for (int lane = 0; lane < 2 && room; lane++) {
        gn_optimizer_measure(t->optimizer[lane], t->store[lane]);
        gn_optimizer_step(t->optimizer[lane], t->store[lane], t->rate);
    }
    gn_guard_leave(&guard);
    for (gn_value v = 0; v < gn_tape_values(tape_of(t)) && ok(t); v++)
        if (info_of(t, v)->kind == GN_PARAM)
            judge_param(t, v, p0[v]);
    for (gn_value v = 0; v < gn_tape_values(tape_of(t)) && p0 != NULL; v++)
        free(p0[v]);
    free(p0);
}

/* --- What can only be compared, and counters ---------------------------------------------------- */

static gn_shape shape_in_file(const gn_entry *e)
{
    return (gn_shape){.rank = e->rank, .dim = {e->dim[0], e->dim[1], e->dim[2], e->dim[3]}};
}

/* A counter is the one before it and 1. */
static void judge_counter(const update *t, const gn_entry *e)
{
    const gn_scope *s = t->audit->scope;
    char from[256], group[64];
    name_of(group, sizeof group, t->step, "after");
    const char *name = e->name + strlen(group) + 1;
    if (t->step == 1)
        snprintf(from, sizeof from, "buffer/%s", name);
    else
        name_of(from, sizeof from, t->step - 1, e->name + (strstr(e->name, "after/") - e->name));
    const gn_reader *file = t->step == 1 || s->restarts ? s->golden : s->candidate;
    const gn_entry *old = gn_reader_find(file, from), *new = gn_reader_find(s->candidate, e->name);
    if (new == NULL || new->type != GN_I64 || new->rank != 0) {
        gn_audit_missing(t->audit, group, name, (gn_shape){.rank = 0});
        return;
    }
    gn_finding *f = gn_audit_finding(t->audit, group, name);
    if (f == NULL || old == NULL || old->type != GN_I64 || old->rank != 0)
        return;
    const int64_t want = *(const int64_t *)old->data + 1, got = *(const int64_t *)new->data;
    f->elements = 1;
    f->verdict = got == want ? GN_VERDICT_BITS : GN_VERDICT_WRONG;
    f->different = got != want;
    f->expected = (float)want;
    f->got = (float)got;
    f->truth = (double)want;
    if (got != want)
        snprintf(f->note, sizeof f->note, "%lld batches counted, expected %lld", (long long)got,
                 (long long)want);
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* What of a step is judged elsewhere: parameters and moments, and the running statistics of the
 * first step; inputs are given. */
static bool judged_elsewhere(const update *t, const char *tail)
{
    if (strncmp(tail, "input/", 6) == 0 || strncmp(tail, "after_", 6) == 0)
        return true;
    if (strncmp(tail, "after/", 6) != 0)
        return t->step == 1;
    return t->step == 1 || (!ends_in(tail, ".running_mean") && !ends_in(tail, ".running_var"));
}

static void compare(const update *t, const gn_entry *e)
{
    const size_t before_it = t->audit->out->count;
    gn_audit_unjudged(t->audit, "", e->name, shape_in_file(e), "the step's trace");
    for (size_t i = before_it; i < t->audit->out->count; i++)
        t->audit->out->finding[i].compared = true;
}

static void compare_rest(const update *t)
{
    char start[64];
    name_of(start, sizeof start, t->step, "");
    const gn_reader *golden = t->audit->scope->golden;
    for (size_t i = 0; i < gn_reader_count(golden) && ok(t); i++) {
        const gn_entry *e = gn_reader_at(golden, i);
        if (strncmp(e->name, start, strlen(start)) != 0)
            continue;
        const char *tail = e->name + strlen(start);
        if (strncmp(tail, "after/", 6) == 0 && ends_in(tail, ".num_batches_tracked"))
            judge_counter(t, e);
        else if (strncmp(tail, "step/", 5) != 0 && !judged_elsewhere(t, tail) && e->type == GN_F32)
            compare(t, e);
    }
}

/* --- All steps -------------------------------------------------------------------------------- */

/* Whether the golden file tells what step 1 left behind; a file made with --only may not. */
static bool has_updates(const gn_reader *golden)
{
    for (size_t i = 0; i < gn_reader_count(golden); i++)
        if (strncmp(gn_reader_at(golden, i)->name, "after", 5) == 0)
            return true;
    return false;
}

void gn_audit_updates(gn_audit *a)
{
    update t = {.audit = a, .config = a->scope->optimizer, .rate = a->scope->rate};
    if (a->replay.status != GN_OK || !has_updates(a->scope->golden))
        return;
    const gn_tape *tape = tape_of(&t);
    const gn_table *tables[] = {gn_table_fast(), &gn_double};
    gn_status st = GN_OK;
    t.elements = gn_tape_parameters(tape);
    for (int i = 0; i < 2 && st == GN_OK; i++) {
        st = gn_store_create(&t.store[i], tape, tables[i], true, a->replay.err);
        if (st == GN_OK)
            st = gn_optimizer_create(&t.optimizer[i], tape, tables[i], &t.config, a->replay.err);
    }
    a->replay.status = st;
    for (t.step = 1; t.step <= a->scope->golden_steps && ok(&t); t.step++) {
        judge_step(&t);
        compare_rest(&t);
    }
    for (int i = 0; i < 2; i++) {
        gn_optimizer_destroy(t.optimizer[i]);
        gn_store_destroy(t.store[i]);
    }
}
