/* What the ops say to shapes that do not fit, and to a batch that is not known yet.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "support/check.h"

struct refusal {
    const char *op;
    int nin;
    gn_shape in[GN_MAX_IN];
    const char *text; /* a part of the message */
};

Test(ops, refuse_wrong_shapes)
{
#define S(rank, ...) {{__VA_ARGS__}, rank}
    static const struct refusal all[] = {
        {"conv2d", 2, {S(4, 0, 3, 3, 2), S(4, 4, 3, 3, 3)}, "input [N,3,3,2] and weight [4,3,3,3]"},
        {"conv2d", 2, {S(4, 0, 3, 3, 2), S(4, 4, 2, 2, 2)}, "K odd"},
        {"depthwise_conv2d", 2, {S(4, 1, 3, 3, 2), S(4, 2, 2, 3, 3)}, "expected [N,H,W,C] and"},
        {"batch_norm", 5, {S(3, 1, 2, 3)}, "expected [N,H,W,C] or [N,C]"},
        {"batch_norm", 5, {S(2, 0, 3), S(1, 3), S(1, 2), S(1, 3), S(1, 3)}, "beta [2]"},
        {"add", 2, {S(2, 1, 2), S(2, 1, 3)}, "a [1,2] and b [1,3]"},
        {"global_avg_pool", 1, {S(2, 1, 2)}, "input [1,2]"},
        {"linear", 2, {S(2, 1, 2), S(2, 4, 3)}, "expected [N,K] and [O,K]"},
        {"linear", 3, {S(2, 1, 2), S(2, 4, 2), S(1, 3)}, "weight [4,2] and bias [3]"},
        {"channel_scale", 2, {S(4, 1, 2, 2, 3), S(2, 1, 2)}, "gate [1,2]"},
        {"flatten", 1, {S(2, 1, 2)}, "expected [N,H,W,C]"},
        {"softmax_cross_entropy", 2, {S(2, 1, 2), S(2, 1, 3)}, "target [1,3]"},
        {"mean_squared_error", 2, {S(2, 1, 2), S(1, 1)}, "value [1,2]"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        gn_err err = {0};
        const gn_status status = op_shape(all[i].op, all[i].nin, all[i].in, &err);
        cr_assert(status == GN_E_SHAPE, "case %zu, %s: status %d", i, all[i].op, (int)status);
        cr_assert(strstr(err.text, all[i].text) != NULL && strstr(err.text, all[i].op) != NULL,
                  "case %zu: \"%s\" lacks \"%s\"", i, err.text, all[i].text);
    }
}

/* Shapes are worked out before the batch is known: dimension 0 is then GN_BATCH. */
Test(ops, work_out_shapes_without_a_batch)
{
    gn_err err;
    const gn_shape board = gn_shape_of(4, GN_BATCH, 15, 15, 5);
    cr_assert(op_shape("flatten", 1, &board, &err) == GN_OK);
    const gn_shape weight = gn_shape_of(4, 64, 5, 3, 3);
    cr_assert(op_shape("conv2d", 2, (gn_shape[]){board, weight}, &err) == GN_OK);
    const gn_shape value = gn_shape_of(2, GN_BATCH, 1, 0, 0);
    const gn_shape target = gn_shape_of(1, GN_BATCH, 0, 0, 0);
    cr_assert(op_shape("mean_squared_error", 2, (gn_shape[]){value, target}, &err) == GN_OK);
}
