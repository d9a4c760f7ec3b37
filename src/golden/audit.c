/* Evidence on every op, forward and backward; see audit.h.
 *
 * The gradient of a value is the sum of what its consumers send back, so it is judged as a whole:
 * each consumer is run on the candidate's own gradient of its output.
 * SPDX-License-Identifier: MIT */
#include "golden/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "golden/bounds.h"
#include "golden/sums.h"

static const double u = 0x1p-24, tiny = 0x1p-149;
static double *room(gn_audit *a, size_t count)
{
    double *p = calloc(count + 1, sizeof *p);
    if (p == NULL)
        a->replay.status = gn_fail(a->replay.err, GN_E_NOMEM, "verify: no memory for %zu bounds",
                                   count);
    return p;
}

static const gn_record *record_at(const gn_audit *a, int k)
{
    return gn_tape_record_at(a->replay.net->tape, k);
}

/* S and Q of every element by writing its terms out; for small sums of few elements. */
static void measure(gn_audit *a, const gn_sums *s, double *bound, double *quad, size_t count)
{
    const size_t terms = gn_sums_terms(s);
    double *list = room(a, 2 * terms);
    for (size_t e = 0; e < count && list != NULL; e++) {
        double S = 0, Q = 0;
        gn_sums_gather(s, e, list, list + terms);
        for (size_t i = 0; i < terms; i++) {
            const double p = list[i] * list[terms + i];
            S += p < 0 ? -p : p;
            Q += p * p;
        }
        bound[e] = S;
        quad[e] = Q;
    }
    free(list);
}

/* From S to the theoretical bound gamma S, from Q^2 to Q. */
static void finish_sums(double *bound, double *quad, size_t count, size_t terms)
{
    const double n = (double)terms + 2, gamma = n * u / (1 - n * u);
    for (size_t i = 0; i < count; i++) {
        bound[i] = gamma * bound[i] + (double)terms * tiny;
        quad[i] = __builtin_sqrt(quad[i]);
    }
}

/* --- Forward --------------------------------------------------------------------------------- */

static bool by_lanes(const gn_record *r)
{
    return gn_is(r, "conv2d") || gn_is(r, "depthwise_conv2d") || gn_is(r, "linear");
}

static void judge_output(gn_audit *a, int k, const char *group)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    const gn_shape shape = gn_program_shape(p->program[0], r->out[0]);
    const size_t count = gn_shape_count(shape);
    float *got = gn_replay_read(p, p->candidate, group, r->out[0]);
    if (got == NULL) {
        gn_audit_missing(a, group, r->name, gn_replay_file_shape(p, r->out[0]));
        return;
    }
    gn_sums s = {.count = 1, .call = {gn_replay_call(p, k, GN_FORWARD)}};
    double *bound = room(a, count), *quad = room(a, count);
    const size_t terms = gn_is(r, "batch_norm") ? 0 : gn_sums_terms(&s);
    if (p->status == GN_OK && terms > 0) {
        if (by_lanes(r)) {
            memcpy(bound, p->data[GN_LANE_ABSOLUTE][r->out[0]], count * sizeof *bound);
            memcpy(quad, p->data[GN_LANE_SQUARE][r->out[0]], count * sizeof *quad);
        } else {
            measure(a, &s, bound, quad, count);
        }
        finish_sums(bound, quad, count, terms);
    } else if (p->status == GN_OK) {
        gn_bound_forward(bound, p, k);
    }
    const gn_evidence e = {got, p->data[GN_LANE_FLOAT][r->out[0]],
                           p->data[GN_LANE_TRUTH][r->out[0]], bound, terms > 0 ? quad : NULL,
                           count, shape.rank == 0 ? 1 : shape.dim[shape.rank - 1], terms, &s};
    gn_audit_judge(a, gn_audit_finding(a, group, r->name), &e, shape, shape.rank == 4);
    free(bound);
    free(quad);
    free(got);
}

