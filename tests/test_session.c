/* A training session: steps, masks, bad numbers, running statistics, memory.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/rig.h"

enum { BATCH = 4, SIZE = 5 };

/* A session over a net of 2 blocks with one batch of samples; it must stay where it was opened,
 * since the session borrows the net. */
typedef struct course {
    gn_net net;
    gn_session *session;
    samples x;
} course;

static void course_open(course *c, const char *policy)
{
    const gn_net_config config = small_net(SIZE, 2, 6, GN_DENSE);
    cr_assert_eq(gn_net_create(&c->net, &config, NULL), GN_OK);
    c->session = session_open(&c->net, gn_table_fast(), BATCH, 2, policy);
    c->x = samples_make(&config, BATCH, 8);
}

static void course_close(course *c)
{
    samples_free(&c->x);
    gn_session_destroy(c->session);
    gn_net_destroy(&c->net);
}

static gn_step_result step(const course *c, double rate)
{
    gn_step_result r;
    gn_err err = {0};
    const gn_status st = gn_session_step(c->session, c->x.planes, c->x.policy, c->x.value, rate,
                                         &r, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    return r;
}

static float *data_of(const course *c, const char *name)
{
    const gn_value v = gn_tape_find(c->net.tape, name);
    cr_assert_neq(v, GN_NONE, "%s", name);
    return gn_engine_data(gn_session_engine(c->session), v);
}

/* Parameters and buffers lie in one block, the first parameter first. */
static void *parameters(const course *c, size_t *bytes)
{
    *bytes = gn_store_data_bytes(gn_session_store(c->session));
    return data_of(c, "input_conv.0.weight");
}

/* --- Learning --------------------------------------------------------------------------------- */

Test(session, the_loss_falls)
{
    for (int i = 0; i < 2; i++) {
        course c;
        course_open(&c, i == 0 ? "none" : "block");
        const gn_step_result first = step(&c, 0.01);
        gn_step_result last = first;
        for (int n = 1; n < 30; n++)
            last = step(&c, 0.01);
        cr_assert_lt(last.loss, 0.5 * first.loss, "%g to %g", first.loss, last.loss);
        cr_assert_eq(last.top1, BATCH, "it knows its four positions");
        cr_assert_eq(last.targets, BATCH);
        cr_assert_eq(last.loss, (double)((float)last.loss_policy + (float)last.loss_value));
        course_close(&c);
    }
}

Test(session, gradients_alone_change_nothing)
{
    course c, plain;
    course_open(&c, "block");
    course_open(&plain, "none");
    size_t bytes;
    void *now = parameters(&c, &bytes), *before = malloc(bytes);
    memcpy(before, now, bytes);
    gn_step_result r;
    char a[65], b[65], after[65];
    cr_assert_eq(gn_session_gradients(c.session, c.x.planes, c.x.policy, c.x.value, &r, NULL),
                 GN_OK);
    cr_assert_eq(memcmp(before, now, bytes), 0);
    gn_session_gradient_digest(c.session, a);
    const gn_step_result other = step(&plain, 0.01);
    gn_session_gradient_digest(plain.session, b);
    cr_assert_str_eq(a, b, "the same gradients, with and without checkpointing");
    cr_assert(r.loss == other.loss && r.grad_norm == other.grad_norm);
    step(&plain, 0.01);
    gn_session_gradient_digest(plain.session, after);
    cr_assert_str_neq(a, after);
    free(before);
    course_close(&c);
    course_close(&plain);
}

Test(session, the_digest_sees_every_gradient)
{
    course c;
    course_open(&c, "block");
    char before[65], after[65];
    step(&c, 0.01);
    gn_session_gradient_digest(c.session, before);
    for (int v = 0; v < gn_tape_values(c.net.tape); v++) {
        unsigned char *grad = gn_store_grad(gn_session_store(c.session), v);
        if (grad == NULL)
            continue;
        grad[0] ^= 1;
        gn_session_gradient_digest(c.session, after);
        cr_assert_str_neq(after, before, "%s", gn_tape_value(c.net.tape, v)->name);
        grad[0] ^= 1;
    }
    gn_session_gradient_digest(c.session, after);
    cr_assert_str_eq(after, before);
    course_close(&c);
}

Test(session, a_saved_model_goes_on, .init = folder_enter, .fini = folder_leave)
{
    course c, d;
    course_open(&c, "none");
    course_open(&d, "none");
    gn_err err = {0};
    size_t bytes;
    step(&c, 0.01);
    cr_assert_eq(gn_session_save(c.session, "m.safetensors", &err), GN_OK, "%s", err.text);
    cr_assert_eq(gn_session_load(d.session, "m.safetensors", &err), GN_OK, "%s", err.text);
    const float *x = parameters(&c, &bytes);
    same_bits("parameters", parameters(&d, &bytes), x, bytes / sizeof(float));
    course_close(&c);
    course_close(&d);
}

/* --- Targets ---------------------------------------------------------------------------------- */

Test(session, positions_without_targets_are_masked)
{
    course c;
    course_open(&c, "none");
    c.x.value[1] = c.x.value[3] = NAN;
    memset(c.x.policy + 2 * SIZE * SIZE, 0, SIZE * SIZE * sizeof(float));
    gn_step_result r;
    cr_assert_eq(gn_session_gradients(c.session, c.x.planes, c.x.policy, c.x.value, &r, NULL),
                 GN_OK);
    const float *v = data_of(&c, "value");
    const float d0 = v[0] - c.x.value[0], d2 = v[2] - c.x.value[2];
    cr_assert_eq(r.loss_value, (double)((d0 * d0 + d2 * d2) / 2));
    cr_assert_eq(r.targets, BATCH - 1);
    cr_assert(r.grad_norm > 0 && r.grad_norm < 1000);
    for (int n = 0; n < BATCH; n++)
        c.x.value[n] = NAN;
    memset(c.x.policy, 0, BATCH * SIZE * SIZE * sizeof(float));
    const gn_step_result none = step(&c, 0.01);
    cr_assert(none.loss == 0 && none.grad_norm == 0 && none.targets == 0 && none.top1 == 0);
    course_close(&c);
}

/* --- Numbers that are none -------------------------------------------------------------------- */

static void step_fails(const course *c, const char *part)
{
    gn_step_result r;
    gn_err err = {0};
    size_t bytes;
    void *now = parameters(c, &bytes), *before = malloc(bytes);
    memcpy(before, now, bytes);
    cr_assert_eq(gn_session_step(c->session, c->x.planes, c->x.policy, c->x.value, 0.01, &r, &err),
                 GN_E_NUMERIC);
    cr_assert_not_null(strstr(err.text, part), "\"%s\" does not say \"%s\"", err.text, part);
    cr_assert_eq(memcmp(before, now, bytes), 0, "the parameters are as before");
    free(before);
}

Test(session, the_first_bad_tensor_is_named)
{
    static const char *const names[] = {"blocks.1.conv2.conv.weight", "blocks.0.conv1.bn.bias",
                                        "policy_fc.bias", "value_fc.2.weight"};
    static const char *const policies[] = {"none", "block"};
    for (int i = 0; i < 8; i++) {
        course c;
        course_open(&c, policies[i % 2]);
        float *x = data_of(&c, names[i / 2]), old = *x;
        step(&c, 0.01);
        *x = i % 3 == 0 ? INFINITY : NAN;
        char part[96];
        snprintf(part, sizeof part, "that is not finite is %s", names[i / 2]);
        step_fails(&c, part);
        *x = old; /* and it goes on */
        step(&c, 0.01);
        course_close(&c);
    }
}

/* What overflows is computed inside a span, where it is never stored. */
Test(session, a_bad_tensor_inside_a_span_is_named)
{
    static const char *const scales[] = {"blocks.1.conv1.bn.weight", "blocks.0.conv2.bn.weight"};
    static const char *const policies[] = {"none", "block"};
    for (int i = 0; i < 4; i++) {
        course c;
        course_open(&c, policies[i % 2]);
        float *x = data_of(&c, scales[i / 2]), old = *x;
        char part[96];
        snprintf(part, sizeof part, "that is not finite is %s", scales[i / 2]);
        *strstr(part, ".weight") = '\0';
        *x = 3e38f;
        step_fails(&c, part);
        *x = old;
        step(&c, 0.01);
        course_close(&c);
    }
}

Test(session, bad_input_and_overflow_are_named)
{
    course c;
    course_open(&c, "block");
    float *x = &c.x.planes[17], old = *x;
    *x = NAN;
    step_fails(&c, "that is not finite is input/planes");
    *x = old;
    old = c.x.value[0];
    c.x.value[0] = INFINITY;
    c.x.value[1] = NAN; /* no target: not what is bad */
    step_fails(&c, "that is not finite is loss/value");
    c.x.value[0] = old;
    x = data_of(&c, "policy_fc.weight");
    for (int i = 0; i < SIZE * SIZE * 32 * SIZE * SIZE; i++)
        x[i] *= 1e30f;
    step_fails(&c, "every gradient is finite, but the sum of their squares is not");
    course_close(&c);
}

/* --- Running statistics ----------------------------------------------------------------------- */

/* One update by hand: k * batch + (1 - k) * running, with the contract's fma. */
static void update_by_hand(const course *c, const char *name, float *mean, float *var,
                           size_t channels)
{
    char batch[2][64];
    snprintf(batch[0], sizeof batch[0], "%s:1", name);
    snprintf(batch[1], sizeof batch[1], "%s:2", name);
    const float *m = data_of(c, batch[0]), *m2 = data_of(c, batch[1]);
    for (size_t i = 0; i < channels; i++) {
        mean[i] = gn_fmaf(0.1f, m[i], 0.9f * mean[i]);
        var[i] = gn_fmaf(0.1f, m2[i] / (BATCH * SIZE * SIZE - 1), 0.9f * var[i]);
    }
}

/* After one step of a run whose batch norm `name` updates `times`. */
static void updated(const course *c, const char *name, size_t channels, int times)
{
    float mean[32] = {0}, var[32];
    char full[2][64];
    for (size_t i = 0; i < 32; i++)
        var[i] = 1;
    for (int n = 0; n < times; n++)
        update_by_hand(c, name, mean, var, channels);
    snprintf(full[0], sizeof full[0], "%s.running_mean", name);
    snprintf(full[1], sizeof full[1], "%s.running_var", name);
    same_bits(full[0], data_of(c, full[0]), mean, channels);
    same_bits(full[1], data_of(c, full[1]), var, channels);
}

static void running_statistics(const char *policy, bool compat, int in_blocks)
{
    course c;
    course_open(&c, policy);
    gn_session_config config = gn_session_default();
    config.batch = BATCH;
    config.policy = policy;
    config.torch_compat_bn = compat;
    gn_session_destroy(c.session);
    cr_assert_eq(gn_session_create(&c.session, &c.net, &config, NULL), GN_OK);
    step(&c, 0.01);
    updated(&c, "input_conv.1", 6, 1);
    updated(&c, "blocks.0.conv1.bn", 6, in_blocks);
    updated(&c, "blocks.1.conv2.bn", 6, in_blocks);
    updated(&c, "policy_conv.1", 32, 1);
    updated(&c, "value_conv.1", 16, 1);
    gn_tracked tracked;
    cr_assert_eq(gn_session_save(c.session, "m.safetensors", NULL), GN_OK);
    cr_assert_eq(gn_model_load("m.safetensors", &c.net, gn_session_store(c.session), &tracked,
                               NULL), GN_OK);
    cr_assert(tracked.blocks == (uint64_t)in_blocks && tracked.others == 1);
    course_close(&c);
}

Test(session, running_statistics_are_updated_once, .init = folder_enter, .fini = folder_leave)
{
    running_statistics("none", false, 1);
    running_statistics("block", false, 1);
    running_statistics("every:2", false, 1);
}

Test(session, or_twice_in_blocks_as_pytorch_does, .init = folder_enter, .fini = folder_leave)
{
    running_statistics("block", true, 2);
    running_statistics("none", true, 1); /* nothing is recomputed */
}

static void count(void *user, const gn_event *event)
{
    (void)event;
    ++*(size_t *)user;
}

Test(session, the_search_for_a_bad_number_gives_the_hook_back)
{
    course c;
    course_open(&c, "none");
    size_t events = 0;
    gn_step_result r;
    gn_engine_hook(gn_session_engine(c.session), count, &events);
    const float good = c.x.planes[0];
    c.x.planes[0] = NAN;
    cr_assert_eq(gn_session_step(c.session, c.x.planes, c.x.policy, c.x.value, 0.01, &r, NULL),
                 GN_E_NUMERIC);
    const size_t before = events;
    c.x.planes[0] = good;
    step(&c, 0.01);
    cr_assert_gt(events, before);
    course_close(&c);
}

/* --- Memory and faults ------------------------------------------------------------------------ */

Test(session, memory_is_what_was_predicted)
{
    static const char *const policies[] = {"none", "block", "cheap", "every:2"};
    for (int i = 0; i < 8; i++) {
        course c;
        course_open(&c, "none");
        gn_session_config config = gn_session_default();
        config.batch = BATCH;
        config.threads = 1 + i % 2;
        config.policy = policies[i / 2];
        config.optimizer.kind = i % 2 == 0 ? GN_ADAMW : GN_SGD;
        gn_session_destroy(c.session);
        cr_assert_eq(gn_session_create(&c.session, &c.net, &config, NULL), GN_OK);
        gn_memory want;
        cr_assert_eq(gn_session_predict(&want, &c.net, &config, NULL), GN_OK);
        step(&c, 0.01);
        const gn_memory got = gn_session_memory(c.session);
        cr_assert_eq(memcmp(&got, &want, sizeof got), 0, "%zu, predicted %zu", got.total,
                     want.total);
        cr_assert_eq(got.total, got.parameters + got.gradients + got.optimizer + got.activations);
        cr_assert_eq(got.optimizer, got.gradients * (i % 2 == 0 ? 2 : 1));
        cr_assert(got.saved > 0 && got.saved < got.activations);
        cr_assert_gt(got.parameters, got.gradients, "buffers too");
        course_close(&c);
    }
}

static void refused(const gn_net *net, gn_session_config config, const char *part)
{
    gn_session *s = NULL;
    gn_memory m;
    gn_err err = {0};
    cr_assert_eq(gn_session_create(&s, net, &config, &err), GN_E_CONFIG);
    cr_assert_null(s);
    cr_assert_not_null(strstr(err.text, part), "\"%s\" does not say \"%s\"", err.text, part);
    gn_session_predict(&m, net, &config, NULL);
}

Test(session, faults_are_named)
{
    course c;
    course_open(&c, "none");
    gn_session_config config = gn_session_default();
    config.policy = "every";
    refused(&c.net, config, "checkpoint policy \"every\"");
    config = gn_session_default();
    config.batch = 0;
    refused(&c.net, config, "batch 0");
    config = gn_session_default();
    config.threads = 0;
    refused(&c.net, config, "threads 0");
    config = gn_session_default();
    config.optimizer.beta1 = 2;
    refused(&c.net, config, "optimizer: beta1 2");
    gn_session_destroy(NULL);
    course_close(&c);
}
