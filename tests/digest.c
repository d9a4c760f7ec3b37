/* The digest: SHA-256 of everything that short training runs leave behind.
 *
 *     digest [TABLE [THREADS [POLICY [BINDING]]]]   fast, 3, block, both: the same text for all
 *     digest --tables                               the float tables that run here, a name a line
 *
 * BINDING is fused or unfused (gn_program_fuse, gn_program_bind); both: every other step.
 *
 * Linked from the numeric core with nothing but (optional) OpenMP, no zlib, no libm, so that it can
 * be built wherever there is a C compiler.  The text must be the same for every compiler, flag,
 * machine, instruction set, checkpoint policy and number of threads: it is kept in digest.txt.
 * A line that differs names where to look; the last one sums up all others.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/io.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"
#include "support/exact_digest.h"
#include "train/optimiser.h"
#include "train/running.h"

enum { SIZE = 7, BLOCKS = 3, CHANNELS = 9, BATCH = 11, STEPS = 4 };
enum { CELLS = SIZE * SIZE, STREAM = 1000 };

/* What must not matter. */
typedef struct choice {
    const gn_table *table; /* of floats */
    const char *policy;
    int threads;
    const char *binding;
} choice;

/* What is trained: every pair of block kind and number type, and the other optimiser. */
typedef struct run {
    const char *name;
    gn_conv conv;
    bool is_double;
    gn_optimizer_kind optimizer;
} run;

static const run runs[] = {
    {"dense float", GN_DENSE, false, GN_ADAMW},
    {"separable float", GN_SEPARABLE, false, GN_ADAMW},
    {"dense double", GN_DENSE, true, GN_ADAMW},
    {"separable double", GN_SEPARABLE, true, GN_ADAMW},
    {"float SGD", GN_DENSE, false, GN_SGD},
    {"double SGD", GN_SEPARABLE, true, GN_SGD},
};

/* The bindings: how a step is run. */
static const struct binding {
    const char *name;
    gn_status (*bind)(gn_program **, const gn_tape *, const gn_table *, size_t, int, bool,
                      gn_err *);
} bindings[] = {{"fused", gn_program_fuse}, {"unfused", gn_program_bind}};
enum { BINDINGS = sizeof bindings / sizeof *bindings };

/* One network and what runs it. */
typedef struct bench {
    gn_net net;
    gn_store *store;
    gn_program *program[BINDINGS];
    gn_pool *pool;
    gn_engine *engine[BINDINGS];
    gn_optimizer *optimizer;
} bench;

static gn_status open_bench(bench *b, const run *r, const choice *with, gn_err *err)
{
    const gn_net_config config = {SIZE, BLOCKS, CHANNELS, r->conv, true};
    const gn_table *table = r->is_double ? &gn_double : with->table;
    gn_optimizer_config optimizer = gn_optimizer_default();
    gn_schedule schedule = {0};
    optimizer.kind = r->optimizer;
    gn_status st = gn_net_create(&b->net, &config, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, &b->net, with->policy, err);
    if (st == GN_OK) st = gn_store_create(&b->store, b->net.tape, table, true, err);
    if (st == GN_OK) st = gn_pool_create(&b->pool, err);
    for (int i = 0; i < BINDINGS; i++) {
        if (st == GN_OK)
            st = bindings[i].bind(&b->program[i], b->net.tape, table, BATCH, with->threads, true,
                                  err);
        if (st == GN_OK)
            st = gn_engine_create(&b->engine[i], b->program[i], &schedule, b->store, b->pool, err);
    }
    if (st == GN_OK)
        st = gn_optimizer_create(&b->optimizer, b->net.tape, table, &optimizer, err);
    if (st == GN_OK) gn_store_init(b->store, 1);
    gn_schedule_free(&schedule);
    return st;
}

static void close_bench(bench *b)
{
    for (int i = 0; i < BINDINGS; i++) {
        gn_engine_destroy(b->engine[i]);
        gn_program_destroy(b->program[i]);
    }
    gn_optimizer_destroy(b->optimizer);
    gn_store_destroy(b->store);
    gn_pool_destroy(b->pool);
    if (b->net.tape != NULL)
        gn_net_destroy(&b->net);
}

/* Stones, a one-hot target and a result for each position: small integers. */
static void feed(const bench *b, gn_engine *engine, uint64_t step)
{
    static float planes[BATCH * CELLS * 5], policy[BATCH * CELLS], value[BATCH];
    memset(policy, 0, sizeof policy);
    for (size_t i = 0; i < sizeof planes / sizeof *planes; i++)
        planes[i] = gn_random_below(1, STREAM + step, i, 3) == 0 ? 1 : 0;
    for (size_t n = 0; n < BATCH; n++) {
        policy[n * CELLS + gn_random_below(2, STREAM + step, n, CELLS)] = 1;
        value[n] = (float)gn_random_below(3, STREAM + step, n, 3) - 1;
    }
    gn_engine_feed(engine, b->net.planes, planes);
    gn_engine_feed(engine, b->net.target_policy, policy);
    gn_engine_feed(engine, b->net.target_value, value);
}

/* Numbers are hashed in little-endian order. */
static void add_numbers(gn_sha256 *hash, const void *data, size_t count, size_t elem)
{
    const unsigned probe = 1;
    const unsigned char *from = data;
    unsigned char swapped[sizeof(double)];
    if (*(const unsigned char *)&probe == 1) {
        gn_sha256_add(hash, data, count * elem);
        return;
    }
    for (size_t i = 0; i < count; i++, from += elem) {
        for (size_t k = 0; k < elem; k++)
            swapped[k] = from[elem - 1 - k];
        gn_sha256_add(hash, swapped, elem);
    }
}

