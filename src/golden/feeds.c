/* What a wrong tensor spoils: the ops that read an output, the gradients made of a gradient.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "golden/audit.h"

static void add(gn_finding *f, const char *name)
{
    const size_t used = strlen(f->feeds);
    snprintf(f->feeds + used, sizeof f->feeds - used, "%s%s", used > 0 ? ", " : "", name);
}

static bool reads(const gn_record *r, gn_value v)
{
    for (int i = 0; i < r->nin; i++)
        if (r->in[i] == v)
            return true;
    return false;
}

/* The ops that read a value; the flattened copy is no op of its own. */
static void readers(gn_finding *f, const gn_tape *tape, gn_value v)
{
    for (int k = 0; k < gn_tape_records(tape); k++) {
        const gn_record *r = gn_tape_record_at(tape, k);
        if (reads(r, v) && strcmp(r->op->name, "flatten") == 0)
            readers(f, tape, r->out[0]);
        else if (reads(r, v))
            add(f, r->name);
    }
}

/* The gradients that the op's backward makes of the gradient of its output. */
static void sources(gn_finding *f, const gn_program *program, const gn_record *r)
{
    const gn_tape *tape = gn_program_tape(program);
    for (int i = 0; i < r->nin; i++) {
        const gn_value_info *in = gn_tape_value(tape, r->in[i]);
        if (r->in[i] == GN_NONE || !gn_program_has_grad(program, r->in[i]))
            continue;
        const gn_record *from = in->producer == GN_NONE ? NULL
                                                        : gn_tape_record_at(tape, in->producer);
        if (from != NULL && strcmp(from->op->name, "flatten") == 0)
            in = gn_tape_value(tape, from->in[0]);
        add(f, in->name);
    }
}

void gn_audit_feeds(gn_audit *a, size_t first)
{
    const gn_tape *tape = a->replay.net->tape;
    static const char *const groups[] = {"forward/", "eval_forward/", "stats/", "grad_forward/"};
    for (size_t i = first; i < a->out->count; i++) {
        gn_finding *f = &a->out->finding[i];
        for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
            const size_t n = strlen(groups[g]);
            char name[160];
            if (f->verdict <= GN_VERDICT_BOUND || strncmp(f->name, groups[g], n) != 0)
                continue;
            snprintf(name, sizeof name, "%s", f->name + n);
            char *dot = strrchr(name, '.');
            if (g == 2 && dot != NULL)
                *dot = '\0'; /* NAME.mean, NAME.invstd: what the batch norm itself feeds */
            const gn_value v = gn_tape_find(tape, name);
            if (v == GN_NONE || gn_tape_value(tape, v)->producer == GN_NONE)
                continue;
            if (g == 3)
                sources(f, a->replay.program[0],
                        gn_tape_record_at(tape, gn_tape_value(tape, v)->producer));
            else if (g == 2)
                add(f, name);
            else
                readers(f, tape, v);
        }
    }
}
