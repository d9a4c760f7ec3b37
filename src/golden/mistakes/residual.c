/* Mistakes in rectifiers, in the residual addition, and in where gradients go.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "golden/mistakes/mistake.h"

static bool is_residual(const gn_record *r)
{
    return gn_record_ends(r, ".add");
}

static bool is_inner(const gn_record *r)
{
    return gn_record_ends(r, ".relu1");
}

static bool has_parameters(const gn_record *r)
{
    static const char *const ops[] = {"conv2d", "depthwise_conv2d", "linear", "batch_norm"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (gn_record_is(r, ops[i]))
            return true;
    return false;
}

/* --- Rectifiers ------------------------------------------------------------------------------- */

static void passes_at_zero(const gn_slip *s)
{
    for (size_t i = 0; i < gn_shape_count(s->call.in[0].shape); i++)
        gn_slip_din(s, 0)[i] = gn_slip_in(s, 0)[i] >= 0 ? gn_slip_dout(s)[i] : 0;
}

static void unmasked(const gn_slip *s)
{
    memcpy(gn_slip_din(s, 0), gn_slip_dout(s),
           gn_shape_count(s->call.in[0].shape) * sizeof(double));
}

static bool same_shape(const gn_tape *t, gn_value a, gn_value b)
{
    return gn_shape_equal(gn_tape_value(t, a)->shape, gn_tape_value(t, b)->shape);
}

/* The mask of another rectifier of the same shape, one buffer for both: of the one before (variant
 * 0), after it (1), two before (2: for a block's last, the block's input). */
static gn_value stale(const gn_tape *t, int record, int slot, int variant)
{
    const gn_record *r = gn_tape_record_at(t, record);
    if (slot < GN_MAX_IN)
        return r->in[slot];
    const gn_value own = r->out[slot - GN_MAX_IN];
    if (!gn_record_is(r, "relu"))
        return own;
    const int step = variant == 1 ? 1 : -1;
    int left = variant == 2 ? 2 : 1;
    for (int k = record + step; k >= 0 && k < gn_tape_records(t); k += step) {
        const gn_record *other = gn_tape_record_at(t, k);
        if (gn_record_is(other, "relu") && same_shape(t, other->out[0], own) && --left == 0)
            return other->out[0];
    }
    return own;
}

/* --- The addition ----------------------------------------------------------------------------- */

/* relu(branch) + skip, and nothing after. */
static void relu_first(const gn_slip *s)
{
    const size_t count = gn_shape_count(s->call.in[0].shape);
    if (strcmp(s->call.op->name, "relu") == 0) {
        gn_slip_left_out(s);
        return;
    }
    const double *branch = gn_slip_in(s, 0);
    for (size_t i = 0; i < count && s->call.pass != GN_BACKWARD; i++)
        gn_slip_out(s, 0)[i] = (branch[i] > 0 ? branch[i] : 0) + gn_slip_in(s, 1)[i];
    for (size_t i = 0; i < count && s->call.pass == GN_BACKWARD; i++) {
        if (gn_slip_din(s, 0) != NULL)
            gn_slip_din(s, 0)[i] = branch[i] > 0 ? gn_slip_dout(s)[i] : 0;
        if (gn_slip_din(s, 1) != NULL)
            gn_slip_din(s, 1)[i] = gn_slip_dout(s)[i];
    }
}

static bool is_block_end(const gn_record *r)
{
    return is_residual(r) || gn_record_is_block(r);
}

static void zero(const gn_slip *s)
{
    for (int i = 0; i < s->call.nin; i++)
        if (gn_slip_din(s, i) != NULL)
            memset(gn_slip_din(s, i), 0, gn_shape_count(s->call.in[i].shape) * sizeof(double));
}

/* --- Parameters ------------------------------------------------------------------------------- */

/* Variant 0: twice; 1: half. */
static void scaled(const gn_slip *s)
{
    static const double factor[] = {2, 0.5};
    gn_slip_sound(s, &s->call);
    for (int i = 1; i < s->call.nin; i++)
        for (size_t e = 0; e < gn_shape_count(s->call.in[i].shape); e++)
            if (gn_slip_din(s, i) != NULL)
                gn_slip_din(s, i)[e] *= factor[s->variant];
}

static const gn_mistake mistakes[] = {
    {.name = "relu-missing",
     .says = "the ReLU between a block's convolutions is missing",
     .op = "relu",
     .where = is_inner,
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "relu-gradient-at-zero",
     .says = "ReLU passes the gradient where its input is exactly 0",
     .op = "relu",
     .backward = passes_at_zero},
    {.name = "relu-gradient-unmasked",
     .says = "ReLU passes the gradient everywhere",
     .op = "relu",
     .backward = unmasked},
    {.name = "relu-gradient-from-stale-activation",
     .says = "ReLU's gradient is masked by another activation",
     .variants = 3,
     .reads = stale},
    {.name = "residual-relu-before-add",
     .says = "ReLU stands before the addition, not after it",
     .where = is_block_end,
     .forward = relu_first,
     .backward = relu_first},
    {.name = "residual-relu-missing",
     .says = "there is no ReLU after the addition",
     .op = "relu",
     .where = gn_record_is_block,
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "residual-missing",
     .says = "the block's input is not added",
     .op = "add",
     .where = is_residual,
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "residual-gradient-lost",
     .says = "the gradient does not pass the skip connection",
     .op = "add",
     .where = is_residual,
     .passes = GN_SLIP_WEIGHT /* the second input */,
     .backward = zero},
    {.name = "residual-branch-gradient-lost",
     .says = "the gradient passes the skip connection only",
     .op = "add",
     .where = is_residual,
     .passes = GN_SLIP_INPUT,
     .backward = zero},
    {.name = "gradient-accumulated-twice",
     .says = "gradients of parameters are doubled (or halved): not cleared, or averaged again",
     .variants = 2,
     .where = has_parameters,
     .passes = GN_SLIP_WEIGHT,
     .backward = scaled},
};
const gn_mistakes gn_mistakes_residual = {mistakes, sizeof mistakes / sizeof *mistakes};
