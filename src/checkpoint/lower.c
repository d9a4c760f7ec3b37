/* Lowering, first half: a schedule of stages becomes a list of runs of single records.
 *
 * A recompute is driven by need: when the backward of a record is about to read a value that was
 * dropped, the value's record runs again, after those that it needs in turn, inside its own stage.
 * So nothing is recomputed for nothing, each at most once, right before its first reader.  Whether
 * a value is there is all the state this needs.  SPDX-License-Identifier: MIT */
#include "checkpoint/lower.h"

#include <stdlib.h>
#include <string.h>

typedef struct lowering {
    gn_plan *plan;
    const gn_tape *tape;
    bool *there;   /* by value: computed and not dropped */
    bool *edge;    /* by value: read by a later stage than the one that writes it */
    bool *armed;   /* by stage: may be recomputed now */
    bool *ran;     /* by stage */
    int next_back; /* the stage that must run backward next */
    gn_err *mistake;
} lowering;

/* Where a mistake goes: into nothing, if it is not the first. */
static gn_err *first(const lowering *l)
{
    return l->mistake->status == GN_OK ? l->mistake : NULL;
}

/* Runs a record forward. */
static void compute(lowering *l, gn_pass pass, int record)
{
    const gn_record *r = gn_tape_record_at(l->tape, record);
    for (int j = 0; j < r->nout; j++)
        l->there[r->out[j]] = true;
    gn_plan_append(l->plan, (gn_step){.kind = GN_COMPUTE, .pass = pass, .record = record},
                   l->mistake);
}

/* Makes sure that `v` is there, recomputing it and what it needs within armed stages. */
static void ensure(lowering *l, gn_value v)
{
    if (l->there[v])
        return;
    const gn_value_info *info = gn_tape_value(l->tape, v);
    const gn_record *r = gn_tape_record_at(l->tape, info->producer);
    if (!l->armed[r->stage]) {
        gn_fail(first(l), GN_E_CONFIG,
                "schedule: %s is read after it was dropped, and stage %s is not kept", info->name,
                gn_tape_stage_name(l->tape, r->stage));
        return;
    }
    for (int i = 0; i < r->nin; i++)
        ensure(l, r->in[i]);
    compute(l, GN_RECOMPUTE, info->producer);
}

/* The first run of a stage computes every record. */
static void first_run(lowering *l, int stage)
{
    for (int k = 0; k < gn_tape_records(l->tape); k++) {
        const gn_record *r = gn_tape_record_at(l->tape, k);
        if (r->stage != stage)
            continue;
        for (int i = 0; i < r->nin; i++)
            if (!l->there[r->in[i]])
                gn_fail(first(l), GN_E_CONFIG, "schedule: stage %s runs without its input %s",
                        gn_tape_stage_name(l->tape, stage),
                        gn_tape_value(l->tape, r->in[i])->name);
        compute(l, GN_FORWARD, k);
    }
    l->ran[stage] = true;
}

/* Whether `v` is an activation that the stage computes. */
static bool made_by(const lowering *l, int stage, gn_value v)
{
    const int producer = gn_tape_value(l->tape, v)->producer;
    return producer != GN_NONE && gn_tape_record_at(l->tape, producer)->stage == stage;
}

/* A later run remakes what later stages read; the rest waits until backward asks for it. */
static void run_again(lowering *l, int stage)
{
    l->armed[stage] = true;
    for (int v = 0; v < gn_tape_values(l->tape); v++)
        if (l->edge[v] && made_by(l, stage, v))
            ensure(l, v);
}

/* A convolution that sums over channels costs hundreds of operations an element; everything else a
 * few.  A span is as dear as its last part. */
static bool dear(const lowering *l, gn_value v)
{
    const gn_op *op = gn_tape_record_at(l->tape, gn_tape_value(l->tape, v)->producer)->op;
    return strcmp(op->parts > 0 ? op->part[op->parts - 1].op : op->name, "conv2d") == 0;
}

static void drop_inside(lowering *l, int stage, bool but_dear)
{
    for (int v = 0; v < gn_tape_values(l->tape); v++)
        if (made_by(l, stage, v) && !gn_tape_value(l->tape, v)->pinned && !l->edge[v] &&
            !(but_dear && dear(l, v)))
            l->there[v] = false;
    l->armed[stage] = but_dear;
}

/* Whether another stage that has not run yet reads the value: a skip over several stages. */
static bool awaited(const lowering *l, int stage, gn_value v)
{
    for (int k = 0; k < gn_tape_records(l->tape); k++) {
        const gn_record *r = gn_tape_record_at(l->tape, k);
        for (int i = 0; i < r->nin && r->stage != stage && !l->ran[r->stage]; i++)
            if (r->in[i] == v)
                return true;
    }
    return false;
}

