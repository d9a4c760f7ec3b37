/* Random ops and shapes, odd ones more often than they happen.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_DRAW_SHAPES_H
#define GN_TESTS_DRAW_SHAPES_H

#include "gomokunet/op.h"
#include "support/draw.h"

typedef struct shapes {
    const char *op;
    int nin;
    gn_shape in[GN_MAX_IN];
} shapes;

static size_t channels(void)
{
    static const size_t near[] = {1, 2, 3, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 24, 31, 32, 33, 48};
    return draw(8) == 0 ? 1 + draw(100) : PICK(near);
}

static size_t batch(void)
{
    static const size_t near[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 33};
    return PICK(near);
}

static size_t side(void)
{
    return draw(10) == 0 ? 15 + draw(5) : 1 + draw(9);
}

static gn_shape map(size_t C)
{
    const size_t N = batch(), H = side();
    return gn_shape_of(4, N, H, draw(3) == 0 ? side() : H, C);
}

static gn_shape row(size_t N, size_t C) { return gn_shape_of(2, N, C, 0, 0); }
static gn_shape vector(size_t C) { return gn_shape_of(1, C, 0, 0, 0); }

static shapes draw_product(void)
{
    static const size_t kernels[] = {1, 1, 3, 3, 3, 5};
    const size_t C = channels(), O = channels(), K = PICK(kernels);
    const size_t which = draw(3), wide = draw(5) == 0 ? 1 + draw(700) : channels();
    const size_t N = draw(4) == 0 ? 1 + draw(150) : batch();
    if (which == 0)
        return (shapes){"conv2d", 2, {map(C), gn_shape_of(4, O, C, K, K)}};
    if (which == 1)
        return (shapes){"depthwise_conv2d", 2, {map(C), gn_shape_of(4, C, 1, K, K)}};
    return (shapes){"linear", 2 + (int)draw(2), {row(N, wide), row(O, wide), vector(O)}};
}

static shapes draw_other(void)
{
    const size_t C = channels(), N = batch();
    const gn_shape x = map(C), c = vector(C), r = row(N, C);
    const shapes list[] = {
        {"batch_norm", 5, {x, c, c, c, c}},  {"batch_norm", 5, {r, c, c, c, c}},
        {"relu", 1, {x}},                    {"add", 2, {x, x}},
        {"global_avg_pool", 1, {x}},         {"channel_scale", 2, {x, row(x.dim[0], C)}},
        {"flatten", 1, {x}},                 {"sigmoid", 1, {r}},
        {"tanh", 1, {r}},                    {"softmax_cross_entropy", 2, {r, r}},
        {"mean_squared_error", 2, {row(N, 1), vector(N)}},
    };
    return PICK(list);
}

static double work_of(const shapes *k)
{
    double work = (double)gn_shape_count(k->in[0]);
    if (strcmp(k->op, "linear") == 0)
        work *= (double)k->in[1].dim[0];
    else if (strstr(k->op, "conv2d") != NULL)
        work *= (double)gn_shape_count(k->in[1]) / (double)k->in[0].dim[3];
    return work;
}

#endif
