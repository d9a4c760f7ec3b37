/* The plain ops one by one: cases worked by hand, and special values.
 * Their common properties are in test_op_properties.c.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>

#include "support/check.h"

#define F(...) ((const float[]){__VA_ARGS__})

/* Shapes under short names: `map` is [N,H,W,C]. */
static gn_shape map(size_t n, size_t h, size_t w, size_t c)
{
    return gn_shape_of(4, n, h, w, c);
}

static gn_shape matrix(size_t n, size_t c)
{
    return gn_shape_of(2, n, c, 0, 0);
}

static gn_shape vector(size_t n)
{
    return gn_shape_of(1, n, 0, 0, 0);
}

static op_run open1(const char *op, gn_shape a)
{
    return op_open(&gn_plain, op, 1, &a);
}

static op_run open2(const char *op, gn_shape a, gn_shape b)
{
    return op_open(&gn_plain, op, 2, (gn_shape[]){a, b});
}

/* Sets the inputs and dout, runs both ways. */
static void both_ways(op_run *r, const float *a, const float *b, const float *dy)
{
    op_set(r, r->call.in[0], a);
    if (b != NULL)
        op_set(r, r->call.in[1], b);
    op_forward(r);
    op_set(r, r->call.dout, dy);
    op_backward(r);
}

/* --- Worked by hand ------------------------------------------------------------------------- */

Test(relu, worked_by_hand)
{
    op_run r = open1("relu", vector(4));
    both_ways(&r, F(-2, 3, 0, -0.0f), NULL, F(5, 6, 7, 8));
    op_expect(&r, "y", r.call.out[0], F(0, 3, 0, 0));
    op_expect(&r, "dx", r.call.din[0], F(0, 6, 0, 0));
    op_close(&r);
}

Test(add, worked_by_hand)
{
    op_run r = open2("add", vector(3), vector(3));
    r.call.add = 2; /* b's gradient has a sum already */
    op_set(&r, r.call.din[1], F(10, 10, 10));
    both_ways(&r, F(1, 2, 3), F(4, 5, -3), F(1, 0, -1));
    op_expect(&r, "y", r.call.out[0], F(5, 7, 0));
    op_expect(&r, "da", r.call.din[0], F(1, 0, -1));
    op_expect(&r, "db", r.call.din[1], F(11, 10, 9));
    op_close(&r);
}

Test(conv2d, worked_by_hand)
{
    /* One row of three squares: only the middle row of the kernel (4 5 6) meets the board. */
    op_run r = open2("conv2d", map(1, 1, 3, 1), gn_shape_of(4, 1, 1, 3, 3));
    both_ways(&r, F(1, 10, 100), F(1, 2, 3, 4, 5, 6, 7, 8, 9), F(1, 2, 3));
    op_expect(&r, "y", r.call.out[0], F(65, 654, 540));
    op_expect(&r, "dx", r.call.din[0], F(5 + 8, 6 + 10 + 12, 12 + 15));
    op_expect(&r, "dw", r.call.din[1], F(0, 0, 0, 2 + 30, 1 + 20 + 300, 10 + 200, 0, 0, 0));
    op_close(&r);
}

Test(depthwise_conv2d, worked_by_hand)
{
    /* Two channels, each with a kernel of its own; the second is ten times the first. */
    op_run r = open2("depthwise_conv2d", map(1, 3, 1, 2), gn_shape_of(4, 2, 1, 3, 3));
    both_ways(&r, F(1, 1, 10, 10, 100, 100),
              F(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90),
              F(1, 1, 2, 2, 3, 3));
    /* The middle column, 2 5 8, meets the board. */
    op_expect(&r, "y", r.call.out[0], F(85, 850, 852, 8520, 520, 5200));
    op_expect(&r, "dx", r.call.din[0], F(9, 90, 24, 240, 31, 310));
    op_expect(&r, "dw", r.call.din[1],
              F(0, 32, 0, 0, 321, 0, 0, 210, 0, 0, 32, 0, 0, 321, 0, 0, 210, 0));
    op_close(&r);
}

