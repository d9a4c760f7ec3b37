/* Checkpointing changes no bit, and uses the memory that was predicted, to the byte.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"

enum { SIZE = 5, BLOCKS = 9, CHANNELS = 5, BATCH = 3, STEPS = 3 };

static const char *const policies[] = {"none", "cheap", "block", "every:2", "every:3", "every:7"};
enum { POLICIES = sizeof policies / sizeof *policies };

/* --- The same bits ---------------------------------------------------------------------------- */

/* Everything that a step leaves behind: parameters, buffers, gradients; logits, value, losses and
 * batch statistics, which are pinned. */
static void same_state(const char *run, const gn_net *net, const gn_session *a,
                       const gn_session *b)
{
    for (int v = 0; v < gn_tape_values(net->tape); v++) {
        const gn_value_info *info = gn_tape_value(net->tape, v);
        const size_t count = gn_shape_count(gn_shape_bind(info->shape, BATCH));
        char name[160];
        snprintf(name, sizeof name, "%s: %s", run, info->name);
        if (info->kind != GN_ACTIVATION || info->pinned)
            same_bits(name, gn_engine_data(gn_session_engine(a), v),
                      gn_engine_data(gn_session_engine(b), v), count);
        snprintf(name, sizeof name, "%s: gradient of %s", run, info->name);
        if (info->kind == GN_PARAM)
            same_bits(name, gn_store_grad(gn_session_store(a), v),
                      gn_store_grad(gn_session_store(b), v), count);
    }
}

static void train(gn_session *s, const samples *x, gn_step_result *last)
{
    gn_err err = {0};
    for (int i = 0; i < STEPS; i++) {
        const gn_status st = gn_session_step(s, x[i].planes, x[i].policy, x[i].value, 0.01,
                                             last, &err);
        cr_assert(st == GN_OK, "step %d: %s", i, err.text);
    }
}

static void poison_gradients(const gn_session *s)
{
    const gn_store *store = gn_session_store(s);
    cr_assert_gt(gn_store_grad_bytes(store), 0);
    memset(gn_store_grad(store, 3), 0xff, gn_store_grad_bytes(store)); /* parameter 0 lies first */
}

/* All schedules and 1 to 3 threads of a table against `reference`. */
static void all_runs(const gn_net *net, const gn_table *table, const samples *x,
                     const gn_session *reference, const gn_step_result *expected)
{
    for (int i = 0; i < 3 * POLICIES; i++) {
        char run[64];
        const int threads = 1 + i % 3;
        snprintf(run, sizeof run, "%s, %s, %d threads", table->name, policies[i / 3], threads);
        gn_session *s = session_open(net, table, BATCH, threads, policies[i / 3]);
        poison_gradients(s);
        gn_step_result result;
        train(s, x, &result);
        cr_assert(result.loss == expected->loss && result.grad_norm == expected->grad_norm &&
                  result.top1 == expected->top1, "%s: the results differ", run);
        same_state(run, net, s, reference);
        gn_session_destroy(s);
    }
}

static void same_bits_everywhere(gn_conv conv)
{
    const gn_net_config config = small_net(SIZE, BLOCKS, CHANNELS, conv);
    gn_net net;
    cr_assert_eq(gn_net_create(&net, &config, NULL), GN_OK);
    samples x[STEPS];
    for (int i = 0; i < STEPS; i++)
        x[i] = samples_make(&config, BATCH, 10 + (uint64_t)i);
    gn_session *reference = session_open(&net, &gn_plain, BATCH, 1, "none");
    gn_step_result expected;
    train(reference, x, &expected);
    cr_assert_gt(expected.grad_norm, 0);
    all_runs(&net, &gn_plain, x, reference, &expected);
    all_runs(&net, gn_table_fast(), x, reference, &expected);
    gn_session_destroy(reference);
    for (int i = 0; i < STEPS; i++)
        samples_free(&x[i]);
    gn_net_destroy(&net);
}

