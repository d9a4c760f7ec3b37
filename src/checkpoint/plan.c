/* Lowering, second half: where values live.
 *
 * The runs are known; now every value gets its memory just before the run that writes it, and gives
 * it back right after the last run that reads it, whatever the stage.  A value that is dropped and
 * recomputed lives twice.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/lower.h"

/* One slot that a run touches. */
typedef struct touch {
    int slot;
    bool fresh; /* written without being read: a new life begins */
} touch;

enum { MAX_TOUCHES = 2 * GN_MAX_IN + GN_MAX_OUT + 1 };

gn_status gn_plan_append(gn_plan *plan, gn_step step, gn_err *err)
{
    if (plan->count == plan->room) {
        const size_t room = plan->room == 0 ? 256 : plan->room * 2;
        gn_step *larger = realloc(plan->step, room * sizeof *larger);
        if (larger == NULL)
            return gn_fail(err, GN_E_NOMEM, "plan: no memory for %zu steps", room);
        plan->step = larger;
        plan->room = room;
    }
    plan->step[plan->count++] = step;
    return GN_OK;
}

void gn_plan_free(gn_plan *plan)
{
    free(plan->step);
    *plan = (gn_plan){0};
}

/* Lives in the arena from a run to a run: not an input, parameter, buffer or pinned value. */
static bool transient(const gn_program *p, int slot)
{
    const int values = gn_tape_values(gn_program_tape(p));
    const gn_value_info *info = gn_tape_value(gn_program_tape(p), slot % values);
    if (info->kind != GN_ACTIVATION)
        return false;
    return slot >= values ? gn_program_has_grad(p, slot - values) : !info->pinned;
}

static int grad_slot(const gn_program *p, gn_value v)
{
    return v + gn_tape_values(gn_program_tape(p));
}

static bool wants(const gn_program *p, const gn_record *r, int input)
{
    return (r->op->constant & GN_IN(input)) == 0 && gn_program_has_grad(p, r->in[input]);
}

/* Lists the transient slots that a run touches, each once. */
static int touches(const gn_program *p, gn_step step, touch list[MAX_TOUCHES])
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(p), step.record);
    const bool back = step.pass == GN_BACKWARD;
    touch all[MAX_TOUCHES];
    int count = 0;
    for (int i = 0; i < r->nin; i++)
        if (!back || (r->op->reads & GN_IN(i)) != 0)
            all[count++] = (touch){r->in[i], false};
    for (int j = 0; j < r->nout; j++)
        if (!back || (r->op->reads & GN_OUT(j)) != 0)
            all[count++] = (touch){r->out[j], !back};
    if (back)
        all[count++] = (touch){grad_slot(p, r->out[0]), false};
    for (int i = 0; i < r->nin && back; i++)
        if (wants(p, r, i))
            all[count++] = (touch){grad_slot(p, r->in[i]), !gn_program_adds(p, step.record, i)};
    int kept = 0;
    for (int i = 0; i < count; i++) {
        bool known = !transient(p, all[i].slot);
        for (int k = 0; k < kept && !known; k++)
            known = list[k].slot == all[i].slot;
        if (!known)
            list[kept++] = all[i];
    }
    return kept;
}

/* dies[k] bit i: run k is the last that touches the i-th of its slots in this life of it. */
static void find_last_readers(const gn_plan *runs, uint32_t *dies, bool *needed)
{
    for (size_t k = runs->count; k-- > 0;) {
        touch list[MAX_TOUCHES];
        const int count = touches(runs->program, runs->step[k], list);
        dies[k] = 0;
        for (int i = 0; i < count; i++) {
            if (!needed[list[i].slot])
                dies[k] |= 1u << i;
            needed[list[i].slot] = !list[i].fresh;
        }
    }
}

/* The dying slot whose memory the run's first result may take over, GN_NONE where there is none;
 * *into is that result. */
