/* The engine: carries out a plan, step by step, in one arena.
 *
 * The same loop runs with memory and without.  Without, it only moves offsets: that is the
 * prediction.  With memory it computes, and what it measures is what it predicted.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/arena.h"
#include "base/guard.h"
#include "checkpoint/debug.h"
#include "gomokunet/checkpoint.h"

struct gn_pool {
    char *memory;
    size_t bytes;
};

struct gn_engine {
    const gn_program *program;
    gn_store *store;
    gn_pool *pool;
    gn_plan plan;
    gn_arena arena;
    size_t *offset;   /* by slot: where it lies */
    void **pointer;   /* by slot: the same as an address; NULL: not held */
    int *runs;        /* by record: forwards and recomputes in the last run */
    int moved;        /* the slot whose memory the run in hand overwrites; GN_NONE */
    gn_usage predicted, measured;
    gn_hook hook, watch;
    void *user, *watcher;
    gn_debug *debug;
};

/* --- The pool ------------------------------------------------------------------------------ */

gn_status gn_pool_create(gn_pool **out, gn_err *err)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? GN_OK : gn_fail(err, GN_E_NOMEM, "pool: no memory for the handle");
}

void gn_pool_destroy(gn_pool *pool)
{
    if (pool == NULL)
        return;
    free(pool->memory);
    free(pool);
}

size_t gn_pool_bytes(const gn_pool *pool) { return pool->bytes; }

static gn_status grow_pool(gn_pool *pool, size_t bytes, gn_err *err)
{
    if (bytes <= pool->bytes)
        return GN_OK;
    free(pool->memory);
    pool->memory = gn_aligned_large(bytes);
    pool->bytes = pool->memory == NULL ? 0 : bytes;
    if (pool->memory == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for activations: %.2f GiB needed",
                       (double)bytes / (1024.0 * 1024.0 * 1024.0));
    return GN_OK;
}

/* --- Steps --------------------------------------------------------------------------------- */

static size_t slot_bytes(const gn_engine *e, int slot)
{
    return gn_program_bytes(e->program, slot % gn_tape_values(gn_program_tape(e->program)));
}

static bool is_input(const gn_engine *e, int slot)
{
    const gn_tape *tape = gn_program_tape(e->program);
    return slot < gn_tape_values(tape) && gn_tape_value(tape, slot)->kind == GN_INPUT;
}

static gn_status no_holes(gn_err *err)
{
    return gn_fail(err, GN_E_NOMEM, "engine: no memory for the arena's list of holes");
}

static gn_status take(gn_engine *e, int slot, char *base, gn_err *err)
{
    e->offset[slot] = gn_arena_take(&e->arena, slot_bytes(e, slot));
    if (e->offset[slot] == GN_ARENA_FULL)
        return no_holes(err);
    if (base != NULL) {
        e->pointer[slot] = base + e->offset[slot];
        if (e->debug != NULL && !is_input(e, slot)) /* an input was filled before the run */
            gn_debug_poison(e->pointer[slot], slot_bytes(e, slot));
    }
    return GN_OK;
}

static gn_status give(gn_engine *e, int slot, gn_err *err)
{
    if (e->debug != NULL && e->pointer[slot] != NULL)
        gn_debug_poison(e->pointer[slot], slot_bytes(e, slot));
    e->pointer[slot] = NULL;
    return gn_arena_give(&e->arena, e->offset[slot], slot_bytes(e, slot)) ? GN_OK : no_holes(err);
}

/* Sets an element of the table's type. */
static void set(const gn_engine *e, void *data, size_t index, double value)
{
    if (gn_program_table(e->program)->elem == sizeof(float))
        ((float *)data)[index] = (float)value;
    else
        ((double *)data)[index] = value;
}

static gn_status compute(gn_engine *e, gn_step step, char *base, gn_err *err)
{
    const size_t bytes = gn_program_work(e->program, step.record, step.pass);
    const size_t work = gn_arena_take(&e->arena, bytes);
    if (work == GN_ARENA_FULL)
        return no_holes(err);
    gn_status status = GN_OK;
    if (base != NULL) {
        const int values = gn_tape_values(gn_program_tape(e->program));
        const gn_event event = {e->program, step.record, step.pass,
                                {e->pointer, e->pointer + values}};
        if (e->hook != NULL && step.pass == GN_BACKWARD)
            e->hook(e->user, &event);
        if (e->debug != NULL)
            gn_debug_poison(base + work, bytes);
        if (e->watch != NULL)
            e->watch(e->watcher, &event);
        gn_program_run(e->program, step.record, step.pass, event.places, base + work);
        if (e->watch != NULL)
            e->watch(e->watcher, &event);
        if (e->moved != GN_NONE) /* before the hook: what was overwritten is not there */
            e->pointer[e->moved] = NULL;
        if (step.pass != GN_BACKWARD) {
            e->runs[step.record]++;
            if (e->hook != NULL)
                e->hook(e->user, &event);
            if (e->debug != NULL)
                status = gn_debug_check(e->debug, &event, err);
        }
    }
    return gn_arena_give(&e->arena, work, bytes) ? status : no_holes(err);
}