/* The batch's mean; and invstd, judged as the variance that it was made of, since a sum is what an
 * implementation may take in any order. */
static void judge_statistic(gn_audit *a, int k, int output)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    const gn_value v = r->out[output];
    const size_t C = gn_program_shape(p->program[0], v).dim[0];
    char name[160], full[200];
    snprintf(name, sizeof name, "%s.%s", r->name, output == 1 ? "mean" : "invstd");
    snprintf(full, sizeof full, "stats/%s", name);
    const gn_entry *entry = gn_reader_find(p->candidate, full);
    if (entry == NULL || entry->type != GN_F32 || entry->rank != 1 || entry->dim[0] != C) {
        gn_audit_missing(a, "stats", name, gn_program_shape(p->program[0], v));
        return;
    }
    gn_sums s = {.count = 1, .call = {gn_replay_call(p, k, GN_FORWARD)},
              .index = {output == 1 ? 1 : 2}, .output = output};
    const size_t terms = gn_sums_terms(&s);
    double *bound = room(a, C), *quad = room(a, C);
    if (p->status == GN_OK) {
        measure(a, &s, bound, quad, C);
        finish_sums(bound, quad, C, terms);
    }
    const double *want = p->data[GN_LANE_TRUTH][v];
    if (output == 3 && p->status == GN_OK)
        for (size_t j = 0; j < C; j++) {
            /* d inv = -inv^3/2 d var; the mean's own error, squared, is the least that var has. */
            const double slope = want[j] * want[j] * want[j] / 2, m = gn_bound_mean(&s.call[0], j);
            if (m < 0)
                p->status = gn_fail(p->err, GN_E_NOMEM, "verify: no memory for bounds");
            bound[j] = slope * (2 * bound[j] + m * m) + 4 * u * want[j];
            quad[j] = slope * (quad[j] + 4 * u * m * m) + 4 * want[j];
        }
    const gn_evidence e = {entry->data, p->data[GN_LANE_FLOAT][v], want, bound,
                           output == 1 ? quad : NULL, C, C, output == 1 ? terms : 0, &s};
    gn_audit_judge(a, gn_audit_finding(a, "stats", name), &e, gn_program_shape(p->program[0], v),
                   false);
    free(bound);
    free(quad);
}

/* Puts the candidate's own statistics where the record's outputs are, and normalises with them. */
static bool take_statistics(gn_audit *a, int k)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    for (int j = 1; j <= 3; j += 2) {
        for (int i = 0; i < GN_LANES; i++) {
            free(p->data[i][r->out[j]]);
            p->data[i][r->out[j]] = NULL;
        }
        if (!gn_replay_load(p, r->out[j], false))
            return false;
    }
    gn_replay_run(p, k, GN_RECOMPUTE, GN_LANE_FLOAT, GN_LANE_TRUTH);
    return true;
}

/* A record whose inputs, or whose statistics, the candidate does not have. */
static void unjudged_record(gn_audit *a, int k, const char *group, const char *input,
                            bool statistics)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    gn_audit_unjudged(a, group, r->name, gn_replay_file_shape(p, r->out[0]), input);
    if (!gn_is(r, "batch_norm") || !gn_program_training(p->program[0]))
        return;
    static const char *const ends[] = {"mean", "invstd"};
    for (int i = 0; i < 2; i++) {
        char name[160];
        const gn_shape channels = gn_program_shape(p->program[0], r->in[3 + i]);
        snprintf(name, sizeof name, "%s.%s", r->name, ends[i]);
        if (statistics)
            gn_audit_unjudged(a, "stats", name, channels, input);
        gn_audit_unjudged(a, "after", gn_tape_value(p->net->tape, r->in[3 + i])->name, channels,
                          input);
    }
}

