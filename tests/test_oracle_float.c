/* The float tables against the double table, record by record: each op of a float training step is
 * computed again in double from the float run's own inputs, and every element of its outputs and
 * gradients must lie within the op's rounding (support/bounds.h).  So errors do not pile up, and
 * the first wrong op is the one that is named.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "support/bounds.h"
#include "support/oracle.h"
#include "support/rig.h"

static const double u = 1.0 / (1 << 24);

/* A float run and all that it computed. */
typedef struct trial {
    oracle o;
    rig r;
    bounds b;
    float **data, **grad; /* by value: as they were when they were complete */
    double worst;         /* of |error| / bound, in the record at hand; infinite where unbounded */
    char where[160];
} trial;

static int values_of(const trial *t)
{
    return gn_tape_values(t->o.net.tape);
}

static size_t count_of(const trial *t, gn_value v)
{
    return gn_shape_count(gn_program_shape(t->r.program, v));
}

/* --- The float run -------------------------------------------------------------------------- */

static void keep(const trial *t, float **to, gn_value v, const void *from)
{
    cr_assert_not_null(from);
    memcpy(to[v], from, count_of(t, v) * sizeof(float));
}

/* An output is copied as soon as it is there, since the next record may overwrite it in place. */
static void watch(void *user, const gn_event *event)
{
    const trial *t = user;
    const gn_record *r = gn_tape_record_at(t->o.net.tape, event->record);
    if (event->pass == GN_BACKWARD)
        keep(t, t->grad, r->out[0], event->places.grad[r->out[0]]);
    else
        for (int j = 0; j < r->nout; j++)
            keep(t, t->data, r->out[j], event->places.data[r->out[j]]);
}

static float **arrays(const trial *t)
{
    float **all = calloc((size_t)values_of(t), sizeof *all);
    for (int v = 0; all != NULL && v < values_of(t); v++)
        all[v] = calloc(count_of(t, v), sizeof **all);
    cr_assert_not_null(all);
    return all;
}

static void run_floats(trial *t)
{
    const samples s = {t->o.planes, (float *)t->o.policy, (float *)t->o.value};
    oracle_fill(&t->o, t->r.store, gn_program_table(t->r.program));
    rig_feed(&t->r, &s);
    for (int v = 0; v < values_of(t); v++) /* the engine may reuse an input's memory */
        if (gn_tape_value(t->o.net.tape, v)->kind != GN_ACTIVATION)
            keep(t, t->data, v, gn_engine_data(t->r.engine, v));
    gn_engine_hook(t->r.engine, watch, t);
    rig_run(&t->r);
}

static void widen(const trial *t)
{
    for (int v = 0; v < values_of(t); v++)
        for (size_t i = 0; i < count_of(t, v); i++) {
            t->b.truth.data[v][i] = (double)t->data[v][i];
            t->b.truth.grad[v][i] = (double)t->grad[v][i];
            t->b.absolute.data[v][i] = fabs(t->b.truth.data[v][i]);
            t->b.absolute.grad[v][i] = fabs(t->b.truth.grad[v][i]);
        }
}

static trial trial_open(const char *file, const gn_table *table, bool training)
{
    trial t = {.o = oracle_open(file)};
    gn_err err = {0};
    size_t most = 64;
    t.r = rig_open(t.o.net.config, table, t.o.batch, 1, training ? "none" : "inference");
    gn_program *wide;
    cr_assert(gn_program_bind(&wide, t.o.net.tape, &gn_double, t.o.batch, 1, training, &err) ==
              GN_OK, "%s", err.text);
    for (int k = 0; k < gn_tape_records(t.o.net.tape); k++)
        for (gn_pass pass = GN_FORWARD; pass <= GN_BACKWARD; pass++) {
            const size_t bytes[] = {gn_program_work(wide, k, pass),
                                    gn_program_work(t.r.program, k, pass)};
            for (int i = 0; i < 2; i++)
                most = bytes[i] > most ? bytes[i] : most;
        }
    t.b = (bounds){wide, numbers_make(wide), numbers_make(wide), numbers_make(wide),
                   numbers_make(wide), aligned_alloc(64, (most + 63) / 64 * 64)};
    cr_assert_not_null(t.b.work);
    t.data = arrays(&t);
    t.grad = arrays(&t);
    run_floats(&t);
    widen(&t);
    return t;
}

static void trial_close(trial *t)
{
    for (int v = 0; v < values_of(t); v++) {
        free(t->data[v]);
        free(t->grad[v]);
    }
    free(t->data);
    free(t->grad);
    numbers_free(&t->b.truth, t->b.program);
    numbers_free(&t->b.absolute, t->b.program);
    numbers_free(&t->b.want, t->b.program);
    numbers_free(&t->b.scale, t->b.program);
    free(t->b.work);
    gn_program_destroy((gn_program *)t->b.program);
    rig_close(&t->r);
    oracle_close(&t->o);
}

/* --- Judging -------------------------------------------------------------------------------- */

static void judge(trial *t, const gn_record *r, const char *what, gn_value v, const float *got,
                  const double *want, const double *scale, double terms)
{
    for (size_t i = 0; i < count_of(t, v); i++) {
        const double error = fabs((double)got[i] - want[i]), bound = terms * u * scale[i];
        const double ratio = error == 0 ? 0 : error / bound; /* infinite or NaN: wrong */
        if (ratio <= t->worst)
            continue;
        t->worst = isnan(ratio) ? INFINITY : ratio;
        snprintf(t->where, sizeof t->where, "%s (%s), %s[%zu]: got %a, want %a, %.3g of the bound",
                 r->name, r->op->name, what, i, (double)got[i], want[i], ratio);
    }
}

