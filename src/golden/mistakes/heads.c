/* Mistakes in the heads and in linear layers.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "golden/mistakes/mistake.h"

static bool is_head(const gn_record *r)
{
    return strcmp(r->name, "policy_conv") == 0 || strcmp(r->name, "value_conv") == 0 ||
           strcmp(r->name, "value_fc.1") == 0;
}

static bool has_bias(const gn_record *r)
{
    return r->nin > 2;
}

/* Both are copies of the same size, so the order of ours is (h, w, c) as it lies. */
static void as_it_lies(const gn_slip *s)
{
    gn_slip_left_out(s);
}

static void no_bias(const gn_slip *s)
{
    gn_call c = s->call;
    c.in[2].data = NULL;
    if (gn_slip_din(s, 2) != NULL)
        memset(gn_slip_din(s, 2), 0, gn_shape_count(c.in[2].shape) * sizeof(double));
    c.din[2].data = NULL;
    gn_slip_sound(s, &c);
}

/* The memory of [O,K] taken for [K,O]. */
static size_t transposed(const gn_slip *slip, gn_shape s, size_t e)
{
    (void)slip;
    return e % s.dim[1] * s.dim[0] + e / s.dim[1];
}

/* A parameter that nothing reads has no gradient, so optimisers pass it by. */
static const gn_update_slip passed_by = {.idle = true};

static const gn_mistake mistakes[] = {
    {.name = "flatten-hwc",
     .says = "a head's map is flattened as (h,w,c), not (c,h,w)",
     .op = "flatten",
     .forward = as_it_lies,
     .backward = as_it_lies},
    {.name = "head-relu-missing",
     .says = "a ReLU in a head is missing",
     .op = "relu",
     .where = is_head,
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "value-tanh-missing",
     .says = "the value is not a tanh",
     .op = "tanh",
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "bias-missing",
     .says = "a linear layer's bias is not added",
     .op = "linear",
     .where = has_bias,
     .update = &passed_by,
     .forward = no_bias,
     .backward = no_bias},
    {.name = "linear-transposed-weight",
     .says = "a linear layer's weight is taken for its transpose",
     .op = "linear",
     .place = transposed,
     .side = 1},
};
const gn_mistakes gn_mistakes_heads = {mistakes, sizeof mistakes / sizeof *mistakes};