Test(linear, worked_by_hand)
{
    op_run r = op_open(&gn_plain, "linear", 3, (gn_shape[]){matrix(2, 3), matrix(2, 3), vector(2)});
    op_set(&r, r.call.in[2], F(100, 200));
    both_ways(&r, F(1, 2, 3, 4, 5, 6), F(1, 0, -1, 2, 2, 2), F(1, 2, 3, 4));
    op_expect(&r, "y", r.call.out[0], F(98, 212, 98, 230));
    op_expect(&r, "dx", r.call.din[0], F(5, 4, 3, 11, 8, 5));
    op_expect(&r, "dw", r.call.din[1], F(13, 17, 21, 18, 24, 30));
    op_expect(&r, "db", r.call.din[2], F(4, 6));
    op_close(&r);
}

Test(linear, has_no_bias_where_none_is_given)
{
    op_run r = open2("linear", matrix(1, 2), matrix(1, 2));
    both_ways(&r, F(3, 4), F(5, 6), F(2));
    op_expect(&r, "y", r.call.out[0], F(39));
    op_expect(&r, "dw", r.call.din[1], F(6, 8));
    op_close(&r);
}

/* Nine images are a leaf of 8 and one of 1.  In a leaf 1 + 2^-24 + 2^-24 ... loses each small
 * term, while two leaves that are added keep the last one's sum. */
Test(linear, sums_eight_images_a_leaf)
{
    const gn_shape one = matrix(1, 1);
    op_run r = op_open(&gn_plain, "linear", 3, (gn_shape[]){matrix(10, 1), one, vector(1)});
    const float t = 0x1p-24f;
    op_set(&r, r.call.in[2], F(0));
    both_ways(&r, F(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), F(1), F(1, t, t, t, t, t, t, t, t, t));
    op_expect(&r, "dw", r.call.din[1], F(1 + 0x1p-23f));
    op_expect(&r, "db", r.call.din[2], F(1 + 0x1p-23f));
    op_close(&r);
}

Test(global_avg_pool, worked_by_hand)
{
    op_run r = open1("global_avg_pool", map(1, 2, 2, 2));
    both_ways(&r, F(1, 10, 2, 20, 3, 30, 6, 60), NULL, F(4, 8));
    op_expect(&r, "y", r.call.out[0], F(3, 30));
    op_expect(&r, "dx", r.call.din[0], F(1, 2, 1, 2, 1, 2, 1, 2));
    op_close(&r);
}

/* 5/3, not 5 times the rounded third. */
Test(global_avg_pool, divides)
{
    op_run r = open1("global_avg_pool", map(1, 1, 3, 1));
    both_ways(&r, F(1, 2, 2), NULL, F(5));
    op_expect(&r, "y", r.call.out[0], F(5.0f / 3));
    op_expect(&r, "dx", r.call.din[0], F(5.0f / 3, 5.0f / 3, 5.0f / 3));
    op_close(&r);
}

Test(channel_scale, worked_by_hand)
{
    op_run r = open2("channel_scale", map(1, 3, 1, 1), matrix(1, 1));
    r.call.add = 3;
    op_set(&r, r.call.din[0], F(10, 10, 10));
    op_set(&r, r.call.din[1], F(10));
    both_ways(&r, F(1, 2, 3), F(2), F(1, 0, -1));
    op_expect(&r, "y", r.call.out[0], F(2, 4, 6));
    op_expect(&r, "dx", r.call.din[0], F(12, 10, 8));
    op_expect(&r, "dg", r.call.din[1], F(8));
    op_close(&r);
}

Test(flatten, goes_by_channel)
{
    op_run r = open1("flatten", map(1, 2, 2, 2));
    both_ways(&r, F(1, 10, 2, 20, 3, 30, 4, 40), NULL, F(1, 2, 3, 4, 5, 6, 7, 8));
    op_expect(&r, "y", r.call.out[0], F(1, 2, 3, 4, 10, 20, 30, 40));
    op_expect(&r, "dx", r.call.din[0], F(1, 5, 2, 6, 3, 7, 4, 8));
    op_close(&r);
}

Test(sigmoid, worked_by_hand)
{
    op_run r = open1("sigmoid", vector(5));
    both_ways(&r, F(0, INFINITY, -INFINITY, NAN, -89), NULL, F(4, 4, 4, 4, 4));
    op_expect(&r, "s", r.call.out[0], F(0.5f, 1, 0, NAN, 0));
    op_expect(&r, "dx", r.call.din[0], F(1, 0, 0, NAN, 0));
    op_close(&r);
}

Test(tanh, worked_by_hand)
{
    op_run r = open1("tanh", vector(5));
    both_ways(&r, F(0, -0.0f, INFINITY, -INFINITY, NAN), NULL, F(3, 3, 3, 3, 3));
    op_expect(&r, "y", r.call.out[0], F(0, -0.0f, 1, -1, NAN));
    op_expect(&r, "dx", r.call.din[0], F(3, 3, 0, 0, NAN));
    op_close(&r);
}

