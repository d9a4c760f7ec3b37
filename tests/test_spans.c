/* Fused programs give the bits of unfused ones: every table, policy and team against the plain ops,
 * on networks of odd sizes and numbers of every kind; and they need less memory.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"
#include "support/truth.h"

static const char *const policies[] = {"none", "cheap", "block", "every:2"};
enum { POLICIES = sizeof policies / sizeof *policies, PLANES = 5 };

/* What is fed, and what the weights are. */
typedef enum kind { USUAL, DENORMAL, HUGE_WEIGHTS, NAN_TARGET, NAN_PLANES, KINDS } kind;

typedef struct network {
    gn_net_config config;
    size_t batch;
    kind kind;
    bool training;
} network;

static size_t spans_of(const gn_tape *tape)
{
    size_t spans = 0;
    for (int k = 0; k < gn_tape_records(tape); k++)
        spans += gn_tape_record_at(tape, k)->op->parts > 0;
    return spans;
}

/* Convolutions' weights: the range in which their outputs are denormals, or overflow. */
static void scale_weights(const rig *r, float by)
{
    const gn_tape *tape = r->net.tape;
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const gn_value_info *info = gn_tape_value(tape, v);
        float *weight = gn_store_data(r->store, v);
        for (size_t i = 0; info->shape.rank == 4 && info->kind == GN_PARAM &&
                           i < gn_shape_count(info->shape); i++)
            weight[i] *= by;
    }
}

/* The network's numbers and the batch, the same ones for every program that runs it. */
static void prepare(const rig *r, const network *n)
{
    samples x = samples_make(&n->config, n->batch, 3);
    const size_t cells = (size_t)n->config.board_size * (size_t)n->config.board_size;
    const size_t last = (n->batch - 1) * cells * PLANES; /* the last image's first square */
    if (n->kind == DENORMAL)
        scale_weights(r, 1e-21f);
    if (n->kind == HUGE_WEIGHTS)
        scale_weights(r, 3e18f);
    if (n->kind == NAN_TARGET)
        x.policy[0] = INFINITY;
    if (n->kind == NAN_TARGET)
        x.value[n->batch - 1] = NAN; /* no target: no gradient from it */
    if (n->kind == NAN_PLANES) {
        x.planes[last] = NAN;
        x.planes[last + PLANES] = -INFINITY;
        x.planes[last + 2 * PLANES] = 1e-41f;
    }
    rig_feed(r, &x);
    samples_free(&x);
}

/* What the caller reads when the run is over. */
static void pinned_values(const char *run, const rig *r, const truth *t)
{
    const gn_tape *tape = gn_program_tape(r->program);
    for (int v = 0; v < gn_tape_values(tape); v++) {
        char name[256];
        snprintf(name, sizeof name, "%s: %s after the run", run, gn_tape_value(tape, v)->name);
        if (gn_tape_value(tape, v)->pinned)
            same_bits(name, gn_engine_data(r->engine, v), t->data[v],
                      gn_shape_count(gn_program_shape(r->program, v)));
    }
}

static void run_fused(const network *n, const gn_table *table, int threads, const char *policy,
                      const truth *t)
{
    char run[128];
    const gn_net_config c = n->config;
    snprintf(run, sizeof run, "%s %dx%d on %dx%d, batch %zu, kind %d, %s, %d threads, %s",
             c.conv == GN_DENSE ? "dense" : "separable", c.num_blocks, c.channels, c.board_size,
             c.board_size, n->batch, (int)n->kind, table->name, threads, policy);
    rig r = rig_open_fused(c, table, n->batch, threads, policy);
    const size_t block = c.conv == GN_DENSE ? 2 : 3;
    cr_assert_eq(spans_of(gn_program_tape(r.program)), block * (size_t)c.num_blocks, "%s", run);
    truth_watch w = {.truth = t, .run = run};
    prepare(&r, n);
    cr_assert(gn_engine_debug(r.engine, n->kind == USUAL || n->kind == DENORMAL));
    gn_engine_hook(r.engine, truth_compare, &w);
    rig_run(&r);
    cr_assert_eq((int)w.seen[GN_FORWARD], gn_tape_records(gn_program_tape(r.program)));
    cr_assert_eq(w.seen[GN_BACKWARD] > 0, n->training, "%s", run);
    pinned_values(run, &r, t);
    if (n->training)
        truth_gradients(t, r.program, r.store);
    rig_close(&r);
}

