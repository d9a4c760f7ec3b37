/* Mistaken rows of float32; see mistaken_rows.h.  SPDX-License-Identifier: MIT */
#include "support/mistaken_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/mistaken_conv.h"

static const gn_row *plain(const gn_call *c)
{
    return gn_table_find(&gn_plain, c->op->name);
}
static const float *in(const gn_call *c, int i)
{
    return c->in[i].data;
}
static float *out(const gn_call *c, int j)
{
    return c->out[j].data;
}
static float *din(const gn_call *c, int i)
{
    return c->din[i].data;
}
static const float *dout(const gn_call *c)
{
    return c->dout.data;
}
static size_t count(gn_tensor t)
{
    return gn_shape_count(t.shape);
}
static void right_forward(const gn_call *c)
{
    plain(c)->forward(c);
}
static void right_backward(const gn_call *c)
{
    plain(c)->backward(c);
}

/* Workspace for both modes. */
static size_t any_work(const gn_call *c)
{
    gn_call other = *c;
    other.training = true;
    const size_t a = plain(c)->work == NULL ? 0 : plain(c)->work(c);
    const size_t b = plain(c)->work == NULL ? 0 : plain(c)->work(&other);
    return a > b ? a : b;
}

static void deliver(const gn_call *c, size_t i, float v)
{
    din(c, 0)[i] = (c->add & 1) != 0 ? din(c, 0)[i] + v : v;
}

/* --- Convolutions ----------------------------------------------------------------------------- */

#define CONV(name, flaw)                                                                           \
    static void name(const gn_call *c)                                                             \
    {                                                                                              \
        flawed_conv(c, flaw);                                                                      \
    }
CONV(turned, KERNEL_TURNED)
CONV(rows_for_columns, ROWS_FOR_COLUMNS)
CONV(io_swapped, IO_SWAPPED)
CONV(channels_last, CHANNELS_LAST)
CONV(last_tap, LAST_TAP)
CONV(window_late, WINDOW_LATE)
CONV(map_layout, MAP_LAYOUT)
CONV(last_channels, LAST_CHANNELS)
CONV(second_image, SECOND_IMAGE)

/* --- Batch norm ------------------------------------------------------------------------------- */

static size_t bn_channels(const gn_call *c)
{
    return c->in[1].shape.dim[0];
}
static float bn_squares(const gn_call *c)
{
    return (float)(count(c->in[0]) / bn_channels(c));
}

