/* Twisted tables; see twist.h.  SPDX-License-Identifier: MIT */
#include "support/twist.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/program.h"
#include "support/check.h"

static twist current;

/* --- Arrays of one call ----------------------------------------------------------------------- */

enum { ARRAYS = 2 * GN_MAX_IN + GN_MAX_OUT + 2 };

typedef struct arrays {
    void *block[ARRAYS];
    int count;
} arrays;

static void *take(arrays *a, size_t bytes)
{
    void *p = calloc(1, bytes + 64);
    cr_assert(p != NULL && a->count < ARRAYS);
    return a->block[a->count++] = p;
}

/* A float32 copy of a tensor, rounded where asked for. */
static gn_tensor copy(arrays *a, gn_tensor from, bool rounded)
{
    const size_t count = gn_shape_count(from.shape);
    if (from.data == NULL)
        return from;
    float *to = take(a, count * sizeof *to);
    memcpy(to, from.data, count * sizeof *to);
    for (size_t i = 0; i < count && rounded; i++)
        to[i] = (float)gn_precision_round(current.precision, (double)to[i]);
    return (gn_tensor){to, from.shape};
}

static void run_in(gn_call *c, const gn_table *table)
{
    const gn_row *row = gn_table_find(table, c->op->name);
    c->work = calloc(1, (row->work == NULL ? 0 : row->work(c)) + 64);
    cr_assert_not_null(c->work);
    if (c->pass == GN_BACKWARD)
        row->backward(c);
    else
        row->forward(c);
    free(c->work);
}

static void widen(gn_tensor *t)
{
    const size_t count = gn_shape_count(t->shape);
    if (t->data == NULL)
        return;
    const float *from = t->data;
    double *to = malloc((count + 1) * sizeof *to);
    cr_assert_not_null(to);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
    t->data = to;
}

/* Back into the float array, and away with the copy. */
static void narrow(gn_tensor *wide, gn_tensor to)
{
    const double *from = wide->data;
    float *out = to.data;
    for (size_t i = 0; from != NULL && i < gn_shape_count(to.shape); i++)
        out[i] = (float)from[i];
    free(wide->data);
}

static void run_wide(gn_call *c)
{
    gn_call w = *c;
    for (int i = 0; i < c->nin; i++) {
        widen(&w.in[i]);
        widen(&w.din[i]);
    }
    for (int j = 0; j < c->nout; j++)
        widen(&w.out[j]);
    widen(&w.dout);
    run_in(&w, &gn_double);
    for (int i = 0; i < c->nin; i++) {
        narrow(&w.in[i], c->in[i]);
        narrow(&w.din[i], c->din[i]);
    }
    for (int j = 0; j < c->nout; j++)
        narrow(&w.out[j], c->out[j]);
    narrow(&w.dout, c->dout);
}

