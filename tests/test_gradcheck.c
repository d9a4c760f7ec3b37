/* Finite differences in double: every op in a tape of its own, whole networks, and mistakes that
 * must be found.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/check.h"
#include "support/check.h"
#include "support/rig.h"

enum { N = 3, S = 3, C = 2 };

/* Inputs between -1 and 1; a policy has weights above 0, in its last row none at all: no target. */
static void fill(void *user, const gn_tape *tape, gn_value input, double *data, size_t count)
{
    const gn_value_info *info = gn_tape_value(tape, input);
    float *x = malloc(count * sizeof *x);
    cr_assert_not_null(x);
    seeded_fill(x, count, 7 + (uint64_t)input, -1, 1);
    for (size_t i = 0; i < count; i++)
        data[i] = (double)x[i];
    free(x);
    if (strcmp(info->name, "input/policy") == 0) {
        const size_t cells = info->shape.dim[1];
        for (size_t i = 0; i < count; i++)
            data[i] = i / cells + 1 == count / cells ? 0 : (1 + data[i]) / (double)cells;
    }
    ++*(int *)user;
}

static gn_gradcheck check_of(const gn_tape *t, size_t per_tensor)
{
    int fills = 0;
    gn_err err = {0};
    gn_gradcheck check = {.batch = N, .seed = 3, .per_tensor = per_tensor, .step = 1e-5,
                          .tolerance = 1e-6, .fill = fill, .user = &fills};
    cr_assert(gn_gradcheck_run(t, &check, &err) == GN_OK, "%s", err.text);
    int inputs = 0;
    for (int v = 0; v < gn_tape_values(t); v++)
        inputs += gn_tape_value(t, v)->kind == GN_INPUT;
    cr_assert_eq(fills, inputs);
    return check;
}

/* --- Every op --------------------------------------------------------------------------------- */

/* A parameter with a batch of its own, so that its gradient is checked like any weight's. */
static gn_value variable(gn_tape *t, const char *name, gn_shape shape)
{
    return gn_tape_param(t, name, shape, GN_UNIFORM, 1);
}

static gn_value board(gn_tape *t, const char *name)
{
    return variable(t, name, gn_shape_of(4, N, S, S, C));
}

static gn_value rows(gn_tape *t, const char *name)
{
    return variable(t, name, gn_shape_of(2, N, C, 0, 0));
}

/* Loss: the mean squared error of a linear map of y. */
static void finish(gn_tape *t, gn_value y)
{
    if (gn_tape_value(t, y)->shape.rank == 4)
        y = gn_tape_flatten(t, "flat", y);
    const size_t K = gn_tape_value(t, y)->shape.dim[1];
    const gn_value w = variable(t, "end.weight", gn_shape_of(2, 1, K, 0, 0));
    const gn_value z = gn_tape_input(t, "input/value", gn_shape_of(1, N, 0, 0, 0));
    gn_tape_loss(t, gn_tape_mean_squared_error(t, "loss", gn_tape_linear(t, "end", y, w, GN_NONE),
                                               z));
}

static gn_value bn(gn_tape *t, gn_value x)
{
    const gn_shape c = gn_shape_of(1, C, 0, 0, 0);
    return gn_tape_batch_norm(t, "y", x, gn_tape_param(t, "gamma", c, GN_ONES, 0),
                              gn_tape_param(t, "beta", c, GN_ZEROS, 0),
                              gn_tape_buffer(t, "mean", c, GN_ZEROS),
                              gn_tape_buffer(t, "var", c, GN_ONES), 1e-5);
}

static gn_value write_op(gn_tape *t, const char *op)
{
    if (strcmp(op, "conv2d") == 0)
        return gn_tape_conv2d(t, "y", board(t, "x"), variable(t, "w", gn_shape_of(4, 3, C, 3, 3)));
    if (strcmp(op, "conv2d 1x1") == 0)
        return gn_tape_conv2d(t, "y", board(t, "x"), variable(t, "w", gn_shape_of(4, 3, C, 1, 1)));
    if (strcmp(op, "depthwise_conv2d") == 0)
        return gn_tape_depthwise_conv2d(t, "y", board(t, "x"),
                                        variable(t, "w", gn_shape_of(4, C, 1, 3, 3)));
    if (strcmp(op, "batch_norm") == 0)
        return bn(t, board(t, "x"));
    if (strcmp(op, "batch_norm of rows") == 0)
        return bn(t, rows(t, "x"));
    if (strcmp(op, "relu") == 0)
        return gn_tape_relu(t, "y", board(t, "x"));
    if (strcmp(op, "add") == 0)
        return gn_tape_add(t, "y", board(t, "x"), board(t, "b"));
    if (strcmp(op, "global_avg_pool") == 0)
        return gn_tape_global_avg_pool(t, "y", board(t, "x"));
    if (strcmp(op, "linear") == 0)
        return gn_tape_linear(t, "y", rows(t, "x"), variable(t, "w", gn_shape_of(2, 4, C, 0, 0)),
                              variable(t, "bias", gn_shape_of(1, 4, 0, 0, 0)));
    if (strcmp(op, "sigmoid") == 0)
        return gn_tape_sigmoid(t, "y", rows(t, "x"));
    if (strcmp(op, "tanh") == 0)
        return gn_tape_tanh(t, "y", rows(t, "x"));
    if (strcmp(op, "channel_scale") == 0)
        return gn_tape_channel_scale(t, "y", board(t, "x"), rows(t, "gate"));
    if (strcmp(op, "flatten") == 0)
        return gn_tape_flatten(t, "y", board(t, "x"));
    return GN_NONE;
}

