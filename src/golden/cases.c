/* The list of cases and their numbers; see cases.h.  SPDX-License-Identifier: MIT */
#include "golden/cases.h"

#include <string.h>

#include "golden/cases_update.h"
#include "golden/probe.h"

#define S(rank, ...)                                                                               \
    {                                                                                              \
        {__VA_ARGS__}, rank                                                                        \
    }

/* --- Numbers ---------------------------------------------------------------------------------- */

/* 32 bits that belong to an element of a tensor of a case: the name is the seed. */
static uint32_t draw(const gn_case *c, int index, size_t e)
{
    uint32_t x = 2166136261u;
    for (const char *p = c->name; *p != '\0'; p++)
        x = (x ^ (uint8_t)*p) * 16777619u;
    x += (uint32_t)index * 0x9e3779b9u + (uint32_t)e * 0x85ebca6bu;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* In [-1, 1), a multiple of 2^-23. */
static float uniform(const gn_case *c, int index, size_t e)
{
    return (float)(draw(c, index, e) >> 8) * 0x1p-23f - 1;
}

static bool is(const gn_case *c, const char *op)
{
    return strcmp(c->op, op) == 0;
}

/* -2 to 2; losses are differentiated by 1. */
static void integers(float *to, const gn_case *c, int index, gn_shape s)
{
    const bool one = index == GN_CASE_DOUT && gn_shape_count(s) == 1;
    for (size_t e = 0; e < gn_shape_count(s); e++)
        to[e] = one ? 1 : (float)(draw(c, index, e) % 5) - 2;
}

static void ordinary(float *to, const gn_case *c, int index, gn_shape s)
{
    const size_t count = gn_shape_count(s);
    const float scale = index > 0 ? 1 : is(c, "sigmoid") || is(c, "tanh") ? 4 : 2;
    for (size_t e = 0; e < count; e++)
        to[e] = scale * uniform(c, index, e);
    if (index == GN_CASE_DOUT && count == 1)
        to[0] = 1;
    for (size_t e = 0; e < count && is(c, "batch_norm"); e++) {
        if (index == 0) /* channels of mean 0, 1, 2, ... */
            to[e] += (float)(e % s.dim[s.rank - 1]);
        if (index == 4)
            to[e] += 1.5f;
    }
    if (is(c, "softmax_cross_entropy") && index == 1) {
        const size_t cells = s.dim[1]; /* one cell; row 1: no target; row 2: spread over all */
        for (size_t e = 0; e < count; e++)
            to[e] = e / cells == 2 ? 1 / (float)cells
                    : e / cells != 1 && e % cells == draw(c, 9, e / cells) % cells ? 1
                                                                                   : 0;
    }
    if (is(c, "mean_squared_error") && index == 1)
        to[3] = __builtin_nanf(""); /* no target */
}

/* A few numbers in turn; the other inputs and the gradient are ordinary. */
static void in_turn(float *to, const float *list, size_t length, gn_shape s)
{
    for (size_t e = 0; e < gn_shape_count(s); e++)
        to[e] = list[e % length];
}

static void edges(float *to, const gn_case *c, int index, gn_shape s)
{
    static const float any[] = {0,
                                -0.0f,
                                1,
                                -1,
                                0x1p-126f,
                                -0x1p-126f,
                                0x1p60f,
                                -0x1p60f,
                                0x1.fffffep-1f,
                                0x1.000002p0f,
                                0x1p-60f};
    static const float narrow[] = {0,     -0.0f, 80,  -80,      9.0f,      -9.0f, 9.1f,
                                   -9.1f, 20,    -20, 0x1p-24f, -0x1p-24f, 0.5f,  0x1p-60f};
    static const float logits[] = {0, -0.0f, 120, 120, -80, 1, 40};
    ordinary(to, c, index, s);
    if (index != 0)
        return;
    if (is(c, "sigmoid") || is(c, "tanh"))
        in_turn(to, narrow, sizeof narrow / sizeof *narrow, s);
    else if (is(c, "softmax_cross_entropy"))
        in_turn(to, logits, sizeof logits / sizeof *logits, s);
    else if (is(c, "batch_norm")) /* a constant channel, a mean of many deviations, a tiny spread */
        for (size_t e = 0; e < gn_shape_count(s); e++)
            to[e] = e % 3 == 0 ? 100 : e % 3 == 1 ? 16 + to[e] : 0x1p-20f * to[e];
    else
        in_turn(to, any, sizeof any / sizeof *any, s);
}

/* Products and sums below 2^-126, from factors above it or not. */
static void denormals(float *to, const gn_case *c, int index, gn_shape s)
{
    static const float small[] = {0x1p-127f, -0x1p-149f, 0x1.8p-130f, 0x1p-126f, -0x1.2p-128f};
    static const float low[] = {-88.0f, -88.5f, 0x1p-140f, -87.5f};
    ordinary(to, c, index, s);
    if (index == 0 && is(c, "sigmoid"))
        in_turn(to, low, sizeof low / sizeof *low, s);
    else if (index == 0)
        in_turn(to, small, sizeof small / sizeof *small, s);
}

/* Where implementations may differ is left out: whether padding takes part in a gradient (infinity
 * times 0), and which of NaN and infinity an infinite channel's mean is. */
static void nonfinites(float *to, const gn_case *c, int index, gn_shape s)
{
    const bool padded = is(c, "conv2d") || is(c, "depthwise_conv2d"), norm = is(c, "batch_norm");
    const size_t count = gn_shape_count(s), at = index == 0 ? 0 : count / 2;
    ordinary(to, c, index, s);
    if (index != 0 && (index != GN_CASE_DOUT || padded || norm || count == 1))
        return;
    to[at] = __builtin_nanf("");
    if (count > at + 3 && !norm) {
        to[at + 1] = __builtin_inff();
        to[at + 3] = -__builtin_inff();
    }
}

/* Moments, variances and sums of squares are not below 0; a gradient of 0 with moments of 0 too. */
static void update_values(float *to, const gn_case *c, int index, gn_shape s)
{
    const char *op = c->op;
    const bool square = (strcmp(op, "adamw") == 0 && index == 2) ||
                        (strcmp(op, "running") == 0 && (index == 1 || index == 3));
    for (size_t e = 0; e < gn_shape_count(s); e++) {
        const float x = uniform(c, index, e);
        to[e] = e == 7 && index > 0 && strcmp(op, "running") != 0 ? 0 : square ? x * x : x;
    }
    if (index == c->nin - 1 && gn_shape_count(s) == 1) /* the factor that clips */
        to[0] = 0.375f;
}

/* --- The list --------------------------------------------------------------------------------- */

/* T2's sizes show the batch tree and tails of vectors; elsewhere small ones do. */
#define CONV3           "conv2d", .nin = 2, .in = {S(4, 3, 5, 5, 5), S(4, 7, 5, 3, 3)}
#define CONV3_SMALL     "conv2d", .nin = 2, .in = {S(4, 2, 3, 4, 4), S(4, 5, 4, 3, 3)}
#define CONV1           "conv2d", .nin = 2, .in = {S(4, 3, 4, 5, 7), S(4, 5, 7, 1, 1)}
#define CONV1_SMALL     "conv2d", .nin = 2, .in = {S(4, 2, 3, 3, 4), S(4, 5, 4, 1, 1)}
#define DEPTHWISE       "depthwise_conv2d", .nin = 2, .in = {S(4, 3, 5, 5, 5), S(4, 5, 1, 3, 3)}
#define DEPTHWISE_SMALL "depthwise_conv2d", .nin = 2, .in = {S(4, 2, 3, 4, 4), S(4, 4, 1, 3, 3)}
#define LINEAR          "linear", .nin = 2, .in = {S(2, 11, 20), S(2, 7, 20)}
#define LINEAR_SMALL    "linear", .nin = 2, .in = {S(2, 3, 8), S(2, 5, 8)}
#define BIASED          "linear", .nin = 3, .in = {S(2, 11, 20), S(2, 7, 20), S(1, 7)}
#define BIASED_SMALL    "linear", .nin = 3, .in = {S(2, 3, 8), S(2, 5, 8), S(1, 5)}
#define NORM                                                                                       \
    "batch_norm", .nin = 5, .in = {S(4, 3, 5, 5, 6), S(1, 6), S(1, 6), S(1, 6), S(1, 6)}
#define MAP(op)         op, .nin = 1, .in = {S(4, 2, 4, 4, 5)}
#define ADD             "add", .nin = 2, .in = {S(4, 2, 4, 4, 5), S(4, 2, 4, 4, 5)}
#define SCALE           "channel_scale", .nin = 2, .in = {S(4, 2, 4, 4, 5), S(2, 2, 5)}
#define ROWS(op)        op, .nin = 1, .in = {S(2, 5, 14)}
#define ENTROPY         "softmax_cross_entropy", .nin = 2, .in = {S(2, 5, 25), S(2, 5, 25)}
#define SQUARED(N)      "mean_squared_error", .nin = 2, .in = {S(2, N, 1), S(1, N)}
#define CASE(tier, label, values, ...)                                                             \
    {                                                                                              \
        .name = tier "/" label, .fill = values, .op = __VA_ARGS__                                  \
    }

static const gn_case cases[] = {
    CASE("T0", "conv2d_3x3", integers, CONV3_SMALL),
    CASE("T0", "conv2d_1x1", integers, CONV1_SMALL),
    CASE("T0", "depthwise_conv2d", integers, DEPTHWISE_SMALL),
    CASE("T0", "linear", integers, LINEAR_SMALL),
    CASE("T0", "linear_bias", integers, BIASED_SMALL),
    CASE("T0", "relu", integers, MAP("relu")),
    CASE("T0", "flatten", integers, MAP("flatten")),
    CASE("T0", "add", integers, ADD),
    CASE("T0", "global_avg_pool", integers, MAP("global_avg_pool")),
    CASE("T0", "channel_scale", integers, SCALE),
    CASE("T0", "mean_squared_error", integers, SQUARED(8)),
    GN_PROBE_CASES,
    CASE("T2", "conv2d_3x3", ordinary, CONV3),
    CASE("T2", "conv2d_1x1", ordinary, CONV1),
    CASE("T2", "depthwise_conv2d", ordinary, DEPTHWISE),
    CASE("T2", "linear", ordinary, LINEAR),
    CASE("T2", "linear_bias", ordinary, BIASED),
    CASE("T2", "batch_norm", ordinary, NORM),
    CASE("T2", "batch_norm_inference", ordinary, NORM, .inference = true),
    CASE("T2", "relu", ordinary, MAP("relu")),
    CASE("T2", "flatten", ordinary, MAP("flatten")),
    CASE("T2", "sigmoid", ordinary, ROWS("sigmoid")),
    CASE("T2", "tanh", ordinary, ROWS("tanh")),
    CASE("T2", "add", ordinary, ADD),
    CASE("T2", "global_avg_pool", ordinary, MAP("global_avg_pool")),
    CASE("T2", "channel_scale", ordinary, SCALE),
    CASE("T2", "softmax_cross_entropy", ordinary, ENTROPY),
    CASE("T2", "mean_squared_error", ordinary, SQUARED(9)),
    GN_UPDATE_CASES,
    CASE("edge", "conv2d_3x3", edges, CONV3_SMALL),
    CASE("edge", "linear_bias", edges, BIASED_SMALL),
    CASE("edge", "batch_norm", edges, NORM),
    CASE("edge", "relu", edges, MAP("relu")),
    CASE("edge", "add", edges, ADD),
    CASE("edge", "sigmoid", edges, ROWS("sigmoid")),
    CASE("edge", "tanh", edges, ROWS("tanh")),
    CASE("edge", "softmax_cross_entropy", edges, ENTROPY),
    CASE("denormal", "conv2d_1x1", denormals, CONV1_SMALL),
    CASE("denormal", "linear", denormals, LINEAR_SMALL),
    CASE("denormal", "relu", denormals, MAP("relu")),
    CASE("denormal", "add", denormals, ADD),
    CASE("denormal", "sigmoid", denormals, ROWS("sigmoid")),
    CASE("denormal", "tanh", denormals, ROWS("tanh")),
    CASE("denormal", "channel_scale", denormals, SCALE),
    CASE("nonfinite", "conv2d_3x3", nonfinites, CONV3_SMALL),
    CASE("nonfinite", "depthwise_conv2d", nonfinites, DEPTHWISE_SMALL),
    CASE("nonfinite", "linear_bias", nonfinites, BIASED_SMALL),
    CASE("nonfinite", "batch_norm", nonfinites, NORM),
    CASE("nonfinite", "relu", nonfinites, MAP("relu")),
    CASE("nonfinite", "sigmoid", nonfinites, ROWS("sigmoid")),
    CASE("nonfinite", "tanh", nonfinites, ROWS("tanh")),
    CASE("nonfinite", "channel_scale", nonfinites, SCALE),
    CASE("nonfinite", "softmax_cross_entropy", nonfinites, ENTROPY),
    CASE("nonfinite", "mean_squared_error", nonfinites, SQUARED(9)),
};

size_t gn_cases(void)
{
    return sizeof cases / sizeof *cases;
}
const gn_case *gn_case_at(size_t index)
{
    return &cases[index];
}
