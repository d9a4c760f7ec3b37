/* The building calls, one an op: each names its inputs and leaves the rest to gn_tape_record.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/tape.h"

/* What an op means is the same in every table; the plain one holds them all. */
static gn_value write_record(gn_tape *t, const char *op, const char *name, gn_attr attr,
                             const gn_value *in, int nin)
{
    return gn_tape_record(t, &gn_plain, op, name, attr, in, nin);
}

#define WRITE(op, ...)                                                                            \
    write_record(t, op, name, (gn_attr){0}, (const gn_value[]){__VA_ARGS__},                      \
                 (int)(sizeof((const gn_value[]){__VA_ARGS__}) / sizeof(gn_value)))

gn_value gn_tape_conv2d(gn_tape *t, const char *name, gn_value x, gn_value weight)
{
    return WRITE("conv2d", x, weight);
}

gn_value gn_tape_depthwise_conv2d(gn_tape *t, const char *name, gn_value x, gn_value weight)
{
    return WRITE("depthwise_conv2d", x, weight);
}

gn_value gn_tape_batch_norm(gn_tape *t, const char *name, gn_value x, gn_value gamma, gn_value beta,
                             gn_value running_mean, gn_value running_var, double eps)
{
    return write_record(t, "batch_norm", name, (gn_attr){.eps = eps},
                        (const gn_value[]){x, gamma, beta, running_mean, running_var}, 5);
}

gn_value gn_tape_relu(gn_tape *t, const char *name, gn_value x) { return WRITE("relu", x); }

gn_value gn_tape_add(gn_tape *t, const char *name, gn_value a, gn_value b)
{
    return WRITE("add", a, b);
}

gn_value gn_tape_global_avg_pool(gn_tape *t, const char *name, gn_value x)
{
    return WRITE("global_avg_pool", x);
}

gn_value gn_tape_linear(gn_tape *t, const char *name, gn_value x, gn_value weight, gn_value bias)
{
    return bias == GN_NONE ? WRITE("linear", x, weight) : WRITE("linear", x, weight, bias);
}

gn_value gn_tape_sigmoid(gn_tape *t, const char *name, gn_value x) { return WRITE("sigmoid", x); }
gn_value gn_tape_tanh(gn_tape *t, const char *name, gn_value x) { return WRITE("tanh", x); }

gn_value gn_tape_channel_scale(gn_tape *t, const char *name, gn_value x, gn_value gate)
{
    return WRITE("channel_scale", x, gate);
}

gn_value gn_tape_flatten(gn_tape *t, const char *name, gn_value x) { return WRITE("flatten", x); }

gn_value gn_tape_softmax_cross_entropy(gn_tape *t, const char *name, gn_value logits,
                                       gn_value target)
{
    return WRITE("softmax_cross_entropy", logits, target);
}

gn_value gn_tape_mean_squared_error(gn_tape *t, const char *name, gn_value x, gn_value target)
{
    return WRITE("mean_squared_error", x, target);
}
