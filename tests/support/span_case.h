/* Random spans, one or two behind one another: the plain ops record by record, and a table's fused
 * program, from the same numbers.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_SPAN_CASE_H
#define GN_TESTS_SPAN_CASE_H

#include <stdio.h>

#include "base/guard.h"
#include "gomokunet/program.h"
#include "support/draw_shapes.h"
#include "support/guarded.h"

typedef enum span_kind { NORM_CONV, SEPARABLE, NORM_SEPARABLE, TAIL, SPAN_KINDS } span_kind;

typedef struct span_case {
    size_t N, H, W, C[3], hidden; /* C: channels of the maps before, between and behind */
    int spans;
    span_kind kind[2];
    bool training, block; /* block: the second span's skip is the first one's input */
    values numbers;
    int threads;
} span_case;

static span_case draw_span_case(void)
{
    const double most = draw(50) == 0 ? 2e6 : 1e5;
    span_case k;
    double work;
    do {
        k = (span_case){.N = batch(), .H = side(), .spans = 1 + (int)draw(2), .hidden = channels(),
                        .training = draw(4) > 0, .block = draw(2) == 0};
        k.W = draw(3) == 0 ? side() : k.H;
        k.C[0] = channels();
        work = 0;
        for (int i = 0; i < k.spans; i++) {
            k.kind[i] = (span_kind)draw(SPAN_KINDS);
            k.C[i + 1] = k.kind[i] == TAIL || draw(2) == 0 ? k.C[i] : channels();
            work += (double)(k.N * k.H * k.W * k.C[i]) *
                    (k.kind[i] == TAIL ? 1 : (double)k.C[i + 1]);
        }
    } while (work > most);
    k.numbers = (values)draw(KINDS);
    k.threads = draw(3) == 0 ? 1 + (int)draw(33) : 1 + (int)draw(4);
    return k;
}

/* --- As a tape -------------------------------------------------------------------------------- */

static char span_name[64];

static const char *named(const char *what, int i)
{
    snprintf(span_name, sizeof span_name, "%s%d", what, i);
    return span_name;
}

/* Mostly a parameter; else it wants no gradient. */
static gn_value leaf(gn_tape *t, const char *what, int i, gn_shape shape)
{
    return draw(8) == 0 ? gn_tape_input(t, named(what, i), shape)
                        : gn_tape_param(t, named(what, i), shape, GN_ZEROS, 1);
}

/* The weights of the span before, where they fit: their gradient is added to. */
static gn_value weight_leaf(gn_tape *t, const char *what, int i, gn_shape shape)
{
    const gn_value old = i == 0 ? GN_NONE : gn_tape_find(t, named(what, i - 1));
    return old != GN_NONE && gn_shape_equal(gn_tape_value(t, old)->shape, shape) && draw(2) == 0
               ? old
               : leaf(t, what, i, shape);
}

static gn_value span_tail(gn_tape *t, const span_case *k, int i, gn_value b, gn_value skip)
{
    const size_t C = k->C[i];
    const gn_value m = gn_tape_global_avg_pool(t, named("m", i), b);
    const gn_value w1 = weight_leaf(t, "w1.", i, row(k->hidden, C));
    const gn_value first = gn_tape_linear(t, named("first", i), m, w1, GN_NONE);
    const gn_value active = gn_tape_relu(t, named("active", i), first);
    const gn_value w2 = weight_leaf(t, "w2.", i, row(C, k->hidden));
    const gn_value second = gn_tape_linear(t, named("second", i), active, w2, GN_NONE);
    const gn_value g = gn_tape_sigmoid(t, named("g", i), second);
    gn_tape_pin(t, m);
    gn_tape_pin(t, active);
    gn_tape_pin(t, g);
    const gn_value y = gn_tape_channel_scale(t, named("scaled", i), b, g);
    const gn_value sum = gn_tape_add(t, named("sum", i), y, skip);
    return gn_tape_relu(t, named("y", i), sum);
}

static gn_value span_append(gn_tape *t, const span_case *k, int i, gn_value x, gn_value skip)
{
    const size_t C = k->C[i], O = k->C[i + 1];
    const size_t K = k->kind[i] == NORM_CONV ? 3 : 1;
    const gn_value gamma = weight_leaf(t, "gamma", i, vector(C));
    const gn_value beta = weight_leaf(t, "beta", i, vector(C));
    const gn_value mean = gn_tape_buffer(t, named("mean", i), vector(C), GN_ZEROS);
    const gn_value var = gn_tape_buffer(t, named("var", i), vector(C), GN_ZEROS);
    if (k->kind[i] != SEPARABLE)
        x = gn_tape_batch_norm(t, named("norm", i), x, gamma, beta, mean, var, 1e-5);
    if (k->kind[i] == TAIL)
        return span_tail(t, k, i, x, skip);
    if (k->kind[i] != SEPARABLE)
        x = gn_tape_relu(t, named("relu", i), x);
    if (k->kind[i] != NORM_CONV) {
        const gn_value taps = weight_leaf(t, "taps", i, gn_shape_of(4, C, 1, 3, 3));
        x = gn_tape_depthwise_conv2d(t, named("taps.", i), x, taps);
    }
    const gn_value w = weight_leaf(t, "w", i, gn_shape_of(4, O, C, K, K));
    return gn_tape_conv2d(t, named("y", i), x, w);
}

