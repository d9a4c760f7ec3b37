/* A small golden file and its changed copies; see golden_copy.h.  SPDX-License-Identifier: MIT */
#include "support/golden_copy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 5, BATCH = 3 };

void golden_write(gn_conv conv, uint64_t steps, gn_optimizer_kind optimizer)
{
    gn_err err = {0};
    gn_net net;
    gn_games games = {0};
    gn_dataset dataset;
    const gn_net_config config = {SIZE, 2, 6, conv, false};
    cr_assert(gn_net_create(&net, &config, &err) == GN_OK, "%s", err.text);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(gn_player_game(&games, 1, i, SIZE, &err) == GN_OK, "%s", err.text);
    cr_assert(gn_dataset_create(&dataset, &games, SIZE, NULL, 0, &err) == GN_OK, "%s", err.text);
    gn_golden g = gn_golden_default();
    g.net = &net;
    g.dataset = &dataset;
    g.session.batch = BATCH;
    g.session.optimizer.kind = optimizer;
    g.steps = steps;
    cr_assert(gn_golden_write("golden.safetensors", &g, &err) == GN_OK, "%s", err.text);
    gn_dataset_free(&dataset);
    gn_games_free(&games);
    gn_net_destroy(&net);
}

/* --- Copies ---------------------------------------------------------------------------------- */

typedef struct copy {
    const change *changes;
    size_t count;
    bool *used;
    gn_writer *writer;
} copy;

static bool left_out(const copy *c, const gn_entry *e)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->changes[i].name != NULL && gn_golden_matches(c->changes[i].name, e->name)) {
            c->used[i] = true;
            if (c->changes[i].leave_out)
                return true;
        }
    return false;
}

static void declare(const copy *c, const gn_entry *e)
{
    size_t dim[8];
    memcpy(dim, e->dim, sizeof dim);
    for (size_t i = 0; i < c->count; i++)
        if (c->changes[i].swap_dims && gn_golden_matches(c->changes[i].name, e->name)) {
            dim[1] = e->dim[2];
            dim[2] = e->dim[3];
            dim[3] = e->dim[1];
        }
    gn_writer_declare(c->writer, e->name, e->type, e->rank, dim, NULL);
}

static void put(const copy *c, const gn_entry *e)
{
    void *data = malloc(e->bytes + 1);
    memcpy(data, e->data, e->bytes);
    for (size_t i = 0; i < c->count; i++) {
        const change *one = &c->changes[i];
        if (one->name == NULL || !gn_golden_matches(one->name, e->name))
            continue;
        if (one->values != NULL)
            one->values(data, e->bytes / sizeof(float));
        if (one->counters != NULL)
            one->counters(data, e->bytes / sizeof(int64_t));
    }
    gn_writer_put(c->writer, data, e->bytes, NULL);
    free(data);
}

void golden_copy(const change *changes, size_t count)
{
    static const float one = 1;
    gn_reader *r;
    gn_err err = {0};
    bool used[16] = {false};
    copy c = {changes, count, used, NULL};
    cr_assert(gn_reader_open(&r, "golden.safetensors", &err) == GN_OK, "%s", err.text);
    cr_assert(gn_writer_open(&c.writer, "copy.safetensors", &err) == GN_OK, "%s", err.text);
    for (size_t i = 0; i < count; i++)
        if (changes[i].key != NULL)
            gn_writer_metadata(c.writer, changes[i].key, changes[i].meaning, NULL);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < gn_reader_count(r); i++) {
            const gn_entry *e = gn_reader_at(r, i);
            if (!left_out(&c, e) && pass == 0)
                declare(&c, e);
            else if (!left_out(&c, e))
                put(&c, e);
        }
        for (size_t i = 0; i < count; i++)
            if (changes[i].extra != NULL && pass == 0)
                gn_writer_declare(c.writer, changes[i].extra, GN_F32, 0, NULL, NULL);
            else if (changes[i].extra != NULL)
                gn_writer_put(c.writer, &one, sizeof one, NULL);
    }
    cr_assert(gn_writer_close(c.writer, &err) == GN_OK, "%s", err.text);
    gn_reader_close(r);
    for (size_t i = 0; i < count; i++)
        cr_assert(changes[i].name == NULL || used[i], "%s is not in the file", changes[i].name);
}

gn_verification golden_verify(const char *candidate)
{
    gn_verification v;
    gn_err err = {0};
    cr_assert(gn_verify(&v, "golden.safetensors", candidate, 1, &err) == GN_OK, "%s", err.text);
    return v;
}

const gn_finding *golden_finding(const gn_verification *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->finding[i].name, name) == 0)
            return &v->finding[i];
    cr_assert(false, "no finding %s", name);
    return NULL;
}

/* --- Values ---------------------------------------------------------------------------------- */

void one_ulp(float *data, size_t count) { data[count / 2] = nextafterf(data[count / 2], 9e9f); }

void nudge(float *data, size_t count)
{
    data[count / 2] += 0.01f * (fabsf(data[count / 2]) + 1);
}

void nudge_last(float *data, size_t count)
{
    data[count - 1] += 0.01f * (fabsf(data[count - 1]) + 1);
}

void twice(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] *= 2;
}

void nothing(float *data, size_t count) { memset(data, 0, count * sizeof *data); }