static void forward_record(gn_audit *a, int k)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    const bool training = gn_program_training(p->program[0]);
    const char *group = strncmp(r->name, "loss/", 5) == 0 ? "" : p->group;
    for (int i = 0; i < r->nin; i++)
        if (!gn_replay_load(p, r->in[i], false)) {
            unjudged_record(a, k, group, gn_tape_value(p->net->tape, r->in[i])->name, true);
            return;
        }
    for (int j = 0; j < r->nout; j++)
        gn_replay_room(p, r->out[j], false);
    gn_replay_run(p, k, GN_FORWARD, GN_LANE_FLOAT, by_lanes(r) ? GN_LANE_SQUARE : GN_LANE_TRUTH);
    if (gn_is(r, "batch_norm") && training) {
        judge_statistic(a, k, 1);
        judge_statistic(a, k, 3);
        if (!take_statistics(a, k)) {
            unjudged_record(a, k, group, "statistics", false);
            return;
        }
        gn_audit_running(a, k);
    }
    judge_output(a, k, group);
}

void gn_audit_forward(gn_audit *a)
{
    const bool training = gn_program_training(a->replay.program[0]);
    for (int k = 0; k < gn_tape_records(a->replay.net->tape); k++) {
        const gn_record *r = record_at(a, k);
        const bool loss = strncmp(r->name, "loss/", 5) == 0;
        if (a->replay.status != GN_OK || gn_is(r, "flatten") || (loss && !training))
            continue;
        forward_record(a, k);
        gn_replay_clear(&a->replay);
    }
}

/* --- Backward -------------------------------------------------------------------------------- */

/* What the record's backward reads, and the gradient of its output. */
static const char *load_for_backward(gn_audit *a, int k)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    for (int i = 0; i < r->nin; i++)
        if ((r->op->reads & GN_IN(i)) != 0 && !gn_replay_load(p, r->in[i], false))
            return gn_tape_value(p->net->tape, r->in[i])->name;
    for (int j = 0; j < r->nout; j++)
        if ((r->op->reads & GN_OUT(j)) != 0 && !gn_replay_load(p, r->out[j], false))
            return gn_tape_value(p->net->tape, r->out[j])->name;
    return gn_replay_load(p, r->out[0], true) ? NULL : r->name;
}

static int input_of(const gn_record *r, gn_value v)
{
    for (int i = 0; i < r->nin; i++)
        if (r->in[i] == v && (r->op->constant & GN_IN(i)) == 0)
            return i;
    return -1;
}

/* Adds what one consumer sends back to the gradient of v, in every lane; NULL, or the name of what
 * was not recorded.  A flattened copy's gradient is in no file: it is made first, in its turn. */
static const char *contribution(gn_audit *a, int k, gn_value v, gn_sums *s, bool flat)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, k);
    if (gn_is(r, "flatten")) {
        gn_replay_room(p, r->out[0], true);
        for (int j = gn_tape_records(p->net->tape) - 1; j > k; j--)
            if (input_of(record_at(a, j), r->out[0]) >= 0) {
                const char *missing = contribution(a, j, r->out[0], s, true);
                if (missing != NULL)
                    return missing;
            }
    } else {
        const char *missing = load_for_backward(a, k);
        if (missing != NULL || s->count == GN_CONSUMERS)
            return missing == NULL ? "too many consumers" : missing;
        s->call[s->count] = gn_replay_call(p, k, GN_BACKWARD);
        s->index[s->count] = input_of(r, v);
        s->flat[s->count] = flat;
        s->unit[s->count++] = gn_is(r, "add");
    }
    gn_replay_room(p, v, true);
    gn_replay_run(p, k, GN_BACKWARD, GN_LANE_FLOAT, GN_LANE_SQUARE);
    return NULL;
}

