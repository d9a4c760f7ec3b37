/* The tape: a growing list of values, records and stages.
 *
 * Shapes are worked out while it is written, with the batch size still open; nothing is computed
 * and no tensor memory exists.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/tape_list.h"

/* --- Growing ------------------------------------------------------------------------------- */

gn_status gn_tape_create(gn_tape **out, gn_err *err)
{
    gn_tape *tape = calloc(1, sizeof *tape);
    *out = tape;
    if (tape == NULL)
        return gn_fail(err, GN_E_NOMEM, "tape: no memory");
    tape->loss = GN_NONE;
    return GN_OK;
}

void gn_tape_destroy(gn_tape *tape)
{
    if (tape == NULL)
        return;
    for (int i = 0; i < tape->values; i++)
        free((char *)tape->value[i].name);
    for (int i = 0; i < tape->records; i++)
        free((char *)tape->record[i].name);
    for (int i = 0; i < tape->stages; i++)
        free(tape->stage[i]);
    free(tape->value);
    free(tape->record);
    free(tape->stage);
    free(tape);
}

static bool broken(const gn_tape *tape)
{
    return tape->mistake.status != GN_OK;
}

char *gn_tape_text(gn_tape *tape, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy == NULL)
        gn_fail(&tape->mistake, GN_E_NOMEM, "tape: no memory for the name %s", text);
    else
        memcpy(copy, text, size);
    return copy;
}

/* Makes room for one more element behind `count`; doubles at every power of two. */
static void *grown(gn_tape *tape, void *list, int count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return list;
    void *larger = realloc(list, (count == 0 ? 1 : (size_t)count * 2) * size);
    if (larger == NULL)
        gn_fail(&tape->mistake, GN_E_NOMEM, "tape: no memory for entry %d", count);
    return larger;
}

static gn_value new_value(gn_tape *tape, const char *name, gn_value_info info)
{
    if (broken(tape))
        return GN_NONE;
    if (gn_tape_find(tape, name) != GN_NONE) {
        gn_fail(&tape->mistake, GN_E_CONFIG, "tape: the name %s is taken", name);
        return GN_NONE;
    }
    void *list = grown(tape, tape->value, tape->values, sizeof *tape->value);
    if (list == NULL)
        return GN_NONE;
    tape->value = list;
    info.name = gn_tape_text(tape, name);
    if (info.name == NULL)
        return GN_NONE;
    tape->value[tape->values] = info;
    return tape->values++;
}

gn_value gn_tape_input(gn_tape *tape, const char *name, gn_shape shape)
{
    return new_value(tape, name,
                     (gn_value_info){.kind = GN_INPUT, .shape = shape, .producer = GN_NONE});
}

gn_value gn_tape_param(gn_tape *tape, const char *name, gn_shape shape, gn_init init,
                       size_t fan_in)
{
    return new_value(tape, name,
                     (gn_value_info){.kind = GN_PARAM, .shape = shape, .init = init,
                                     .fan_in = fan_in, .producer = GN_NONE});
}

gn_value gn_tape_buffer(gn_tape *tape, const char *name, gn_shape shape, gn_init init)
{
    return new_value(tape, name,
                     (gn_value_info){.kind = GN_BUFFER, .shape = shape, .init = init,
                                     .producer = GN_NONE});
}

void gn_tape_stage(gn_tape *tape, const char *name)
{
    if (broken(tape))
        return;
    void *list = grown(tape, tape->stage, tape->stages, sizeof *tape->stage);
    if (list == NULL)
        return;
    tape->stage = list;
    tape->stage[tape->stages] = gn_tape_text(tape, name);
    if (tape->stage[tape->stages] != NULL)
        tape->stages++;
}

/* Whether the number is one of this tape's values. */
static bool is_value(const gn_tape *tape, gn_value value)
{
    return value >= 0 && value < tape->values;
}

void gn_tape_pin(gn_tape *tape, gn_value value)
{
    if (broken(tape))
        return;
    if (is_value(tape, value))
        tape->value[value].pinned = true;
    else
        gn_fail(&tape->mistake, GN_E_CONFIG, "tape: what is pinned is no value (%d)", value);
}

void gn_tape_loss(gn_tape *tape, gn_value loss)
{
    if (broken(tape))
        return;
    if (!is_value(tape, loss) || gn_shape_count(tape->value[loss].shape) != 1) {
        gn_fail(&tape->mistake, GN_E_SHAPE, "tape: the loss must be a value of one element");
        return;
    }
    tape->loss = loss;
    tape->value[loss].pinned = true;
}

/* --- Records ------------------------------------------------------------------------------- */

