/* The digest: SHA-256 of everything that a short training run leaves behind.
 *
 * Linked from the numeric core with nothing but (optional) OpenMP, no zlib, no libm, so that it can
 * be built wherever there is a C compiler.  The text must be the same for every compiler, flag,
 * instruction set and number of threads; what differs names where to look.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/io.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"
#include "train/running.h"

enum { SIZE = 7, BLOCKS = 3, CHANNELS = 9, BATCH = 11, STEPS = 4, THREADS = 3 };
enum { CELLS = SIZE * SIZE, STREAM = 1000 };

/* One network and what runs it. */
typedef struct bench {
    gn_net net;
    gn_store *store;
    gn_program *program;
    gn_pool *pool;
    gn_engine *engine;
    gn_optimizer *optimizer;
} bench;

static gn_status open_bench(bench *b, gn_conv conv, const gn_table *table, gn_err *err)
{
    const gn_net_config config = {SIZE, BLOCKS, CHANNELS, conv, true};
    const gn_optimizer_config adamw = gn_optimizer_default();
    gn_schedule schedule = {0};
    gn_status st = gn_net_create(&b->net, &config, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, &b->net, NULL, err);
    if (st == GN_OK)
        st = gn_program_bind(&b->program, b->net.tape, table, BATCH, THREADS, true, err);
    if (st == GN_OK) st = gn_store_create(&b->store, b->net.tape, table, true, err);
    if (st == GN_OK) st = gn_pool_create(&b->pool, err);
    if (st == GN_OK)
        st = gn_engine_create(&b->engine, b->program, &schedule, b->store, b->pool, err);
    if (st == GN_OK)
        st = gn_optimizer_create(&b->optimizer, b->net.tape, table, &adamw, err);
    if (st == GN_OK) gn_store_init(b->store, 1);
    gn_schedule_free(&schedule);
    return st;
}

static void close_bench(bench *b)
{
    gn_engine_destroy(b->engine);
    gn_optimizer_destroy(b->optimizer);
    gn_program_destroy(b->program);
    gn_store_destroy(b->store);
    gn_pool_destroy(b->pool);
    if (b->net.tape != NULL)
        gn_net_destroy(&b->net);
}

/* Stones, a one-hot target and a result for each position: small integers. */
static void feed(const bench *b, uint64_t step)
{
    static float planes[BATCH * CELLS * 5], policy[BATCH * CELLS], value[BATCH];
    memset(policy, 0, sizeof policy);
    for (size_t i = 0; i < sizeof planes / sizeof *planes; i++)
        planes[i] = gn_random_below(1, STREAM + step, i, 3) == 0 ? 1 : 0;
    for (size_t n = 0; n < BATCH; n++) {
        policy[n * CELLS + gn_random_below(2, STREAM + step, n, CELLS)] = 1;
        value[n] = (float)gn_random_below(3, STREAM + step, n, 3) - 1;
    }
    gn_engine_feed(b->engine, b->net.planes, planes);
    gn_engine_feed(b->engine, b->net.target_policy, policy);
    gn_engine_feed(b->engine, b->net.target_value, value);
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

static void add_values(gn_sha256 *hash, const bench *b, gn_kind kind, bool gradients)
{
    const size_t elem = gn_program_table(b->program)->elem;
    for (int v = 0; v < gn_tape_values(b->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(b->net.tape, v);
        if (info->kind == kind)
            add_numbers(hash, gradients ? gn_store_grad(b->store, v) : gn_store_data(b->store, v),
                        gn_shape_count(info->shape), elem);
    }
}

static void show(gn_sha256 *hash, const char *run, const char *what)
{
    char hex[65];
    gn_sha256_hex(hash, hex);
    printf("%s  %s %s\n", hex, run, what);
}

/* The moments show in the weights of one more step without a gradient. */
static void show_optimizer(bench *b, const char *run)
{
    gn_sha256 hash;
    for (int v = 0; v < gn_tape_values(b->net.tape); v++)
        if (gn_store_grad(b->store, v) != NULL)
            memset(gn_store_grad(b->store, v), 0, gn_program_bytes(b->program, v));
    gn_optimizer_measure(b->optimizer, b->store);
    gn_optimizer_step(b->optimizer, b->store, 1e-2);
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_PARAM, false);
    show(&hash, run, "optimiser state");
}

static gn_status train(bench *b, const char *run, gn_err *err)
{
    gn_sha256 losses, gradients, hash;
    gn_sha256_begin(&losses);
    gn_sha256_begin(&gradients);
    for (uint64_t step = 0; step < STEPS; step++) {
        feed(b, step);
        const gn_status st = gn_engine_run(b->engine, err);
        if (st != GN_OK)
            return st;
        const double numbers[4] = {gn_engine_read(b->engine, b->net.loss, 0),
                                   gn_engine_read(b->engine, b->net.loss_policy, 0),
                                   gn_engine_read(b->engine, b->net.loss_value, 0),
                                   gn_optimizer_measure(b->optimizer, b->store)};
        add_numbers(&losses, numbers, 4, sizeof *numbers);
        add_values(&gradients, b, GN_PARAM, true);
        gn_running_update(b->engine, b->store, b->program, false);
        gn_optimizer_step(b->optimizer, b->store, 1e-3);
    }
    show(&losses, run, "losses");
    show(&gradients, run, "gradients");
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_PARAM, false);
    show(&hash, run, "weights");
    gn_sha256_begin(&hash);
    add_values(&hash, b, GN_BUFFER, false);
    show(&hash, run, "batch-norm state");
    show_optimizer(b, run);
    return GN_OK;
}

int main(int argc, char **argv)
{
    /* The fast table's instruction set stays out of the text: it must not matter. */
    const char *floats = argc > 1 ? argv[1] : "fast";
    const gn_table *tables[2] = {gn_table_named(floats), &gn_double};
    gn_err err;
    if (strcmp(floats, "tables") == 0) {
        for (size_t i = 0; gn_table_float(i) != NULL; i++)
            printf("%s\n", gn_table_float(i)->name);
        return 0;
    }
    if (tables[0] == NULL || tables[0]->elem != sizeof(float)) {
        fprintf(stderr, "digest: %s: no float table of that name here\n", floats);
        return 2;
    }
    if (gn_selftest(&err) != GN_OK) {
        fprintf(stderr, "digest: %s\n", err.text);
        return 1;
    }
    for (int k = 0; k < 4; k++) {
        const gn_conv conv = k % 2 == 0 ? GN_DENSE : GN_SEPARABLE;
        char run[64];
        snprintf(run, sizeof run, "%s %s", gn_conv_name(conv), k / 2 == 0 ? "float" : "double");
        bench b = {.store = NULL};
        gn_status st = open_bench(&b, conv, tables[k / 2], &err);
        if (st == GN_OK) st = train(&b, run, &err);
        close_bench(&b);
        if (st != GN_OK) {
            fprintf(stderr, "digest: %s: %s\n", run, err.text);
            return 1;
        }
    }
    return 0;
}