static const void *gradient(const bench *b, int v) { return gn_store_grad(b->store, v); }
static const void *data(const bench *b, int v) { return gn_store_data(b->store, v); }
static const void *first(const bench *b, int v) { return gn_optimizer_moment(b->optimizer, 0, v); }
static const void *second(const bench *b, int v) { return gn_optimizer_moment(b->optimizer, 1, v); }

/* One array of each value of a kind, in the order of the tape. */
static void add_values(gn_sha256 *hash, const bench *b, gn_kind kind,
                       const void *(*array)(const bench *, int))
{
    const size_t elem = gn_program_table(b->program[0])->elem;
    for (int v = 0; v < gn_tape_values(b->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(b->net.tape, v);
        if (info->kind == kind && array(b, v) != NULL)
            add_numbers(hash, array(b, v), gn_shape_count(info->shape), elem);
    }
}

/* Prints one line, and adds its hash to the sum of all. */
static void show(gn_sha256 *all, gn_sha256 *hash, const char *name, const char *what)
{
    char hex[65];
    gn_sha256_hex(hash, hex);
    gn_sha256_add(all, hex, 64);
    printf("%s  %s %s\n", hex, name, what);
}

/* What is there after the last step. */
static void show_state(gn_sha256 *all, bench *b, const char *name)
{
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_PARAM, data);
    show(all, &hash, name, "weights");
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_BUFFER, data);
    show(all, &hash, name, "batch-norm state");
    const gn_powers *powers = gn_optimizer_powers(b->optimizer);
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_PARAM, first);
    add_values(&hash, b, GN_PARAM, second);
    add_numbers(&hash, &powers->first, 1, sizeof(double));
    add_numbers(&hash, &powers->second, 1, sizeof(double));
    show(all, &hash, name, "optimiser state");
}

/* The binding that a step runs in. */
static int binding_of(const choice *with, uint64_t step)
{
    for (int i = 0; i < BINDINGS; i++)
        if (strcmp(with->binding, bindings[i].name) == 0)
            return i;
    return (int)(step % BINDINGS);
}

static gn_status train(gn_sha256 *all, bench *b, const char *name, const choice *with, gn_err *err)
{
    gn_sha256 losses, gradients;
    gn_sha256_begin(&losses);
    gn_sha256_begin(&gradients);
    for (uint64_t step = 0; step < STEPS; step++) {
        const int i = binding_of(with, step);
        gn_engine *engine = b->engine[i];
        feed(b, engine, step);
        const gn_status st = gn_engine_run(engine, err);
        if (st != GN_OK)
            return st;
        const double numbers[4] = {gn_engine_read(engine, b->net.loss, 0),
                                   gn_engine_read(engine, b->net.loss_policy, 0),
                                   gn_engine_read(engine, b->net.loss_value, 0),
                                   gn_optimizer_measure(b->optimizer, b->store)};
        add_numbers(&losses, numbers, 4, sizeof *numbers);
        add_values(&gradients, b, GN_PARAM, gradient);
        gn_running_update(engine, b->store, b->program[i], false);
        gn_optimizer_step(b->optimizer, b->store, 1e-3);
    }
    show(all, &losses, name, "losses");
    show(all, &gradients, name, "gradients");
    show_state(all, b, name);
    return GN_OK;
}

/* exp, log and tanh of 2^16 floats each, all exponents among them. */
static void show_functions(gn_sha256 *all)
{
    for (int i = 0; i < EXACT_FUNCTIONS; i++) {
        const uint64_t sum = exact_digest(exact_digests[i].f, 65537);
        char text[17];
        gn_sha256 hash;
        snprintf(text, sizeof text, "%016llx", (unsigned long long)sum);
        gn_sha256_begin(&hash);
        gn_sha256_add(&hash, text, 16);
        show(all, &hash, exact_digests[i].name, "of floats");
    }
}

static int show_tables(void)
{
    for (size_t i = 0; gn_table_float(i) != NULL; i++)
        puts(gn_table_float(i)->name);
    return 0;
}

static int fail(const char *what, const char *text, int code)
{
    fprintf(stderr, "digest: %s: %s\n", what, text);
    return code;
}

int main(int argc, char **argv)
{
    /* The table's name stays out of the text: it must not matter. */
    const char *name = argc > 1 ? argv[1] : "fast";
    if (strcmp(name, "--tables") == 0)
        return show_tables();
    const choice with = {gn_table_named(name), argc > 3 ? argv[3] : "block",
                         argc > 2 ? atoi(argv[2]) : 3, argc > 4 ? argv[4] : "both"};
    gn_err err;
    if (with.table == NULL || with.table->elem != sizeof(float))
        return fail(name, "no float table of that name here", 2);
    if (with.threads < 1)
        return fail(argv[2], "expected a number of threads from 1", 2);
    if (gn_selftest(&err) != GN_OK)
        return fail("self-test", err.text, 1);
    gn_sha256 all;
    gn_sha256_begin(&all);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        bench b = {.store = NULL};
        gn_status st = open_bench(&b, &runs[i], &with, &err);
        if (st == GN_OK) st = train(&all, &b, runs[i].name, &with, &err);
        close_bench(&b);
        if (st != GN_OK)
            return fail(runs[i].name, err.text, 1);
    }
    show_functions(&all);
    char hex[65];
    gn_sha256_hex(&all, hex);
    printf("%s  digest\n", hex);
    return 0;
}