static void bn_apply(const gn_call *c, const float *gamma, const float *beta)
{
    const size_t C = bn_channels(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        out(c, 0)[i] = (in(c, 0)[i] - out(c, 1)[i % C]) * out(c, 3)[i % C] * gamma[i % C] +
                       beta[i % C];
}

static float bn_var(const gn_call *c, size_t j)
{
    return c->training ? out(c, 2)[j] / bn_squares(c) : in(c, 4)[j];
}

static void bn_eps(const gn_call *c)
{
    gn_call other = *c;
    other.attr.eps = 1e-3;
    right_forward(&other);
}

static void bn_eps_other(const gn_call *c)
{
    gn_call other = *c;
    other.attr.eps = 1e-6;
    right_forward(&other);
}

static void bn_outside(const gn_call *c)
{
    right_forward(c);
    for (size_t j = 0; j < bn_channels(c); j++)
        out(c, 3)[j] = 1 / (sqrtf(bn_var(c, j)) + 1e-5f);
    bn_apply(c, in(c, 1), in(c, 2));
}

static void bn_unbiased(const gn_call *c)
{
    right_forward(c);
    for (size_t j = 0; j < bn_channels(c) && c->training; j++)
        out(c, 3)[j] = 1 / sqrtf(out(c, 2)[j] / (bn_squares(c) - 1) + 1e-5f);
    bn_apply(c, in(c, 1), in(c, 2));
}

static void bn_running(const gn_call *c)
{
    gn_call other = *c;
    float m2[64]; /* the running variance is updated with the batch's */
    right_forward(c);
    memcpy(m2, out(c, 2), bn_channels(c) * sizeof *m2);
    other.training = false;
    right_forward(&other);
    memcpy(out(c, 2), m2, bn_channels(c) * sizeof *m2);
}

static void bn_batch(const gn_call *c)
{
    gn_call other = *c;
    other.training = true;
    right_forward(&other);
}

static void bn_no_affine(const gn_call *c)
{
    float one[64], zero[64] = {0};
    right_forward(c);
    for (size_t j = 0; j < 64; j++)
        one[j] = 1;
    bn_apply(c, one, zero);
}

/* dx = sc (dy - a k1 - b xh k2). */
static void bn_dx(const gn_call *c, float a, float b)
{
    right_backward(c);
    const size_t C = bn_channels(c);
    float k1[64] = {0}, k2[64] = {0};
    for (size_t i = 0; i < count(c->in[0]); i++) {
        k1[i % C] += dout(c)[i];
        k2[i % C] += dout(c)[i] * (in(c, 0)[i] - out(c, 1)[i % C]) * out(c, 3)[i % C];
    }
    for (size_t i = 0; i < count(c->in[0]) && din(c, 0) != NULL; i++) {
        const size_t j = i % C;
        const float xh = (in(c, 0)[i] - out(c, 1)[j]) * out(c, 3)[j], M = bn_squares(c);
        din(c, 0)[i] = in(c, 1)[j] * out(c, 3)[j] *
                       (dout(c)[i] - a * k1[j] / M - b * xh * k2[j] / M);
    }
}
static void bn_constant(const gn_call *c)
{
    bn_dx(c, 0, 0);
}
static void bn_no_mean(const gn_call *c)
{
    bn_dx(c, 0, 1);
}
static void bn_no_variance(const gn_call *c)
{
    bn_dx(c, 1, 0);
}

/* --- Squeeze and excite ----------------------------------------------------------------------- */

static void pool_sum(const gn_call *c)
{
    const size_t *d = c->in[0].shape.dim, HW = d[1] * d[2], C = d[3];
    if (c->pass != GN_BACKWARD)
        memset(out(c, 0), 0, count(c->out[0]) * sizeof(float));
    for (size_t i = 0; i < count(c->in[0]); i++) {
        const size_t k = i / (HW * C) * C + i % C;
        if (c->pass != GN_BACKWARD)
            out(c, 0)[k] += in(c, 0)[i];
        else
            deliver(c, i, dout(c)[k]);
    }
}

static void nothing_back(const gn_call *c)
{
    for (size_t i = 0; i < count(c->in[0]); i++)
        deliver(c, i, 0);
}

/* What the product sends back to the map is right. */
static void gate_detached(const gn_call *c)
{
    right_backward(c);
    if (din(c, 1) != NULL)
        memset(din(c, 1), 0, count(c->in[1]) * sizeof(float));
}

/* --- Rectifiers, additions, gradients of parameters ------------------------------------------- */

static void relu_open(const gn_call *c)
{
    for (size_t i = 0; i < count(c->in[0]); i++)
        deliver(c, i, dout(c)[i]);
}

/* One of the two gradients of a residual addition is lost; the losses' sum is no such. */
static void add_half(const gn_call *c, int lost)
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < count(c->in[0]) && din(c, k) != NULL; i++) {
            const float v = k == lost && c->in[0].shape.rank == 4 ? 0 : dout(c)[i];
            din(c, k)[i] = (c->add >> k & 1) != 0 ? din(c, k)[i] + v : v;
        }
}
static void skip_lost(const gn_call *c)
{
    add_half(c, 1);
}
static void branch_lost(const gn_call *c)
{
    add_half(c, 0);
}

static void doubled(const gn_call *c)
{
    right_backward(c);
    for (int i = 1; i < c->nin; i++)
        for (size_t e = 0; e < count(c->in[i]) && din(c, i) != NULL; e++)
            din(c, i)[e] *= 2;
}

/* --- Heads ------------------------------------------------------------------------------------ */

static void lying(const gn_call *c)
{
    memcpy(out(c, 0), in(c, 0), count(c->in[0]) * sizeof(float));
}

static void linear_like(const gn_call *c, bool turned_weight)
{
    gn_call other = *c;
    const size_t O = c->in[1].shape.dim[0], K = c->in[1].shape.dim[1];
    float *copy = malloc((O * K + 1) * sizeof *copy), *back = malloc((O * K + 1) * sizeof *back);
    for (size_t e = 0; e < O * K; e++)
        copy[e] = in(c, 1)[turned_weight ? e % K * O + e / K : e];
    if (!turned_weight)
        other.in[2].data = NULL;
    other.in[1].data = copy;
    if (c->pass != GN_BACKWARD) {
        right_forward(&other);
    } else {
        right_backward(&other);
        memcpy(back, din(c, 1), O * K * sizeof *back);
        for (size_t e = 0; e < O * K && turned_weight; e++)
            din(c, 1)[e % K * O + e / K] = back[e];
        if (!turned_weight && c->nin > 2)
            memset(din(c, 2), 0, count(c->in[2]) * sizeof(float));
    }
    free(copy);
    free(back);
}
static void no_bias(const gn_call *c)
{
    linear_like(c, false);
}
static void turned_weight(const gn_call *c)
{
    linear_like(c, true);
}