static void judge_forward(trial *t, int record)
{
    static const char *const names[] = {"output", "output 1", "output 2", "output 3"};
    const gn_record *r = gn_tape_record_at(t->o.net.tape, record);
    bounds_forward(&t->b, record);
    for (int j = 0; j < r->nout; j++)
        judge(t, r, names[j], r->out[j], t->data[r->out[j]], t->b.want.data[r->out[j]],
              t->b.scale.data[r->out[j]], bounds_terms(&t->b, record, GN_FORWARD, j));
}

/* The float record's contributions are computed once more, each into memory of its own. */
static void judge_backward(trial *t, int record)
{
    static const char *const names[] = {"gradient of input 0", "gradient of input 1",
                                        "gradient of input 2"};
    const gn_record *r = gn_tape_record_at(t->o.net.tape, record);
    float *din[GN_MAX_IN];
    void *grad[BOUNDS_VALUES], *data[BOUNDS_VALUES];
    cr_assert(values_of(t) <= BOUNDS_VALUES);
    for (int v = 0; v < values_of(t); v++) {
        data[v] = t->data[v];
        grad[v] = t->grad[v];
    }
    for (int i = 0; i < r->nin; i++) {
        din[i] = calloc(count_of(t, r->in[i]), sizeof **din);
        cr_assert_not_null(din[i]);
        grad[r->in[i]] = din[i];
    }
    const gn_guard guard = gn_guard_enter(1);
    gn_program_run(t->r.program, record, GN_BACKWARD, (gn_places){data, grad}, t->b.work);
    gn_guard_leave(&guard);
    bounds_backward(&t->b, record);
    for (int i = 0; i < r->nin; i++)
        if (gn_program_has_grad(t->r.program, r->in[i]))
            judge(t, r, names[i], r->in[i], din[i], t->b.want.grad[r->in[i]],
                  t->b.scale.grad[r->in[i]], bounds_terms(&t->b, record, GN_BACKWARD, 0));
    for (int i = 0; i < r->nin; i++)
        free(din[i]);
}

/* The worst ratio of a record, of both passes where it has two. */
static double judge_record(trial *t, int record)
{
    t->worst = 0;
    t->where[0] = '\0';
    judge_forward(t, record);
    if (gn_program_has_backward(t->r.program, record))
        judge_backward(t, record);
    return t->worst;
}

/* --- Tests ---------------------------------------------------------------------------------- */

struct subject {
    int file;
    bool fast, training;
};

ParameterizedTestParameters(oracle_float, each_op_within_its_rounding)
{
    static struct subject all[4 * ORACLE_FILES];
    for (int i = 0; i < 4 * ORACLE_FILES; i++)
        all[i] = (struct subject){i / 4, i % 2 == 1, i / 2 % 2 == 1};
    return cr_make_param_array(struct subject, all, 4 * ORACLE_FILES);
}

ParameterizedTest(struct subject *s, oracle_float, each_op_within_its_rounding)
{
    trial t = trial_open(oracle_files[s->file], s->fast ? gn_table_fast() : &gn_plain,
                         s->training);
    double worst = 0;
    for (int k = 0; k < gn_tape_records(t.o.net.tape); k++) {
        const double ratio = judge_record(&t, k);
        cr_assert(ratio <= 1, "%s: %s", oracle_files[s->file], t.where);
        worst = ratio > worst ? ratio : worst;
    }
    cr_assert(worst > 0.01, "the bounds are so wide (worst %g) that they show nothing", worst);
    trial_close(&t);
}

static void scale_by(double *x, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++)
        x[i] *= factor;
}

/* Whether one input shows in the record's output if the double table is given it larger than the
 * float table had it, by a part in 1024, or 64 for a linear layer, whose bias stands against the
 * bound of 800 products.  Input -1: the output's gradient, in the record's gradients. */
static bool shows(trial *t, int record, int input)
{
    const gn_record *r = gn_tape_record_at(t->o.net.tape, record);
    const double factor = 1 + 1.0 / (strcmp(r->op->name, "linear") == 0 ? 64 : 1024);
    const gn_value v = input < 0 ? r->out[0] : r->in[input];
    double *truth = input < 0 ? t->b.truth.grad[v] : t->b.truth.data[v];
    scale_by(truth, count_of(t, v), factor);
    t->worst = 0;
    if (input < 0)
        judge_backward(t, record);
    else
        judge_forward(t, record);
    widen(t);
    return t->worst > 1;
}

static void expect_all_show(const char *file)
{
    trial t = trial_open(file, &gn_plain, true);
    for (int k = 0; k < gn_tape_records(t.o.net.tape); k++) {
        const gn_record *r = gn_tape_record_at(t.o.net.tape, k);
        for (int i = -1; i < r->nin; i++) {
            const bool running = i >= 3; /* statistics: batch_norm reads them in inference only */
            if (!running)
                cr_assert(shows(&t, k, i), "%s (%s): input %d (-1: dout) not seen",
                          r->name, r->op->name, i);
        }
    }
    trial_close(&t);
}

Test(oracle_float, sees_any_input_that_is_off)
{
    expect_all_show("dense_5x5_c3_b2");
    expect_all_show("separable_5x5_c33_b1");
}
