/* One training step of the library, written down for a port to compare with:
 *
 *     step MODEL BATCH TRACE AFTER
 *
 * MODEL: a state dict.  BATCH: input/planes [N,5,S,S], input/policy, input/value.  TRACE gets,
 * under the names of the golden files, the batch statistics, the outputs, the losses and the
 * gradients before clipping; AFTER is the model after the step (AdamW at 1e-3, gradients clipped to
 * norm 1; weight decay 0.1, since 1e-4 would drown in rounding).
 * SPDX-License-Identifier: MIT */
#include <gomokunet/gomokunet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 4096, ELEM = sizeof(float) };

/* The tensors of TRACE, copied out of the engine while they are there. */
typedef struct trace {
    struct {
        char name[160];
        gn_shape shape;
        float *data;
    } tensor[TENSORS];
    int count;
} trace;

static void keep(trace *t, const char *group, const char *name, const char *suffix, gn_shape shape,
                 const void *data)
{
    const size_t bytes = gn_shape_count(shape) * ELEM;
    float *copy = malloc(bytes);
    if (copy == NULL || t->count == TENSORS)
        exit(3);
    memcpy(copy, data, bytes);
    snprintf(t->tensor[t->count].name, sizeof t->tensor->name, "%s/%s%s", group, name, suffix);
    t->tensor[t->count].shape = shape;
    t->tensor[t->count++].data = copy;
}

/* The engine tells each record when it has run. */
static void on_record(void *user, const gn_event *event)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    const gn_shape shape = gn_program_shape(event->program, r->out[0]);
    if (event->pass != GN_FORWARD)
        return;
    if (strcmp(r->op->name, "batch_norm") == 0) { /* outputs: y, mean, m2, 1/sqrt(var + eps) */
        const gn_shape channels = gn_program_shape(event->program, r->out[1]);
        keep(user, "stats", r->name, ".mean", channels, event->places.data[r->out[1]]);
        keep(user, "stats", r->name, ".invstd", channels, event->places.data[r->out[3]]);
    }
    if (strcmp(r->name, "policy_logits") == 0)
        keep(user, "forward", r->name, "", shape, event->places.data[r->out[0]]);
    if (strcmp(r->name, "value") == 0)
        keep(user, "forward", r->name, "", gn_shape_of(1, shape.dim[0], 0, 0, 0),
             event->places.data[r->out[0]]);
}

/* Files have the channel first, the library has it last. */
static float *channel_last(const gn_entry *planes)
{
    const size_t cells = planes->dim[2] * planes->dim[3];
    float *to = malloc(planes->bytes);
    for (size_t n = 0; to != NULL && n < planes->dim[0]; n++)
        for (size_t c = 0; c < GN_PLANES; c++)
            for (size_t i = 0; i < cells; i++)
                to[(n * cells + i) * GN_PLANES + c] =
                    ((const float *)planes->data)[(n * GN_PLANES + c) * cells + i];
    return to;
}

static gn_status run(trace *t, const gn_net *net, gn_session *session, const gn_reader *batch,
                     gn_err *err)
{
    gn_step_result result;
    float *planes = channel_last(gn_reader_find(batch, "input/planes"));
    if (planes == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for the batch");
    gn_engine_hook(gn_session_engine(session), on_record, t);
    const gn_status st =
        gn_session_step(session, planes, gn_reader_find(batch, "input/policy")->data,
                        gn_reader_find(batch, "input/value")->data, 1e-3, &result, err);
    free(planes);
    if (st != GN_OK)
        return st;
    const float loss[] = {(float)result.loss_policy, (float)result.loss_value, (float)result.loss};
    static const char *const names[] = {"policy", "value", "total"};
    for (int i = 0; i < 3; i++)
        keep(t, "loss", names[i], "", gn_shape_of(0, 0, 0, 0, 0), &loss[i]);
    for (int v = 0; v < gn_tape_values(net->tape); v++)
        if (gn_store_grad(gn_session_store(session), v) != NULL)
            keep(t, "grad", gn_tape_value(net->tape, v)->name, "",
                 gn_tape_value(net->tape, v)->shape, gn_store_grad(gn_session_store(session), v));
    return GN_OK;
}

static gn_status write_trace(const trace *t, const char *path, gn_err *err)
{
    gn_writer *w;
    gn_status st = gn_writer_open(&w, path, err);
    if (st != GN_OK)
        return st;
    for (int i = 0; i < t->count; i++)
        gn_writer_declare(w, t->tensor[i].name, GN_F32, t->tensor[i].shape.rank,
                          t->tensor[i].shape.dim, NULL);
    for (int i = 0; i < t->count; i++)
        gn_writer_put(w, t->tensor[i].data, gn_shape_count(t->tensor[i].shape) * ELEM, NULL);
    return gn_writer_close(w, err); /* the first failure comes back from here */
}

int main(int argc, char **argv)
{
    static trace t;
    gn_err err;
    gn_net net;
    gn_net_config config;
    gn_session *session;
    gn_reader *batch;
    if (argc != 5)
        return fprintf(stderr, "step MODEL BATCH TRACE AFTER\n"), 2;
    gn_session_config run_config = gn_session_default();
    if (gn_reader_open(&batch, argv[2], &err) || gn_model_config(&config, argv[1], &err) ||
        gn_net_create(&net, &config, &err))
        return fprintf(stderr, "step: %s\n", err.text), 2;
    run_config.optimizer.weight_decay = 0.1;
    run_config.unfused = true; /* each op's output, not each span's */
    run_config.batch = gn_reader_find(batch, "input/planes")->dim[0];
    if (gn_session_create(&session, &net, &run_config, &err) ||
        gn_session_load(session, argv[1], &err) || run(&t, &net, session, batch, &err) ||
        write_trace(&t, argv[3], &err) || gn_session_save(session, argv[4], &err))
        return fprintf(stderr, "step: %s\n", err.text), 3;
    while (t.count > 0)
        free(t.tensor[--t.count].data);
    gn_session_destroy(session);
    gn_net_destroy(&net);
    gn_reader_close(batch);
    return 0;
}