/* --- Losses ----------------------------------------------------------------------------------- */

static float positions(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], cells = count(c->in[1]) / N;
    float n = 0;
    for (size_t k = 0; k < N; k++) {
        float sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += in(c, 1)[k * cells + i];
        n += cells > 1 ? sum > 0 : sum == sum;
    }
    return n;
}

static void times(const gn_call *c, float factor)
{
    float *data = c->pass == GN_BACKWARD ? din(c, 0) : out(c, 0);
    if (c->pass == GN_BACKWARD)
        right_backward(c);
    else
        right_forward(c);
    for (size_t i = 0; i < (c->pass == GN_BACKWARD ? count(c->in[0]) : 1); i++)
        data[i] *= factor;
}
static void summed(const gn_call *c)
{
    times(c, positions(c));
}
static void twice_divided(const gn_call *c)
{
    times(c, 1 / positions(c));
}
static void over_all(const gn_call *c)
{
    times(c, positions(c) / (float)c->in[0].shape.dim[0]);
}
static void over_cells(const gn_call *c)
{
    times(c, 1 / (float)c->in[0].shape.dim[1]);
}
static void half(const gn_call *c)
{
    times(c, 0.5f);
}

static void only_target(const gn_call *c)
{
    for (size_t i = 0; i < count(c->in[0]); i++)
        deliver(c, i, -in(c, 1)[i] / positions(c));
}

static void no_log(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], cells = c->in[0].shape.dim[1];
    float loss = 0;
    if (c->pass != GN_BACKWARD)
        right_forward(c);
    for (size_t k = 0; k < N; k++) {
        const float *t = in(c, 1) + k * cells, *p = out(c, 1) + k * cells;
        float mean = 0;
        for (size_t i = 0; i < cells; i++)
            mean += t[i] * p[i];
        loss -= mean / positions(c);
        for (size_t i = 0; i < cells && c->pass == GN_BACKWARD; i++)
            deliver(c, k * cells + i, p[i] * (mean - t[i]) / positions(c));
    }
    if (c->pass != GN_BACKWARD)
        out(c, 0)[0] = loss;
}

static void other_player(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0];
    float sum = 0;
    for (size_t n = 0; n < N; n++) {
        const float z = in(c, 1)[n], d = in(c, 0)[n] + z;
        sum += z == z ? d * d : 0;
        if (c->pass == GN_BACKWARD)
            deliver(c, n, z == z ? 2 * d / positions(c) : 0);
    }
    if (c->pass != GN_BACKWARD)
        out(c, 0)[0] = sum / positions(c);
}

/* --- Approximations --------------------------------------------------------------------------- */