/* --- batch_norm ----------------------------------------------------------------------------- */

static op_run open_bn(gn_shape x)
{
    const gn_shape v = vector(x.dim[x.rank - 1]);
    op_run r = op_open(&gn_plain, "batch_norm", 5, (gn_shape[]){x, v, v, v, v});
    for (int i = 1; i < 5; i++)
        op_fill(&r, r.call.in[i], 0, 1, 1); /* gamma, beta, running mean and variance are 1 */
    r.call.attr.eps = 0;
    return r;
}

/* Two images of two squares, 1 1 and 3 3: mean 2, m2 4, variance 1. */
Test(batch_norm, worked_by_hand)
{
    op_run r = open_bn(map(2, 1, 2, 1));
    op_set(&r, r.call.in[1], F(2));
    both_ways(&r, F(1, 1, 3, 3), NULL, F(1, 0, 0, 0));
    op_expect(&r, "y", r.call.out[0], F(-1, -1, 3, 3));
    op_expect(&r, "mean", r.call.out[1], F(2));
    op_expect(&r, "m2", r.call.out[2], F(4));
    op_expect(&r, "inv", r.call.out[3], F(1));
    op_expect(&r, "dx", r.call.din[0], F(1, -1, 0, 0));
    op_expect(&r, "dgamma", r.call.din[1], F(-1));
    op_expect(&r, "dbeta", r.call.din[2], F(1));
    op_close(&r);
}

/* The same numbers as four vectors: leaves of one square, a merge of four. */
Test(batch_norm, takes_vectors)
{
    op_run r = open_bn(matrix(4, 1));
    both_ways(&r, F(1, 1, 3, 3), NULL, F(1, 0, 0, 0));
    op_expect(&r, "y", r.call.out[0], F(0, 0, 2, 2));
    op_expect(&r, "m2", r.call.out[2], F(4));
    op_expect(&r, "dx", r.call.din[0], F(0.5f, -0.5f, 0, 0));
    op_close(&r);
}

Test(batch_norm, uses_running_statistics_in_inference)
{
    op_run r = open_bn(map(1, 1, 2, 1));
    r.call.training = false;
    op_set(&r, r.call.in[0], F(1, 7));
    op_set(&r, r.call.in[1], F(6));
    op_set(&r, r.call.in[3], F(3));
    op_set(&r, r.call.in[4], F(4));
    op_forward(&r);
    op_expect(&r, "y", r.call.out[0], F(-5, 13));
    op_expect(&r, "mean", r.call.out[1], F(3));
    op_expect(&r, "m2", r.call.out[2], F(0));
    op_expect(&r, "inv", r.call.out[3], F(0.5f));
    op_close(&r);
}

/* Without the leaf's correction 225 times 1e4/3 leaves a variance behind. */
Test(batch_norm, finds_no_variance_in_a_constant)
{
    op_run r = open_bn(map(3, 15, 15, 1));
    r.call.attr.eps = 1e-5;
    op_fill(&r, r.call.in[0], 0, 1e4f / 3, 1e4f / 3);
    op_forward(&r);
    op_expect(&r, "mean", r.call.out[1], F(1e4f / 3));
    op_expect(&r, "m2", r.call.out[2], F(0));
    op_close(&r);
}

Test(batch_norm, lets_nan_pass)
{
    op_run r = open_bn(map(1, 1, 2, 2));
    op_set(&r, r.call.in[0], F(1, NAN, 3, 1));
    op_forward(&r);
    op_expect(&r, "y", r.call.out[0], F(0, NAN, 2, NAN));
    op_expect(&r, "m2", r.call.out[2], F(2, NAN));
    op_close(&r);
}

/* --- Losses --------------------------------------------------------------------------------- */

/* Equal logits over two cells: p = 1/2, a loss of log 2.  The position without a target is broken,
 * and hurts nobody. */
Test(softmax_cross_entropy, worked_by_hand)
{
    op_run r = open2("softmax_cross_entropy", matrix(3, 2), matrix(3, 2));
    both_ways(&r, F(5, 5, 0, INFINITY, 7, 7), F(0, 1, 0, 0, 1, 0), F(1));
    op_expect(&r, "loss", r.call.out[0], F(0x1.62e43p-1f));
    op_expect(&r, "p", r.call.out[1], F(0.5f, 0.5f, NAN, NAN, 0.5f, 0.5f));
    op_expect(&r, "dx", r.call.din[0], F(0.25f, -0.25f, 0, 0, -0.25f, 0.25f));
    op_close(&r);
}

