/* The double table against PyTorch, which computed the same networks independently in float64
 * (tests/oracle/make_oracle.py): losses, every op's output and gradient, every parameter's
 * gradient, running statistics, optimiser steps, inference; each to 1e-10 of the largest value.
 *
 * What a comparison proves is shown by the other tests here: anything changed on our side is seen.
 * The float tables are judged in test_oracle_float.c.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/oracle.h"
#include "support/rig.h"

static const double rate = 1e-3;
static const char *const policies[] = {"none", "block", "every:2"};
enum { POLICIES = sizeof policies / sizeof *policies };

/* --- Training ------------------------------------------------------------------------------- */

/* Records that PyTorch's trace does not have: layout changes, and the losses (loss/ instead). */
static bool in_trace(const gn_record *r)
{
    return strcmp(r->op->name, "flatten") != 0 && strncmp(r->name, "loss/", 5) != 0;
}

/* The heads' maps are large, and their gradients are left out of the files. */
static bool gradient_in_trace(const gn_record *r)
{
    return in_trace(r) && strncmp(r->name, "policy_conv", 11) != 0 &&
           strncmp(r->name, "value_conv", 10) != 0;
}

/* [N,1] is [N] in the files. */
static gn_shape file_shape(const gn_event *event, gn_value v, const char *name)
{
    const gn_shape shape = gn_program_shape(event->program, v);
    return strcmp(name, "value") == 0 ? gn_shape_of(1, shape.dim[0], 0, 0, 0) : shape;
}

static void compare_stats(oracle *o, const gn_event *event, const gn_record *r)
{
    static const char *const ends[] = {".mean", NULL, ".invstd"};
    for (int j = 1; j < r->nout; j++) {
        char name[128];
        if (ends[j - 1] == NULL)
            continue;
        snprintf(name, sizeof name, "%s%s", r->name, ends[j - 1]);
        oracle_compare(o, "stats", name, gn_program_shape(event->program, r->out[j]),
                       event->places.data[r->out[j]]);
    }
}

/* Forwards, recomputes and backwards of a training step. */
static void watch_training(void *user, const gn_event *event)
{
    oracle *o = user;
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    const gn_shape shape = file_shape(event, r->out[0], r->name);
    if (event->pass == GN_BACKWARD) {
        if (o->eval && gradient_in_trace(r))
            oracle_compare(o, "grad_forward", r->name, shape, event->places.grad[r->out[0]]);
        return;
    }
    if (in_trace(r))
        oracle_compare(o, "forward", r->name, shape, event->places.data[r->out[0]]);
    if (strcmp(r->op->name, "batch_norm") == 0)
        compare_stats(o, event, r);
}

static void compare_losses(oracle *o, const gn_step_result *result)
{
    const gn_shape scalar = {.rank = 0};
    oracle_compare(o, "loss", "policy", scalar, &result->loss_policy);
    oracle_compare(o, "loss", "value", scalar, &result->loss_value);
    oracle_compare(o, "loss", "total", scalar, &result->loss);
}