/* Outputs become values: the first has the record's name, output j the name NAME:j. */
static void add_outputs(gn_tape *tape, gn_record *record, const gn_call *call)
{
    for (int j = 0; j < record->nout; j++) {
        char name[256];
        if (j == 0)
            snprintf(name, sizeof name, "%s", record->name);
        else
            snprintf(name, sizeof name, "%s:%d", record->name, j);
        record->out[j] = new_value(
            tape, name,
            (gn_value_info){.kind = GN_ACTIVATION, .shape = call->out[j].shape,
                            .producer = tape->records,
                            .pinned = (record->op->pinned & GN_OUT(j)) != 0});
    }
}

static void check_inputs(gn_tape *tape, const gn_op *op, const char *name, const gn_value *in,
                         int nin)
{
    if (nin < op->min_in || nin > op->max_in)
        gn_fail(&tape->mistake, GN_E_CONFIG, "tape: %s (%s) has %d inputs, expected %d to %d",
                name, op->name, nin, op->min_in, op->max_in);
    for (int i = 0; i < nin && !broken(tape); i++)
        if (!is_value(tape, in[i]))
            gn_fail(&tape->mistake, GN_E_CONFIG, "tape: %s (%s): input %d is no value", name,
                    op->name, i);
}

gn_value gn_tape_record(gn_tape *tape, const gn_table *table, const char *op, const char *name,
                        gn_attr attr, const gn_value *in, int nin)
{
    if (broken(tape))
        return GN_NONE;
    const gn_row *row = gn_table_find(table, op);
    if (row == NULL) {
        gn_fail(&tape->mistake, GN_E_CONFIG, "tape: %s: no op %s in table %s", name, op,
                table->name);
        return GN_NONE;
    }
    check_inputs(tape, row->op, name, in, nin);
    if (tape->stages == 0)
        gn_tape_stage(tape, "all");
    if (broken(tape))
        return GN_NONE;

    gn_call call = {.op = row->op, .attr = attr, .nin = nin, .nout = row->op->nout};
    for (int i = 0; i < nin; i++)
        call.in[i].shape = tape->value[in[i]].shape;
    gn_err why;
    const gn_status status = row->op->shape(&call, &why);
    if (status != GN_OK) {
        gn_fail(&tape->mistake, status, "tape: %.200s: %.700s", name, why.text);
        return GN_NONE;
    }

    gn_record record = {.op = row->op, .attr = attr, .nin = nin, .nout = row->op->nout,
                        .stage = tape->stages - 1, .name = gn_tape_text(tape, name)};
    memcpy(record.in, in, (size_t)nin * sizeof *in);
    void *list = grown(tape, tape->record, tape->records, sizeof *tape->record);
    if (list != NULL) {
        tape->record = list;
        add_outputs(tape, &record, &call);
    }
    if (broken(tape)) {
        free((char *)record.name);
        return GN_NONE;
    }
    tape->record[tape->records++] = record;
    return record.out[0];
}

/* --- Reading ------------------------------------------------------------------------------- */

gn_status gn_tape_check(const gn_tape *tape, gn_err *err)
{
    if (!broken(tape))
        return GN_OK;
    return gn_fail(err, tape->mistake.status, "%s", tape->mistake.text);
}

int gn_tape_values(const gn_tape *tape) { return tape->values; }
int gn_tape_records(const gn_tape *tape) { return tape->records; }
int gn_tape_stages(const gn_tape *tape) { return tape->stages; }
gn_value gn_tape_loss_value(const gn_tape *tape) { return tape->loss; }

const gn_value_info *gn_tape_value(const gn_tape *tape, gn_value value)
{
    return &tape->value[value];
}

const gn_record *gn_tape_record_at(const gn_tape *tape, int record)
{
    return &tape->record[record];
}

const char *gn_tape_stage_name(const gn_tape *tape, int stage)
{
    return tape->stage[stage];
}

gn_value gn_tape_find(const gn_tape *tape, const char *name)
{
    for (int i = 0; i < tape->values; i++)
        if (strcmp(tape->value[i].name, name) == 0)
            return i;
    return GN_NONE;
}

size_t gn_tape_parameters(const gn_tape *tape)
{
    size_t count = 0;
    for (int i = 0; i < tape->values; i++)
        if (tape->value[i].kind == GN_PARAM)
            count += gn_shape_count(tape->value[i].shape);
    return count;
}

void gn_tape_trained(const gn_tape *t, bool *trained)
{
    for (int v = 0; v < t->values; v++)
        trained[v] = t->value[v].kind == GN_PARAM;
    for (int k = 0; k < t->records; k++)
        for (int i = 0; i < t->record[k].nin; i++)
            if ((t->record[k].op->constant & GN_IN(i)) == 0 && trained[t->record[k].in[i]])
                trained[t->record[k].out[0]] = true;
}
