/* Networks that nobody would draw: random records with skips over any distance, in random stages.
 * Under every schedule, poisoned memory and all, they must give the true gradients, and use the
 * memory that was predicted.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "support/check.h"
#include "support/truth.h"

enum { SIZE = 3, CHANNELS = 2, BATCH = 3, MAPS = 40, TAPES = 100 };

/* A tape in the making: all maps so far have one shape, so any op may read any of them. */
typedef struct draft {
    gn_tape *tape;
    gn_value map[MAPS + 3]; /* a span has as many inside */
    int maps;
    uint64_t seed, drawn;
    bool spans; /* many records in the order of a residual block's */
} draft;

static uint32_t below(draft *d, uint32_t bound)
{
    return gn_random_below(d->seed, 77, d->drawn++, bound);
}

/* Mostly a near one, sometimes any. */
static gn_value some_map(draft *d)
{
    const uint32_t maps = (uint32_t)d->maps, near = maps < 3 ? maps : 3;
    return below(d, 6) > 0 ? d->map[maps - 1 - below(d, near)] : d->map[below(d, maps)];
}

static gn_value param(draft *d, const char *name, const char *what, gn_shape shape)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", name, what);
    return gn_tape_param(d->tape, full, shape, GN_UNIFORM, 2);
}

static gn_value gated(draft *d, const char *name, gn_value x)
{
    char part[2][64];
    snprintf(part[0], sizeof part[0], "%s.mean", name);
    snprintf(part[1], sizeof part[1], "%s.gate", name);
    gn_value gate = gn_tape_global_avg_pool(d->tape, part[0], x);
    gate = gn_tape_sigmoid(d->tape, part[1], gate);
    if (below(d, 2) == 0)
        gn_tape_pin(d->tape, gate);
    return gn_tape_channel_scale(d->tape, name, some_map(d), gate);
}

static gn_value normalised(draft *d, const char *name, gn_value x)
{
    const gn_shape c = gn_shape_of(1, CHANNELS, 0, 0, 0);
    char part[2][64];
    snprintf(part[0], sizeof part[0], "%s.mean", name);
    snprintf(part[1], sizeof part[1], "%s.var", name);
    return gn_tape_batch_norm(d->tape, name, x, param(d, name, "weight", c),
                              param(d, name, "bias", c),
                              gn_tape_buffer(d->tape, part[0], c, GN_ZEROS),
                              gn_tape_buffer(d->tape, part[1], c, GN_ONES), 1e-5);
}

/* From the batch norm on. */
static gn_value tail(draft *d, const char *name, gn_value b)
{
    gn_tape *t = d->tape;
    const gn_shape square = gn_shape_of(2, CHANNELS, CHANNELS, 0, 0);
    char part[6][64];
    for (int i = 0; i < 6; i++)
        snprintf(part[i], sizeof part[i], "%s.se%d", name, i);
    const gn_value skip = some_map(d), w = param(d, name, "w1", square);
    const gn_value mean = gn_tape_global_avg_pool(t, part[0], b);
    const gn_value hidden =
        gn_tape_relu(t, part[1], gn_tape_linear(t, part[2], mean, w, GN_NONE));
    const gn_value u = below(d, 12) == 0 ? w : param(d, name, "w2", square);
    const gn_value gate =
        gn_tape_sigmoid(t, part[3], gn_tape_linear(t, part[4], hidden, u, GN_NONE));
    const gn_value small[] = {mean, hidden, gate};
    for (int i = 0; i < 3; i++)
        if (below(d, 12) > 0)
            gn_tape_pin(t, small[i]);
    const gn_value y = gn_tape_channel_scale(t, part[5], b, gate);
    snprintf(part[0], sizeof part[0], "%s.add", name);
    return gn_tape_relu(t, name, gn_tape_add(t, part[0], y, skip));
}

/* What a table may compute as one: some of it, and read again by anybody, pinned, or cut in two by
 * a stage. */
static gn_value span(draft *d, const char *name)
{
    gn_tape *t = d->tape;
    char part[6][64];
    for (int i = 0; i < 6; i++)
        snprintf(part[i], sizeof part[i], "%s.%d", name, i);
    gn_value x = some_map(d);
    const bool norm = below(d, 4) > 0;
    if (norm)
        d->map[d->maps++] = x = normalised(d, part[0], x);
    if (norm && below(d, 2) == 0)
        return tail(d, name, x);
    if (norm)
        d->map[d->maps++] = x = gn_tape_relu(t, part[1], x);
    if (below(d, 12) == 0)
        gn_tape_pin(t, x);
    if (below(d, 12) == 0)
        gn_tape_stage(t, part[2]);
    if (norm && below(d, 2) == 0)
        return gn_tape_conv2d(t, name, x,
                              param(d, name, "weight", gn_shape_of(4, CHANNELS, CHANNELS, 3, 3)));
    d->map[d->maps++] = x = gn_tape_depthwise_conv2d(
        t, part[3], x, param(d, name, "taps", gn_shape_of(4, CHANNELS, 1, 3, 3)));
    return gn_tape_conv2d(t, name, x,
                          param(d, name, "weight", gn_shape_of(4, CHANNELS, CHANNELS, 1, 1)));
}

