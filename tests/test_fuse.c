/* What gn_tape_fuse fuses, and what it must leave alone: one change each to the tail of a block and
 * to convolutions with what stands before them.  Whatever it decides, the gradients are those of
 * the plain ops.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/truth.h"

enum { SIZE = 4, C = 5, BATCH = 3, CELLS = SIZE * SIZE };

/* --- A tape in the making --------------------------------------------------------------------- */

static gn_tape *tape;

static gn_value weight(const char *name, size_t a, size_t b, size_t k)
{
    const gn_shape s = k > 0 ? gn_shape_of(4, a, b, k, k)
                             : gn_shape_of(b > 0 ? 2 : 1, a, b, 0, 0);
    return gn_tape_param(tape, name, s, GN_UNIFORM, 3);
}

static gn_value norm(const char *name, gn_value x)
{
    const gn_shape c = gn_shape_of(1, C, 0, 0, 0);
    char text[4][32];
    static const char *const what[] = {"gamma", "beta", "mean", "var"};
    for (int i = 0; i < 4; i++)
        snprintf(text[i], sizeof text[i], "%s.%s", name, what[i]);
    return gn_tape_batch_norm(tape, name, x, weight(text[0], C, 0, 0), weight(text[1], C, 0, 0),
                              gn_tape_buffer(tape, text[2], c, GN_ZEROS),
                              gn_tape_buffer(tape, text[3], c, GN_ONES), 1e-5);
}

/* Maps with a gradient to start from. */
static gn_value trained_map(const char *name)
{
    char text[32];
    snprintf(text, sizeof text, "%s.w", name);
    return gn_tape_conv2d(tape, name, gn_tape_find(tape, "x"), weight(text, C, C, 1));
}

static void begin(void)
{
    cr_assert_eq(gn_tape_create(&tape, NULL), GN_OK);
    gn_tape_input(tape, "x", gn_shape_of(4, GN_BATCH, SIZE, SIZE, C));
    gn_tape_input(tape, "z", gn_shape_of(1, GN_BATCH, 0, 0, 0));
    gn_tape_stage(tape, "all");
}

static void end(gn_value y)
{
    gn_err err = {0};
    y = gn_tape_flatten(tape, "flat", y);
    y = gn_tape_linear(tape, "out", y, weight("out.w", 1, CELLS * C, 0), GN_NONE);
    gn_tape_loss(tape, gn_tape_mean_squared_error(tape, "loss", y, gn_tape_find(tape, "z")));
    cr_assert(gn_tape_check(tape, &err) == GN_OK, "%s", err.text);
}

/* --- Running it ------------------------------------------------------------------------------- */

typedef struct runner {
    gn_program *program;
    gn_store *store;
    gn_pool *pool;
    gn_engine *engine;
} runner;

