/* Mistakes in the losses.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "golden/mistakes/mistake.h"

static bool is_policy(const gn_slip *s)
{
    return strcmp(s->call.op->name, "softmax_cross_entropy") == 0;
}

static bool is_loss(const gn_record *r)
{
    return gn_record_is(r, "softmax_cross_entropy") || gn_record_is(r, "mean_squared_error");
}

/* Positions that have a target, which the sound loss is a mean over. */
static double targets(const gn_slip *s)
{
    const gn_shape t = s->call.in[1].shape;
    const size_t cells = is_policy(s) ? t.dim[1] : 1;
    size_t count = 0;
    for (size_t n = 0; n < t.dim[0]; n++) {
        double sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += gn_slip_in(s, 1)[n * cells + i];
        count += (is_policy(s) ? sum <= 0 : sum != sum) ? 0 : 1;
    }
    return count > 0 ? (double)count : 1;
}

/* The sound loss, or its gradient, times a factor. */
static void scaled(const gn_slip *s, double factor)
{
    gn_slip_sound(s, &s->call);
    const bool back = s->call.pass == GN_BACKWARD;
    double *data = back ? gn_slip_din(s, 0) : gn_slip_out(s, 0);
    for (size_t i = 0; i < (back ? gn_shape_count(s->call.in[0].shape) : 1); i++)
        data[i] *= factor;
}

static void mean_missing(const gn_slip *s)
{
    scaled(s, targets(s));
}

static void mean_doubled(const gn_slip *s)
{
    scaled(s, 1 / targets(s));
}

static void mean_over_all(const gn_slip *s)
{
    scaled(s, targets(s) / (double)s->call.in[0].shape.dim[0]);
}

static void mean_over_cells(const gn_slip *s)
{
    scaled(s, 1 / (double)s->call.in[0].shape.dim[1]);
}

static void halved(const gn_slip *s)
{
    scaled(s, 0.5);
}

static void other_sign(const gn_slip *s)
{
    gn_call c = s->call;
    for (size_t i = 0; i < gn_shape_count(c.in[1].shape); i++)
        s->room[i] = -gn_slip_in(s, 1)[i];
    c.in[1].data = s->room;
    gn_slip_sound(s, &c);
}

/* dlogit = -t/n (variant 0), or p/n (1): one part of p * sum t - t. */
static void half_gradient(const gn_slip *s)
{
    const gn_shape x = s->call.in[0].shape;
    const double n = targets(s), *t = gn_slip_in(s, 1), *p = gn_slip_out(s, 1);
    for (size_t i = 0; i < gn_shape_count(x); i++)
        gn_slip_din(s, 0)[i] = (s->variant == 0 ? -t[i] : p[i]) / n * gn_slip_dout(s)[0];
}

/* The gradient of -sum t p: as if there were no logarithm. */
static void no_logarithm(const gn_slip *s)
{
    const gn_shape x = s->call.in[0].shape;
    const size_t cells = x.dim[1];
    const double n = targets(s), *t = gn_slip_in(s, 1), *p = gn_slip_out(s, 1);
    double loss = 0;
    for (size_t k = 0; k < x.dim[0]; k++) {
        double mean = 0;
        for (size_t i = k * cells; i < (k + 1) * cells; i++)
            mean += t[i] * p[i];
        loss -= mean / n;
        for (size_t i = k * cells; i < (k + 1) * cells && s->call.pass == GN_BACKWARD; i++)
            gn_slip_din(s, 0)[i] = p[i] * (mean - t[i]) / n * gn_slip_dout(s)[0];
    }
    if (s->call.pass != GN_BACKWARD)
        gn_slip_out(s, 0)[0] = loss;
}

static void policy_without_logarithm(const gn_slip *s)
{
    if (s->call.pass != GN_BACKWARD)
        gn_slip_sound(s, &s->call); /* for p */
    no_logarithm(s);
}

static const gn_mistake mistakes[] = {
    {.name = "loss-batch-mean-missing",
     .says = "a loss is the sum over the batch, not its mean",
     .where = is_loss,
     .forward = mean_missing,
     .backward = mean_missing},
    {.name = "loss-batch-mean-doubled",
     .says = "a loss is divided by the batch twice",
     .where = is_loss,
     .forward = mean_doubled,
     .backward = mean_doubled},
    {.name = "loss-mean-over-all-positions",
     .says = "positions without a target are counted in a loss's mean",
     .where = is_loss,
     .forward = mean_over_all,
     .backward = mean_over_all},
    {.name = "loss-policy-mean-over-cells",
     .says = "the policy's loss is divided by the cells",
     .op = "softmax_cross_entropy",
     .forward = mean_over_cells,
     .backward = mean_over_cells},
    {.name = "loss-policy-no-softmax-gradient",
     .says = "the policy's gradient is -t or p, not p - t",
     .variants = 2,
     .op = "softmax_cross_entropy",
     .backward = half_gradient},
    {.name = "loss-policy-no-logarithm",
     .says = "the policy's loss is -sum t p, without log",
     .op = "softmax_cross_entropy",
     .forward = policy_without_logarithm,
     .backward = no_logarithm},
    {.name = "loss-value-target-sign",
     .says = "the value's target has the other sign",
     .op = "mean_squared_error",
     .forward = other_sign,
     .backward = other_sign},
    {.name = "loss-value-halved",
     .says = "the value's loss is half the squared error",
     .op = "mean_squared_error",
     .forward = halved,
     .backward = halved},
};
const gn_mistakes gn_mistakes_loss = {mistakes, sizeof mistakes / sizeof *mistakes};