/* The whole plan; base NULL: only measure. */
static gn_status carry_out(gn_engine *e, char *base, gn_usage *usage, gn_err *err)
{
    gn_arena_clear(&e->arena);
    gn_status status = GN_OK;
    e->moved = GN_NONE;
    for (size_t i = 0; i < e->plan.count && status == GN_OK; i++) {
        const gn_step step = e->plan.step[i];
        switch (step.kind) {
        case GN_TAKE:
            status = take(e, step.slot, base, err);
            break;
        case GN_GIVE:
            status = give(e, step.slot, err);
            break;
        case GN_MOVE:
            e->offset[step.slot] = e->offset[step.from];
            e->pointer[step.slot] = e->pointer[step.from];
            e->moved = step.from;
            break;
        case GN_SEED:
            usage->saved = e->arena.live;
            if (base != NULL)
                set(e, e->pointer[step.slot], 0, 1);
            break;
        case GN_COMPUTE:
            status = compute(e, step, base, err);
            e->moved = GN_NONE;
            break;
        }
    }
    usage->peak = e->arena.peak;
    return status;
}

/* --- The engine ---------------------------------------------------------------------------- */

static void release(gn_engine *e)
{
    gn_arena_free(&e->arena);
    gn_debug_destroy(e->debug);
    free(e->offset);
    free(e->pointer);
    free(e->runs);
}

/* Everything but the memory of the values. */
static gn_status prepare(gn_engine *e, const gn_program *program, gn_err *err)
{
    const gn_tape *tape = gn_program_tape(program);
    const size_t slots = 2 * (size_t)gn_tape_values(tape);
    e->program = program;
    e->offset = calloc(slots, sizeof *e->offset);
    e->pointer = calloc(slots, sizeof *e->pointer);
    e->runs = calloc((size_t)gn_tape_records(tape) + 1, sizeof *e->runs);
    if (e->offset == NULL || e->pointer == NULL || e->runs == NULL)
        return gn_fail(err, GN_E_NOMEM, "engine: no memory for %zu slots", slots);
    return carry_out(e, NULL, &e->predicted, err);
}

gn_status gn_plan_measure(const gn_plan *plan, gn_usage *usage, gn_err *err)
{
    gn_engine e = {.plan = *plan};
    const gn_status status = prepare(&e, plan->program, err);
    *usage = e.predicted;
    release(&e);
    return status;
}

gn_status gn_engine_create(gn_engine **out, const gn_program *program,
                           const gn_schedule *schedule, gn_store *store, gn_pool *pool,
                           gn_err *err)
{
    *out = NULL;
    gn_engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return gn_fail(err, GN_E_NOMEM, "engine: no memory for the handle");
    e->store = store;
    e->pool = pool;
    gn_status status = gn_plan_create(&e->plan, program, schedule, err);
    if (status == GN_OK) status = prepare(e, program, err);
    if (status == GN_OK) status = grow_pool(pool, e->predicted.peak, err);
    if (status != GN_OK) {
        gn_engine_destroy(e);
        return status;
    }
    e->arena.peak = 0; /* from here on it is measured */
    *out = e;
    return GN_OK;
}

void gn_engine_destroy(gn_engine *e)
{
    if (e == NULL)
        return;
    release(e);
    gn_plan_free(&e->plan);
    free(e);
}

void gn_engine_hook(gn_engine *e, gn_hook hook, void *user)
{
    e->hook = hook;
    e->user = user;
}

gn_hook gn_engine_hooked(const gn_engine *e, void **user)
{
    *user = e->user;
    return e->hook;
}

void gn_engine_watch(gn_engine *e, gn_hook watch, void *user)
{
    e->watch = watch;
    e->watcher = user;
}

bool gn_engine_debug(gn_engine *e, bool on)
{
    gn_debug_destroy(e->debug);
    e->debug = on ? gn_debug_create(e->program) : NULL;
    return !on || e->debug != NULL;
}

static void point_at_store(gn_engine *e)
{
    const int values = gn_tape_values(gn_program_tape(e->program));
    for (int v = 0; v < values; v++) {
        if (gn_store_data(e->store, v) == NULL)
            continue;
        e->pointer[v] = gn_store_data(e->store, v);
        e->pointer[v + values] = gn_store_grad(e->store, v);
    }
}

gn_status gn_engine_run(gn_engine *e, gn_err *err)
{
    const int values = gn_tape_values(gn_program_tape(e->program));
    memset(e->pointer, 0, 2 * (size_t)values * sizeof *e->pointer);
    memset(e->runs, 0, (size_t)gn_tape_records(gn_program_tape(e->program)) * sizeof *e->runs);
    point_at_store(e);
    const gn_guard guard = gn_guard_enter(gn_program_threads(e->program));
    const gn_status status = carry_out(e, e->pool->memory, &e->measured, err);
    gn_guard_leave(&guard);
    return status;
}

void *gn_engine_data(const gn_engine *e, gn_value v)
{
    void *stored = gn_store_data(e->store, v);
    return stored != NULL ? stored : e->pool->memory + e->offset[v];
}

void gn_engine_feed(const gn_engine *e, gn_value input, const float *data)
{
    const size_t count = gn_shape_count(gn_program_shape(e->program, input));
    void *to = gn_engine_data(e, input);
    for (size_t i = 0; i < count; i++)
        set(e, to, i, (double)data[i]);
}

double gn_engine_read(const gn_engine *e, gn_value v, size_t index)
{
    const void *data = gn_engine_data(e, v);
    const bool narrow = gn_program_table(e->program)->elem == sizeof(float);
    return narrow ? (double)((const float *)data)[index] : ((const double *)data)[index];
}

gn_usage gn_engine_predicted(const gn_engine *e) { return e->predicted; }
gn_usage gn_engine_measured(const gn_engine *e) { return e->measured; }

int gn_engine_forward_runs(const gn_engine *e, int stage)
{
    int most = 0;
    for (int k = 0; k < gn_tape_records(gn_program_tape(e->program)); k++)
        if (gn_tape_record_at(gn_program_tape(e->program), k)->stage == stage && e->runs[k] > most)
            most = e->runs[k];
    return most;
}