static runner open(const gn_table *table, bool fused)
{
    runner r;
    gn_err err = {0};
    gn_schedule s;
    const gn_status st = (fused ? gn_program_fuse : gn_program_bind)(&r.program, tape, table, BATCH,
                                                                     2, true, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    cr_assert(gn_schedule_create(&s, "none", gn_tape_stages(tape), &err) == GN_OK &&
              gn_store_create(&r.store, tape, table, true, &err) == GN_OK &&
              gn_pool_create(&r.pool, &err) == GN_OK &&
              gn_engine_create(&r.engine, r.program, &s, r.store, r.pool, &err) == GN_OK);
    float x[BATCH * CELLS * C], z[BATCH];
    gn_schedule_free(&s);
    gn_store_init(r.store, 5);
    seeded_fill(x, BATCH * CELLS * C, 1, -1, 1);
    seeded_fill(z, BATCH, 2, -1, 1);
    gn_engine_feed(r.engine, gn_tape_find(tape, "x"), x);
    gn_engine_feed(r.engine, gn_tape_find(tape, "z"), z);
    return r;
}

static void close(runner *r)
{
    gn_engine_destroy(r->engine);
    gn_pool_destroy(r->pool);
    gn_store_destroy(r->store);
    gn_program_destroy(r->program);
}

static int spans_of(const gn_tape *t)
{
    int spans = 0;
    for (int k = 0; k < gn_tape_records(t); k++)
        spans += gn_tape_record_at(t, k)->op->parts > 0;
    return spans;
}

/* The tape under a table: so many spans, and the bits of the plain ops. */
static void expect(const char *what, const gn_table *table, int spans)
{
    gn_err err = {0};
    runner plain = open(&gn_plain, false), fused = open(table, true);
    const gn_tape *made = gn_program_tape(fused.program);
    cr_expect_eq(spans_of(made), spans, "%s, %s: %d spans, expected %d", what, table->name,
                 spans_of(made), spans);
    truth t = truth_open(plain.engine, plain.program);
    gn_engine_debug(fused.engine, true);
    cr_assert(gn_engine_run(fused.engine, &err) == GN_OK, "%s: %s", what, err.text);
    truth_gradients(&t, plain.program, fused.store);
    for (int v = 0; v < gn_tape_values(made); v++)
        if (gn_tape_value(made, v)->pinned)
            same_bits(gn_tape_value(made, v)->name, gn_engine_data(fused.engine, v), t.data[v],
                      gn_shape_count(gn_program_shape(plain.program, v)));
    truth_close(&t);
    close(&plain);
    close(&fused);
}

/* --- The tail of a block ---------------------------------------------------------------------- */

typedef enum tail_change {
    AS_IT_IS, NORM_READ_LATER, GATE_READ_LATER, MEAN_NOT_PINNED, SUM_PINNED_FOR_HIDDEN, NORM_PINNED,
    SKIP_IS_X, SKIP_IS_NORM, SKIP_FIRST, SKIP_READ_LATER, X_READ_LATER, ONE_WEIGHT, BIAS,
    TWO_STAGES,
    X_UNTRAINED, SKIP_UNTRAINED, ANOTHER_END, RECORD_BETWEEN, OTHER_SCALED,
    TAIL_CHANGES
} tail_change;

static void tail(tail_change is)
{
    begin();
    const gn_value input = gn_tape_find(tape, "x");
    const gn_value x = is == X_UNTRAINED ? input : trained_map("from");
    const gn_value other = is == SKIP_UNTRAINED ? input : trained_map("skip");
    const gn_value w1 = weight("w1", C, C, 0), w2 = is == ONE_WEIGHT ? w1 : weight("w2", C, C, 0);
    const gn_value b = norm("norm", x), mean = gn_tape_global_avg_pool(tape, "mean", b);
    const gn_value sum = gn_tape_linear(tape, "first", mean, w1,
                                        is == BIAS ? weight("bias", C, 0, 0) : GN_NONE);
    const gn_value hidden = gn_tape_relu(tape, "hidden", sum);
    if (is == RECORD_BETWEEN)
        gn_tape_relu(tape, "between", other);
    const gn_value gate = gn_tape_sigmoid(tape, "gate",
                                          gn_tape_linear(tape, "second", hidden, w2, GN_NONE));
    const gn_value pins[] = {is == MEAN_NOT_PINNED ? gate : mean,
                             is == SUM_PINNED_FOR_HIDDEN ? sum : hidden, gate,
                             is == NORM_PINNED ? b : gate};
    for (int i = 0; i < 4; i++)
        gn_tape_pin(tape, pins[i]);
    if (is == TWO_STAGES)
        gn_tape_stage(tape, "second");
    const gn_value scaled = gn_tape_channel_scale(
        tape, "scaled", is == OTHER_SCALED ? other : b, gate);
    const gn_value skip = is == SKIP_IS_X ? x : is == SKIP_IS_NORM ? b : other;
    const gn_value both = is == SKIP_FIRST ? gn_tape_add(tape, "add", skip, scaled)
                                           : gn_tape_add(tape, "add", scaled, skip);
    gn_value y = is == ANOTHER_END ? gn_tape_tanh(tape, "y", both) : gn_tape_relu(tape, "y", both);
    const gn_value late = is == NORM_READ_LATER   ? b
                          : is == SKIP_READ_LATER ? other
                          : is == X_READ_LATER    ? x
                                                  : GN_NONE;
    if (late != GN_NONE)
        y = gn_tape_add(tape, "late", y, late);
    if (is == GATE_READ_LATER)
        y = gn_tape_channel_scale(tape, "late", y, gate);
    end(y);
}

Test(fuse, the_tail_of_a_block)
{
    for (int i = 0; i < TAIL_CHANGES; i++) {
        char what[32];
        snprintf(what, sizeof what, "tail, change %d", i);
        tail((tail_change)i);
        for (size_t k = 0; gn_table_float(k) != NULL; k++)
            expect(what, gn_table_float(k), i == AS_IT_IS && gn_table_float(k)->under != NULL);
        gn_tape_destroy(tape);
    }
}

/* --- Convolutions with what stands before them ------------------------------------------------ */

typedef struct conv_case {
    const char *what;
    bool norm, taps, second; /* what stands before it; the same weights once more behind it */
    size_t taps_K, K;
    enum { NOTHING, RELU_PINNED, RELU_LATE, TAPS_PINNED, TAPS_LATE, X_LATE, UNTRAINED, STAGE,
           ELSEWHERE } change;
    int spans;
} conv_case;

static const conv_case conv_cases[] = {
    {"norm conv", true, false, false, 0, 3, NOTHING, 1},
    {"separable", false, true, false, 3, 1, NOTHING, 1},
    {"norm separable", true, true, false, 3, 1, NOTHING, 1},
    {"norm conv, 1x1", true, false, false, 0, 1, NOTHING, 0},
    {"norm conv, 5x5", true, false, false, 0, 5, NOTHING, 0},
    {"separable, depthwise 5x5", false, true, false, 5, 1, NOTHING, 0},
    {"separable, then 3x3", false, true, false, 3, 3, NOTHING, 0},
    {"norm separable, depthwise 5x5", true, true, false, 5, 1, NOTHING, 0},
    {"norm conv, relu pinned", true, false, false, 0, 3, RELU_PINNED, 0},
    {"norm conv, relu read later", true, false, false, 0, 3, RELU_LATE, 0},
    {"norm separable, relu pinned", true, true, false, 3, 1, RELU_PINNED, 1}, /* the end */
    {"separable, its middle pinned", false, true, false, 3, 1, TAPS_PINNED, 0},
    {"separable, its middle read later", false, true, false, 3, 1, TAPS_LATE, 0},
    {"norm conv, x read later", true, false, false, 0, 3, X_LATE, 0},
    {"separable, x read later", false, true, false, 3, 1, X_LATE, 1},
    {"norm conv, no gradient to x", true, false, false, 0, 3, UNTRAINED, 0},
    {"separable, no gradient to x", false, true, false, 3, 1, UNTRAINED, 1},
    {"norm separable, no gradient to x", true, true, false, 3, 1, UNTRAINED, 1}, /* the end */
    {"norm conv in two stages", true, false, false, 0, 3, STAGE, 0},
    {"norm conv, relu of x itself", true, false, false, 0, 3, ELSEWHERE, 0},
    {"norm conv, weights of two", true, false, true, 0, 3, NOTHING, 2},
    {"separable, weights of two", false, true, true, 3, 1, NOTHING, 2},
    {"norm separable, weights of two", true, true, true, 3, 1, NOTHING, 2},
};

/* One span; its number is in the names. */
static gn_value conv_span(const conv_case *k, int number, gn_value x, gn_value taps, gn_value w,
                          gn_value *late)
{
    char name[4][16];
    static const char *const what[] = {"norm", "relu", "taps", "conv"};
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "%s%d", what[i], number);
    if (k->change == X_LATE)
        *late = x;
    const gn_value normed = k->norm ? norm(name[0], x) : x;
    if (k->norm)
        x = gn_tape_relu(tape, name[1], k->change == ELSEWHERE ? x : normed);
    if (k->change == RELU_PINNED)
        gn_tape_pin(tape, x);
    if (k->change == RELU_LATE)
        *late = x;
    if (k->change == STAGE)
        gn_tape_stage(tape, "second");
    if (k->taps)
        x = gn_tape_depthwise_conv2d(tape, name[2], x, taps);
    if (k->change == TAPS_PINNED)
        gn_tape_pin(tape, x);
    if (k->change == TAPS_LATE)
        *late = x;
    return gn_tape_conv2d(tape, name[3], x, w);
}

