/* Cases of what a training step does after backward: they run a table's updates, not its rows.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_CASES_UPDATE_H
#define GN_GOLDEN_CASES_UPDATE_H

#include "golden/cases.h"

/* The op of an update by its name: "adamw", "sgd", "nesterov", "clip", "running"; else NULL. */
const gn_op *gn_case_update_op(const char *name);

/* Outputs from inputs, which stay. */
void gn_case_update(const gn_update *update, const gn_call *call, size_t elem);

/* How far float32 may be off, for output `index` of a float64 run. */
void gn_case_update_bound(double *bound, const gn_call *call, int index);

/* The numbers that they are computed with, in words: for the metadata. */
extern const char gn_case_update_numbers[];

#define GN_UPDATE_CASE(label, n, ...)                                                              \
    {                                                                                              \
        .name = "T2/" label, .op = label, .inference = true, .fill = update_values, .nin = n,      \
        .in = {                                                                                    \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define GN_UPDATE_CASES                                                                            \
    GN_UPDATE_CASE("adamw", 5, {{61}, 1}, {{61}, 1}, {{61}, 1}, {{61}, 1}, {{1}, 1}),              \
        GN_UPDATE_CASE("sgd", 4, {{61}, 1}, {{61}, 1}, {{61}, 1}, {{1}, 1}),                       \
        GN_UPDATE_CASE("nesterov", 4, {{61}, 1}, {{61}, 1}, {{61}, 1}, {{1}, 1}),                  \
        GN_UPDATE_CASE("clip", 1, {{321}, 1}),                                                     \
        GN_UPDATE_CASE("running", 4, {{9}, 1}, {{9}, 1}, {{9}, 1}, {{9}, 1})

#endif