Test(softmax_cross_entropy, is_zero_without_targets)
{
    op_run r = open2("softmax_cross_entropy", matrix(2, 2), matrix(2, 2));
    both_ways(&r, F(1, 2, NAN, 4), F(0, 0, 0, 0), F(1));
    op_expect(&r, "loss", r.call.out[0], F(0));
    op_expect(&r, "dx", r.call.din[0], F(0, 0, 0, 0));
    op_close(&r);
}

Test(softmax_cross_entropy, shows_nan_wherever_it_is)
{
    for (int at = 0; at < 3; at++) {
        float x[3] = {1, 2, 3};
        x[at] = NAN;
        op_run r = open2("softmax_cross_entropy", matrix(1, 3), matrix(1, 3));
        both_ways(&r, x, F(0, 1, 0), F(1));
        op_expect(&r, "loss", r.call.out[0], F(NAN));
        op_expect(&r, "dx", r.call.din[0], F(NAN, NAN, NAN));
        op_close(&r);
    }
    op_run r = open2("softmax_cross_entropy", matrix(1, 2), matrix(1, 2));
    both_ways(&r, F(1, 2), F(NAN, 0), F(1));
    op_expect(&r, "a NaN target is not a missing one", r.call.out[0], F(NAN));
    op_close(&r);
}

Test(mean_squared_error, worked_by_hand)
{
    op_run r = open2("mean_squared_error", matrix(3, 1), vector(3));
    both_ways(&r, F(1, 0.5f, 2), F(-1, NAN, 2), F(1));
    op_expect(&r, "loss", r.call.out[0], F(2));
    op_expect(&r, "dv", r.call.din[0], F(2, 0, 0));
    op_close(&r);
}

Test(mean_squared_error, is_zero_without_targets)
{
    op_run r = open2("mean_squared_error", vector(2), vector(2));
    both_ways(&r, F(1, NAN), F(NAN, NAN), F(1));
    op_expect(&r, "loss", r.call.out[0], F(0));
    op_expect(&r, "dv", r.call.din[0], F(0, 0));
    op_close(&r);
}

/* --- Padding, zeros, infinities ------------------------------------------------------------- */

/* Squares outside the board are +0 and take part: an infinite weight there gives NaN ... */
static void padding_takes_part(const char *op)
{
    op_run r = open2(op, map(1, 1, 1, 1), gn_shape_of(4, 1, 1, 3, 3));
    both_ways(&r, F(1), F(INFINITY, 0, 0, 0, 2, 0, 0, 0, 0), F(1));
    op_expect(&r, "y", r.call.out[0], F(NAN));
    op_expect(&r, "dx", r.call.din[0], F(NAN));
    /* ... in the weight gradient an infinite dy ... */
    both_ways(&r, F(1), F(0, 0, 0, 0, 2, 0, 0, 0, 0), F(INFINITY));
    op_expect(&r, "dw", r.call.din[1], F(NAN, NAN, NAN, NAN, INFINITY, NAN, NAN, NAN, NAN));
    /* ... and a sum that underflowed to -0 is +0 after a later tap. */
    both_ways(&r, F(1e-30f), F(0, 0, 0, 0, -1e-30f, 1, 0, 0, 0), F(1));
    op_expect(&r, "y", r.call.out[0], F(0));
    both_ways(&r, F(1e-30f), F(0, 0, 0, 0, -1e-30f, -1, -1, -1, -1), F(1));
    op_expect(&r, "y", r.call.out[0], F(-0.0f));
    op_close(&r);
}

Test(conv2d, padding_takes_part)
{
    padding_takes_part("conv2d");
}

Test(depthwise_conv2d, padding_takes_part)
{
    padding_takes_part("depthwise_conv2d");
}

Test(relu, lets_nan_pass_both_ways)
{
    op_run r = open1("relu", vector(3));
    both_ways(&r, F(NAN, INFINITY, -INFINITY), NULL, F(2, 3, 4));
    op_expect(&r, "y", r.call.out[0], F(NAN, INFINITY, 0));
    op_expect(&r, "dx", r.call.din[0], F(2, 3, 0));
    op_close(&r);
}
