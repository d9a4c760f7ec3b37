/* Mistakes of ports; see mistakes.h.  SPDX-License-Identifier: MIT */
#include "support/mistakes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *f(gn_tensor t)
{
    return t.data;
}
static size_t count(gn_tensor t)
{
    return gn_shape_count(t.shape);
}
static size_t last(gn_tensor t)
{
    return t.shape.dim[t.shape.rank - 1];
}

static void scale(gn_tensor t, float by)
{
    for (size_t i = 0; t.data != NULL && i < count(t); i++)
        f(t)[i] *= by;
}

static void clear(gn_tensor t, size_t first, size_t end)
{
    for (size_t i = first; t.data != NULL && i < end; i++)
        f(t)[i] = 0;
}

/* --- Convolutions ----------------------------------------------------------------------------- */

static void kernel_flipped(gn_call *c, twist_run run)
{
    const size_t taps = c->in[1].shape.dim[2] * c->in[1].shape.dim[3];
    for (size_t k = 0; k < count(c->in[1]); k += taps)
        for (size_t i = 0; i < taps / 2; i++) {
            const float x = f(c->in[1])[k + i];
            f(c->in[1])[k + i] = f(c->in[1])[k + taps - 1 - i];
            f(c->in[1])[k + taps - 1 - i] = x;
        }
    run(c);
}

static void kernel_transposed(gn_call *c, twist_run run)
{
    const size_t K = c->in[1].shape.dim[2];
    for (size_t k = 0; k < count(c->in[1]); k += K * K)
        for (size_t i = 0; i < K; i++)
            for (size_t j = 0; j < i; j++) {
                const float x = f(c->in[1])[k + i * K + j];
                f(c->in[1])[k + i * K + j] = f(c->in[1])[k + j * K + i];
                f(c->in[1])[k + j * K + i] = x;
            }
    run(c);
}

static void tap_dropped(gn_call *c, twist_run run)
{
    const size_t taps = c->in[1].shape.dim[2] * c->in[1].shape.dim[3];
    for (size_t k = 0; k < count(c->in[1]) && taps > 1; k += taps)
        f(c->in[1])[k + taps - 1] = 0;
    run(c);
}

static void last_channel_dropped(gn_call *c, twist_run run)
{
    for (size_t i = last(c->in[0]) - 1; i < count(c->in[0]); i += last(c->in[0]))
        f(c->in[0])[i] = 0;
    run(c);
}

static void shifted_by_a_square(gn_call *c, twist_run run)
{
    const size_t C = last(c->in[0]);
    memmove(f(c->in[0]) + C, f(c->in[0]), (count(c->in[0]) - C) * sizeof(float));
    run(c);
}

static void wrapped_around_the_board(gn_call *c, twist_run run)
{
    run(c); /* the last column takes the first one's value */
    const size_t *d = c->out[0].shape.dim;
    for (size_t row = 0; row < d[0] * d[1]; row++)
        memcpy(f(c->out[0]) + (row * d[2] + d[2] - 1) * d[3], f(c->out[0]) + row * d[2] * d[3],
               d[3] * sizeof(float));
}

static void last_image_dropped(gn_call *c, twist_run run)
{
    gn_tensor t = c->pass == GN_BACKWARD ? c->dout : c->in[0];
    clear(t, count(t) - count(t) / t.shape.dim[0], count(t));
    run(c);
}

static void last_tile_dropped(gn_call *c, twist_run run)
{
    run(c);
    gn_tensor t = c->pass == GN_BACKWARD ? c->din[0] : c->out[0];
    if (t.data != NULL)
        clear(t, count(t) - count(t) / 50 - 1, count(t));
}

static void weight_gradient_averaged(gn_call *c, twist_run run)
{
    run(c);
    scale(c->din[1], 1 / (float)c->in[0].shape.dim[0]);
}

static void input_gradient_unflipped(gn_call *c, twist_run run)
{
    gn_call other = *c;
    run(c);
    other.din[1].data = NULL;
    if (other.din[0].data != NULL)
        kernel_flipped(&other, run);
}

/* --- Batch norm ------------------------------------------------------------------------------- */

static void epsilon_of_keras(gn_call *c, twist_run run)
{
    c->attr.eps = 1e-3;
    run(c);
}

static void epsilon_outside_the_root(gn_call *c, twist_run run)
{
    c->attr.eps = 0;
    run(c);
    float *x = f(c->in[0]), *y = f(c->out[0]), *inv = f(c->out[3]), *mean = f(c->out[1]);
    for (size_t j = 0; j < last(c->in[0]); j++)
        inv[j] = 1 / (1 / inv[j] + 1e-5f);
    for (size_t i = 0, C = last(c->in[0]); i < count(c->in[0]); i++)
        y[i] = (x[i] - mean[i % C]) * inv[i % C] * f(c->in[1])[i % C] + f(c->in[2])[i % C];
}

