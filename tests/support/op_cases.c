/* Cases of every op; see op_cases.h.  SPDX-License-Identifier: MIT */
#include "support/op_cases.h"

#include <math.h>
#include <string.h>

#define S(rank, ...) {{__VA_ARGS__}, rank}

/* Odd sizes: no count divides a vector or a thread count. */
const op_case op_cases[] = {
    {"relu", 1, {S(4, 3, 5, 5, 3)}, -2, 2},
    {"add", 2, {S(4, 3, 5, 5, 3), S(4, 3, 5, 5, 3)}, -2, 2},
    {"conv2d", 2, {S(4, 3, 4, 5, 3), S(4, 5, 3, 3, 3)}, -2, 2},
    {"conv2d", 2, {S(4, 5, 3, 3, 7), S(4, 2, 7, 1, 1)}, -2, 2},
    {"depthwise_conv2d", 2, {S(4, 5, 5, 4, 9), S(4, 9, 1, 3, 3)}, -2, 2},
    {"batch_norm", 5, {S(4, 7, 3, 5, 5), S(1, 5), S(1, 5), S(1, 5), S(1, 5)}, -2, 4},
    {"batch_norm", 5, {S(2, 11, 37), S(1, 37), S(1, 37), S(1, 37), S(1, 37)}, -2, 4},
    {"global_avg_pool", 1, {S(4, 5, 3, 5, 7)}, -2, 2},
    {"linear", 3, {S(2, 21, 67), S(2, 3, 67), S(1, 3)}, -2, 2},
    {"linear", 2, {S(2, 5, 9), S(2, 1, 9)}, -2, 2},
    {"sigmoid", 1, {S(2, 5, 9)}, -5, 5},
    {"tanh", 1, {S(2, 5, 9)}, -3, 3},
    {"channel_scale", 2, {S(4, 5, 3, 5, 7), S(2, 5, 7)}, -2, 2},
    {"flatten", 1, {S(4, 3, 2, 3, 5)}, -2, 2},
    {"softmax_cross_entropy", 2, {S(2, 7, 11), S(2, 7, 11)}, -4, 4},
    {"mean_squared_error", 2, {S(2, 9, 1), S(1, 9)}, -1, 1},
};
const int op_case_count = sizeof op_cases / sizeof *op_cases;

/* Inputs of a case, the same numbers for each table.  ReLU's keep away from the kink. */
static void fill(op_run *r, const op_case *k)
{
    op_fill(r, r->call.in[0], 1, k->low, k->high);
    for (int i = 1; i < k->nin; i++)
        op_fill(r, r->call.in[i], (uint64_t)i + 1, -1, 1);
    float values[256];
    const size_t count = gn_shape_count(k->in[0]), row = k->in[0].dim[1];
    if (strcmp(k->op, "relu") == 0) {
        seeded_fill(values, count, 1, -2, 2);
        for (size_t i = 0; i < count; i++)
            values[i] += values[i] < 0 ? -0.1f : 0.1f;
        op_set(r, r->call.in[0], values);
    }
    if (strcmp(k->op, "batch_norm") == 0)
        op_fill(r, r->call.in[4], 9, 0.5f, 2);
    if (strcmp(k->op, "softmax_cross_entropy") == 0) { /* position 2 has no target */
        seeded_fill(values, count, 5, 0, 0.25f);
        memset(values + 2 * row, 0, row * sizeof *values);
        op_set(r, r->call.in[1], values);
    }
    if (strcmp(k->op, "mean_squared_error") == 0) { /* nor has position 4 */
        seeded_fill(values, count, 5, -1, 1);
        values[4] = NAN;
        op_set(r, r->call.in[1], values);
    }
    op_fill(r, r->call.dout, 7, -1, 1);
}

op_run op_open_case(const gn_table *table, const op_case *k)
{
    op_run r = op_open(table, k->op, k->nin, k->in);
    fill(&r, k);
    return r;
}
