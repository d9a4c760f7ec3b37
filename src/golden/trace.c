/* Writing golden files: a hook of the engine streams every tensor out as it is computed.
 *
 * The order of the tensors in the file is the order in which they come into being, and every tensor
 * must be declared before the first is written.  So the whole run is walked twice by the same code:
 * once to declare (there is no data yet), once for real.
 * SPDX-License-Identifier: MIT */
#include "golden/trace.h"

#include <stdio.h>
#include <string.h>

#include "train/optimiser.h"
#include "train/session.h"

/* --- One tensor ----------------------------------------------------------------------------- */

/* NaN has one pattern in files, whatever the processor made. */
static void copy_canonical(float *to, const float *from, size_t count)
{
    static const uint32_t nan_bits = 0x7fc00000;
    for (size_t i = 0; i < count; i++) {
        if (from[i] == from[i])
            to[i] = from[i];
        else
            memcpy(&to[i], &nan_bits, sizeof to[i]);
    }
}

/* Maps leave as [N,C,H,W]; everything else as it is. */
static gn_status put_floats(gn_trace *t, gn_shape shape, bool map, const float *data)
{
    const size_t images = shape.rank == 0 ? 1 : shape.dim[0];
    const size_t count = images == 0 ? 0 : gn_shape_count(shape) / images;
    const size_t squares = map ? shape.dim[1] * shape.dim[2] : 1, channels = count / squares;
    gn_status st = GN_OK;
    for (size_t n = 0; n < images && st == GN_OK; n++) {
        const float *from = data + n * count;
        for (size_t i = 0; i < squares && map; i++)
            for (size_t c = 0; c < channels; c++)
                copy_canonical(&t->image[c * squares + i], &from[i * channels + c], 1);
        if (!map)
            copy_canonical(t->image, from, count);
        st = gn_sink_put(t->sink, t->image, count * sizeof(float), t->err);
    }
    return st;
}

/* Whether the tensor is wanted; its name in the file. */
static bool select_name(const gn_trace *t, char *full, size_t room, const char *group,
                        const char *name)
{
    char step[32] = "";
    if (t->step > 1)
        snprintf(step, sizeof step, "step/%llu/", (unsigned long long)t->step);
    snprintf(full, room, "%s%s%s%s", step, group, *group == '\0' ? "" : "/", name);
    return gn_golden_wants(t->g, full);
}

/* Declares a tensor, or begins it; false: there is nothing to put. */
static bool begin(gn_trace *t, const char *full, gn_dtype type, gn_shape shape)
{
    if (t->declaring) {
        t->status = gn_sink_declare(t->sink, full, type, shape.rank, shape.dim, t->err);
        return false;
    }
    t->status = gn_sink_begin(t->sink, full, t->err);
    t->done++;
    if (t->status == GN_OK && t->g->progress != NULL &&
        !t->g->progress(t->g->user, t->done, gn_sink_tensors(t->sink), full))
        t->status = gn_fail(t->err, GN_E_IO, "stopped at tensor %s; no file was written", full);
    return t->status == GN_OK;
}

static void tensor(gn_trace *t, const char *group, const char *name, gn_shape shape, bool map,
                   const void *data)
{
    char full[256];
    gn_shape file = shape;
    if (t->status != GN_OK || !select_name(t, full, sizeof full, group, name))
        return;
    if (map)
        file = gn_shape_of(4, shape.dim[0], shape.dim[3], shape.dim[1], shape.dim[2]);
    if (begin(t, full, GN_F32, file))
        t->status = put_floats(t, shape, map, data);
}

static void counter(gn_trace *t, const char *group, const char *batch_norm, bool in_block)
{
    char name[160], full[256];
    snprintf(name, sizeof name, "%s.num_batches_tracked", batch_norm);
    if (t->status != GN_OK || !select_name(t, full, sizeof full, group, name))
        return;
    if (begin(t, full, GN_I64, (gn_shape){.rank = 0})) {
        const gn_tracked *seen = &t->session->tracked;
        const int64_t count = (int64_t)(in_block ? seen->blocks : seen->others);
        t->status = gn_sink_put(t->sink, &count, sizeof count, t->err);
    }
}

/* --- Groups of tensors ---------------------------------------------------------------------- */

/* The shape that a file has for a value of the tape. */
static gn_shape file_shape(const gn_trace *t, gn_value v)
{
    const gn_shape shape = gn_program_shape(t->session->program, v);
    if (strncmp(gn_tape_value(t->tape, v)->name, "loss/", 5) == 0)
        return (gn_shape){.rank = 0};
    return v == t->g->net->value ? gn_shape_of(1, shape.dim[0], 0, 0, 0) : shape;
}

/* An activation, or its gradient. */
static void activation(gn_trace *t, const char *group, gn_value v, const void *data)
{
    const gn_shape shape = file_shape(t, v);
    tensor(t, group, gn_tape_value(t->tape, v)->name, shape, shape.rank == 4, data);
}

static void inputs(gn_trace *t)
{
    const gn_value value[] = {t->g->net->planes, t->g->net->target_policy, t->g->net->target_value};
    const float *data[] = {t->planes, t->policy, t->value};
    for (int i = 0; i < 3; i++) /* their names begin with input/ */
        activation(t, "", value[i], data[i]);
}

/* The counters stand behind their batch norm's running_var, as in a model file. */
static void state(gn_trace *t, const char *params, const char *buffers)
{
    static const char tail[] = ".running_var";
    for (int v = 0; v < gn_tape_values(t->tape); v++) {
        const gn_value_info *info = gn_tape_value(t->tape, v);
        if (info->kind != GN_PARAM && info->kind != GN_BUFFER)
            continue;
        const char *group = info->kind == GN_PARAM ? params : buffers;
        tensor(t, group, info->name, info->shape, false, gn_store_data(t->session->store, v));
        const char *end = strstr(info->name, tail);
        if (end != NULL) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)(end - info->name), info->name);
            counter(t, group, name, strncmp(name, "blocks.", 7) == 0);
        }
    }
}