static void again_with(gn_call *c, float factor, float shift)
{
    float *x = f(c->in[0]), *y = f(c->out[0]), *inv = f(c->out[3]), *mean = f(c->out[1]);
    const size_t C = last(c->in[0]);
    for (size_t j = 0; j < C; j++) {
        inv[j] *= factor;
        mean[j] += shift;
    }
    for (size_t i = 0; i < count(c->in[0]); i++)
        y[i] = (x[i] - mean[i % C]) * inv[i % C] * f(c->in[1])[i % C] + f(c->in[2])[i % C];
}

static void unbiased_variance(gn_call *c, twist_run run)
{
    run(c);
    const float M = (float)(count(c->in[0]) / last(c->in[0]));
    if (c->training)
        again_with(c, sqrtf((M - 1) / M), 0);
}

static void mean_off(gn_call *c, twist_run run)
{
    run(c);
    if (c->training)
        again_with(c, 1, 1e-3f);
}

static void running_statistics_in_training(gn_call *c, twist_run run)
{
    c->training = false;
    run(c);
}

static void gamma_missing(gn_call *c, twist_run run)
{
    for (size_t i = 0; i < count(c->in[1]); i++)
        f(c->in[1])[i] = 1;
    run(c);
}

static void beta_missing(gn_call *c, twist_run run)
{
    clear(c->in[2], 0, count(c->in[2]));
    run(c);
}

/* dx without what the statistics' own gradients add. */
static void statistics_are_constants(gn_call *c, twist_run run)
{
    run(c);
    const size_t C = last(c->in[0]);
    for (size_t i = 0; c->din[0].data != NULL && i < count(c->in[0]); i++)
        f(c->din[0])[i] = f(c->dout)[i] * f(c->in[1])[i % C] * f(c->out[3])[i % C];
}

static void gamma_gradient_unscaled(gn_call *c, twist_run run)
{
    run(c);
    for (size_t j = 0; c->din[1].data != NULL && j < count(c->din[1]); j++)
        f(c->din[1])[j] /= f(c->out[3])[j];
}

static void gradients_swapped(gn_call *c, twist_run run)
{
    run(c);
    for (size_t j = 0; c->din[1].data != NULL && j < count(c->din[1]); j++) {
        const float x = f(c->din[1])[j];
        f(c->din[1])[j] = f(c->din[2])[j];
        f(c->din[2])[j] = x;
    }
}

/* --- The other ops ---------------------------------------------------------------------------- */

static void leaky(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        if (f(c->in[0])[i] < 0)
            f(c->out[0])[i] = 0.01f * f(c->in[0])[i];
}

static void no_rectifier(gn_call *c, twist_run run)
{
    run(c);
    memcpy(c->out[0].data, c->in[0].data, count(c->in[0]) * sizeof(float));
}

static void no_mask(gn_call *c, twist_run run)
{
    run(c);
    memcpy(c->din[0].data, c->dout.data, count(c->dout) * sizeof(float));
}

static void no_shortcut(gn_call *c, twist_run run)
{
    clear(c->in[1], 0, count(c->in[1]));
    run(c);
}

static void one_gradient_lost(gn_call *c, twist_run run)
{
    run(c);
    if (c->din[1].data != NULL)
        clear(c->din[1], 0, count(c->din[1]));
}

static void sum_for_mean(gn_call *c, twist_run run)
{
    run(c);
    scale(c->pass == GN_BACKWARD ? c->din[0] : c->out[0],
          (float)(c->in[0].shape.dim[1] * c->in[0].shape.dim[2]));
}

static void mean_over_one_less(gn_call *c, twist_run run)
{
    const float HW = (float)(c->in[0].shape.dim[1] * c->in[0].shape.dim[2]);
    run(c);
    scale(c->pass == GN_BACKWARD ? c->din[0] : c->out[0], HW / (HW - 1));
}

static void bias_missing(gn_call *c, twist_run run)
{
    if (c->nin > 2)
        clear(c->in[2], 0, count(c->in[2]));
    run(c);
}

static void bias_gradient_averaged(gn_call *c, twist_run run)
{
    run(c);
    if (c->nin > 2)
        scale(c->din[2], 1 / (float)c->in[0].shape.dim[0]);
}

static void hard_sigmoid(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        f(c->out[0])[i] = fminf(1, fmaxf(0, f(c->in[0])[i] / 6 + 0.5f));
}

static void sigmoid_missing(gn_call *c, twist_run run)
{
    run(c);
    memcpy(c->out[0].data, c->in[0].data, count(c->in[0]) * sizeof(float));
}

static void half_a_derivative(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->dout); i++)
        f(c->din[0])[i] = f(c->dout)[i] * f(c->out[0])[i];
}