/* Bounds of a gradient; returns the number of terms, 0 where it is no sum of products. */
static size_t bound_gradient(gn_audit *a, gn_value v, const gn_sums *s, int last, double *bound,
                             double *quad, size_t count)
{
    gn_replay *p = &a->replay;
    const gn_record *r = record_at(a, last);
    const size_t all = gn_sums_terms(s), terms = all == (size_t)s->count && s->unit[0] ? 0 : all;
    bool lanes = true;
    for (int i = 0; i < s->count; i++)
        lanes = lanes && (s->unit[i] || strcmp(s->call[i].op->name, "conv2d") == 0 ||
                          strcmp(s->call[i].op->name, "depthwise_conv2d") == 0 ||
                          strcmp(s->call[i].op->name, "linear") == 0);
    if (terms > 0 && lanes) {
        memcpy(bound, p->grad[GN_LANE_ABSOLUTE][v], count * sizeof *bound);
        memcpy(quad, p->grad[GN_LANE_SQUARE][v], count * sizeof *quad);
        finish_sums(bound, quad, count, terms);
        return terms;
    }
    if (terms > 0) {
        measure(a, s, bound, quad, count);
        finish_sums(bound, quad, count, terms);
        return terms;
    }
    const bool scaled = gn_is(r, "channel_scale") || gn_is(r, "global_avg_pool");
    if (s->count == 1 && !scaled) {
        if (!gn_bound_backward(bound, p, last))
            p->status = gn_fail(p->err, GN_E_NOMEM, "verify: no memory for %zu bounds", count);
        return 0;
    }
    /* Each contribution is rounded, and so are its recorded inputs and each addition. */
    const double *S = p->grad[GN_LANE_ABSOLUTE][v];
    for (size_t i = 0; i < count; i++)
        bound[i] = (s->count + 2.001) * u * S[i] + s->count * tiny;
    return 0;
}

static void judge_gradient(gn_audit *a, gn_value v)
{
    gn_replay *p = &a->replay;
    const gn_value_info *info = gn_tape_value(p->net->tape, v);
    const char *group = info->kind == GN_PARAM ? "grad" : "grad_forward";
    const gn_shape shape = gn_program_shape(p->program[0], v);
    const size_t count = gn_shape_count(shape);
    gn_sums s = {.map = shape};
    int last = -1;
    for (int k = gn_tape_records(p->net->tape) - 1; k >= 0 && p->status == GN_OK; k--) {
        if (input_of(record_at(a, k), v) < 0 || !gn_program_has_backward(p->program[0], k))
            continue;
        const char *missing = contribution(a, k, v, &s, false);
        last = k;
        if (missing != NULL) {
            gn_audit_unjudged(a, group, info->name, gn_replay_file_shape(p, v), missing);
            return;
        }
    }
    float *got = gn_replay_read(p, p->candidate, group, v);
    if (got == NULL) {
        gn_audit_missing(a, group, info->name, gn_replay_file_shape(p, v));
        return;
    }
    double *bound = room(a, count), *quad = room(a, count);
    const size_t terms =
        p->status == GN_OK ? bound_gradient(a, v, &s, last, bound, quad, count) : 0;
    const gn_evidence e = {got, p->grad[GN_LANE_FLOAT][v], p->grad[GN_LANE_TRUTH][v], bound,
                           terms > 0 ? quad : NULL, count,
                           info->kind == GN_PARAM ? 1 : shape.dim[shape.rank - 1], terms, &s};
    gn_audit_judge(a, gn_audit_finding(a, group, info->name), &e, shape,
                   shape.rank == 4 && info->kind != GN_PARAM);
    free(bound);
    free(quad);
    free(got);
}

static bool judged(const gn_audit *a, gn_value v)
{
    const gn_value_info *info = gn_tape_value(a->replay.net->tape, v);
    if (!gn_program_has_grad(a->replay.program[0], v) || strncmp(info->name, "loss/", 5) == 0)
        return false;
    return info->kind == GN_PARAM || !gn_is(record_at(a, info->producer), "flatten");
}

void gn_audit_backward(gn_audit *a)
{
    for (int v = gn_tape_values(a->replay.net->tape) - 1; v >= 0 && a->replay.status == GN_OK; v--)
        if (judged(a, v)) {
            judge_gradient(a, v);
            gn_replay_clear(&a->replay);
        }
}
