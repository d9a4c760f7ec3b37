/* The terms of a sum; see terms.h.  SPDX-License-Identifier: MIT */
#include "golden/terms.h"

#include <string.h>

/* Two lists that grow. */
typedef struct pairs {
    double *a, *b;
    size_t count;
} pairs;

static void add(pairs *p, double a, double b)
{
    p->a[p->count] = a;
    p->b[p->count++] = b;
}

static bool is(const gn_call *c, const char *op)
{
    return strcmp(c->op->name, op) == 0;
}
static bool back(const gn_call *c)
{
    return c->pass == GN_BACKWARD;
}

/* A map [N,H,W,C] read with padding: +0 outside the board. */
static double at(gn_tensor map, size_t n, size_t h, size_t w, size_t c)
{
    const size_t *d = map.shape.dim;
    return h < d[1] && w < d[2] ? ((const double *)map.data)[((n * d[1] + h) * d[2] + w) * d[3] + c]
                                : 0.0;
}

static double matrix(gn_tensor m, size_t row, size_t column)
{
    return ((const double *)m.data)[row * m.shape.dim[1] + column];
}

/* --- Convolutions: dense where each output channel reads all inputs, else depthwise ----------- */

typedef struct square {
    size_t n, h, w, c;
} square;

static square square_of(gn_shape s, size_t e)
{
    return (square){e / (s.dim[1] * s.dim[2] * s.dim[3]), e / (s.dim[2] * s.dim[3]) % s.dim[1],
                    e / s.dim[3] % s.dim[2], e % s.dim[3]};
}

static double weight_at(gn_tensor w, size_t o, size_t i, size_t kh, size_t kw)
{
    const size_t *d = w.shape.dim;
    return ((const double *)w.data)[((o * d[1] + i) * d[2] + kh) * d[3] + kw];
}

static void conv_forward(pairs *p, const gn_call *c, size_t e, bool dense)
{
    const square s = square_of(c->out[0].shape, e);
    const size_t K = c->in[1].shape.dim[2], P = K / 2, inputs = c->in[1].shape.dim[1];
    for (size_t kh = 0; kh < K; kh++)
        for (size_t kw = 0; kw < K; kw++)
            for (size_t i = 0; i < inputs; i++)
                add(p, at(c->in[0], s.n, s.h + kh - P, s.w + kw - P, dense ? i : s.c),
                    weight_at(c->in[1], s.c, i, kh, kw));
}

static void conv_input(pairs *p, const gn_call *c, size_t e, bool dense)
{
    const square s = square_of(c->in[0].shape, e);
    const size_t K = c->in[1].shape.dim[2], P = K / 2;
    const size_t outputs = dense ? c->in[1].shape.dim[0] : 1;
    for (size_t kh = 0; kh < K; kh++)
        for (size_t kw = 0; kw < K; kw++)
            for (size_t j = 0; j < outputs; j++) {
                const size_t o = dense ? j : s.c;
                add(p, at(c->dout, s.n, s.h + kh - P, s.w + kw - P, o),
                    weight_at(c->in[1], o, dense ? s.c : 0, K - 1 - kh, K - 1 - kw));
            }
}

static void conv_weight(pairs *p, const gn_call *c, size_t e, bool dense)
{
    const gn_shape w = c->in[1].shape, x = c->in[0].shape;
    const size_t K = w.dim[2], P = K / 2, o = e / (w.dim[1] * K * K);
    const size_t i = dense ? e / (K * K) % w.dim[1] : o, kh = e / K % K, kw = e % K;
    for (size_t n = 0; n < x.dim[0]; n++)
        for (size_t h = 0; h < x.dim[1]; h++)
            for (size_t v = 0; v < x.dim[2]; v++)
                add(p, at(c->dout, n, h, v, o), at(c->in[0], n, h + kh - P, v + kw - P, i));
}

/* --- Linear --------------------------------------------------------------------------------- */

static void linear_terms(pairs *p, const gn_call *c, int index, size_t e)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    if (!back(c)) {
        for (size_t k = 0; k < K; k++)
            add(p, matrix(c->in[0], e / O, k), matrix(c->in[1], e % O, k));
        if (c->nin > 2)
            add(p, 1, ((const double *)c->in[2].data)[e % O]);
    } else if (index == 0) {
        for (size_t o = 0; o < O; o++)
            add(p, matrix(c->dout, e / K, o), matrix(c->in[1], o, e % K));
    } else {
        for (size_t n = 0; n < N; n++)
            add(p, matrix(c->dout, n, index == 1 ? e / K : e),
                index == 1 ? matrix(c->in[0], n, e % K) : 1);
    }
}

