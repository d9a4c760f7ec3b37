/* Fusing: consecutive records that a table computes as one become one record.
 *
 * A value inside such a span is never made, so nothing outside may read it.  Everything else, what
 * backward reads, what is dropped and recomputed, where gradients meet, follows from the op of the
 * span as it does from any other op.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "autograd/tape_list.h"

static bool reads(const gn_record *r, gn_value v)
{
    for (int i = 0; i < r->nin; i++)
        if (r->in[i] == v)
            return true;
    return false;
}

static bool read_between(const gn_tape *t, int first, int end, gn_value v)
{
    for (int k = first; k < end; k++)
        if (reads(&t->record[k], v))
            return true;
    return false;
}

/* Appends what record `first + k` reads from outside; false: it is not the span's part k. */
static bool take_inputs(const gn_tape *t, const gn_op *op, int first, int k, gn_record *fused)
{
    const gn_record *r = &t->record[first + k];
    const gn_part *part = &op->part[k];
    if (strcmp(r->op->name, part->op) != 0 || r->stage != t->record[first].stage)
        return false;
    for (int i = 0; i < r->nin; i++) {
        const int from = i < 2 ? part->from[i] : GN_OUTSIDE;
        if (from != GN_OUTSIDE) {
            if (r->in[i] != t->record[first + from].out[0])
                return false;
        } else if (fused->nin == GN_MAX_IN || reads(fused, r->in[i]) ||
                   t->value[r->in[i]].producer >= first) {
            return false; /* one gradient in two parts, or a value that is never made */
        } else {
            fused->in[fused->nin++] = r->in[i];
        }
    }
    return true;
}

/* Appends the outputs that outlive the span; false: others do, or one that carries a gradient, as
 * all first outputs do, or is never made, is read outside. */
static bool take_outputs(const gn_tape *t, const gn_op *op, int first, int k, gn_record *fused)
{
    const gn_record *r = &t->record[first + k];
    for (int j = 0; j < r->nout; j++) {
        const gn_value v = r->out[j];
        if (k == op->parts - 1 && j == 0)
            continue; /* the span's own first output */
        const bool pinned = t->value[v].pinned;
        if ((j == 0 && pinned != (op->kept >> k & 1)) || v == t->loss ||
            ((j == 0 || !pinned) && read_between(t, first + op->parts, t->records, v)))
            return false;
        if (pinned && fused->nout == GN_MAX_OUT)
            return false;
        if (pinned)
            fused->out[fused->nout++] = v;
    }
    return true;
}

/* Whether the records from `first` on are the op's span; *fused is the record that they make. */
static bool matches(const gn_tape *t, const bool *trained, const gn_op *op, int first,
                    gn_record *fused)
{
    if (op->parts == 0 || op->parts > t->records - first)
        return false;
    const gn_record *last = &t->record[first + op->parts - 1];
    *fused = (gn_record){.op = op, .name = last->name, .attr = t->record[first].attr, .nout = 1,
                         .stage = last->stage, .out = {last->out[0]}};
    for (int k = 0; k < op->parts; k++)
        if (!take_inputs(t, op, first, k, fused) || !take_outputs(t, op, first, k, fused))
            return false;
    for (int i = 0; i < fused->nin; i++)
        if ((op->last & GN_IN(i)) != 0 &&
            (!trained[fused->in[i]] ||
             read_between(t, first + op->parts, t->records, fused->in[i])))
            return false;
    gn_call call = {.op = op, .nin = fused->nin, .nout = fused->nout};
    for (int i = 0; i < fused->nin; i++)
        call.in[i].shape = t->value[fused->in[i]].shape;
    return fused->nin == op->min_in && fused->nout == op->nout && op->shape(&call, NULL) == GN_OK;
}

/* The record of the first span in the table that starts at `first`; else that record alone. */
static gn_record longest(const gn_tape *t, const bool *trained, const gn_table *table, int first)
{
    gn_record fused;
    for (; table != NULL; table = table->under)
        for (size_t i = 0; i < table->count; i++)
            if (matches(t, trained, table->row[i]->op, first, &fused))
                return fused;
    return t->record[first];
}

static void copy_fused(gn_tape *to, const gn_tape *t, const bool *trained, const gn_table *table)
{
    for (; to->values < t->values; to->values++) {
        to->value[to->values] = t->value[to->values];
        to->value[to->values].name = gn_tape_text(to, t->value[to->values].name);
        to->value[to->values].producer = GN_NONE;
    }
    for (; to->stages < t->stages; to->stages++)
        to->stage[to->stages] = gn_tape_text(to, t->stage[to->stages]);
    for (int k = 0; k < t->records; to->records++) {
        gn_record *r = &to->record[to->records];
        *r = longest(t, trained, table, k);
        r->name = gn_tape_text(to, r->name);
        for (int j = 0; j < r->nout; j++)
            to->value[r->out[j]].producer = to->records;
        k += r->op == t->record[k].op ? 1 : r->op->parts; /* which may be a span already */
    }
}

gn_status gn_tape_fuse(gn_tape **out, const gn_tape *tape, const gn_table *table, gn_err *err)
{
    *out = NULL;
    gn_status status = gn_tape_check(tape, err);
    gn_tape *to = NULL;
    if (status == GN_OK) status = gn_tape_create(&to, err);
    if (status != GN_OK)
        return status;
    to->loss = tape->loss;
    to->value = calloc((size_t)tape->values + 1, sizeof *to->value);
    to->record = calloc((size_t)tape->records + 1, sizeof *to->record);
    to->stage = calloc((size_t)tape->stages + 1, sizeof *to->stage);
    bool *trained = calloc((size_t)tape->values + 1, sizeof *trained);
    if (to->value == NULL || to->record == NULL || to->stage == NULL || trained == NULL) {
        gn_fail(&to->mistake, GN_E_NOMEM, "tape: no memory to fuse %d records", tape->records);
    } else {
        gn_tape_trained(tape, trained);
        copy_fused(to, tape, trained, table);
    }
    free(trained);
    status = gn_tape_check(to, err);
    if (status == GN_OK)
        *out = to;
    else
        gn_tape_destroy(to);
    return status;
}
