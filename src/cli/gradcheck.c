/* gomokunet gradcheck: every op in a network of its own, then whole small networks.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/streams.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "gomokunet/numeric.h"
#include "gomokunet/check.h"

typedef struct gradcheck_options {
    int batch, per_tensor;
    uint64_t seed;
    double step, tolerance;
    bool json;
    int done, failed; /* checks so far */
} gradcheck_options;

/* Targets are distributions over the cells, one row without a target; the rest is in (-1, 1). */
static void fill(void *user, const gn_tape *tape, gn_value input, double *data, size_t count)
{
    const gradcheck_options *o = user;
    const gn_value_info *info = gn_tape_value(tape, input);
    const uint64_t stream = gn_stream(GN_STREAM_PROBE, (uint64_t)input);
    const bool targets = strstr(info->name, "policy") != NULL;
    const size_t row = info->shape.rank > 1 ? info->shape.dim[1] : 1;
    for (size_t i = 0; i < count; i++) {
        data[i] = (double)gn_random_symmetric(o->seed, stream, i);
        if (targets)
            data[i] = i / row == 0 ? 0 : i % row < 2 ? 0.5 : 0;
    }
}

static int check(gradcheck_options *o, const char *name, const gn_tape *tape)
{
    gn_gradcheck g = {.batch = (size_t)o->batch, .seed = o->seed,
                      .per_tensor = (size_t)o->per_tensor, .step = o->step,
                      .tolerance = o->tolerance, .fill = fill, .user = o};
    gn_err err;
    if (gn_gradcheck_run(tape, &g, &err) != GN_OK)
        return tell("gradcheck", &err);
    const bool good = g.failed == 0 && g.tried > 0;
    o->failed += !good;
    if (o->json) {
        fputs(o->done > 0 ? ",{\"name\":" : "{\"name\":", stdout);
        json_text(stdout, name);
        printf(",\"tried\":%zu,\"skipped\":%zu,\"failed\":%zu,\"worst\":", g.tried, g.skipped,
               g.failed);
        json_number(stdout, g.worst);
        fputs(",\"where\":", stdout);
        json_text(stdout, g.where);
        putchar('}');
    } else {
        printf("%-4s %-32s %5zu tried, %3zu skipped, %3zu failed, worst %.1e at %s\n",
               good ? "ok" : "FAIL", name, g.tried, g.skipped, g.failed, g.worst, g.where);
    }
    o->done++;
    return EXIT_GOOD;
}

/* --- Each op ------------------------------------------------------------------------------- */

enum { S = 5, C = 3, O = 4 };

static gn_value param(gn_tape *t, const char *name, gn_shape shape)
{
    return gn_tape_param(t, name, shape, GN_UNIFORM, 2);
}

/* A map [N,5,5,3] that depends on parameters: the op under test gets a gradient to its input. */
static gn_value map_of(gn_tape *t, const char *prefix)
{
    char name[3][32];
    snprintf(name[0], sizeof name[0], "%s.input", prefix);
    snprintf(name[1], sizeof name[1], "%s.weight", prefix);
    snprintf(name[2], sizeof name[2], "%s", prefix);
    const gn_value x = gn_tape_input(t, name[0], gn_shape_of(4, GN_BATCH, S, S, 2));
    return gn_tape_conv2d(t, name[2], x, param(t, name[1], gn_shape_of(4, C, 2, 1, 1)));
}

static gn_value vector_of(gn_tape *t)
{
    return gn_tape_global_avg_pool(t, "vector", map_of(t, "map"));
}

/* Any value becomes a loss: weighted by a fixed matrix, squared against a target. */
static void close_with_loss(gn_tape *t, gn_value y)
{
    if (y == GN_NONE)
        return;
    if (gn_tape_value(t, y)->shape.rank == 4)
        y = gn_tape_flatten(t, "flat", y);
    const size_t width = y == GN_NONE ? 1 : gn_tape_value(t, y)->shape.dim[1];
    y = gn_tape_linear(t, "project", y, param(t, "project.weight", gn_shape_of(2, 1, width, 0, 0)),
                       GN_NONE);
    const gn_value target = gn_tape_input(t, "target", gn_shape_of(1, GN_BATCH, 0, 0, 0));
    gn_tape_loss(t, gn_tape_mean_squared_error(t, "loss", y, target));
}

static gn_value norm_of(gn_tape *t, gn_value x)
{
    const gn_shape c = gn_shape_of(1, C, 0, 0, 0);
    return gn_tape_batch_norm(t, "norm", x, param(t, "gamma", c), param(t, "beta", c),
                              gn_tape_buffer(t, "mean", c, GN_ZEROS),
                              gn_tape_buffer(t, "var", c, GN_ONES), 1e-5);
}