/* A loss behind it, so that there are gradients; it is never run. */
static gn_tape *span_tape(const span_case *k, gn_value *y)
{
    gn_tape *t;
    gn_err err = {0};
    if (gn_tape_create(&t, &err) != GN_OK)
        abort();
    gn_value x = leaf(t, "x", 0, gn_shape_of(4, k->N, k->H, k->W, k->C[0])), before = GN_NONE;
    for (int i = 0; i < k->spans; i++) {
        const bool block = k->block && before != GN_NONE && k->C[0] == k->C[1];
        gn_value skip = before;
        if (k->kind[i] == TAIL && !block)
            skip = leaf(t, "skip", i, gn_shape_of(4, k->N, k->H, k->W, k->C[i]));
        before = x;
        x = span_append(t, k, i, x, skip);
    }
    *y = x;
    x = gn_tape_flatten(t, "flat", x);
    x = gn_tape_linear(t, "end", x,
                       gn_tape_param(t, "w.end", row(1, k->H * k->W * k->C[k->spans]), GN_ZEROS, 1),
                       GN_NONE);
    gn_tape_loss(t, gn_tape_mean_squared_error(t, "loss", x,
                                               gn_tape_input(t, "target", vector(k->N))));
    if (gn_tape_check(t, &err) != GN_OK) {
        fprintf(stderr, "fuzz_exact: %s\n", err.text);
        exit(2);
    }
    return t;
}

/* --- Running it ------------------------------------------------------------------------------- */

typedef struct span_trial {
    gn_program *program;
    void **data, **grad, **seen; /* seen: what a record's backward may read */
    int end;                     /* the record behind the last that is run */
    bool intact;
} span_trial;

static span_trial span_open(const gn_tape *t, const span_case *k, const gn_table *table, bool fused,
                            gn_value y)
{
    span_trial r = {.intact = true};
    gn_err err = {0};
    const size_t all = (size_t)gn_tape_values(t);
    if ((fused ? gn_program_fuse : gn_program_bind)(&r.program, t, table, 1, fused ? k->threads : 1,
                                                    k->training, &err) != GN_OK) {
        fprintf(stderr, "fuzz_exact: %s\n", err.text);
        exit(2);
    }
    r.data = calloc(3 * all, sizeof *r.data);
    if (r.data == NULL)
        abort();
    r.grad = r.data + all;
    r.seen = r.grad + all;
    for (int v = 0; v < (int)all; v++) {
        const size_t bytes = gn_program_bytes(r.program, v), count = bytes / sizeof(float);
        r.data[v] = memory(bytes);
        r.grad[v] = memory(bytes);
        for (size_t i = 0; gn_tape_value(t, v)->kind != GN_ACTIVATION && i < count; i++)
            ((float *)r.data[v])[i] = number(k->numbers);
        for (size_t i = 0; v == y && i < count; i++)
            ((float *)r.grad[v])[i] = number(k->numbers);
    }
    r.end = gn_tape_value(gn_program_tape(r.program), y)->producer + 1;
    return r;
}

static void span_close(span_trial *r)
{
    for (int v = 0; v < gn_tape_values(gn_program_tape(r->program)); v++) {
        free(r->data[v]);
        free(r->grad[v]);
    }
    free(r->data);
    gn_program_destroy(r->program);
}

/* What backward does not read is not there. */
static void **span_sight(const span_trial *r, const gn_record *record)
{
    memset(r->seen, 0, (size_t)gn_tape_values(gn_program_tape(r->program)) * sizeof *r->seen);
    for (int i = 0; i < record->nin; i++)
        if ((record->op->reads & GN_IN(i)) != 0)
            r->seen[record->in[i]] = r->data[record->in[i]];
    for (int j = 0; j < record->nout; j++)
        if ((record->op->reads & GN_OUT(j)) != 0)
            r->seen[record->out[j]] = r->data[record->out[j]];
    return r->seen;
}

static void span_run(span_trial *r, gn_pass pass)
{
    const gn_tape *t = gn_program_tape(r->program);
    for (int n = 0; n < r->end; n++) {
        const int k = pass == GN_BACKWARD ? r->end - 1 - n : n;
        const gn_record *record = gn_tape_record_at(t, k);
        if (pass == GN_BACKWARD && !gn_program_has_backward(r->program, k))
            continue;
        for (int j = 0; j < record->nout && pass == GN_RECOMPUTE; j++)
            if (!gn_tape_value(t, record->out[j])->pinned)
                memset(r->data[record->out[j]], 0xff, gn_program_bytes(r->program, record->out[j]));
        const size_t bytes = gn_program_work(r->program, k, pass);
        void *work = memory(bytes);
        const gn_places places = {pass == GN_BACKWARD ? span_sight(r, record) : r->data, r->grad};
        const gn_guard guard = gn_guard_enter(gn_program_threads(r->program));
        gn_program_run(r->program, k, pass, places, work);
        gn_guard_leave(&guard);
        r->intact = r->intact && intact(work, bytes);
        free(work);
    }
    for (int v = 0; v < gn_tape_values(t); v++)
        r->intact = r->intact && intact(r->data[v], gn_program_bytes(r->program, v)) &&
                    intact(r->grad[v], gn_program_bytes(r->program, v));
}

#endif