static gn_value random_op(draft *d, const char *name)
{
    gn_tape *t = d->tape;
    if (d->spans && below(d, 2) == 0)
        return span(d, name);
    const gn_value x = some_map(d);
    switch (below(d, 8)) {
    case 0: return gn_tape_relu(t, name, x);
    case 1: return gn_tape_sigmoid(t, name, x);
    case 2: return gn_tape_tanh(t, name, x);
    case 3: return gated(d, name, x);
    case 4: return normalised(d, name, x);
    case 5:
        return gn_tape_conv2d(t, name, x,
                              param(d, name, "weight", gn_shape_of(4, CHANNELS, CHANNELS, 3, 3)));
    default: return gn_tape_add(t, name, x, some_map(d));
    }
}

/* A loss of all that the last maps hold; earlier ones may end nowhere. */
static void finish(draft *d)
{
    gn_tape *t = d->tape;
    const size_t features = SIZE * SIZE * CHANNELS;
    gn_value y = gn_tape_add(t, "both", d->map[d->maps - 1], some_map(d));
    y = gn_tape_flatten(t, "flat", y);
    y = gn_tape_linear(t, "out", y, param(d, "out", "weight", gn_shape_of(2, 1, features, 0, 0)),
                       GN_NONE);
    gn_tape_loss(t, gn_tape_mean_squared_error(t, "loss", y, gn_tape_find(t, "z")));
}

static draft draw(uint64_t seed, bool spans)
{
    draft d = {.seed = seed, .spans = spans};
    gn_err err = {0};
    cr_assert_eq(gn_tape_create(&d.tape, NULL), GN_OK);
    d.map[d.maps++] = gn_tape_input(d.tape, "x", gn_shape_of(4, GN_BATCH, SIZE, SIZE, CHANNELS));
    gn_tape_input(d.tape, "z", gn_shape_of(1, GN_BATCH, 0, 0, 0));
    gn_tape_stage(d.tape, "0");
    for (char name[16]; d.maps < MAPS - (int)below(&d, 8);) {
        snprintf(name, sizeof name, "%d", gn_tape_stages(d.tape));
        if (below(&d, 6) == 0)
            gn_tape_stage(d.tape, name);
        snprintf(name, sizeof name, "op%d", d.maps);
        const gn_value y = random_op(&d, name);
        d.map[d.maps++] = y;
    }
    finish(&d);
    cr_assert(gn_tape_check(d.tape, &err) == GN_OK, "seed %d: %s", (int)seed, err.text);
    return d;
}

static void feed(const gn_engine *e, const gn_tape *t)
{
    float x[BATCH * SIZE * SIZE * CHANNELS], z[BATCH];
    seeded_fill(x, BATCH * SIZE * SIZE * CHANNELS, 1, -1, 1);
    seeded_fill(z, BATCH, 2, -1, 1);
    gn_engine_feed(e, gn_tape_find(t, "x"), x);
    gn_engine_feed(e, gn_tape_find(t, "z"), z);
}

/* Adds up what is held when backward begins: what a hook is told is there, in whole lines, and the
 * gradient of the loss.  Independent of the arena. */
static void add_up(void *user, const gn_event *event)
{
    size_t *saved = user;
    if (*saved > 0 || event->pass != GN_BACKWARD)
        return;
    const gn_tape *tape = gn_program_tape(event->program);
    *saved = 64;
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const gn_kind kind = gn_tape_value(tape, v)->kind;
        if (event->places.data[v] != NULL && kind != GN_PARAM && kind != GN_BUFFER)
            *saved += (gn_program_bytes(event->program, v) + 63) / 64 * 64;
    }
}

/* Two runs with poisoned memory against the truth, which is `plain` by hand; returns how many stages
 * ran forward again. */