/* --- Sums over the board, and over the batch -------------------------------------------------- */

static size_t board(gn_shape map)
{
    return map.dim[1] * map.dim[2];
}

/* The mean of a channel of an image; the gradient of a gate. */
static void image_sum(pairs *p, const gn_call *c, size_t e)
{
    const gn_shape s = c->in[0].shape;
    const size_t n = e / s.dim[3], channel = e % s.dim[3], HW = board(s);
    for (size_t i = 0; i < HW; i++) {
        const double x = ((const double *)c->in[0].data)[(n * HW + i) * s.dim[3] + channel];
        if (back(c))
            add(p, ((const double *)c->dout.data)[(n * HW + i) * s.dim[3] + channel], x);
        else
            add(p, x, 1 / (double)HW);
    }
}

enum { BN_X, BN_GAMMA, BN_BETA, BN_MEAN = 1, BN_M2 = 2, BN_INV = 3 };

/* Batch norm's mean, variance (asked for as m2, divided by the count), dgamma and dbeta. */
static void channel_sum(pairs *p, const gn_call *c, int index, size_t channel)
{
    const gn_shape s = c->in[BN_X].shape;
    const size_t C = s.dim[3], M = s.dim[0] * board(s);
    const double mean = ((const double *)c->out[BN_MEAN].data)[channel];
    const double inv = ((const double *)c->out[BN_INV].data)[channel];
    for (size_t i = 0; i < M; i++) {
        const double x = ((const double *)c->in[BN_X].data)[i * C + channel], d = x - mean;
        if (!back(c)) {
            add(p, index == BN_MEAN ? x : d, (index == BN_MEAN ? 1 : d) / (double)M);
        } else {
            const double dy = ((const double *)c->dout.data)[i * C + channel];
            add(p, dy, index == BN_GAMMA ? d * inv : 1);
        }
    }
}

/* --- All ops -------------------------------------------------------------------------------- */

size_t gn_terms_count(const gn_sum *sum)
{
    const gn_call *c = sum->call;
    const gn_shape x = c->in[0].shape, w = c->in[1].shape;
    const int i = sum->index;
    if (is(c, "conv2d") || is(c, "depthwise_conv2d")) {
        const size_t taps = w.dim[2] * w.dim[3];
        if (!back(c))
            return taps * w.dim[1];
        return i == 1 ? x.dim[0] * board(x) : taps * (is(c, "conv2d") ? w.dim[0] : 1);
    }
    if (is(c, "linear")) {
        if (!back(c))
            return x.dim[1] + (c->nin > 2 ? 1 : 0);
        return i == 0 ? w.dim[0] : x.dim[0];
    }
    if (is(c, "global_avg_pool"))
        return back(c) ? 0 : board(x);
    if (is(c, "channel_scale"))
        return back(c) && i == 1 ? board(x) : 0;
    if (is(c, "batch_norm")) {
        const bool sums = back(c) ? i == BN_GAMMA || i == BN_BETA : i == BN_MEAN || i == BN_M2;
        return sums ? x.dim[0] * board(x) : 0;
    }
    return 0;
}

size_t gn_terms_inner(const gn_sum *sum)
{
    const gn_call *c = sum->call;
    const gn_shape x = c->in[0].shape, w = c->in[1].shape;
    const size_t terms = gn_terms_count(sum);
    if (is(c, "conv2d") && !(back(c) && sum->index == 1))
        return back(c) ? w.dim[0] : w.dim[1];
    if (is(c, "conv2d") || is(c, "depthwise_conv2d"))
        return back(c) && sum->index == 1 ? board(x) : terms;
    if (is(c, "batch_norm"))
        return board(x);
    return terms;
}

void gn_terms_gather(const gn_sum *sum, size_t e, double *a, double *b)
{
    const gn_call *c = sum->call;
    const int i = sum->index;
    const bool dense = is(c, "conv2d");
    pairs p = {a, b, 0};
    if (dense || is(c, "depthwise_conv2d")) {
        if (!back(c))
            conv_forward(&p, c, e, dense);
        else if (i == 0)
            conv_input(&p, c, e, dense);
        else
            conv_weight(&p, c, e, dense);
    } else if (is(c, "linear")) {
        linear_terms(&p, c, i, e);
    } else if (is(c, "batch_norm")) {
        channel_sum(&p, c, i, e);
    } else {
        image_sum(&p, c, e);
    }
}
