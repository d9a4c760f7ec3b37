/* Running single ops on a candidate's tensors; see replay.h.  SPDX-License-Identifier: MIT */
#include "golden/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"

static const char *value_name(const gn_replay *r, gn_value v)
{
    return gn_tape_value(r->net->tape, v)->name;
}

static gn_program *program_of(const gn_replay *r, int lane)
{
    return r->program[lane == GN_LANE_FLOAT ? 0 : 1];
}

static size_t count_of(const gn_replay *r, gn_value v)
{
    return gn_shape_count(gn_program_shape(r->program[0], v));
}

gn_status gn_replay_open(gn_replay *out, const gn_net *net, size_t batch, bool training,
                         int threads, gn_err *err)
{
    *out = (gn_replay){.net = net, .err = err, .group = training ? "forward" : "eval_forward"};
    const size_t values = (size_t)gn_tape_values(net->tape);
    gn_status st = GN_OK;
    out->wide = malloc(sizeof *out->wide);
    if (out->wide == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for a table");
    gn_wide_init(out->wide);
    const gn_table *tables[] = {gn_table_fast(), &out->wide->table};
    for (int i = 0; i < 2 && st == GN_OK; i++)
        st = gn_program_bind(&out->program[i], net->tape, tables[i], batch, threads, training,
                             err);
    for (int i = 0; i < GN_LANES && st == GN_OK; i++) {
        out->data[i] = calloc(values, sizeof *out->data[i]);
        out->grad[i] = calloc(values, sizeof *out->grad[i]);
        if (out->data[i] == NULL || out->grad[i] == NULL)
            st = gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu values", values);
    }
    if (st != GN_OK)
        gn_replay_close(out);
    return st;
}

void gn_replay_clear(gn_replay *r)
{
    for (int i = 0; i < GN_LANES && r->data[i] != NULL && r->grad[i] != NULL; i++)
        for (int v = 0; v < gn_tape_values(r->net->tape); v++) {
            free(r->data[i][v]);
            free(r->grad[i][v]);
            r->data[i][v] = r->grad[i][v] = NULL;
        }
}

void gn_replay_close(gn_replay *r)
{
    gn_replay_clear(r);
    for (int i = 0; i < GN_LANES; i++) {
        free(r->data[i]);
        free(r->grad[i]);
    }
    for (int i = 0; i < 2; i++)
        gn_program_destroy(r->program[i]);
    free(r->wide);
    *r = (gn_replay){0};
}

void gn_replay_room(gn_replay *r, gn_value v, bool gradient)
{
    for (int i = 0; i < GN_LANES && r->status == GN_OK; i++) {
        void **at = gradient ? &r->grad[i][v] : &r->data[i][v];
        if (*at == NULL)
            *at = gn_aligned_zeros(gn_program_bytes(program_of(r, i), v) + 1);
        if (*at == NULL)
            r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for %s", value_name(r, v));
    }
}

/* --- Files ----------------------------------------------------------------------------------- */

gn_shape gn_replay_file_shape(const gn_replay *r, gn_value v)
{
    const gn_value_info *info = gn_tape_value(r->net->tape, v);
    const gn_shape s = gn_program_shape(r->program[0], v);
    if (info->kind == GN_PARAM || info->kind == GN_BUFFER)
        return s;
    if (strncmp(info->name, "loss/", 5) == 0)
        return (gn_shape){.rank = 0};
    if (v == r->net->value)
        return gn_shape_of(1, s.dim[0], 0, 0, 0);
    return s.rank == 4 ? gn_shape_of(4, s.dim[0], s.dim[3], s.dim[1], s.dim[2]) : s;
}

/* A scalar may be written as [1]. */
static bool has_shape(const gn_entry *e, gn_shape s)
{
    if (e->type == GN_F32 && s.rank == 0 && e->rank == 1 && e->dim[0] == 1)
        return true;
    bool same = e->type == GN_F32 && e->rank == s.rank;
    for (int i = 0; i < s.rank && same; i++)
        same = e->dim[i] == s.dim[i];
    return same;
}

/* Channels last; a parameter's [O,C,K,K] stays. */
static void turn(float *to, const float *from, gn_shape s, bool map)
{
    const size_t count = gn_shape_count(s);
    if (!map) {
        memcpy(to, from, count * sizeof *to);
        return;
    }
    const size_t squares = s.dim[1] * s.dim[2], channels = s.dim[3];
    for (size_t n = 0; n < s.dim[0]; n++)
        for (size_t i = 0; i < squares; i++)
            for (size_t c = 0; c < channels; c++)
                to[(n * squares + i) * channels + c] = from[(n * channels + c) * squares + i];
}

float *gn_replay_read(gn_replay *r, const gn_reader *file, const char *group, gn_value v)
{
    char name[256];
    const gn_value_info *info = gn_tape_value(r->net->tape, v);
    snprintf(name, sizeof name, "%s%s%s", group, *group == '\0' ? "" : "/", info->name);
    const gn_entry *e = gn_reader_find(file, name);
    if (e == NULL || !has_shape(e, gn_replay_file_shape(r, v)))
        return NULL;
    const gn_shape s = gn_program_shape(r->program[0], v);
    float *data = gn_aligned(gn_shape_count(s) * sizeof *data + 1);
    if (data == NULL)
        r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for %s", name);
    else
        turn(data, e->data, s, s.rank == 4 && info->kind != GN_PARAM);
    return data;
}

/* --- Loading into the lanes ------------------------------------------------------------------- */

/* The other lanes' numbers from the float lane's. */
static bool spread(gn_replay *r, gn_value v, bool gradient, float *from)
{
    void ***place = gradient ? r->grad : r->data;
    if (from == NULL)
        return false;
    const size_t count = count_of(r, v);
    place[GN_LANE_FLOAT][v] = from;
    for (int i = GN_LANE_TRUTH; i < GN_LANES; i++) {
        double *to = gn_aligned(count * sizeof *to + 1);
        place[i][v] = to;
        if (to == NULL) {
            r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for %s", value_name(r, v));
            return false;
        }
        for (size_t k = 0; k < count; k++) {
            const double x = (double)from[k];
            to[k] = i == GN_LANE_TRUTH ? x : i == GN_LANE_SQUARE ? x * x : x < 0 ? -x : x;
        }
    }
    return true;
}

/* Batch statistics: mean and invstd; the sum of squared deviations stands in no file. */
static float *read_statistic(gn_replay *r, const gn_record *record, int output)
{
    char name[256];
    const gn_value v = record->out[output];
    if (output == 2 || !gn_program_training(r->program[0]))
        return NULL;
    snprintf(name, sizeof name, "stats/%s.%s", record->name, output == 1 ? "mean" : "invstd");
    const gn_entry *e = gn_reader_find(r->candidate, name);
    if (e == NULL || !has_shape(e, gn_program_shape(r->program[0], v)))
        return NULL;
    float *data = gn_aligned(e->bytes + 1);
    if (data == NULL)
        r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for %s", name);
    else
        memcpy(data, e->data, e->bytes);
    return data;
}

static const gn_record *producer(const gn_replay *r, gn_value v)
{
    const int k = gn_tape_value(r->net->tape, v)->producer;
    return k == GN_NONE ? NULL : gn_tape_record_at(r->net->tape, k);
}

static bool load_activation(gn_replay *r, gn_value v)
{
    const gn_record *p = producer(r, v);
    if (strcmp(p->op->name, "flatten") == 0) {
        if (!gn_replay_load(r, p->in[0], false))
            return false;
        gn_replay_room(r, v, false);
        gn_replay_run(r, gn_tape_value(r->net->tape, v)->producer, GN_FORWARD, GN_LANE_FLOAT,
                      GN_LANE_SQUARE);
        return r->status == GN_OK;
    }
    int output = 0;
    while (p->out[output] != v)
        output++;
    if (strcmp(p->op->name, "batch_norm") == 0 && output > 0)
        return spread(r, v, false, read_statistic(r, p, output));
    if (output > 0) { /* the softmax, which backward reads, is a function of the logits */
        if (!gn_replay_load(r, p->in[0], false) || !gn_replay_load(r, p->in[1], false))
            return false;
        gn_replay_room(r, v, false);
        gn_replay_room(r, p->out[0], false);
        gn_replay_run(r, gn_tape_value(r->net->tape, v)->producer, GN_FORWARD, GN_LANE_FLOAT,
                      GN_LANE_TRUTH);
        return r->status == GN_OK;
    }
    const bool loss = strncmp(p->name, "loss/", 5) == 0;
    return spread(r, v, false, gn_replay_read(r, r->candidate, loss ? "" : r->group, v));
}

/* Gradients of the losses are 1: nothing else can be meant. */
static bool load_gradient(gn_replay *r, gn_value v)
{
    const gn_record *p = producer(r, v);
    if (p != NULL && strncmp(p->name, "loss/", 5) == 0) {
        float *one = gn_aligned(sizeof *one + 1);
        if (one == NULL)
            r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for %s", p->name);
        else
            *one = 1;
        return spread(r, v, true, one);
    }
    return spread(r, v, true, gn_replay_read(r, r->candidate, "grad_forward", v));
}

bool gn_replay_load(gn_replay *r, gn_value v, bool gradient)
{
    if (r->status != GN_OK)
        return false;
    if ((gradient ? r->grad : r->data)[GN_LANE_FLOAT][v] != NULL)
        return true;
    if (gradient)
        return load_gradient(r, v);
    switch (gn_tape_value(r->net->tape, v)->kind) {
    case GN_INPUT: return spread(r, v, false, gn_replay_read(r, r->golden, "", v));
    case GN_PARAM: return spread(r, v, false, gn_replay_read(r, r->golden, "param", v));
    case GN_BUFFER: return spread(r, v, false, gn_replay_read(r, r->golden, "buffer", v));
    case GN_ACTIVATION: break;
    }
    return load_activation(r, v);
}

/* --- Running ---------------------------------------------------------------------------------- */

void gn_replay_run(gn_replay *r, int record, gn_pass pass, gn_lane first, gn_lane last)
{
    for (int i = (int)first; i <= (int)last && r->status == GN_OK; i++) {
        void *work = gn_aligned(gn_program_work(program_of(r, i), record, pass) + 1);
        if (work == NULL) {
            r->status = gn_fail(r->err, GN_E_NOMEM, "verify: no memory for workspace");
            return;
        }
        const gn_guard guard = gn_guard_enter(gn_program_threads(program_of(r, i)));
        gn_program_run(program_of(r, i), record, pass, (gn_places){r->data[i], r->grad[i]}, work);
        gn_guard_leave(&guard);
        free(work);
    }
}

gn_call gn_replay_call(const gn_replay *r, int record, gn_pass pass)
{
    const gn_record *k = gn_tape_record_at(r->net->tape, record);
    gn_call call = {.op = k->op, .attr = k->attr, .nin = k->nin, .nout = k->nout, .pass = pass,
                    .training = gn_program_training(r->program[1]), .threads = 1};
    for (int i = 0; i < k->nin; i++)
        call.in[i] = (gn_tensor){r->data[GN_LANE_TRUTH][k->in[i]],
                                 gn_program_shape(r->program[1], k->in[i])};
    for (int j = 0; j < k->nout; j++)
        call.out[j] = (gn_tensor){r->data[GN_LANE_TRUTH][k->out[j]],
                                  gn_program_shape(r->program[1], k->out[j])};
    call.dout = (gn_tensor){r->grad[GN_LANE_TRUTH][k->out[0]], call.out[0].shape};
    return call;
}