static void tanh_slope_of_the_input(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->dout); i++)
        f(c->din[0])[i] = f(c->dout)[i] * (1 - f(c->out[0])[i]);
}

static void softsign(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        f(c->out[0])[i] = f(c->in[0])[i] / (1 + fabsf(f(c->in[0])[i]));
}

static void gate_twice(gn_call *c, twist_run run)
{
    for (size_t i = 0; i < count(c->in[1]); i++)
        f(c->in[1])[i] *= f(c->in[1])[i];
    run(c);
}

static void gate_of_the_first_image(gn_call *c, twist_run run)
{
    const size_t C = last(c->in[1]);
    for (size_t i = C; i < count(c->in[1]); i++)
        f(c->in[1])[i] = f(c->in[1])[i % C];
    run(c);
}

static void gate_gradient_averaged(gn_call *c, twist_run run)
{
    run(c);
    scale(c->din[1], 1 / (float)(c->in[0].shape.dim[1] * c->in[0].shape.dim[2]));
}

static void loss_summed(gn_call *c, twist_run run)
{
    run(c);
    scale(c->pass == GN_BACKWARD ? c->din[0] : c->out[0], (float)c->in[0].shape.dim[0]);
}

static void half_the_square(gn_call *c, twist_run run)
{
    run(c);
    scale(c->pass == GN_BACKWARD ? c->din[0] : c->out[0], 0.5f);
}

static void absolute_error(gn_call *c, twist_run run)
{
    run(c);
    float sum = 0;
    for (size_t i = 0; i < count(c->in[0]); i++)
        sum += fabsf(f(c->in[0])[i] - f(c->in[1])[i]);
    f(c->out[0])[0] = sum / (float)count(c->in[0]);
}

#define IN(o, what)                                                                                \
    {                                                                                              \
        .name = #what, .op = o, .change = what                                                     \
    }
#define BACK(o, what)                                                                              \
    {                                                                                              \
        .name = "back: " #what, .op = o, .backward = true, .change = what                          \
    }

const twist mistakes[] = {
    IN("conv2d", kernel_flipped),
    IN("conv2d", kernel_transposed),
    IN("conv2d", tap_dropped),
    IN("conv2d", last_channel_dropped),
    IN("conv2d", shifted_by_a_square),
    IN("conv2d", wrapped_around_the_board),
    IN("conv2d", last_image_dropped),
    IN("conv2d", last_tile_dropped),
    BACK("conv2d", last_image_dropped),
    BACK("conv2d", last_tile_dropped),
    BACK("conv2d", last_channel_dropped),
    BACK("conv2d", weight_gradient_averaged),
    BACK("conv2d", input_gradient_unflipped),
    BACK("conv2d", tap_dropped),
    BACK("conv2d", shifted_by_a_square),
    IN("batch_norm", epsilon_of_keras),
    IN("batch_norm", epsilon_outside_the_root),
    IN("batch_norm", unbiased_variance),
    IN("batch_norm", mean_off),
    IN("batch_norm", running_statistics_in_training),
    IN("batch_norm", gamma_missing),
    IN("batch_norm", beta_missing),
    IN("batch_norm", last_image_dropped),
    BACK("batch_norm", statistics_are_constants),
    BACK("batch_norm", gamma_gradient_unscaled),
    BACK("batch_norm", gradients_swapped),
    BACK("batch_norm", last_image_dropped),
    IN("relu", leaky),
    IN("relu", no_rectifier),
    BACK("relu", no_mask),
    IN("add", no_shortcut),
    BACK("add", one_gradient_lost),
    IN("global_avg_pool", sum_for_mean),
    IN("global_avg_pool", mean_over_one_less),
    BACK("global_avg_pool", mean_over_one_less),
    BACK("global_avg_pool", sum_for_mean),
    IN("linear", bias_missing),
    IN("linear", last_channel_dropped),
    BACK("linear", bias_gradient_averaged),
    BACK("linear", last_image_dropped),
    BACK("linear", weight_gradient_averaged),
    IN("sigmoid", hard_sigmoid),
    IN("sigmoid", sigmoid_missing),
    BACK("sigmoid", half_a_derivative),
    BACK("tanh", tanh_slope_of_the_input),
    IN("tanh", softsign),
    IN("channel_scale", gate_twice),
    IN("channel_scale", gate_of_the_first_image),
    BACK("channel_scale", gate_twice),
    BACK("channel_scale", gate_gradient_averaged),
    IN("softmax_cross_entropy", loss_summed),
    BACK("softmax_cross_entropy", loss_summed),
    IN("mean_squared_error", half_the_square),
    BACK("mean_squared_error", half_the_square),
    IN("mean_squared_error", absolute_error),
};
const size_t mistakes_count = sizeof mistakes / sizeof *mistakes;
