/* Weights that a program keeps packed: the same bits, for every table, few images and many; made
 * anew when they change; and what happens without memory for them.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

enum { SIZE = 9, CELLS = SIZE * SIZE, MOST = 12 };

/* The linker sends the library's calls here. */
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
static int refused = -1; /* the call that gets no memory; -1: none */
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return refused >= 0 && refused-- == 0 ? NULL : __real_aligned_alloc(alignment, bytes);
}

typedef struct answers {
    double logits[MOST * CELLS], value[MOST];
} answers;

static answers *ask(const rig *r, const samples *s, size_t batch)
{
    answers *a = calloc(1, sizeof *a);
    rig_feed(r, s);
    rig_run(r);
    for (size_t i = 0; i < batch * CELLS; i++)
        a->logits[i] = gn_engine_read(r->engine, r->net.logits, i);
    for (size_t n = 0; n < batch; n++)
        a->value[n] = gn_engine_read(r->engine, r->net.value, n);
    return a;
}

static void keep(const rig *r)
{
    gn_err err = {0};
    cr_assert(gn_program_keep(r->program, r->store, &err) == GN_OK, "%s", err.text);
}

/* Adds to the last weight of every convolution and layer. */
static void change(const rig *r)
{
    for (int v = 0; v < gn_tape_values(r->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(r->net.tape, v);
        if (info->kind == GN_PARAM && info->shape.rank >= 2)
            ((float *)gn_store_data(r->store, v))[gn_shape_count(info->shape) - 1] += 0.25f;
    }
}

static void check(const gn_table *table, gn_conv conv, int channels, size_t batch, int threads)
{
    const gn_net_config config = small_net(SIZE, 2, channels, conv);
    samples s = samples_make(&config, batch, 5);
    rig kept = rig_open_fused(config, table, batch, threads, "inference");
    rig plain = rig_open(config, &gn_plain, batch, 1, "inference");
    for (int round = 0; round < 2; round++) {
        keep(&kept);
        answers *a = ask(&kept, &s, batch), *again = ask(&kept, &s, batch);
        answers *b = ask(&plain, &s, batch);
        cr_assert(memcmp(a, b, sizeof *a) == 0 && memcmp(again, b, sizeof *a) == 0,
                  "table %s, %d channels, batch %zu, %d threads, round %d", table->name, channels,
                  batch, threads, round);
        change(&kept);
        change(&plain);
        free(a);
        free(again);
        free(b);
    }
    rig_close(&kept);
    rig_close(&plain);
    samples_free(&s);
}

Test(keep, the_same_bits)
{
    const gn_table *table;
    for (size_t i = 0; (table = gn_table_float(i)) != NULL; i++)
        for (int conv = GN_DENSE; conv <= GN_SEPARABLE; conv++)
            for (int channels = 5; channels <= 33; channels += 14)
                for (size_t batch = 1; batch <= MOST; batch += 11)
                    for (int threads = 1; threads <= 3; threads++)
                        check(table, (gn_conv)conv, channels, batch, threads);
}

Test(keep, no_memory_names_the_layer)
{
    const gn_net_config config = small_net(SIZE, 1, 8, GN_DENSE);
    rig r = rig_open_fused(config, gn_table_fast(), 1, 1, "inference");
    samples s = samples_make(&config, 1, 5);
    answers *before = ask(&r, &s, 1);
    gn_err err = {0};
    int failures = 0;
    for (int call = 0;; call++) {
        refused = call;
        if (gn_program_keep(r.program, r.store, &err) == GN_OK)
            break;
        failures++;
        cr_assert(err.status == GN_E_NOMEM && strstr(err.text, "keep the weights of ") != NULL,
                  "%s", err.text);
        refused = -1;
        answers *after = ask(&r, &s, 1); /* what was kept is right, the rest is made in the run */
        cr_assert(memcmp(before, after, sizeof *after) == 0);
        free(after);
    }
    refused = -1;
    cr_assert(gn_table_fast() == &gn_plain || failures > 0);
    free(before);
    rig_close(&r);
    samples_free(&s);
}