static void run_row(gn_call *c)
{
    if (current.wide)
        run_wide(c);
    else
        run_in(c, &gn_plain);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool is(const gn_call *c, const char *op)
{
    return strcmp(c->op->name, op) == 0;
}

static bool narrow_here(const gn_call *c)
{
    const bool products = is(c, "conv2d") || is(c, "depthwise_conv2d") || is(c, "linear");
    const bool copies = is(c, "add") && !current.stored;
    return current.narrow && (products || !current.products) && !copies;
}

static bool parameter(const gn_call *c, int input)
{
    return input > 0 &&
           (is(c, "conv2d") || is(c, "depthwise_conv2d") || is(c, "linear") || is(c, "batch_norm"));
}

static bool loss(const gn_call *c)
{
    return is(c, "softmax_cross_entropy") || is(c, "mean_squared_error");
}

static void change_or_run(gn_call *c)
{
    const bool here = current.change != NULL && (current.op == NULL || is(c, current.op)) &&
                      current.backward == (c->pass == GN_BACKWARD);
    if (here)
        current.change(c, run_row);
    else
        run_row(c);
}

static float stored(float x, bool rounded)
{
    return rounded ? (float)gn_precision_round(current.precision, (double)x) : x;
}

static void twisted(const gn_call *call)
{
    arrays a = {.count = 0};
    gn_call c = *call;
    const bool here = narrow_here(call), back = call->pass == GN_BACKWARD;
    for (int i = 0; i < c.nin; i++)
        c.in[i] = copy(&a, call->in[i],
                       here && !loss(call) &&
                           (parameter(call, i) ? current.parameters : current.activations));
    for (int j = 0; j < c.nout; j++)
        c.out[j] = copy(&a, call->out[j],
                        back && j == 0 && here && !loss(call) && current.activations);
    if (back)
        c.dout = copy(&a, call->dout, here && !loss(call) && current.activations);
    for (int i = 0; i < c.nin && back; i++) {
        c.din[i] = copy(&a, call->din[i], false);
        if (c.din[i].data != NULL)
            memset(c.din[i].data, 0, gn_shape_count(c.din[i].shape) * sizeof(float));
    }
    c.add = 0;
    change_or_run(&c);
    for (int j = 0; j < c.nout && !back; j++)
        for (size_t e = 0; e < gn_shape_count(c.out[j].shape) && c.out[j].data != NULL; e++)
            ((float *)call->out[j].data)[e] = stored(
                ((float *)c.out[j].data)[e], here && j == 0 && current.stored && !loss(call));
    for (int i = 0; i < c.nin && back; i++) {
        const bool round = here &&
                           (parameter(call, i) ? current.stored_parameters : current.stored);
        const bool add = (call->add >> i & 1) != 0;
        float *to = call->din[i].data;
        const float *from = c.din[i].data;
        for (size_t e = 0; to != NULL && e < gn_shape_count(c.din[i].shape); e++)
            to[e] = stored((add ? to[e] : 0) + stored(from[e], round), round);
    }
    while (a.count > 0)
        free(a.block[--a.count]);
}

const gn_table *twist_table(const twist *t)
{
    enum { ROWS = 32 };
    static gn_row rows[ROWS];
    static const gn_row *pointers[ROWS];
    static gn_table table;
    current = *t;
    cr_assert(gn_plain.count <= ROWS);
    for (size_t i = 0; i < gn_plain.count; i++) {
        rows[i] = (gn_row){.op = gn_plain.row[i]->op, .forward = twisted, .backward = twisted};
        pointers[i] = &rows[i];
    }
    table = (gn_table){"twisted", sizeof(float), pointers, gn_plain.count, &gn_plain, NULL};
    return &table;
}

/* --- Traces ----------------------------------------------------------------------------------- */

/* A model in which gammas, betas, biases and running statistics are what training might make them.
 */
static void write_model(const gn_net *net)
{
    gn_err err = {0};
    gn_store *store;
    cr_assert(gn_store_create(&store, net->tape, &gn_plain, false, &err) == GN_OK, "%s", err.text);
    gn_store_init(store, 5);
    for (int v = 0; v < gn_tape_values(net->tape); v++) {
        const gn_value_info *info = gn_tape_value(net->tape, v);
        float *data = gn_store_data(store, v);
        if (data == NULL || info->shape.rank != 1)
            continue;
        const bool positive = strstr(info->name, "running_var") != NULL || info->init == GN_ONES;
        seeded_fill(data, gn_shape_count(info->shape), 100 + (uint64_t)v, positive ? 0.5f : -0.4f,
                    positive ? 1.7f : 0.4f);
    }
    const gn_tracked seen = {3, 3};
    cr_assert(gn_model_save("model.safetensors", net, store, seen, &err) == GN_OK, "%s", err.text);
    gn_store_destroy(store);
}

void trace_open(rig_trace *trace, gn_conv conv, int blocks, int channels)
{
    gn_err err = {0};
    const gn_net_config config = {TRACE_SIZE, blocks, channels, conv, false};
    *trace = (rig_trace){.batch = TRACE_BATCH};
    cr_assert(gn_net_create(&trace->net, &config, &err) == GN_OK, "%s", err.text);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(gn_player_game(&trace->games, 1, i, TRACE_SIZE, &err) == GN_OK, "%s", err.text);
    cr_assert(gn_dataset_create(&trace->dataset, &trace->games, TRACE_SIZE, NULL, 0, &err) == GN_OK,
              "%s", err.text);
    write_model(&trace->net);
    trace_write(trace, "golden.safetensors", gn_table_fast());
}

void trace_write(const rig_trace *trace, const char *path, const gn_table *table)
{
    gn_err err = {0};
    gn_golden g = gn_golden_default();
    g.net = &trace->net;
    g.dataset = &trace->dataset;
    g.session.batch = trace->batch;
    g.session.table = table;
    g.model = "model.safetensors";
    cr_assert(gn_golden_write(path, &g, &err) == GN_OK, "%s: %s", path, err.text);
}

void trace_close(rig_trace *trace)
{
    gn_dataset_free(&trace->dataset);
    gn_games_free(&trace->games);
    gn_net_destroy(&trace->net);
}

gn_verification trace_verify(const char *candidate)
{
    gn_verification v;
    gn_err err = {0};
    cr_assert(gn_verify(&v, "golden.safetensors", candidate, 1, &err) == GN_OK, "%s", err.text);
    return v;
}