/* Every policy with the fastest table; with the others, which may have no hardware fma, one. */
static void every_program(const network *n, int turn)
{
    rig plain = rig_open(n->config, &gn_plain, n->batch, 1, n->training ? "none" : "inference");
    prepare(&plain, n);
    truth t = truth_open(plain.engine, plain.program);
    int threads = turn;
    for (size_t i = 0; gn_table_float(i)->under != NULL; i++) /* plain has no spans */
        for (int k = 0; k < (n->training && i == 0 ? POLICIES : 1); k++, threads++)
            run_fused(n, gn_table_float(i), 1 + threads % 3,
                      n->training ? policies[(turn + k) % POLICIES] : "inference", &t);
    truth_close(&t);
    rig_close(&plain);
}

/* The lists' lengths have no common divisor, so that all pairs of choices come up. */
static void networks(gn_conv conv, int count, bool training)
{
    static const int channels[] = {5, 17, 1, 33, 16}, sizes[] = {5, 6, 7, 8, 9, 10, 11};
    static const size_t batches[] = {1, 2, 3, 8, 9, 24};
    for (int i = 0; i < count; i++) {
        const size_t batch = batches[(i + i / 6) % 6];
        const bool large = batch > 3 && channels[i % 5] > 5;
        const network n = {small_net(large ? 5 : sizes[i % 7], large ? 1 : 1 + i % 3,
                                     channels[i % 5], conv),
                           batch, (kind)((i + i / 5) % KINDS), training};
        every_program(&n, i);
    }
}

Test(spans, same_bits_in_training_dense)
{
    networks(GN_DENSE, 20, true);
}

Test(spans, same_bits_in_training_separable)
{
    networks(GN_SEPARABLE, 20, true);
}

Test(spans, same_bits_in_inference)
{
    networks(GN_DENSE, 15, false);
    networks(GN_SEPARABLE, 15, false);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static gn_usage usage_of(const gn_net_config *config, const gn_table *table, const char *policy,
                         bool fused)
{
    rig r = (fused ? rig_open_fused : rig_open)(*config, table, 9, 2, policy);
    const gn_usage usage = gn_engine_predicted(r.engine);
    samples x = samples_make(config, 9, 1);
    rig_feed(&r, &x);
    rig_run(&r);
    cr_assert_eq(gn_engine_measured(r.engine).peak, usage.peak);
    cr_assert_eq(gn_engine_measured(r.engine).saved, usage.saved);
    samples_free(&x);
    rig_close(&r);
    return usage;
}

/* Between a span's ends nothing is stored: to keep everything is to keep what "cheap" keeps, and
 * without its recomputing. */
Test(spans, to_keep_everything_is_to_keep_what_is_dear)
{
    for (int conv = 0; conv < 2; conv++) {
        const gn_net_config config = small_net(7, 4, 33, (gn_conv)conv);
        for (size_t i = 0; gn_table_float(i)->under != NULL; i++) {
            const gn_table *table = gn_table_float(i);
            const size_t dear = usage_of(&config, table, "cheap", false).saved;
            const gn_usage none = usage_of(&config, table, "none", true);
            cr_assert_leq(none.saved, dear, "%s", table->name);
            for (int k = 0; k < POLICIES; k++) {
                const gn_usage fused = usage_of(&config, table, policies[k], true);
                const gn_usage apart = usage_of(&config, table, policies[k], false);
                /* Workspace is not saved; beside the maps of so small a network it is large. */
                cr_assert(fused.saved <= apart.saved && (k > 0 || fused.peak < apart.peak),
                          "%s, %s: %zu and %zu bytes fused, %zu and %zu unfused", table->name,
                          policies[k], fused.saved, fused.peak, apart.saved, apart.peak);
            }
        }
    }
}
