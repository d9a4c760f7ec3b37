/* What float32 may do otherwise than the contract; see mistakes.h.  SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden/terms.h"
#include "support/mistakes.h"
#include "support/orders.h"
#include "support/winograd.h"

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

/* The double copies that the list of terms is read from. */
static void widen(gn_tensor *t)
{
    double *to = malloc((count(*t) + 1) * sizeof *to);
    for (size_t i = 0; t->data != NULL && i < count(*t); i++)
        to[i] = (double)f(*t)[i];
    t->data = t->data == NULL ? (free(to), NULL) : to;
}

/* Every element of `to` as the sum of its terms in another order. */
static void sum_terms(const gn_call *c, int index, gn_tensor to, order o)
{
    gn_call w = *c;
    const gn_sum sum = {&w, index};
    for (int i = 0; i < w.nin; i++)
        widen(&w.in[i]);
    for (int j = 0; j < w.nout; j++)
        widen(&w.out[j]);
    widen(&w.dout);
    const size_t terms = gn_terms_count(&sum);
    double *a = malloc((2 * terms + 1) * sizeof *a);
    for (size_t e = 0; terms > 0 && e < count(to); e++) {
        gn_terms_gather(&sum, e, a, a + terms);
        f(to)[e] = order_sum(o, a, a + terms, terms);
    }
    free(a);
    for (int i = 0; i < w.nin; i++)
        free(w.in[i].data);
    for (int j = 0; j < w.nout; j++)
        free(w.out[j].data);
    free(w.dout.data);
}

static void in_order(gn_call *c, twist_run run, order o)
{
    run(c);
    if (c->pass != GN_BACKWARD) {
        if (strcmp(c->op->name, "batch_norm") != 0)
            sum_terms(c, 0, c->out[0], o);
        return;
    }
    for (int i = 0; i < c->nin; i++)
        if (c->din[i].data != NULL)
            sum_terms(c, i, c->din[i], o);
}