Test(checkpoint, same_bits_dense)
{
    same_bits_everywhere(GN_DENSE);
}

Test(checkpoint, same_bits_separable)
{
    same_bits_everywhere(GN_SEPARABLE);
}

Test(checkpoint, acts_in_training_only)
{
    gn_net_config config = small_net(SIZE, BLOCKS, CHANNELS, GN_DENSE);
    const samples x = samples_make(&config, BATCH, 1);
    rig r[2];
    for (int i = 0; i < 2; i++) {
        config.use_checkpoint = i != 0;
        r[i] = rig_open(config, &gn_plain, BATCH, 2, "inference");
        rig_feed(&r[i], &x);
        rig_run(&r[i]);
        for (int s = 0; s < gn_tape_stages(r[i].net.tape); s++)
            cr_assert_eq(gn_engine_forward_runs(r[i].engine, s), 1);
    }
    same_bits("logits", gn_engine_data(r[1].engine, r[1].net.logits),
              gn_engine_data(r[0].engine, r[0].net.logits), BATCH * SIZE * SIZE);
    same_bits("value", gn_engine_data(r[1].engine, r[1].net.value),
              gn_engine_data(r[0].engine, r[0].net.value), BATCH);
    cr_assert_eq(gn_engine_measured(r[0].engine).peak, gn_engine_measured(r[1].engine).peak);
    for (int i = 0; i < 2; i++)
        rig_close(&r[i]);
    samples x2 = x;
    samples_free(&x2);
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* A larger engine on the same pool, so that there is memory behind the peak to look at. */
static void make_slack(const rig *r, size_t batch)
{
    gn_err err = {0};
    gn_program *p;
    gn_engine *e;
    cr_assert_eq(gn_program_bind(&p, r->net.tape, gn_program_table(r->program), batch,
                                 gn_program_threads(r->program),
                                 gn_program_training(r->program), &err), GN_OK);
    cr_assert_eq(gn_engine_create(&e, p, &r->schedule, r->store, r->pool, &err), GN_OK);
    gn_engine_destroy(e);
    gn_program_destroy(p);
}

/* Fills the whole pool with a byte, runs, returns the end of what was changed. */
static size_t touched(const rig *r, const samples *x, int pattern)
{
    unsigned char *memory = rig_memory(r);
    const size_t bytes = gn_pool_bytes(r->pool);
    memset(memory, pattern, bytes);
    rig_feed(r, x);
    rig_run(r);
    size_t end = bytes;
    while (end > 0 && memory[end - 1] == pattern)
        end--;
    return end;
}

static void check_memory(gn_net_config config, const gn_table *table, int threads,
                         const char *policy)
{
    rig r = rig_open(config, table, BATCH, threads, policy);
    samples x = samples_make(&config, BATCH, 2);
    const gn_usage predicted = gn_engine_predicted(r.engine);
    gn_plan plan;
    gn_usage planned;
    cr_assert_eq(gn_plan_create(&plan, r.program, &r.schedule, NULL), GN_OK);
    cr_assert_eq(gn_plan_measure(&plan, &planned, NULL), GN_OK);
    gn_plan_free(&plan);
    cr_assert(planned.peak == predicted.peak && planned.saved == predicted.saved);
    cr_assert_eq(gn_pool_bytes(r.pool), predicted.peak);
    cr_assert_eq(gn_engine_measured(r.engine).peak, 0, "nothing has run yet");

    make_slack(&r, 2 * BATCH);
    cr_assert_gt(gn_pool_bytes(r.pool), predicted.peak);
    const size_t end = touched(&r, &x, 0x5b);
    const gn_usage measured = gn_engine_measured(r.engine);
    cr_assert_eq(measured.peak, predicted.peak);
    cr_assert_eq(measured.saved, predicted.saved);
    cr_assert(end <= predicted.peak && end + 64 > predicted.peak,
              "%s, %s, %d threads: touched %zu bytes, predicted %zu", table->name, policy, threads,
              end, predicted.peak);
    rig_close(&r);
    samples_free(&x);
}

Test(checkpoint, predicted_peak_is_touched_and_nothing_beyond)
{
    static const char *const all[] = {"none",    "cheap",   "block",    "every:2",
                                      "every:3", "every:7", "inference"};
    for (int i = 0; i < 7; i++)
        for (int threads = 1; threads <= 3; threads++)
            for (int conv = 0; conv < 2; conv++) {
                const gn_net_config c = small_net(SIZE, BLOCKS, CHANNELS, (gn_conv)conv);
                check_memory(c, &gn_plain, threads, all[i]);
                check_memory(c, gn_table_fast(), threads, all[i]);
                check_memory(c, &gn_double, threads, all[i]);
            }
}

/* Predicted only: nothing of this size is allocated. */
static gn_memory memory_of(gn_conv conv, bool unfused, const char *policy, double *saved_maps,
                           double *peak_maps)
{
    gn_net_config config = gn_net_default();
    config.conv = conv;
    gn_net net;
    gn_memory m;
    gn_err err = {0};
    gn_session_config session = gn_session_default();
    session.batch = 1024;
    session.threads = 2;
    session.policy = policy;
    session.unfused = unfused;
    cr_assert_eq(gn_net_create(&net, &config, &err), GN_OK);
    cr_assert(gn_session_predict(&m, &net, &session, &err) == GN_OK, "%s", err.text);
    const double map = (double)gn_net_textbook(&config, session.batch).map_bytes;
    *saved_maps = (double)m.saved / map;
    *peak_maps = (double)m.activations / map;
    gn_net_destroy(&net);
    return m;
}

/* kept: maps of a block that its backward reads. */
static void large_network(gn_conv conv, bool unfused, double kept)
{
    double saved[4], peak[4];
    memory_of(conv, unfused, "none", &saved[0], &peak[0]);
    const gn_memory block = memory_of(conv, unfused, "block", &saved[1], &peak[1]);
    memory_of(conv, unfused, "every:2", &saved[2], &peak[2]);
    memory_of(conv, unfused, "cheap", &saved[3], &peak[3]);
    cr_assert(saved[3] > 90 && saved[3] < 90 + 5, "%g maps", saved[3]); /* 3 a block */
    cr_assert(peak[3] < 100, "%g maps", peak[3]);
    cr_assert(saved[0] > 30 * kept && saved[0] < 30 * kept + 4, "%g maps", saved[0]);
    cr_assert(saved[1] > 30 + kept && saved[1] < 30 + kept + 2, "%g maps", saved[1]);
    cr_assert(saved[2] > 15 + 2 * kept && saved[2] < 15 + 2 * kept + 2, "%g maps", saved[2]);
    cr_assert(peak[0] > (kept > 3 ? 4 : 2.5) * peak[1] && peak[1] > peak[2], "%g, %g, %g", peak[0],
              peak[1], peak[2]);
    cr_assert_lt((double)block.total, 7.0 * 0x1p30, "promised: 7.0 GiB resident");
}

Test(checkpoint, memory_of_the_large_network)
{
    large_network(GN_DENSE, false, gn_table_fast() == &gn_plain ? 5 : 3);
    large_network(GN_SEPARABLE, false, gn_table_fast() == &gn_plain ? 7 : 3);
    large_network(GN_DENSE, true, 5);
    large_network(GN_SEPARABLE, true, 7);
}

Test(checkpoint, inference_needs_the_least)
{
    const gn_net_config config = small_net(7, 6, 32, GN_DENSE);
    static const char *const falling[] = {"none", "every:3", "every:2", "inference"};
    size_t peak[4];
    for (int i = 0; i < 4; i++) {
        rig r = rig_open(config, &gn_plain, 32, 1, falling[i]);
        peak[i] = gn_engine_predicted(r.engine).peak;
        rig_close(&r);
    }
    for (int i = 1; i < 4; i++)
        cr_assert_lt(peak[i], peak[i - 1], "%s", falling[i]);
}