static int run_twice(gn_engine *e, const gn_program *p, const gn_program *plain,
                     const gn_store *store, const char *policy, int seed)
{
    const gn_tape *tape = gn_program_tape(p);
    gn_err err = {0};
    size_t saved = 0;
    int again = 0;
    feed(e, tape);
    truth t = truth_open(e, plain);
    gn_engine_debug(e, true);
    gn_engine_hook(e, add_up, &saved);
    for (int run = 0; run < 2; run++) {
        feed(e, tape);
        cr_assert(gn_engine_run(e, &err) == GN_OK, "seed %d, %s: %s", seed, policy, err.text);
        truth_gradients(&t, plain, store);
    }
    for (int stage = 0; stage < gn_tape_stages(tape); stage++)
        again += gn_engine_forward_runs(e, stage) > 1;
    cr_assert_eq(gn_engine_measured(e).peak, gn_engine_predicted(e).peak, "seed %d", seed);
    cr_assert_eq(gn_engine_measured(e).saved, saved, "seed %d, %s", seed, policy);
    cr_assert_eq(gn_engine_predicted(e).saved, saved, "seed %d, %s", seed, policy);
    truth_close(&t);
    return again;
}

/* Whether the schedule could run at all: a long skip may be dropped before its last reader.
 * again: the stages that ran forward twice. */
static bool try_policy(const gn_program *p, const gn_program *plain, const char *policy, int seed,
                       int *again)
{
    const gn_tape *tape = gn_program_tape(p);
    gn_schedule s;
    gn_store *store;
    gn_pool *pool;
    gn_engine *e;
    gn_err err = {0};
    cr_assert_eq(gn_schedule_create(&s, policy, gn_tape_stages(tape), &err), GN_OK);
    cr_assert_eq(gn_store_create(&store, tape, &gn_plain, true, &err), GN_OK);
    cr_assert_eq(gn_pool_create(&pool, &err), GN_OK);
    gn_store_init(store, 5);
    const gn_status st = gn_engine_create(&e, p, &s, store, pool, &err);
    cr_assert(st == GN_OK || (st == GN_E_CONFIG && s.name[0] == 'e'), "seed %d, %s: %s", seed,
              policy, err.text);
    if (st == GN_OK)
        *again += run_twice(e, p, plain, store, policy, seed);
    gn_engine_destroy(e);
    gn_pool_destroy(pool);
    gn_store_destroy(store);
    gn_schedule_free(&s);
    return st == GN_OK;
}

Test(random_tapes, every_schedule_gives_the_true_gradients)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2", "every:3"};
    int ran[5] = {0}, again[5] = {0};
    for (int seed = 0; seed < TAPES; seed++) {
        draft d = draw((uint64_t)seed, false);
        gn_program *p;
        gn_err err = {0};
        cr_assert(gn_program_bind(&p, d.tape, &gn_plain, BATCH, 1, true, &err) == GN_OK, "%s",
                  err.text);
        for (int i = 0; i < 5; i++)
            ran[i] += try_policy(p, p, policies[i], seed, &again[i]);
        gn_program_destroy(p);
        gn_tape_destroy(d.tape);
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ran[i], TAPES, "%s: %d", policies[i], ran[i]);
    cr_assert_eq(again[0], 0);
    cr_assert(again[1] > TAPES && again[2] > TAPES, "%d, %d stages ran again", again[1], again[2]);
    cr_assert(ran[3] > TAPES / 6 && ran[4] > TAPES / 6, "%d, %d", ran[3], ran[4]);
}

/* How many records of a fused tape are spans. */
static int count_spans(const gn_tape *tape)
{
    int spans = 0;
    for (int k = 0; k < gn_tape_records(tape); k++)
        spans += gn_tape_record_at(tape, k)->op->parts > 0;
    return spans;
}

Test(random_tapes, fused_or_not_the_true_gradients)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2"};
    int spans = 0, again = 0, ran = 0;
    for (int seed = 0; seed < TAPES; seed++) {
        draft d = draw((uint64_t)seed, true);
        const gn_table *table = gn_table_float((size_t)seed % 4 == 0); /* sometimes the next */
        gn_program *p, *plain;
        gn_err err = {0};
        cr_assert(gn_program_bind(&plain, d.tape, &gn_plain, BATCH, 1, true, &err) == GN_OK, "%s",
                  err.text);
        cr_assert(gn_program_fuse(&p, d.tape, table != NULL ? table : &gn_plain, BATCH,
                                  1 + seed % 3, true, &err) == GN_OK, "%s", err.text);
        spans += count_spans(gn_program_tape(p));
        for (int i = 0; i < 4; i++)
            ran += try_policy(p, plain, policies[i], seed, &again);
        gn_program_destroy(p);
        gn_program_destroy(plain);
        gn_tape_destroy(d.tape);
    }
    cr_assert_geq(ran, 3 * TAPES);
    if (gn_table_fast() != &gn_plain)
        cr_assert_gt(spans, 2 * TAPES, "%d spans", spans);
}