static const char *const ops[] = {
    "conv2d", "conv2d 1x1", "depthwise_conv2d", "batch_norm", "batch_norm of rows", "relu", "add",
    "global_avg_pool", "linear", "sigmoid", "tanh", "channel_scale", "flatten",
};

Test(gradcheck, every_op)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        gn_tape *t;
        cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
        finish(t, write_op(t, ops[i]));
        const gn_gradcheck c = check_of(t, 0);
        cr_assert_eq(c.failed, 0, "%s: %zu of %zu, worst %g at %s", ops[i], c.failed, c.tried,
                     c.worst, c.where);
        cr_assert_eq(c.tried + c.skipped, gn_tape_parameters(t), "%s", ops[i]);
        cr_assert_leq(c.skipped, 1, "%s: %zu skipped", ops[i], c.skipped);
        gn_tape_destroy(t);
    }
}

Test(gradcheck, losses)
{
    gn_tape *t;
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    const gn_value x = variable(t, "x", gn_shape_of(2, N, 5, 0, 0));
    const gn_value p = gn_tape_input(t, "input/policy", gn_shape_of(2, N, 5, 0, 0));
    const gn_value v = variable(t, "v", gn_shape_of(2, N, 1, 0, 0));
    const gn_value z = gn_tape_input(t, "input/value", gn_shape_of(1, N, 0, 0, 0));
    gn_tape_loss(t, gn_tape_add(t, "loss", gn_tape_softmax_cross_entropy(t, "policy", x, p),
                                gn_tape_mean_squared_error(t, "value", v, z)));
    const gn_gradcheck c = check_of(t, 0);
    cr_assert(c.failed == 0 && c.tried == 6 * N, "%zu of %zu, worst %g at %s", c.failed, c.tried,
              c.worst, c.where);
    gn_tape_destroy(t);
}

/* An op that is new in the table must be new here too. */
Test(gradcheck, no_op_is_left_out)
{
    for (size_t k = 0; k < gn_double.count; k++) {
        const char *name = gn_double.row[k]->op->name;
        bool found = strcmp(name, "softmax_cross_entropy") == 0 ||
                     strcmp(name, "mean_squared_error") == 0;
        for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
            found = found || strcmp(name, ops[i]) == 0;
        cr_assert(found, "%s has no gradient check", name);
    }
}

/* --- Whole networks --------------------------------------------------------------------------- */

static void whole_net(gn_conv conv, int blocks)
{
    const gn_net_config config = small_net(5, blocks, 3, conv);
    gn_net net;
    cr_assert_eq(gn_net_create(&net, &config, NULL), GN_OK);
    const gn_gradcheck c = check_of(net.tape, 5);
    cr_assert_eq(c.failed, 0, "%zu of %zu, worst %g at %s", c.failed, c.tried, c.worst, c.where);
    cr_assert_gt(c.tried, 5 * c.skipped);
    cr_assert_gt(c.tried, 60);
    gn_net_destroy(&net);
}

Test(gradcheck, dense_network)
{
    whole_net(GN_DENSE, 2);
}

Test(gradcheck, separable_network)
{
    whole_net(GN_SEPARABLE, 2);
}

/* --- Mistakes --------------------------------------------------------------------------------- */

/* An "add" that forgets that its second input has a gradient: a wrong description of an op whose
 * row is the double table's own. */
static gn_op forgetful;
static gn_row forgetful_row;
static const gn_row *const forgetful_rows[] = {&forgetful_row};
static const gn_table forgetful_table = {.name = "forgetful", .elem = sizeof(double),
                                         .row = forgetful_rows, .count = 1, .under = &gn_double};

Test(gradcheck, finds_a_lost_gradient)
{
    forgetful_row = *gn_table_find(&gn_double, "add");
    forgetful = *forgetful_row.op;
    forgetful.constant = GN_IN(1);
    forgetful_row.op = &forgetful;
    gn_tape *t;
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    const gn_value x = rows(t, "x");
    const gn_value pair[] = {gn_tape_sigmoid(t, "a", x), gn_tape_tanh(t, "b", x)};
    finish(t, gn_tape_record(t, &forgetful_table, "add", "sum", (gn_attr){0}, pair, 2));
    const gn_gradcheck c = check_of(t, 0);
    cr_assert_eq(c.failed, N * C, "%zu failed, expected all of x", c.failed);
    cr_assert_gt(c.worst, 0.1);
    cr_assert(strncmp(c.where, "x[", 2) == 0, "%s", c.where);
    gn_tape_destroy(t);
}

Test(gradcheck, needs_a_loss_and_a_sound_tape)
{
    gn_err err = {0};
    gn_gradcheck check = {.batch = 1, .step = 1e-5, .tolerance = 1e-6, .fill = fill};
    gn_tape *t;
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    const gn_value x = rows(t, "x");
    cr_assert_eq(gn_gradcheck_run(t, &check, &err), GN_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "no loss"), "%s", err.text);
    gn_tape_add(t, "y", x, GN_NONE);
    cr_assert_eq(gn_gradcheck_run(t, &check, &err), GN_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "input 1 is no value"), "%s", err.text);
    gn_tape_destroy(t);
}
