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

static double elements(const gn_program *program, gn_value value)
{
    return (double)gn_shape_count(gn_program_shape(program, value));
}

static bool has_weight(const gn_record *r)
{
    return strcmp(r->op->name, "conv2d") == 0 || strcmp(r->op->name, "depthwise_conv2d") == 0 ||
           strcmp(r->op->name, "linear") == 0;
}

static bool wants(const gn_program *program, const gn_record *r, int i)
{
    return (r->op->constant & GN_IN(i)) == 0 && gn_program_has_grad(program, r->in[i]);
}

/* Convolutions and linear layers: each output element is a sum over a row of the weight, taps that
 * lie outside the board included. */
static double weighted_flops(const gn_program *program, const gn_record *r, gn_pass pass)
{
    const gn_shape weight = gn_program_shape(program, r->in[1]);
    const double out = elements(program, r->out[0]), bias = r->nin > 2 ? out : 0;
    const double sums = 2 * out * (double)gn_shape_count(weight) / (double)weight.dim[0];
    if (pass != GN_BACKWARD)
        return sums + bias;
    return sums * (wants(program, r, 0) + wants(program, r, 1)) + bias;
}

static double element_flops(const gn_program *program, const gn_record *r, gn_pass pass)
{
    for (size_t i = 0; i < sizeof by_element / sizeof *by_element; i++)
        if (strcmp(by_element[i].op, r->op->name) == 0) {
            const double each = pass == GN_FORWARD     ? by_element[i].forward
                                : pass == GN_RECOMPUTE ? by_element[i].recompute
                                                       : by_element[i].backward;
            return each * elements(program, r->in[0]);
        }
    return 0;
}

profile_cost profile_record_cost(const gn_program *program, int record, gn_pass pass)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(program), record);
    const double elem = (double)gn_program_table(program)->elem;
    profile_cost c = {has_weight(r) ? weighted_flops(program, r, pass)
                                    : element_flops(program, r, pass), 0};
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
    c.bytes = moved * elem;
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
    if (has_weight(r) && weight.rank == 4)
        snprintf(text, room, "%s %zux%zu", r->op->name, weight.dim[2], weight.dim[3]);
    else
        snprintf(text, room, "%s", r->op->name);
}