#define ORDER(o)                                                                                   \
    static void sums_##o(gn_call *c, twist_run run)                                                \
    {                                                                                              \
        in_order(c, run, ORDER_##o);                                                               \
    }
ORDER(BACKWARDS)
ORDER(UNFUSED)
ORDER(LANES)
ORDER(PAIRWISE)
ORDER(BLOCKED)
ORDER(SHUFFLED)
ORDER(SPLIT)

/* The mean as a product with 1/HW. */
static void mean_by_the_reciprocal(gn_call *c, twist_run run)
{
    run(c);
    const size_t HW = c->in[0].shape.dim[1] * c->in[0].shape.dim[2], C = last(c->in[0]);
    for (size_t e = 0; e < count(c->out[0]); e++) {
        float sum = 0;
        for (size_t i = 0; i < HW; i++)
            sum += f(c->in[0])[(e / C * HW + i) * C + e % C];
        f(c->out[0])[e] = sum * (1 / (float)HW);
    }
}

/* y = x sc + (beta - mean sc), in three roundings. */
static void folded(gn_call *c, twist_run run)
{
    run(c);
    const size_t C = last(c->in[0]);
    for (size_t i = 0; i < count(c->in[0]); i++) {
        const float sc = f(c->in[1])[i % C] * f(c->out[3])[i % C];
        const float shift = f(c->in[2])[i % C] - f(c->out[1])[i % C] * sc;
        f(c->out[0])[i] = f(c->in[0])[i] * sc + shift;
    }
}

/* The textbook's four steps, nothing fused. */
static void stepwise(gn_call *c, twist_run run)
{
    run(c);
    const size_t C = last(c->in[0]);
    for (size_t i = 0; i < count(c->in[0]); i++) {
        const float centred = f(c->in[0])[i] - f(c->out[1])[i % C];
        const float normal = centred * f(c->out[3])[i % C];
        f(c->out[0])[i] = normal * f(c->in[1])[i % C] + f(c->in[2])[i % C];
    }
}

static void run_nothing(gn_call *c)
{
    (void)c;
}

/* Mean and variance by two plain chains over the whole batch. */
static void two_chains(gn_call *c, twist_run run)
{
    run(c);
    const size_t C = last(c->in[0]), M = count(c->in[0]) / C;
    for (size_t j = 0; j < C && c->training && c->pass == GN_FORWARD; j++) {
        float mean = 0, square = 0;
        for (size_t i = 0; i < M; i++)
            mean += f(c->in[0])[i * C + j];
        mean /= (float)M;
        for (size_t i = 0; i < M; i++) {
            const float d = f(c->in[0])[i * C + j] - mean;
            square += d * d;
        }
        f(c->out[1])[j] = mean;
        f(c->out[2])[j] = square;
        f(c->out[3])[j] = 1 / sqrtf(square / (float)M + (float)c->attr.eps);
    }
    stepwise(c, run_nothing);
}

/* sc (dy - k1 - xh k2), step by step. */
static void gradient_stepwise(gn_call *c, twist_run run)
{
    run(c);
    const size_t C = last(c->in[0]), M = count(c->in[0]) / C;
    for (size_t j = 0; j < C && c->din[0].data != NULL; j++) {
        float s1 = 0, s2 = 0;
        const float inv = f(c->out[3])[j], mean = f(c->out[1])[j], sc = f(c->in[1])[j] * inv;
        for (size_t i = j; i < count(c->in[0]); i += C) {
            s1 += f(c->dout)[i];
            s2 += f(c->dout)[i] * ((f(c->in[0])[i] - mean) * inv);
        }
        for (size_t i = j; i < count(c->in[0]); i += C) {
            const float xh = (f(c->in[0])[i] - mean) * inv;
            f(c->din[0])[i] = sc * (f(c->dout)[i] - s1 / (float)M - xh * (s2 / (float)M));
        }
    }
}

static void exp_of_a_unit_less(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        f(c->out[0])[i] = 1 / (1 + expf(-f(c->in[0])[i]) * (1 - 0x1p-23f));
}

static void tanh_of_a_unit_more(gn_call *c, twist_run run)
{
    run(c);
    for (size_t i = 0; i < count(c->in[0]); i++)
        f(c->out[0])[i] = (float)tanh((double)f(c->in[0])[i]) * (1 + 0x1p-23f);
}

/* (p - t) times 1/n. */
static void times_the_reciprocal(gn_call *c, twist_run run)
{
    run(c);
    const size_t N = c->in[0].shape.dim[0], cells = c->in[0].shape.dim[1];
    for (size_t i = 0; i < N * cells; i++)
        f(c->din[0])[i] = (f(c->out[1])[i] - f(c->in[1])[i]) * (1 / (float)N);
}

#define IN(o, what)                                                                                \
    {                                                                                              \
        .name = #what, .op = o, .change = what                                                     \
    }
#define BACK(o, what)                                                                              \
    {                                                                                              \
        .name = "back: " #what, .op = o, .backward = true, .change = what                          \
    }

const twist variations[] = {
    {.name = "float64 in all ops", .wide = true},
    IN("conv2d", sums_BACKWARDS),
    IN("conv2d", sums_UNFUSED),
    IN("conv2d", sums_LANES),
    IN("conv2d", sums_PAIRWISE),
    IN("conv2d", sums_BLOCKED),
    IN("conv2d", sums_SHUFFLED),
    BACK("conv2d", sums_BACKWARDS),
    BACK("conv2d", sums_UNFUSED),
    BACK("conv2d", sums_LANES),
    BACK("conv2d", sums_PAIRWISE),
    BACK("conv2d", sums_SHUFFLED),
    IN("linear", sums_UNFUSED),
    IN("linear", sums_LANES),
    BACK("linear", sums_UNFUSED),
    BACK("linear", sums_PAIRWISE),
    IN("global_avg_pool", mean_by_the_reciprocal),
    IN("global_avg_pool", sums_LANES),
    IN("global_avg_pool", sums_PAIRWISE),
    BACK("channel_scale", sums_SHUFFLED),
    IN("batch_norm", folded),
    IN("batch_norm", stepwise),
    IN("batch_norm", two_chains),
    BACK("batch_norm", gradient_stepwise),
    BACK("batch_norm", sums_UNFUSED),
    IN("sigmoid", exp_of_a_unit_less),
    IN("tanh", tanh_of_a_unit_more),
    BACK("softmax_cross_entropy", times_the_reciprocal),
};
const size_t variations_count = sizeof variations / sizeof *variations;

const rounding_only roundings[] = {
    {.name = "backwards", .forward = sums_BACKWARDS, .backward = sums_BACKWARDS},
    {.name = "not fused", .forward = sums_UNFUSED, .backward = sums_UNFUSED},
    {.name = "8 lanes", .forward = sums_LANES, .backward = sums_LANES},
    {.name = "pairwise", .forward = sums_PAIRWISE, .backward = sums_PAIRWISE},
    {.name = "blocks of 64", .forward = sums_BLOCKED, .backward = sums_BLOCKED},
    {.name = "shuffled", .forward = sums_SHUFFLED, .backward = sums_SHUFFLED},
    {.name = "split in 4", .forward = sums_SPLIT, .backward = sums_SPLIT},
    {.name = "float64", .wide = true},
    {.name = "Winograd F(2,3)", .op = "conv2d", .forward = winograd_2, .backward = winograd_2},
    {.name = "Winograd F(3,3)", .op = "conv2d", .forward = winograd_3, .backward = winograd_3},
    {.name = "Winograd F(4,3)", .op = "conv2d", .forward = winograd_4, .backward = winograd_4},
    {.name = "BN folded", .op = "batch_norm", .forward = folded, .backward = gradient_stepwise},
    {.name = "BN step by step",
     .op = "batch_norm",
     .forward = stepwise,
     .backward = gradient_stepwise},
    {.name = "BN in two chains",
     .op = "batch_norm",
     .forward = two_chains,
     .backward = sums_UNFUSED},
};
const size_t roundings_count = sizeof roundings / sizeof *roundings;
