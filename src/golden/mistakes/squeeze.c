/* Mistakes in squeeze-and-excitation.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "golden/mistakes/mistake.h"

static bool is_hidden(const gn_record *r)
{
    return gn_record_ends(r, ".se.excitation.1");
}

/* --- The mean --------------------------------------------------------------------------------- */

/* The largest of each channel of each image; its first place gets the gradient. */
static void largest(const gn_slip *s)
{
    const gn_shape x = s->call.in[0].shape;
    const size_t HW = x.dim[1] * x.dim[2], C = x.dim[3];
    for (size_t k = 0; k < x.dim[0] * C; k++) {
        const size_t first = k / C * HW * C + k % C;
        size_t at = first;
        for (size_t i = 1; i < HW; i++)
            if (gn_slip_in(s, 0)[first + i * C] > gn_slip_in(s, 0)[at])
                at = first + i * C;
        if (s->call.pass == GN_BACKWARD)
            gn_slip_din(s, 0)[at] = gn_slip_dout(s)[k];
        else
            gn_slip_out(s, 0)[k] = gn_slip_in(s, 0)[at];
    }
}

static void times(double *data, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++)
        data[i] *= factor;
}

static void sum(const gn_slip *s)
{
    const gn_shape x = s->call.in[0].shape;
    const double HW = (double)(x.dim[1] * x.dim[2]);
    gn_slip_sound(s, &s->call);
    if (s->call.pass == GN_BACKWARD)
        times(gn_slip_din(s, 0), gn_shape_count(x), HW);
    else
        times(gn_slip_out(s, 0), gn_shape_count(s->call.out[0].shape), HW);
}

/* The gate is a constant: what the mean sends back is lost (variant 0), or already what the product
 * sends to the gate (1). */
static void constant_gate(const gn_slip *s)
{
    const bool mean = gn_record_is(&(gn_record){.op = s->call.op}, "global_avg_pool");
    const int lost = s->variant == 0 && mean ? 0 : s->variant == 1 && !mean ? 1 : -1;
    gn_slip_sound(s, &s->call);
    if (lost >= 0 && gn_slip_din(s, lost) != NULL)
        memset(gn_slip_din(s, lost), 0,
               gn_shape_count(s->call.in[lost].shape) * sizeof(double));
}

static bool on_the_gate(const gn_record *r)
{
    return gn_record_is(r, "global_avg_pool") || gn_record_is(r, "channel_scale");
}

/* --- What stands where ------------------------------------------------------------------------ */

/* A value of the same block. */
static gn_value in_block(const gn_tape *t, const gn_record *r, const char *name)
{
    char full[160];
    const char *dot = strchr(r->name + 7, '.');
    const int length = dot == NULL ? (int)strlen(r->name) : (int)(dot - r->name);
    snprintf(full, sizeof full, "%.*s.%s", length, r->name, name);
    return gn_tape_find(t, full);
}

static bool squeezes(const gn_record *r)
{
    return gn_record_ends(r, ".se.mean") || gn_record_ends(r, ".se");
}

static gn_value before_batch_norm(const gn_tape *t, int record, int slot, int variant)
{
    (void)variant;
    const gn_record *r = gn_tape_record_at(t, record);
    const gn_value own = slot < GN_MAX_IN ? r->in[slot] : r->out[slot - GN_MAX_IN];
    if (slot != 0 || strncmp(r->name, "blocks.", 7) != 0)
        return own;
    if (squeezes(r)) {
        const gn_value dense = in_block(t, r, "conv2.conv");
        return dense != GN_NONE ? dense : in_block(t, r, "conv2.pointwise");
    }
    return gn_record_ends(r, ".conv2.bn") ? in_block(t, r, "se")
           : gn_record_ends(r, ".add")    ? in_block(t, r, "conv2.bn")
                                          : own;
}

static gn_value after_add(const gn_tape *t, int record, int slot, int variant)
{
    (void)variant;
    const gn_record *r = gn_tape_record_at(t, record);
    const gn_value own = slot < GN_MAX_IN ? r->in[slot] : r->out[slot - GN_MAX_IN];
    if (slot != 0 || strncmp(r->name, "blocks.", 7) != 0)
        return own;
    return squeezes(r)                 ? in_block(t, r, "add")
           : gn_record_ends(r, ".add") ? in_block(t, r, "conv2.bn")
           : gn_record_is_block(r)     ? in_block(t, r, "se")
                                       : own;
}

static const gn_mistake mistakes[] = {
    {.name = "se-sigmoid-missing",
     .says = "the gate is not a sigmoid",
     .op = "sigmoid",
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "se-relu-missing",
     .says = "the ReLU between the two linear layers is missing",
     .op = "relu",
     .where = is_hidden,
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "se-max-instead-of-mean",
     .says = "the largest square of a channel, not its mean",
     .op = "global_avg_pool",
     .forward = largest,
     .backward = largest},
    {.name = "se-sum-instead-of-mean",
     .says = "the sum over the board, not its mean",
     .op = "global_avg_pool",
     .forward = sum,
     .backward = sum},
    {.name = "se-gate-gradient-missing",
     .says = "the gate is a constant to the gradient",
     .variants = 2,
     .where = on_the_gate,
     .backward = constant_gate},
    {.name = "se-not-applied",
     .says = "the map is not multiplied by the gate",
     .op = "channel_scale",
     .forward = gn_slip_left_out,
     .backward = gn_slip_left_out},
    {.name = "se-before-bn",
     .says = "squeeze-and-excitation stands before the batch norm",
     .reads = before_batch_norm,
     .loose = 256},
    {.name = "se-after-add",
     .says = "squeeze-and-excitation stands after the addition",
     .reads = after_add,
     .loose = 256},
};
const gn_mistakes gn_mistakes_squeeze = {mistakes, sizeof mistakes / sizeof *mistakes};