static int in_place(const gn_program *p, gn_step step, const touch *list, int count,
                    uint32_t dies, int *into)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(p), step.record);
    const gn_row *row = gn_program_row(p, step.record);
    for (int i = 0; i < r->nin; i++) {
        int from, to;
        if (step.pass == GN_BACKWARD) {
            if ((row->backward_in_place & GN_IN(i)) == 0 || !wants(p, r, i) ||
                gn_program_adds(p, step.record, i))
                continue;
            from = grad_slot(p, r->out[0]);
            to = grad_slot(p, r->in[i]);
        } else {
            if ((row->forward_in_place & GN_IN(i)) == 0)
                continue;
            from = r->in[i];
            to = r->out[0];
        }
        const gn_value source = step.pass == GN_BACKWARD ? r->out[0] : r->in[i];
        const gn_value target = step.pass == GN_BACKWARD ? r->in[i] : r->out[0];
        if (!transient(p, to) || gn_program_bytes(p, source) != gn_program_bytes(p, target))
            continue;
        for (int t = 0; t < count; t++)
            if (list[t].slot == from && (dies >> t & 1) != 0) {
                *into = to;
                return from;
            }
    }
    return GN_NONE;
}

/* A run with the memory before and after it. */
static gn_status place_run(gn_plan *plan, gn_step step, uint32_t dies, gn_err *err)
{
    touch list[MAX_TOUCHES];
    const int count = touches(plan->program, step, list);
    int into = GN_NONE;
    const int from = in_place(plan->program, step, list, count, dies, &into);
    gn_status status = GN_OK;
    for (int i = 0; i < count && status == GN_OK; i++)
        if (list[i].fresh && list[i].slot != into)
            status = gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = list[i].slot}, err);
    if (from != GN_NONE && status == GN_OK)
        status = gn_plan_append(plan, (gn_step){.kind = GN_MOVE, .slot = into, .from = from}, err);
    /* A kernel that works in place is told both places: the engine keeps `from` until the end. */
    if (status == GN_OK)
        status = gn_plan_append(plan, step, err);
    for (int i = 0; i < count && status == GN_OK; i++)
        if ((dies >> i & 1) != 0 && list[i].slot != from)
            status = gn_plan_append(plan, (gn_step){.kind = GN_GIVE, .slot = list[i].slot}, err);
    return status;
}

/* Inputs and pinned values lie first, for the whole run. */
static gn_status place_residents(gn_plan *plan, gn_err *err)
{
    const gn_tape *tape = gn_program_tape(plan->program);
    gn_status status = GN_OK;
    for (int v = 0; v < gn_tape_values(tape) && status == GN_OK; v++) {
        const gn_value_info *info = gn_tape_value(tape, v);
        if (info->kind == GN_INPUT || (info->kind == GN_ACTIVATION && info->pinned))
            status = gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = v}, err);
    }
    return status;
}

static gn_status place_all(gn_plan *plan, const gn_plan *runs, const uint32_t *dies, gn_err *err)
{
    const gn_tape *tape = gn_program_tape(plan->program);
    gn_status status = place_residents(plan, err);
    bool seeded = false;
    for (size_t k = 0; k < runs->count && status == GN_OK; k++) {
        if (runs->step[k].pass == GN_BACKWARD && !seeded) {
            const int slot = grad_slot(plan->program, gn_tape_loss_value(tape));
            status = gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = slot}, err);
            if (status == GN_OK)
                status = gn_plan_append(plan, (gn_step){.kind = GN_SEED, .slot = slot}, err);
            seeded = true;
        }
        if (status == GN_OK)
            status = place_run(plan, runs->step[k], dies[k], err);
    }
    return status;
}

gn_status gn_plan_create(gn_plan *out, const gn_program *program, const gn_schedule *schedule,
                         gn_err *err)
{
    *out = (gn_plan){.program = program};
    gn_plan runs = {.program = program};
    gn_status status = gn_lower_runs(&runs, schedule, err);
    const size_t slots = 2 * (size_t)gn_tape_values(gn_program_tape(program));
    uint32_t *dies = malloc((runs.count + 1) * sizeof *dies);
    bool *needed = calloc(slots, sizeof *needed);
    if (status == GN_OK && (dies == NULL || needed == NULL))
        status = gn_fail(err, GN_E_NOMEM, "plan: no memory for %zu runs", runs.count);
    if (status == GN_OK) {
        find_last_readers(&runs, dies, needed);
        status = place_all(out, &runs, dies, err);
    }
    free(dies);
    free(needed);
    gn_plan_free(&runs);
    if (status != GN_OK)
        gn_plan_free(out);
    return status;
}