/* All values of one kind, or their gradients, with a group of the file. */
static void compare_store(oracle *o, const gn_store *store, gn_kind kind, bool gradients,
                          const char *group)
{
    for (int v = 0; v < gn_tape_values(o->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(o->net.tape, v);
        if (info->kind == kind)
            oracle_compare(o, group, info->name, info->shape,
                           gradients ? gn_store_grad(store, v) : gn_store_data(store, v));
    }
}

/* Multiplies the largest element of a parameter or buffer by 1 + 1e-6; of a matrix all elements,
 * as some of them meet only zeros behind a rectifier. */
static void nudge(const oracle *o, const gn_store *store, const char *name)
{
    const gn_value v = gn_tape_find(o->net.tape, name);
    const gn_shape shape = gn_tape_value(o->net.tape, v)->shape;
    double *data = gn_store_data(store, v);
    size_t at = 0;
    for (size_t i = 0; i < gn_shape_count(shape); i++) {
        at = fabs(data[i]) > fabs(data[at]) ? i : at;
        if (shape.rank == 2)
            data[i] *= 1 + 1e-6;
    }
    if (shape.rank != 2)
        data[at] *= 1 + 1e-6;
}

static gn_session *open_session(const oracle *o, const gn_table *table, const char *policy,
                                bool torch_compat)
{
    gn_session_config config = gn_session_default();
    gn_session *s;
    gn_err err = {0};
    config.table = table;
    config.batch = o->batch;
    config.threads = 1;
    config.policy = policy;
    config.torch_compat_bn = torch_compat;
    cr_assert(gn_session_create(&s, &o->net, &config, &err) == GN_OK, "%s", err.text);
    return s;
}

/* One step of a session; the gradients stay in its store.  `nudged`: a name, or NULL. */
static gn_session *train(oracle *o, const char *policy, bool torch_compat, const char *nudged)
{
    gn_session *s = open_session(o, &gn_double, policy, torch_compat);
    gn_step_result result;
    gn_err err = {0};
    oracle_fill(o, gn_session_store(s), &gn_double);
    if (nudged != NULL)
        nudge(o, gn_session_store(s), nudged);
    if (o->trace)
        gn_engine_hook(gn_session_engine(s), watch_training, o);
    cr_assert(gn_session_step(s, o->planes, o->policy, o->value, rate, &result, &err) == GN_OK,
              "%s", err.text);
    compare_losses(o, &result);
    compare_store(o, gn_session_store(s), GN_PARAM, true, "grad");
    compare_store(o, gn_session_store(s), GN_BUFFER, false, "after");
    return s;
}

/* --- The optimiser -------------------------------------------------------------------------- */

/* The file's gradients; where it has only a sketch, ours, which were compared with that, stay. */
static void put_gradients(oracle *o, gn_store *store)
{
    for (int v = 0; v < gn_tape_values(o->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(o->net.tape, v);
        if (info->kind != GN_PARAM || !oracle_has(o, "grad", info->name))
            continue;
        const gn_entry *e = oracle_entry(o, "grad", info->name);
        cr_assert_eq(e->bytes, gn_shape_count(info->shape) * sizeof(double));
        memcpy(gn_store_grad(store, v), e->data, e->bytes);
    }
}

static void reverse_gradients(const oracle *o, gn_store *store)
{
    for (int v = 0; v < gn_tape_values(o->net.tape); v++) {
        double *g = gn_store_grad(store, v);
        const size_t count = gn_shape_count(gn_tape_value(o->net.tape, v)->shape);
        for (size_t i = 0; g != NULL && i < count / 2; i++) {
            const double first = g[i];
            g[i] = g[count - 1 - i];
            g[count - 1 - i] = first;
        }
    }
}

static void take_step(oracle *o, gn_optimizer *optimizer, gn_store *store, const char *group)
{
    gn_optimizer_measure(optimizer, store);
    gn_optimizer_step(optimizer, store, rate);
    compare_store(o, store, GN_PARAM, false, group);
}

/* Steps from the file's parameters with the file's gradients; the second with these reversed, as
 * the first step of AdamW is the same for all betas. */
static void optimise(oracle *o, gn_store *store, const gn_optimizer_config *config)
{
    gn_optimizer *optimizer;
    gn_err err = {0};
    cr_assert(gn_optimizer_create(&optimizer, o->net.tape, &gn_double, config, &err) == GN_OK,
              "%s", err.text);
    oracle_fill(o, store, &gn_double);
    put_gradients(o, store);
    take_step(o, optimizer, store, "after");
    if (o->second_step) {
        reverse_gradients(o, store);
        take_step(o, optimizer, store, "after2");
    }
    gn_optimizer_destroy(optimizer);
}

/* --- Inference ------------------------------------------------------------------------------ */

static void watch_inference(void *user, const gn_event *event)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    if (in_trace(r))
        oracle_compare(user, "eval_forward", r->name, file_shape(event, r->out[0], r->name),
                       event->places.data[r->out[0]]);
}

static void infer(oracle *o, const char *nudged)
{
    rig r = rig_open(o->net.config, &gn_double, o->batch, 1, "inference");
    const samples s = {o->planes, (float *)o->policy, (float *)o->value};
    oracle_fill(o, r.store, &gn_double);
    if (nudged != NULL)
        nudge(o, r.store, nudged);
    rig_feed(&r, &s);
    gn_engine_hook(r.engine, watch_inference, o);
    rig_run(&r);
    rig_close(&r);
}

/* --- The counters of batch norms ------------------------------------------------------------ */

static int64_t count_of(oracle *o, const char *group, const char *name)
{
    const gn_entry *e = oracle_entry(o, group, name);
    cr_assert(e != NULL && e->type == GN_I64 && e->rank == 0, "%s/%s", group, name);
    return *(const int64_t *)e->data;
}

/* A step of the float table writes a model file; its num_batches_tracked are PyTorch's.  Leaves
 * the repository for a folder of its own. */
static void compare_counters(oracle *o, const char *policy, bool torch_compat)
{
    gn_session *s = open_session(o, &gn_plain, policy, torch_compat);
    gn_step_result result;
    gn_reader *model;
    gn_err err = {0};
    folder_enter();
    oracle_fill(o, gn_session_store(s), &gn_plain);
    const uint64_t before = (uint64_t)count_of(o, "buffer", "input_conv.1.num_batches_tracked");
    gn_status st = gn_model_save("model", &o->net, gn_session_store(s),
                                 (gn_tracked){before, before}, &err);
    if (st == GN_OK) st = gn_session_load(s, "model", &err);
    if (st == GN_OK)
        st = gn_session_step(s, o->planes, o->policy, o->value, rate, &result, &err);
    if (st == GN_OK) st = gn_session_save(s, "model", &err);
    if (st == GN_OK) st = gn_reader_open(&model, "model", &err);
    cr_assert(st == GN_OK, "%s", err.text);
    for (size_t i = 0; i < gn_reader_count(model); i++) {
        const gn_entry *e = gn_reader_at(model, i);
        if (e->type != GN_I64)
            continue;
        cr_assert_eq(count_of(o, "buffer", e->name), (int64_t)before);
        if (count_of(o, "after", e->name) != *(const int64_t *)e->data)
            oracle_fault(o, "after/%s: got %lld", e->name, (long long)*(const int64_t *)e->data);
    }
    gn_reader_close(model);
    gn_session_destroy(s);
    folder_leave();
}

/* --- Agreement ------------------------------------------------------------------------------ */

struct subject {
    int file, policy;
};

ParameterizedTestParameters(oracle, agrees_with_pytorch)
{
    static struct subject all[ORACLE_FILES * POLICIES];
    size_t count = 0;
    for (int i = 0; i < ORACLE_FILES * POLICIES; i++) {
        const struct subject s = {i / POLICIES, i % POLICIES};
        /* Where nothing is recomputed nothing is updated twice. */
        if (s.policy != 0 || strncmp(oracle_files[s.file], "checkpoint", 10) != 0)
            all[count++] = s;
    }
    return cr_make_param_array(struct subject, all, count);
}

ParameterizedTest(struct subject *subject, oracle, agrees_with_pytorch)
{
    oracle o = oracle_open(oracle_files[subject->file]);
    const char *policy = policies[subject->policy];
    const gn_optimizer_config adamw = gn_optimizer_default();
    gn_session *s = train(&o, policy, o.checkpoint, NULL);
    optimise(&o, gn_session_store(s), &adamw);
    gn_session_destroy(s);
    if (o.eval)
        infer(&o, NULL);
    compare_counters(&o, policy, o.checkpoint);
    oracle_expect_all_used(&o);
    cr_assert(o.faults == 0, "%s, policy %s: %zu faults, first %s", oracle_files[subject->file],
              policy, o.faults, o.first);
    oracle_close(&o);
}

/* --- The comparison sees what it should ------------------------------------------------------ */

static void expect_seen(oracle *o, const char *what)
{
    cr_assert(o->faults > 0, "%s was not seen", what);
    o->faults = 0;
}

Test(oracle, sees_a_millionth_in_any_parameter_or_buffer)
{
    oracle o = oracle_open("separable_7x7_c5_b1");
    for (int v = 0; v < gn_tape_values(o.net.tape); v++) {
        const gn_value_info *info = gn_tape_value(o.net.tape, v);
        if (info->kind != GN_PARAM && info->kind != GN_BUFFER)
            continue;
        gn_session_destroy(train(&o, "none", false, info->name));
        expect_seen(&o, info->name);
        infer(&o, info->name);
        expect_seen(&o, info->name);
    }
    oracle_close(&o);
}

Test(oracle, sees_another_optimiser)
{
    oracle o = oracle_open("dense_5x5_c3_b2");
    gn_session *s = train(&o, "none", false, NULL);
    cr_assert_eq(o.faults, 0, "%s", o.first);
    gn_optimizer_config wrong[6];
    for (int i = 0; i < 6; i++)
        wrong[i] = gn_optimizer_default();
    wrong[0].beta1 = 0.91;
    wrong[1].beta2 = 0.998;
    wrong[2].eps = 2e-8;
    wrong[3].weight_decay = 1.01e-4;
    wrong[4].clip = 1.01;
    wrong[5].kind = GN_SGD;
    for (int i = 0; i < 6; i++) {
        char what[32];
        snprintf(what, sizeof what, "wrong setting %d", i);
        optimise(&o, gn_session_store(s), &wrong[i]);
        expect_seen(&o, what);
    }
    gn_session_destroy(s);
    oracle_close(&o);
}

/* PyTorch's checkpointing updates the running statistics of blocks twice (pytorch#96136). */
Test(oracle, sees_one_update_where_pytorch_makes_two)
{
    oracle o = oracle_open("checkpoint_5x5_c2_b3");
    gn_session_destroy(train(&o, "block", false, NULL));
    cr_assert(strncmp(o.first, "after/blocks.0.conv1.bn.running_mean", 36) == 0, "%s", o.first);
    cr_assert_eq(o.faults, 12, "%zu: two statistics of two batch norms of three blocks", o.faults);
    o.faults = 0;
    compare_counters(&o, "block", false);
    cr_assert_eq(o.faults, 6, "%zu counters", o.faults);
    oracle_close(&o);
}

Test(oracle, sees_a_tensor_too_many)
{
    oracle o = oracle_open("dense_5x5_c3_b2");
    oracle_expect_all_used(&o);
    expect_seen(&o, "an unused tensor");
    const double nothing = 0;
    oracle_compare(&o, "forward", "blocks.9", (gn_shape){.rank = 0}, &nothing);
    expect_seen(&o, "a missing tensor");
    oracle_close(&o);
}
