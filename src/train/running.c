/* Running statistics.
 *
 * Forward kernels have no side effects: a batch norm only outputs the statistics of its batch.
 * They enter the running averages here, once a step, however often a recompute ran it again.
 * SPDX-License-Identifier: MIT */
#include "train/running.h"

#include <string.h>

const double gn_running_momentum = 0.1;

static bool in_block(const gn_tape *tape, const gn_record *r)
{
    return r->stage > 0 && r->stage < gn_tape_stages(tape) - 1;
}

void gn_running_update(const gn_engine *engine, gn_store *store, const gn_program *program,
                       bool twice)
{
    const gn_tape *tape = gn_program_tape(program);
    const gn_update *update = gn_table_update(gn_program_table(program));
    for (int k = 0; k < gn_tape_records(tape); k++) {
        const gn_record *r = gn_tape_record_at(tape, k);
        const char *op = r->op->parts > 0 ? r->op->part[0].op : r->op->name;
        if (strcmp(op, "batch_norm") != 0) /* a span that starts with one has its inputs, outputs */
            continue;
        const gn_shape x = gn_program_shape(program, r->in[0]);
        const size_t channels = x.dim[x.rank - 1];
        for (int n = twice && in_block(tape, r) ? 2 : 1; n > 0; n--)
            update->running(gn_store_data(store, r->in[3]), gn_store_data(store, r->in[4]),
                            gn_engine_data(engine, r->out[1]), gn_engine_data(engine, r->out[2]),
                            channels, gn_shape_count(x) / channels, gn_running_momentum);
    }
}

/* A number minus itself is 0, but for NaN and infinities. */
static bool all_finite(const void *data, size_t count, size_t elem)
{
    for (size_t i = 0; i < count; i++) {
        const double x = elem == sizeof(float) ? (double)((const float *)data)[i]
                                               : ((const double *)data)[i];
        if (!(x - x == 0))
            return false;
    }
    return true;
}

typedef struct search {
    const char *found;
} search;

static void look(void *user, const gn_event *event)
{
    search *s = user;
    if (s->found != NULL || event->pass != GN_FORWARD)
        return;
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    const size_t elem = gn_program_table(event->program)->elem;
    for (int i = 0; i < r->nin + r->nout && s->found == NULL; i++) {
        const gn_value v = i < r->nin ? r->in[i] : r->out[i - r->nin];
        const gn_value_info *info = gn_tape_value(gn_program_tape(event->program), v);
        /* A NaN in a target means "no target". */
        const bool target = i < r->nin && (r->op->constant & GN_IN(i)) != 0;
        if (!target && event->places.data[v] != NULL &&
            !all_finite(event->places.data[v],
                        gn_shape_count(gn_program_shape(event->program, v)), elem))
            s->found = info->name;
    }
}

const char *gn_first_not_finite(gn_engine *engine)
{
    search s = {NULL};
    void *user;
    const gn_hook hook = gn_engine_hooked(engine, &user);
    gn_engine_hook(engine, look, &s);
    gn_engine_run(engine, NULL);
    gn_engine_hook(engine, hook, user);
    return s.found;
}

const char *gn_first_bad_gradient(const gn_program *program, const gn_store *store)
{
    const gn_tape *tape = gn_program_tape(program);
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const void *grad = gn_store_grad(store, v);
        if (grad != NULL && !all_finite(grad, gn_shape_count(gn_program_shape(program, v)),
                                        gn_program_table(program)->elem))
            return gn_tape_value(tape, v)->name;
    }
    return NULL;
}
