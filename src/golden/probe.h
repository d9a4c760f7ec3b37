/* Probes of the order in which an implementation takes a sum (the idea is FPRev's, USENIX ATC
 * 2025).
 *
 * Pattern j of a sum of K terms is M, then ones, and -M in place of term j.  M swallows what it
 * meets before -M takes it away, so the result is the number of ones that are not in the smallest
 * partial sum with terms 0 and j.  K-1 patterns show how the sum grows around term 0; known orders
 * are simulated and the one that gives all K-1 numbers is named.  Fused multiply-adds show in
 * further patterns, where x*x - x*x is not 0 if one of the products was not rounded.
 *
 * Patterns stand side by side: in the weights by output channel, in gradients by channel.  The op
 * runs once, at shapes that it meets in the network.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_PROBE_H
#define GN_GOLDEN_PROBE_H

#include "golden/cases.h"

/* 2^40: with it ones are lost in float32 and not in float64, and it is a number of bfloat16. */
#define GN_PROBE_LARGE 0x1p40f

/* What a probe's patterns look like; the other tensors are 1. */
void gn_probe_fill(float *to, const gn_case *c, int index, gn_shape shape);

/* The order's name, from a tensor of the case (in our layout); "" where the case is no probe of it.
 * GN_E_NOMEM. */
gn_status gn_probe_name(char *text, size_t room, const gn_case *c, const gn_case_tensor *t,
                        const float *got, gn_err *err);

/* Patterns by channel: K-1 of the order, and one of fusing for each power of two below K. */
#define GN_PROBE(label, opname, want, n, ...)                                                      \
    {                                                                                              \
        .name = "T1/" label, .op = opname, .fill = gn_probe_fill, .parts = want, .nin = n, .in = { \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define GN_PROBE_CASES                                                                             \
    GN_PROBE("conv2d_y", "conv2d", GN_OUT(0), 2, {{2, 3, 3, 8}, 4}, {{78, 8, 3, 3}, 4}),           \
        GN_PROBE("conv2d_dx", "conv2d", GN_IN(0), 2, {{2, 3, 3, 78}, 4}, {{8, 78, 3, 3}, 4}),      \
        GN_PROBE("conv2d_dweight", "conv2d", GN_IN(1), 2, {{3, 3, 3, 2}, 4}, {{31, 2, 3, 3}, 4}),  \
        GN_PROBE("depthwise_conv2d_y", "depthwise_conv2d", GN_OUT(0), 2, {{2, 3, 3, 12}, 4},       \
                 {{12, 1, 3, 3}, 4}),                                                              \
        GN_PROBE("depthwise_conv2d_dx", "depthwise_conv2d", GN_IN(0), 2, {{2, 3, 3, 12}, 4},       \
                 {{12, 1, 3, 3}, 4}),                                                              \
        GN_PROBE("depthwise_conv2d_dweight", "depthwise_conv2d", GN_IN(1), 2, {{3, 3, 3, 31}, 4},  \
                 {{31, 1, 3, 3}, 4}),                                                              \
        GN_PROBE("linear_y", "linear", GN_OUT(0), 2, {{2, 48}, 2}, {{53, 48}, 2}),                 \
        GN_PROBE("linear_dx", "linear", GN_IN(0), 2, {{2, 53}, 2}, {{48, 53}, 2}),                 \
        GN_PROBE("linear_dweight", "linear", GN_IN(1), 2, {{40, 2}, 2}, {{45, 2}, 2}),             \
        GN_PROBE("linear_dbias", "linear", GN_IN(2), 3, {{40, 2}, 2}, {{39, 2}, 2}, {{39}, 1}),    \
        GN_PROBE("global_avg_pool_y", "global_avg_pool", GN_OUT(0), 1, {{1, 4, 4, 15}, 4}),        \
        GN_PROBE("channel_scale_dgate", "channel_scale", GN_IN(1), 2, {{1, 4, 4, 19}, 4},          \
                 {{1, 19}, 2}),                                                                    \
        GN_PROBE("batch_norm_dbias", "batch_norm", GN_IN(2), 5, {{3, 3, 3, 26}, 4}, {{26}, 1},     \
                 {{26}, 1}, {{26}, 1}, {{26}, 1})

#endif