Test(fuse, convolutions)
{
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++) {
        const conv_case *k = &conv_cases[i];
        gn_value late = GN_NONE;
        begin();
        gn_value y = k->change == UNTRAINED ? gn_tape_find(tape, "x") : trained_map("from");
        const gn_value taps = k->taps ? weight("taps", C, 1, k->taps_K) : GN_NONE;
        const gn_value w = weight("w", C, C, k->K);
        for (int j = 0; j < (k->second ? 2 : 1); j++)
            y = conv_span(k, j, y, taps, w, &late);
        if (late != GN_NONE)
            y = gn_tape_add(tape, "late", y, late);
        end(y);
        for (size_t t = 0; gn_table_float(t) != NULL; t++)
            expect(k->what, gn_table_float(t), gn_table_float(t)->under != NULL ? k->spans : 0);
        gn_tape_destroy(tape);
    }
}

/* --- A table of one's own --------------------------------------------------------------------- */

static gn_status sum_shape(gn_call *c, gn_err *err)
{
    c->out[0].shape = c->in[0].shape;
    const bool fits = gn_shape_equal(c->in[0].shape, c->in[1].shape);
    return fits ? GN_OK : gn_fail(err, GN_E_SHAPE, "add relu: two shapes");
}

static void sum_forward(const gn_call *c)
{
    const float *a = c->in[0].data, *b = c->in[1].data;
    float *y = c->out[0].data;
    for (size_t i = 0; i < gn_shape_count(c->out[0].shape); i++)
        y[i] = a[i] + b[i] <= 0 ? 0 : a[i] + b[i];
}