static void gradients(gn_trace *t)
{
    for (int v = 0; v < gn_tape_values(t->tape); v++)
        if (gn_tape_value(t->tape, v)->kind == GN_PARAM)
            tensor(t, "grad", gn_tape_value(t->tape, v)->name, gn_tape_value(t->tape, v)->shape,
                   false, gn_store_grad(t->session->store, v));
}

static void moments(gn_trace *t)
{
    static const char *const groups[] = {"after_exp_avg", "after_exp_avg_sq"};
    const int kinds = t->g->session.optimizer.kind == GN_ADAMW ? 2 : 1;
    for (int i = 0; i < kinds; i++)
        for (int v = 0; v < gn_tape_values(t->tape); v++)
            if (gn_tape_value(t->tape, v)->kind == GN_PARAM)
                tensor(t, groups[i], gn_tape_value(t->tape, v)->name,
                       gn_tape_value(t->tape, v)->shape, false,
                       gn_optimizer_moment(t->session->optimizer, i, v));
}

/* What a record computed, if the list of names has it: layout changes are not ops there. */
static void forward(gn_trace *t, int record, void **data)
{
    const gn_record *r = gn_tape_record_at(t->tape, record);
    const bool loss = strncmp(r->name, "loss/", 5) == 0;
    const bool training = strcmp(t->pass, "forward") == 0;
    if (strcmp(r->op->name, "flatten") == 0 || (loss && !training))
        return;
    activation(t, loss ? "" : t->pass, r->out[0], data == NULL ? NULL : data[r->out[0]]);
    if (strcmp(r->op->name, "batch_norm") != 0 || !training)
        return;
    static const char *const ends[] = {"mean", "invstd"};
    const gn_value stats[] = {r->out[1], r->out[3]};
    for (int i = 0; i < 2; i++) {
        char name[160];
        snprintf(name, sizeof name, "%s.%s", r->name, ends[i]);
        tensor(t, "stats", name, gn_program_shape(t->session->program, stats[i]), false,
               data == NULL ? NULL : data[stats[i]]);
    }
}

static void backward(gn_trace *t, int record, void **grad)
{
    const gn_record *r = gn_tape_record_at(t->tape, record);
    if (strcmp(r->op->name, "flatten") != 0 && strncmp(r->name, "loss/", 5) != 0)
        activation(t, "grad_forward", r->out[0], grad == NULL ? NULL : grad[r->out[0]]);
}

void gn_trace_watch(void *user, const gn_event *event)
{
    gn_trace *t = user;
    if (event->pass == GN_FORWARD)
        forward(t, event->record, event->places.data);
    else if (event->pass == GN_BACKWARD)
        backward(t, event->record, event->places.grad);
}

/* The steps after the first are there to be compared by their ends, not op by op. */
static bool traced(const gn_trace *t) { return t->step == 1; }

/* --- The run, declared and real ------------------------------------------------------------- */

static void run_eval(gn_trace *t)
{
    if (t->declaring) {
        for (int k = 0; k < gn_tape_records(t->tape); k++)
            forward(t, k, NULL);
        return;
    }
    gn_engine_feed(t->eval_engine, t->g->net->planes, t->planes);
    gn_engine_feed(t->eval_engine, t->g->net->target_policy, t->policy);
    gn_engine_feed(t->eval_engine, t->g->net->target_value, t->value);
    const gn_status st = gn_engine_run(t->eval_engine, t->err);
    t->status = t->status == GN_OK ? st : t->status;
}

static void declare_step(gn_trace *t)
{
    const int records = gn_tape_records(t->tape);
    for (int k = 0; k < records; k++)
        if (traced(t) || strncmp(gn_tape_record_at(t->tape, k)->name, "loss/", 5) == 0)
            forward(t, k, NULL);
    for (int k = records - 1; k >= 0 && traced(t); k--)
        if (gn_program_has_backward(t->session->program, k))
            backward(t, k, NULL);
}

static void watch_losses(void *user, const gn_event *event)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    if (strncmp(r->name, "loss/", 5) == 0)
        gn_trace_watch(user, event);
}

static void run_step(gn_trace *t)
{
    if (t->declaring) {
        declare_step(t);
        return;
    }
    gn_step_result result;
    gn_err err;
    gn_engine_hook(t->session->engine, traced(t) ? gn_trace_watch : watch_losses, t);
    const gn_status st = gn_session_step(t->session, t->planes, t->policy, t->value, t->g->rate,
                                         &result, &err);
    gn_engine_hook(t->session->engine, NULL, NULL);
    if (t->status == GN_OK && st != GN_OK)
        t->status = gn_fail(t->err, st, "step %llu: %s", (unsigned long long)t->step, err.text);
}

void gn_trace_run(gn_trace *t)
{
    const uint64_t last = t->g->steps > 0 ? t->g->steps : 1;
    for (t->step = 1; t->step <= last && t->status == GN_OK; t->step++) {
        if (!t->declaring)
            gn_sampler_batch(&t->sampler, t->step - 1, t->planes, t->policy, t->value);
        inputs(t);
        if (traced(t))
            state(t, "param", "buffer");
        if (traced(t) && t->g->inference) {
            t->pass = "eval_forward";
            run_eval(t);
        }
        if (t->g->steps == 0 || t->status != GN_OK)
            continue;
        t->pass = "forward";
        run_step(t);
        gradients(t);
        state(t, "after", "after");
        moments(t);
    }
}