static void drop_input(lowering *l, int stage)
{
    for (int k = 0; k < gn_tape_records(l->tape); k++) {
        const gn_record *r = gn_tape_record_at(l->tape, k);
        for (int i = 0; i < r->nin && r->stage == stage; i++) {
            const gn_value v = r->in[i];
            if (l->edge[v] && !gn_tape_value(l->tape, v)->pinned && !made_by(l, stage, v) &&
                !awaited(l, stage, v))
                l->there[v] = false;
        }
    }
}

static void run_back(lowering *l, int stage)
{
    if (stage != l->next_back) {
        gn_fail(first(l), GN_E_CONFIG,
                "schedule: stage %s runs backward out of order, expected %s",
                gn_tape_stage_name(l->tape, stage),
                l->next_back < 0 ? "none" : gn_tape_stage_name(l->tape, l->next_back));
        return;
    }
    l->next_back--;
    for (int k = gn_tape_records(l->tape) - 1; k >= 0; k--) {
        const gn_record *r = gn_tape_record_at(l->tape, k);
        if (r->stage != stage || !gn_program_has_backward(l->plan->program, k))
            continue;
        for (int i = 0; i < r->nin; i++)
            if ((r->op->reads & GN_IN(i)) != 0)
                ensure(l, r->in[i]);
        for (int j = 0; j < r->nout; j++)
            if ((r->op->reads & GN_OUT(j)) != 0)
                ensure(l, r->out[j]);
        gn_plan_append(l->plan,
                       (gn_step){.kind = GN_COMPUTE, .pass = GN_BACKWARD, .record = k},
                       l->mistake);
    }
}

static void act(lowering *l, gn_action action)
{
    switch (action.kind) {
    case GN_RUN:
    case GN_RUN_KEEP:
    case GN_RUN_CHEAP:
        if (l->ran[action.stage])
            run_again(l, action.stage);
        else
            first_run(l, action.stage);
        if (action.kind != GN_RUN_KEEP)
            drop_inside(l, action.stage, action.kind == GN_RUN_CHEAP);
        break;
    case GN_DROP_INPUT:
        drop_input(l, action.stage);
        break;
    case GN_RUN_BACK:
        run_back(l, action.stage);
        break;
    }
}

static void find_edges(lowering *l)
{
    for (int k = 0; k < gn_tape_records(l->tape); k++) {
        const gn_record *r = gn_tape_record_at(l->tape, k);
        for (int i = 0; i < r->nin; i++) {
            const int producer = gn_tape_value(l->tape, r->in[i])->producer;
            if (producer != GN_NONE && gn_tape_record_at(l->tape, producer)->stage < r->stage)
                l->edge[r->in[i]] = true;
        }
    }
}

static void lower_actions(lowering *l, const gn_schedule *schedule)
{
    const int stages = gn_tape_stages(l->tape);
    for (int v = 0; v < gn_tape_values(l->tape); v++)
        l->there[v] = gn_tape_value(l->tape, v)->kind != GN_ACTIVATION;
    find_edges(l);
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->action[i].stage >= 0 && schedule->action[i].stage < stages)
            act(l, schedule->action[i]);
        else
            gn_fail(first(l), GN_E_CONFIG, "schedule: action %zu names stage %d of %d", i,
                    schedule->action[i].stage, stages);
    for (int s = 0; s < stages; s++)
        if (!l->ran[s])
            gn_fail(first(l), GN_E_CONFIG, "schedule: stage %s never runs forward",
                    gn_tape_stage_name(l->tape, s));
    const gn_value loss = gn_tape_loss_value(l->tape);
    if (loss != GN_NONE && gn_program_has_grad(l->plan->program, loss) && l->next_back >= 0)
        gn_fail(first(l), GN_E_CONFIG, "schedule: stage %s never runs backward",
                gn_tape_stage_name(l->tape, l->next_back));
}

void gn_lower_runs(gn_plan *plan, const gn_schedule *schedule, gn_err *mistake)
{
    const gn_tape *tape = gn_program_tape(plan->program);
    const size_t values = (size_t)gn_tape_values(tape), stages = (size_t)gn_tape_stages(tape);
    bool *flags = calloc(2 * values + 2 * stages, sizeof *flags);
    lowering l = {.plan = plan, .tape = tape, .there = flags, .edge = flags + values,
                  .armed = flags + 2 * values, .ran = flags + 2 * values + stages,
                  .next_back = gn_tape_stages(tape) - 1, .mistake = mistake};
    if (flags == NULL)
        gn_fail(mistake, GN_E_NOMEM, "plan: no memory");
    else
        lower_actions(&l, schedule);
    free(flags);
}