static void write_op(gn_tape *t, const char *op)
{
    gn_value y = GN_NONE;
    if (strcmp(op, "conv2d") == 0)
        y = gn_tape_conv2d(t, "y", map_of(t, "x"), param(t, "w", gn_shape_of(4, O, C, 3, 3)));
    else if (strcmp(op, "conv2d 1x1") == 0)
        y = gn_tape_conv2d(t, "y", map_of(t, "x"), param(t, "w", gn_shape_of(4, O, C, 1, 1)));
    else if (strcmp(op, "depthwise_conv2d") == 0)
        y = gn_tape_depthwise_conv2d(t, "y", map_of(t, "x"),
                                     param(t, "w", gn_shape_of(4, C, 1, 3, 3)));
    else if (strcmp(op, "batch_norm") == 0)
        y = norm_of(t, map_of(t, "x"));
    else if (strcmp(op, "relu") == 0)
        y = gn_tape_relu(t, "y", map_of(t, "x"));
    else if (strcmp(op, "add") == 0)
        y = gn_tape_add(t, "y", map_of(t, "a"), map_of(t, "b"));
    else if (strcmp(op, "global_avg_pool") == 0)
        y = vector_of(t);
    else if (strcmp(op, "linear") == 0)
        y = gn_tape_linear(t, "y", vector_of(t), param(t, "w", gn_shape_of(2, O, C, 0, 0)),
                           param(t, "b", gn_shape_of(1, O, 0, 0, 0)));
    else if (strcmp(op, "sigmoid") == 0)
        y = gn_tape_sigmoid(t, "y", vector_of(t));
    else if (strcmp(op, "tanh") == 0)
        y = gn_tape_tanh(t, "y", vector_of(t));
    else if (strcmp(op, "channel_scale") == 0)
        y = gn_tape_channel_scale(t, "y", map_of(t, "x"), vector_of(t));
    else if (strcmp(op, "flatten") == 0)
        y = gn_tape_flatten(t, "y", map_of(t, "x"));
    else if (strcmp(op, "mean_squared_error") == 0)
        y = map_of(t, "x");
    if (y != GN_NONE) {
        close_with_loss(t, y);
        return;
    }
    const gn_value target = gn_tape_input(t, "policy", gn_shape_of(2, GN_BATCH, C, 0, 0));
    gn_tape_loss(t, gn_tape_softmax_cross_entropy(t, "loss", vector_of(t), target));
}

static int check_ops(gradcheck_options *o)
{
    static const char *const ops[] = {"conv2d", "conv2d 1x1", "depthwise_conv2d", "batch_norm",
                                      "relu", "add", "global_avg_pool", "linear", "sigmoid",
                                      "tanh", "channel_scale", "flatten", "mean_squared_error",
                                      "softmax_cross_entropy"};
    int status = EXIT_GOOD;
    for (size_t i = 0; i < sizeof ops / sizeof *ops && status == EXIT_GOOD; i++) {
        gn_tape *tape;
        gn_err err;
        if (gn_tape_create(&tape, &err) != GN_OK)
            return tell("gradcheck", &err);
        write_op(tape, ops[i]);
        status = check(o, ops[i], tape);
        gn_tape_destroy(tape);
    }
    return status;
}

/* --- Whole networks ------------------------------------------------------------------------ */

static int check_networks(gradcheck_options *o)
{
    static const gn_net_config configs[] = {{5, 2, 6, GN_DENSE, false},
                                            {5, 2, 5, GN_SEPARABLE, false},
                                            {7, 1, 33, GN_DENSE, false}};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        gn_net net;
        gn_err err;
        char name[64];
        if (gn_net_create(&net, &configs[i], &err) != GN_OK)
            return tell("gradcheck", &err);
        snprintf(name, sizeof name, "GomokuNet %dx%d %s, %dx%d", configs[i].num_blocks,
                 configs[i].channels, gn_conv_name(configs[i].conv), configs[i].board_size,
                 configs[i].board_size);
        const int status = check(o, name, net.tape);
        gn_net_destroy(&net);
        if (status != EXIT_GOOD)
            return status;
    }
    return EXIT_GOOD;
}

int command_gradcheck(int argc, char **argv)
{
    gradcheck_options o = {.batch = 3, .per_tensor = 12, .seed = 1, .step = 1e-5,
                           .tolerance = 1e-5};
    const option list[] = {
        {"batch-size", OPT_INT, &o.batch, 2, 64, "N", "positions"},
        {"per-tensor", OPT_INT, &o.per_tensor, 0, 1e6, "N", "elements tried a parameter, 0: all"},
        {"seed", OPT_SEED, &o.seed, 0, 0, "N", "of parameters, inputs and elements"},
        {"step", OPT_REAL, &o.step, 1e-9, 1e-2, "X", "half the distance of the two points"},
        {"tolerance", OPT_REAL, &o.tolerance, 0, 1, "X", "of the relative error"},
        {"json", OPT_FLAG, &o.json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"gradcheck", "finite differences in float64 against backward", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (o.json)
        fputs("{\"checks\":[", stdout);
    int status = check_ops(&o);
    if (status == EXIT_GOOD)
        status = check_networks(&o);
    if (status != EXIT_GOOD)
        return status;
    if (o.json)
        printf("],\"failed\":%d}\n", o.failed);
    else
        printf("%d of %d checks hold\n", o.done - o.failed, o.done);
    return o.failed == 0 ? EXIT_GOOD : EXIT_NEGATIVE;
}