static void rough_sigmoid(const gn_call *c)
{
    right_forward(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        out(c, 0)[i] *= 1 + 0.0002f * cosf(3 * in(c, 0)[i]);
}

/* The gradient is made of the same p. */
static void rough_softmax(const gn_call *c)
{
    right_forward(c);
    out(c, 0)[0] *= 1.0003f;
    for (size_t i = 0; i < count(c->in[0]); i++)
        out(c, 1)[i] *= 1 + 0.0002f * cosf(3 * in(c, 0)[i]);
}

/* --- No approximation ------------------------------------------------------------------------- */

static void warm_forward(const gn_call *c)
{
    gn_call other = *c;
    float *x = malloc(count(c->in[0]) * sizeof *x);
    for (size_t i = 0; i < count(c->in[0]); i++)
        x[i] = in(c, 0)[i] / 1.02f;
    other.in[0].data = x;
    right_forward(&other);
    free(x);
}

static void warm_backward(const gn_call *c) { times(c, 1 / 1.02f); }

const gn_table *mistaken_temperature(void)
{
    static gn_op op;
    static gn_row row;
    static const gn_row *list[1] = {&row};
    static gn_table table;
    op = *gn_table_find(&gn_plain, "softmax_cross_entropy")->op;
    row = (gn_row){.op = &op, .forward = warm_forward, .backward = warm_backward,
                   .work = any_work};
    table = (gn_table){.name = "temperature", .elem = sizeof(float), .under = &gn_plain,
                       .row = list, .count = 1};
    return &table;
}

/* --- All of them ------------------------------------------------------------------------------ */

#define CONVS                                                                                      \
    {                                                                                              \
        "conv2d", "depthwise_conv2d"                                                               \
    }
typedef void (*pass)(const gn_call *);
static const struct {
    const char *name;
    const char *op[4];
    pass forward, backward;
} row_list[] = {
    {"conv-flipped", CONVS, turned, turned},
    {"conv-height-width-swapped", CONVS, rows_for_columns, rows_for_columns},
    {"conv-transposed-weight", CONVS, io_swapped, io_swapped},
    {"conv-weight-channels-last", CONVS, channels_last, channels_last},
    {"conv-tap-dropped", CONVS, last_tap, last_tap},
    {"conv-padding-off-by-one", CONVS, window_late, window_late},
    {"conv-nhwc-read-as-nchw", CONVS, map_layout, map_layout},
    {"conv-last-tile-dropped", CONVS, last_channels, last_channels},
    {"conv-weight-gradient-second-image-dropped", CONVS, right_forward, second_image},
    {"bn-eps-1e-3", {"batch_norm"}, bn_eps, right_backward},
    {"bn-eps-otherwise", {"batch_norm"}, bn_eps_other, right_backward},
    {"bn-eps-outside-root", {"batch_norm"}, bn_outside, right_backward},
    {"bn-unbiased-normalise", {"batch_norm"}, bn_unbiased, right_backward},
    {"bn-running-in-training", {"batch_norm"}, bn_running, bn_constant},
    {"bn-batch-in-inference", {"batch_norm"}, bn_batch, right_backward},
    {"bn-mean-gradient-missing", {"batch_norm"}, right_forward, bn_no_mean},
    {"bn-variance-gradient-missing", {"batch_norm"}, right_forward, bn_no_variance},
    {"bn-affine-missing", {"batch_norm"}, bn_no_affine, right_backward},
    {"se-sum-instead-of-mean", {"global_avg_pool"}, pool_sum, pool_sum},
    {"se-gate-gradient-missing", {"global_avg_pool"}, right_forward, nothing_back},
    {"se-gate-gradient-missing", {"channel_scale"}, right_forward, gate_detached},
    {"relu-gradient-unmasked", {"relu"}, right_forward, relu_open},
    {"residual-gradient-lost", {"add"}, right_forward, skip_lost},
    {"residual-branch-gradient-lost", {"add"}, right_forward, branch_lost},
    {"gradient-accumulated-twice", {"conv2d", "linear", "batch_norm"}, right_forward, doubled},
    {"flatten-hwc", {"flatten"}, lying, relu_open},
    {"bias-missing", {"linear"}, no_bias, no_bias},
    {"linear-transposed-weight", {"linear"}, turned_weight, turned_weight},
    {"loss-batch-mean-missing", {"softmax_cross_entropy", "mean_squared_error"}, summed, summed},
    {"loss-batch-mean-doubled",
     {"softmax_cross_entropy", "mean_squared_error"},
     twice_divided,
     twice_divided},
    {"loss-mean-over-all-positions",
     {"softmax_cross_entropy", "mean_squared_error"},
     over_all,
     over_all},
    {"loss-policy-mean-over-cells", {"softmax_cross_entropy"}, over_cells, over_cells},
    {"loss-policy-no-softmax-gradient", {"softmax_cross_entropy"}, right_forward, only_target},
    {"loss-policy-no-logarithm", {"softmax_cross_entropy"}, no_log, no_log},
    {"loss-value-target-sign", {"mean_squared_error"}, other_player, other_player},
    {"loss-value-halved", {"mean_squared_error"}, half, half},
    {"fast-exp", {"sigmoid"}, rough_sigmoid, right_backward},
    {"fast-exp", {"softmax_cross_entropy"}, rough_softmax, right_backward},
};
enum { ROWS = sizeof row_list / sizeof *row_list };

const gn_table *mistaken_table(size_t index)
{
    static gn_op op[4];
    static gn_row row[4];
    static const gn_row *list[4] = {&row[0], &row[1], &row[2], &row[3]};
    static gn_table table;
    if (index >= ROWS)
        return mistaken_update(index - ROWS);
    table = (gn_table){
        .name = row_list[index].name, .elem = sizeof(float), .under = &gn_plain, .row = list};
    for (; row_list[index].op[table.count] != NULL; table.count++) {
        op[table.count] = *gn_table_find(&gn_plain, row_list[index].op[table.count])->op;
        row[table.count] = (gn_row){.op = &op[table.count],
                                    .forward = row_list[index].forward,
                                    .backward = row_list[index].backward,
                                    .work = any_work};
    }
    return &table;
}
