/* What the work of a training step costs by counting, from shapes alone.
 *
 * Bytes are those of a machine that moves each tensor once: where GB/s comes out above what memory
 * delivers, caches helped; where far below it and GFLOP/s is low too, something else was slow.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/profile.h"

/* Flops of one element of the first input, by the formulas in src/ops; a gradient that is added to
 * another costs one more, which is counted apart. */
static const struct {
    const char *op;
    double forward, recompute, backward;
} by_element[] = {
    {"add", 1, 1, 0},
    {"batch_norm", 8, 3, 9}, /* mean 1, M2 4, apply 3; two sums 4, dx 5 */
    {"channel_scale", 1, 1, 3},
    {"global_avg_pool", 1, 1, 0},
    {"sigmoid", 3, 3, 3},
    {"tanh", 1, 1, 3},
    {"softmax_cross_entropy", 8, 8, 4},
    {"mean_squared_error", 3, 3, 4},
};

static double count(gn_tensor t) { return (double)gn_shape_count(t.shape); }

static double elements(const gn_program *program, gn_value value)
{
    return (double)gn_shape_count(gn_program_shape(program, value));
}

static bool has_weight(const gn_op *op)
{
    return strcmp(op->name, "conv2d") == 0 || strcmp(op->name, "depthwise_conv2d") == 0 ||
           strcmp(op->name, "linear") == 0;
}

static bool wants(const gn_program *program, const gn_record *r, int i)
{
    return (r->op->constant & GN_IN(i)) == 0 && gn_program_has_grad(program, r->in[i]);
}

/* Convolutions and linear layers: each output element is a sum over a row of the weight, taps that
 * lie outside the board included. */
static double weighted_flops(const gn_call *c, uint32_t wanted)
{
    const double out = count(c->out[0]), bias = c->nin > 2 ? out : 0;
    const double sums = 2 * out * count(c->in[1]) / (double)c->in[1].shape.dim[0];
    if (c->pass != GN_BACKWARD)
        return sums + bias;
    return sums * ((wanted & 1) + (wanted >> 1 & 1)) + bias;
}

static double element_flops(const gn_call *c)
{
    for (size_t i = 0; i < sizeof by_element / sizeof *by_element; i++)
        if (strcmp(by_element[i].op, c->op->name) == 0) {
            const double each = c->pass == GN_FORWARD     ? by_element[i].forward
                                : c->pass == GN_RECOMPUTE ? by_element[i].recompute
                                                          : by_element[i].backward;
            return each * count(c->in[0]);
        }
    return 0;
}

/* wanted: bit i: the gradient of input i is. */
static double call_flops(const gn_call *c, uint32_t wanted)
{
    return has_weight(c->op) ? weighted_flops(c, wanted) : element_flops(c);
}

/* The parts of a span that a recompute runs: not those that only lead to what is pinned. */
static uint32_t parts_run(const gn_op *span, gn_pass pass)
{
    if (pass != GN_RECOMPUTE)
        return UINT32_MAX;
    uint32_t run = 1u << (span->parts - 1);
    for (int k = span->parts - 1; k >= 0; k--)
        for (int i = 0; i < 2 && (run >> k & 1) != 0; i++) {
            const int from = span->part[k].from[i];
            if (from != GN_OUTSIDE && from < k && (span->kept >> from & 1) == 0)
                run |= 1u << from;
        }
    return run;
}

enum { MAX_PARTS = 16 };

/* The sum of the parts'; 0 where there is a part that this table does not know. */
static double span_flops(const gn_program *program, const gn_record *r, gn_pass pass)
{
    const gn_op *span = r->op;
    const uint32_t run = parts_run(span, pass);
    gn_shape made[MAX_PARTS];
    double flops = 0;
    int next = 0; /* of the record's inputs */
    for (int k = 0; k < span->parts && k < MAX_PARTS; k++) {
        const gn_row *row = gn_table_find(gn_program_table(program), span->part[k].op);
        if (row == NULL)
            return 0;
        gn_call c = {.op = row->op, .nin = row->op->min_in, .nout = row->op->nout, .pass = pass};
        uint32_t wanted = 0;
        for (int i = 0; i < c.nin; i++) {
            const int from = i < 2 ? span->part[k].from[i] : GN_OUTSIDE;
            const bool outside = from == GN_OUTSIDE;
            c.in[i].shape = outside ? gn_program_shape(program, r->in[next]) : made[from];
            wanted |= !outside || wants(program, r, next) ? GN_IN(i) : 0;
            next += outside;
        }
        if (row->op->shape(&c, NULL) != GN_OK)
            return 0;
        made[k] = c.out[0].shape;
        flops += (run >> k & 1) != 0 ? call_flops(&c, wanted) : 0;
    }
    return flops;
}

static double record_flops(const gn_program *program, const gn_record *r, gn_pass pass)
{
    gn_call c = {.op = r->op, .nin = r->nin, .nout = r->nout, .pass = pass};
    uint32_t wanted = 0;
    if (r->op->parts > 0)
        return span_flops(program, r, pass);
    for (int i = 0; i < r->nin; i++) {
        c.in[i].shape = gn_program_shape(program, r->in[i]);
        wanted |= wants(program, r, i) ? GN_IN(i) : 0;
    }
    c.out[0].shape = gn_program_shape(program, r->out[0]);
    return call_flops(&c, wanted);
}

/* A span moves what it reads and writes: what lies between its parts is in no memory. */
profile_cost profile_record_cost(const gn_program *program, int record, gn_pass pass)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(program), record);
    profile_cost c = {record_flops(program, r, pass), 0};
    double moved = pass == GN_BACKWARD ? elements(program, r->out[0]) : 0; /* dout */
    for (int i = 0; i < r->nin; i++) {
        if (pass != GN_BACKWARD || (r->op->reads & GN_IN(i)) != 0)
            moved += elements(program, r->in[i]);
        if (pass == GN_BACKWARD && wants(program, r, i)) {
            const bool add = gn_program_adds(program, record, i);
            moved += elements(program, r->in[i]) * (add ? 2 : 1);
            c.flops += add ? elements(program, r->in[i]) : 0;
        }
    }
    for (int j = 0; j < r->nout; j++)
        if (pass != GN_BACKWARD || (r->op->reads & GN_OUT(j)) != 0)
            moved += elements(program, r->out[j]);
    c.bytes = moved * (double)gn_program_table(program)->elem;
    return c;
}

profile_cost profile_update_cost(const gn_program *program, const gn_optimizer_config *optimizer)
{
    const double parameters = (double)gn_tape_parameters(gn_program_tape(program));
    const double elem = (double)gn_program_table(program)->elem;
    const bool adamw = optimizer->kind == GN_ADAMW;
    /* The norm: 2 flops, 1 read.  AdamW: p, m, v, g read, p, m, v written; SGD has no v. */
    return (profile_cost){parameters * (2 + (adamw ? 15 : 7)),
                          parameters * (1 + (adamw ? 7 : 5)) * elem};
}

void profile_op_name(const gn_program *program, int record, char *text, size_t room)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(program), record);
    const gn_shape weight = r->nin > 1 ? gn_program_shape(program, r->in[1]) : (gn_shape){0};
    if (has_weight(r->op) && weight.rank == 4)
        snprintf(text, room, "%s %zux%zu", r->op->name, weight.dim[2], weight.dim[3]);
    else
        snprintf(text, room, "%s", r->op->name);
}
