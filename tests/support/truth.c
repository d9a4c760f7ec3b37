/* The truth about a program; see truth.h.  SPDX-License-Identifier: MIT */
#include "support/truth.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "support/check.h"

/* A copy of `data`, or NaNs where it is NULL. */
static void *copy_of(const void *data, size_t bytes)
{
    void *copy = aligned_alloc(64, (bytes + 64) / 64 * 64);
    cr_assert_not_null(copy);
    if (data != NULL)
        memcpy(copy, data, bytes);
    else
        memset(copy, 0xff, bytes);
    return copy;
}

static void run(const truth *t, const gn_program *p)
{
    const gn_places places = {t->data, t->grad};
    const gn_tape *tape = gn_program_tape(p);
    const gn_guard guard = gn_guard_enter(gn_program_threads(p));
    if (gn_tape_loss_value(tape) != GN_NONE)
        *(float *)t->grad[gn_tape_loss_value(tape)] = 1;
    const int records = gn_tape_records(tape);
    for (int i = 0; i < 2 * records; i++) {
        const int k = i < records ? i : 2 * records - 1 - i;
        const gn_pass pass = i < records ? GN_FORWARD : GN_BACKWARD;
        if (pass == GN_BACKWARD && !gn_program_has_backward(p, k))
            continue;
        void *work = copy_of(NULL, gn_program_work(p, k, pass));
        gn_program_run(p, k, pass, places, work);
        free(work);
    }
    gn_guard_leave(&guard);
}

truth truth_open(const gn_engine *engine, const gn_program *program)
{
    const gn_tape *tape = gn_program_tape(program);
    truth t = {.values = gn_tape_values(tape)};
    t.data = calloc((size_t)t.values, sizeof *t.data);
    t.grad = calloc((size_t)t.values, sizeof *t.grad);
    cr_assert(t.data != NULL && t.grad != NULL);
    for (int v = 0; v < t.values; v++) {
        const bool given = gn_tape_value(tape, v)->kind != GN_ACTIVATION;
        const size_t bytes = gn_program_bytes(program, v);
        t.data[v] = copy_of(given ? gn_engine_data(engine, v) : NULL, bytes);
        t.grad[v] = copy_of(NULL, bytes);
    }
    run(&t, program);
    return t;
}

void truth_close(truth *t)
{
    for (int v = 0; v < t->values; v++) {
        free(t->data[v]);
        free(t->grad[v]);
    }
    free(t->data);
    free(t->grad);
}

void truth_gradients(const truth *t, const gn_program *program, const gn_store *store)
{
    for (int v = 0; v < t->values; v++)
        if (gn_store_grad(store, v) != NULL && gn_program_has_grad(program, v))
            same_bits(gn_tape_value(gn_program_tape(program), v)->name, gn_store_grad(store, v),
                      t->grad[v], gn_shape_count(gn_program_shape(program, v)));
}

void truth_compare(void *watch, const gn_event *event)
{
    truth_watch *w = watch;
    const gn_tape *tape = gn_program_tape(event->program);
    const gn_record *r = gn_tape_record_at(tape, event->record);
    const bool back = event->pass == GN_BACKWARD;
    w->seen[event->pass]++;
    for (int j = 0; j < (back ? 1 : r->nout); j++) {
        const gn_value v = r->out[j];
        const float *got = back ? event->places.grad[v] : event->places.data[v];
        char name[256];
        snprintf(name, sizeof name, "%s: %s%s", w->run, back ? "gradient of " : "",
                 gn_tape_value(tape, v)->name);
        cr_assert_not_null(got, "%s is not there", name);
        same_bits(name, got, back ? w->truth->grad[v] : w->truth->data[v],
                  gn_shape_count(gn_program_shape(event->program, v)));
    }
}
