/* Layers: an op and the parameters that it brings.  SPDX-License-Identifier: MIT */
#include "net/layers.h"

#include <stdio.h>

/* torch.nn.BatchNorm2d's default. */
static const double bn_eps = 1e-5;

gn_name gn_name_of(const char *prefix, const char *suffix)
{
    gn_name name;
    snprintf(name.text, sizeof name.text, "%s%s", prefix, suffix);
    return name;
}

/* The last dimension: channels of a map, features of a vector.  0 after a mistake. */
static size_t width(const gn_tape *t, gn_value x)
{
    if (x == GN_NONE)
        return 0;
    const gn_shape shape = gn_tape_value(t, x)->shape;
    return shape.dim[shape.rank - 1];
}

gn_value gn_layer_conv(gn_tape *t, const char *name, gn_value x, size_t out, size_t kernel)
{
    const size_t in = width(t, x);
    const gn_value weight =
        gn_tape_param(t, gn_name_of(name, ".weight").text, gn_shape_of(4, out, in, kernel, kernel),
                      GN_UNIFORM, in * kernel * kernel);
    return gn_tape_conv2d(t, name, x, weight);
}

gn_value gn_layer_depthwise(gn_tape *t, const char *name, gn_value x)
{
    const gn_value weight = gn_tape_param(t, gn_name_of(name, ".weight").text,
                                          gn_shape_of(4, width(t, x), 1, 3, 3), GN_UNIFORM, 9);
    return gn_tape_depthwise_conv2d(t, name, x, weight);
}

gn_value gn_layer_batch_norm(gn_tape *t, const char *name, gn_value x)
{
    const gn_shape shape = gn_shape_of(1, width(t, x), 0, 0, 0);
    const gn_value gamma = gn_tape_param(t, gn_name_of(name, ".weight").text, shape, GN_ONES, 0);
    const gn_value beta = gn_tape_param(t, gn_name_of(name, ".bias").text, shape, GN_ZEROS, 0);
    const gn_value mean =
        gn_tape_buffer(t, gn_name_of(name, ".running_mean").text, shape, GN_ZEROS);
    const gn_value var = gn_tape_buffer(t, gn_name_of(name, ".running_var").text, shape, GN_ONES);
    return gn_tape_batch_norm(t, name, x, gamma, beta, mean, var, bn_eps);
}

gn_value gn_layer_linear(gn_tape *t, const char *name, const char *output, gn_value x, size_t out,
                         bool bias)
{
    const size_t in = width(t, x);
    const gn_value weight = gn_tape_param(t, gn_name_of(name, ".weight").text,
                                          gn_shape_of(2, out, in, 0, 0), GN_UNIFORM, in);
    const gn_value offset = bias ? gn_tape_param(t, gn_name_of(name, ".bias").text,
                                                 gn_shape_of(1, out, 0, 0, 0), GN_UNIFORM, in)
                                 : GN_NONE;
    return gn_tape_linear(t, output == NULL ? name : output, x, weight, offset);
}
