/* How far a candidate is from the truth where no op can be judged by itself: the whole step, or the
 * inference, runs in float64 from the golden file's state, and every unjudged tensor is measured
 * against it, beside the golden file's own float32 error.  Distances, no verdicts.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/audit.h"

typedef struct distances {
    gn_audit *audit;
    size_t first; /* findings of this mode begin here */
} distances;

static gn_finding *unjudged(const distances *d, const char *name)
{
    gn_verification *out = d->audit->out;
    for (size_t i = d->first; i < out->count; i++)
        if (out->finding[i].verdict == GN_VERDICT_UNJUDGED &&
            strcmp(out->finding[i].name, name) == 0)
            return &out->finding[i];
    return NULL;
}

static double rms(const float *x, const double *truth, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)x[i] - truth[i]) * ((double)x[i] - truth[i]);
    return __builtin_sqrt(sum / (double)(count == 0 ? 1 : count));
}

static void measure(const distances *d, const char *group, gn_value v, const double *truth)
{
    gn_replay *p = &d->audit->replay;
    char name[256];
    snprintf(name, sizeof name, "%s%s%s", group, *group == '\0' ? "" : "/",
             gn_tape_value(p->net->tape, v)->name);
    gn_finding *f = truth == NULL ? NULL : unjudged(d, name);
    if (f == NULL)
        return;
    float *own = gn_replay_read(p, p->candidate, group, v);
    float *golden = gn_replay_read(p, p->golden, group, v);
    const size_t count = gn_shape_count(gn_program_shape(p->program[1], v));
    if (own != NULL && golden != NULL) {
        f->rms_error = rms(own, truth, count);
        f->reference_rms_error = rms(golden, truth, count);
    }
    free(own);
    free(golden);
}

static void watch(void *user, const gn_event *event)
{
    const distances *d = user;
    const gn_record *r = gn_tape_record_at(d->audit->replay.net->tape, event->record);
    const bool loss = strncmp(r->name, "loss/", 5) == 0;
    if (event->pass == GN_FORWARD)
        measure(d, loss ? "" : d->audit->replay.group, r->out[0], event->places.data[r->out[0]]);
    else if (event->pass == GN_BACKWARD)
        measure(d, "grad_forward", r->out[0], event->places.grad[r->out[0]]);
}

/* Parameters, buffers and inputs of the golden file, widened; false: it lacks one. */
static bool fill(gn_replay *p, gn_store *store, const gn_engine *engine)
{
    for (gn_value v = 0; v < gn_tape_values(p->net->tape) && p->status == GN_OK; v++) {
        const gn_kind kind = gn_tape_value(p->net->tape, v)->kind;
        if (kind == GN_ACTIVATION)
            continue;
        static const char *const groups[] = {"", "param", "buffer"};
        float *data = gn_replay_read(p, p->golden, groups[kind], v);
        if (data == NULL)
            return false;
        if (kind == GN_INPUT)
            gn_engine_feed(engine, v, data);
        double *to = kind == GN_INPUT ? NULL : gn_store_data(store, v);
        const size_t count = gn_shape_count(gn_program_shape(p->program[1], v));
        for (size_t i = 0; i < count && to != NULL; i++)
            to[i] = (double)data[i];
        free(data);
    }
    return true;
}

static bool any_unjudged(const distances *d)
{
    for (size_t i = d->first; i < d->audit->out->count; i++)
        if (d->audit->out->finding[i].verdict == GN_VERDICT_UNJUDGED)
            return true;
    return false;
}

void gn_audit_distances(gn_audit *a, size_t first)
{
    gn_replay *p = &a->replay;
    distances d = {a, first};
    if (p->status != GN_OK || !any_unjudged(&d))
        return;
    const bool training = gn_program_training(p->program[1]);
    gn_schedule schedule = {0};
    gn_store *store = NULL;
    gn_pool *pool = NULL;
    gn_engine *engine = NULL;
    gn_status st = gn_net_schedule(&schedule, p->net, training ? "block" : "inference", p->err);
    if (st == GN_OK) st = gn_store_create(&store, p->net->tape, &gn_double, training, p->err);
    if (st == GN_OK) st = gn_pool_create(&pool, p->err);
    if (st == GN_OK)
        st = gn_engine_create(&engine, p->program[1], &schedule, store, pool, p->err);
    if (st == GN_OK && fill(p, store, engine)) {
        gn_engine_hook(engine, watch, &d);
        st = gn_engine_run(engine, p->err);
        for (gn_value v = 0; v < gn_tape_values(p->net->tape) && st == GN_OK; v++)
            if (gn_tape_value(p->net->tape, v)->kind == GN_PARAM)
                measure(&d, "grad", v, gn_store_grad(store, v));
    }
    p->status = p->status == GN_OK ? st : p->status;
    gn_engine_destroy(engine);
    gn_pool_destroy(pool);
    gn_store_destroy(store);
    gn_schedule_free(&schedule);
}