static void sum_backward(const gn_call *c)
{
    const float *y = c->out[0].data, *dy = c->dout.data;
    for (int k = 0; k < 2; k++) {
        float *to = c->din[k].data;
        for (size_t i = 0; to != NULL && i < gn_shape_count(c->dout.shape); i++) {
            const float v = y[i] <= 0 ? 0 : dy[i];
            to[i] = (c->add >> k & 1) != 0 ? to[i] + v : v;
        }
    }
}

static const gn_part sum_parts[] = {{"add", {GN_OUTSIDE, GN_OUTSIDE}}, {"relu", {0}}};
static const gn_op sum_op = {.name = "add relu", .min_in = 2, .max_in = 2, .nout = 1,
                             .reads = GN_OUT(0), .shape = sum_shape, .part = sum_parts, .parts = 2};
static const gn_row sum_row = {.op = &sum_op, .forward = sum_forward, .backward = sum_backward};
static const gn_row *const own_rows[] = {&sum_row};
static const gn_table own = {"own", sizeof(float), own_rows, 1, &gn_plain, NULL};

/* Two spans, the second of which adds to the gradient that the record after it stored. */
Test(fuse, a_table_of_ones_own)
{
    begin();
    const gn_value a = trained_map("a"), b = trained_map("b");
    const gn_value first = gn_tape_relu(tape, "first", gn_tape_add(tape, "sum1", a, b));
    const gn_value second = gn_tape_relu(tape, "second", gn_tape_add(tape, "sum2", first, b));
    end(gn_tape_add(tape, "third", second, a));
    expect("own", &own, 2);
    expect("own", &gn_plain, 0);
    gn_tape_destroy(tape);
}

/* A fused tape is a tape: it can be read, and fused again. */
Test(fuse, keeps_numbers_and_names)
{
    tail(AS_IT_IS);
    gn_tape *once, *twice;
    cr_assert_eq(gn_tape_fuse(&once, tape, gn_table_fast(), NULL), GN_OK);
    cr_assert_eq(gn_tape_fuse(&twice, once, gn_table_fast(), NULL), GN_OK);
    cr_assert_eq(gn_tape_records(twice), gn_tape_records(once));
    cr_assert(gn_tape_values(once) == gn_tape_values(tape) &&
              gn_tape_stages(once) == gn_tape_stages(tape));
    cr_assert_eq(gn_tape_loss_value(once), gn_tape_loss_value(tape));
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const gn_value_info *was = gn_tape_value(tape, v), *is = gn_tape_value(once, v);
        cr_assert_str_eq(is->name, was->name);
        cr_assert(is->kind == was->kind && is->pinned == was->pinned);
        cr_assert(is->producer == GN_NONE || gn_tape_record_at(once, is->producer)->out[0] == v ||
                  is->pinned);
        cr_assert(is->producer != GN_NONE || was->producer == GN_NONE || !is->pinned);
    }
    gn_tape_destroy(twice);
    gn_tape_destroy(once);
    gn_tape_destroy(tape);
}

/* --- Without memory --------------------------------------------------------------------------- */

/* The linker sends every call of the library here (Makefile); 0: there is memory. */
static int allowed, refused;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

static bool refuse(void)
{
    if (allowed == 0 || --allowed > 0)
        return false;
    refused = 1;
    return true;
}

void *__wrap_malloc(size_t bytes) { return refuse() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes)
{
    return refuse() ? NULL : __real_calloc(count, bytes);
}

/* Each allocation fails once; whatever was made is released (the leak sanitizer looks). */
static int refuse_each(bool program)
{
    int call = 0;
    do {
        gn_tape *made = NULL;
        gn_program *p = NULL;
        gn_err err = {0};
        refused = 0;
        allowed = ++call;
        const gn_status st =
            program ? gn_program_fuse(&p, tape, gn_table_fast(), BATCH, 1, true, &err)
                    : gn_tape_fuse(&made, tape, gn_table_fast(), &err);
        allowed = 0;
        cr_assert_eq(st, refused ? GN_E_NOMEM : GN_OK, "call %d: %s", call, err.text);
        cr_assert((p != NULL || made != NULL) == !refused, "%s", err.text);
        gn_program_destroy(p);
        gn_tape_destroy(made);
    } while (refused);
    return call - 1;
}

Test(fuse, without_memory)
{
    tail(AS_IT_IS);
    const int for_tape = refuse_each(false); /* a name for every value, and more */
    cr_assert_gt(for_tape, gn_tape_values(tape) + 4, "%d allocations", for_tape);
    cr_assert_eq(refuse_each(true), for_tape + 5);
    gn_tape_destroy(tape);
}
