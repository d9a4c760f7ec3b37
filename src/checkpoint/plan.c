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

void gn_plan_append(gn_plan *plan, gn_step step, gn_err *mistake)
{
    if (mistake->status != GN_OK)
        return;
    if (plan->count == plan->room) {
        const size_t room = plan->room == 0 ? 256 : plan->room * 2;
        gn_step *larger = realloc(plan->step, room * sizeof *larger);
        if (larger == NULL) {
            gn_fail(mistake, GN_E_NOMEM, "plan: no memory for %zu steps", room);
            return;
        }
        plan->step = larger;
        plan->room = room;
    }
    plan->step[plan->count++] = step;
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
    const bool back = step.pass == GN_BACKWARD;
    for (int i = 0; i < r->nin; i++) {
        const gn_value x = r->in[i], y = r->out[0];
        const int from = back ? grad_slot(p, y) : x, to = back ? grad_slot(p, x) : y;
        const uint32_t able = back ? row->backward_in_place : row->forward_in_place;
        if ((able & GN_IN(i)) == 0 || !transient(p, to) ||
            gn_program_bytes(p, x) != gn_program_bytes(p, y) ||
            (back && (!wants(p, r, i) || gn_program_adds(p, step.record, i))))
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
static void place_run(gn_plan *plan, gn_step step, uint32_t dies, gn_err *mistake)
{
    touch list[MAX_TOUCHES];
    const int count = touches(plan->program, step, list);
    int into = GN_NONE;
    const int from = in_place(plan->program, step, list, count, dies, &into);
    for (int i = 0; i < count; i++)
        if (list[i].fresh && list[i].slot != into)
            gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = list[i].slot}, mistake);
    if (from != GN_NONE)
        gn_plan_append(plan, (gn_step){.kind = GN_MOVE, .slot = into, .from = from}, mistake);
    /* A kernel that works in place is told both places: the engine keeps `from` until the end. */
    gn_plan_append(plan, step, mistake);
    for (int i = 0; i < count; i++)
        if ((dies >> i & 1) != 0 && list[i].slot != from)
            gn_plan_append(plan, (gn_step){.kind = GN_GIVE, .slot = list[i].slot}, mistake);
}

/* Inputs and pinned values lie first, for the whole run. */
static void place_residents(gn_plan *plan, gn_err *mistake)
{
    const gn_tape *tape = gn_program_tape(plan->program);
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const gn_value_info *info = gn_tape_value(tape, v);
        if (info->kind == GN_INPUT || (info->kind == GN_ACTIVATION && info->pinned))
            gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = v}, mistake);
    }
}

static void place_all(gn_plan *plan, const gn_plan *runs, const uint32_t *dies, gn_err *mistake)
{
    bool seeded = false;
    place_residents(plan, mistake);
    for (size_t k = 0; k < runs->count; k++) {
        if (runs->step[k].pass == GN_BACKWARD && !seeded) {
            const gn_tape *tape = gn_program_tape(plan->program);
            const int slot = grad_slot(plan->program, gn_tape_loss_value(tape));
            gn_plan_append(plan, (gn_step){.kind = GN_TAKE, .slot = slot}, mistake);
            gn_plan_append(plan, (gn_step){.kind = GN_SEED, .slot = slot}, mistake);
            seeded = true;
        }
        place_run(plan, runs->step[k], dies[k], mistake);
    }
}

gn_status gn_plan_create(gn_plan *out, const gn_program *program, const gn_schedule *schedule,
                         gn_err *err)
{
    gn_err mistake = {GN_OK, ""};
    gn_plan runs = {.program = program};
    *out = runs;
    gn_lower_runs(&runs, schedule, &mistake);
    const size_t slots = 2 * (size_t)gn_tape_values(gn_program_tape(program));
    uint32_t *dies = malloc((runs.count + 1) * sizeof *dies);
    bool *needed = calloc(slots, sizeof *needed);
    if (mistake.status == GN_OK && (dies == NULL || needed == NULL))
        gn_fail(&mistake, GN_E_NOMEM, "plan: no memory for %zu runs", runs.count);
    if (mistake.status == GN_OK) {
        find_last_readers(&runs, dies, needed);
        place_all(out, &runs, dies, &mistake);
    }
    free(dies);
    free(needed);
    gn_plan_free(&runs);
    if (mistake.status == GN_OK)
        return GN_OK;
    gn_plan_free(out);
    return gn_fail(err, mistake.status, "%s", mistake.text);
}
