/* GomokuNet with mistakes in it; see mistaken_net.h.  SPDX-License-Identifier: MIT */
#include "support/mistaken_net.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- Two ops of our own ----------------------------------------------------------------------- */

static gn_status like_first(gn_call *c, gn_err *err)
{
    (void)err;
    c->out[0].shape = c->in[0].shape;
    return GN_OK;
}

static size_t one(const gn_call *c)
{
    (void)c;
    return 1;
}

static void deliver(const gn_call *c, size_t i, float v)
{
    float *dx = c->din[0].data;
    dx[i] = (c->add & 1) != 0 ? dx[i] + v : v;
}

static void copy_forward(const gn_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, gn_shape_count(c->in[0].shape) * sizeof(float));
}

static void copy_backward(const gn_call *c)
{
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++)
        deliver(c, i, ((const float *)c->dout.data)[i]);
}

static void stale_forward(const gn_call *c)
{
    const float *x = c->in[0].data;
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++)
        ((float *)c->out[0].data)[i] = x[i] > 0 ? x[i] : 0;
}

static void stale_backward(const gn_call *c)
{
    const float *mask = c->in[1].data;
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++)
        deliver(c, i, mask[i] > 0 ? ((const float *)c->dout.data)[i] : 0);
}

static void at_zero_backward(const gn_call *c)
{
    const float *x = c->in[0].data;
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++)
        deliver(c, i, x[i] < 0 ? 0 : ((const float *)c->dout.data)[i]);
}

static gn_status pooled(gn_call *c, gn_err *err)
{
    (void)err;
    c->out[0].shape = gn_shape_of(2, c->in[0].shape.dim[0], c->in[0].shape.dim[3], 0, 0);
    return GN_OK;
}

static void max_pool(const gn_call *c)
{
    const size_t *d = c->in[0].shape.dim, HW = d[1] * d[2], C = d[3];
    const float *x = c->in[0].data;
    for (size_t k = 0; k < d[0] * C; k++) {
        const size_t first = k / C * HW * C + k % C;
        size_t best = first;
        for (size_t i = 0; i < HW; i++)
            best = x[first + i * C] > x[best] ? first + i * C : best;
        if (c->pass != GN_BACKWARD)
            ((float *)c->out[0].data)[k] = x[best];
        for (size_t i = first; i < first + HW * C && c->pass == GN_BACKWARD; i += C)
            deliver(c, i, i == best ? ((const float *)c->dout.data)[k] : 0);
    }
}

/* What backward reads stands in the op, so these are ops and not rows for others'. */
enum { COPY, STALE, AT_ZERO, MAX_POOL, OPS };
static const gn_op ops[OPS] = {
    {.name = "copy", .min_in = 1, .max_in = 1, .nout = 1, .shape = like_first, .terms = one},
    {.name = "stale_relu",
     .min_in = 2,
     .max_in = 2,
     .nout = 1,
     .reads = GN_IN(1),
     .constant = GN_IN(1),
     .shape = like_first,
     .terms = one},
    {.name = "relu_at_zero",
     .min_in = 1,
     .max_in = 1,
     .nout = 1,
     .reads = GN_IN(0),
     .shape = like_first,
     .terms = one},
    {.name = "max_pool",
     .min_in = 1,
     .max_in = 1,
     .nout = 1,
     .reads = GN_IN(0),
     .shape = pooled,
     .terms = one},
};
static const gn_row own[OPS] = {
    {.op = &ops[COPY], .forward = copy_forward, .backward = copy_backward},
    {.op = &ops[STALE], .forward = stale_forward, .backward = stale_backward},
    {.op = &ops[AT_ZERO], .forward = stale_forward, .backward = at_zero_backward},
    {.op = &ops[MAX_POOL], .forward = max_pool, .backward = max_pool},
};
static const gn_row *const rows[OPS] = {&own[0], &own[1], &own[2], &own[3]};
const gn_table mistaken_ops = {
    .name = "mistaken ops", .elem = sizeof(float), .row = rows, .count = OPS, .under = &gn_plain};

/* --- Layers ----------------------------------------------------------------------------------- */

typedef struct text {
    char c[96];
} text;

__attribute__((format(printf, 1, 2))) static text say(const char *format, ...)
{
    text t;
    va_list list;
    va_start(list, format);
    vsnprintf(t.c, sizeof t.c, format, list);
    va_end(list);
    return t;
}

static size_t width(gn_tape *t, gn_value v)
{
    const gn_shape s = gn_tape_value(t, v)->shape;
    return s.dim[s.rank - 1];
}

static gn_value weight(gn_tape *t, text name, gn_shape shape, size_t fan)
{
    return gn_tape_param(t, say("%.80s.weight", name.c).c, shape, GN_UNIFORM, fan);
}

static gn_value conv_weight(gn_tape *t, text name, size_t out, size_t in, size_t K)
{
    return weight(t, name, gn_shape_of(4, out, in, K, K), in * K * K);
}

/* Parameters and buffers of a batch norm. */
typedef struct norm {
    gn_value gamma, beta, mean, var;
} norm;

static norm norm_params(gn_tape *t, text name, size_t C)
{
    const gn_shape s = gn_shape_of(1, C, 0, 0, 0);
    return (norm){gn_tape_param(t, say("%.80s.weight", name.c).c, s, GN_ONES, 0),
                  gn_tape_param(t, say("%.80s.bias", name.c).c, s, GN_ZEROS, 0),
                  gn_tape_buffer(t, say("%.80s.running_mean", name.c).c, s, GN_ZEROS),
                  gn_tape_buffer(t, say("%.80s.running_var", name.c).c, s, GN_ONES)};
}

static gn_value normalise(gn_tape *t, text name, gn_value x, norm n)
{
    return gn_tape_batch_norm(t, name.c, x, n.gamma, n.beta, n.mean, n.var, 1e-5);
}

static gn_value record(gn_tape *t, const char *op, text name, gn_value x)
{
    return gn_tape_record(t, &mistaken_ops, op, name.c, (gn_attr){0}, &x, 1);
}

static gn_value left_out(gn_tape *t, text name, gn_value x)
{
    return record(t, "copy", name, x);
}

static gn_value linear(gn_tape *t, text name, const char *output, gn_value x, size_t out)
{
    const size_t in = width(t, x);
    const gn_value w = weight(t, name, gn_shape_of(2, out, in, 0, 0), in);
    const gn_value b = gn_tape_param(t, say("%.80s.bias", name.c).c, gn_shape_of(1, out, 0, 0, 0),
                                     GN_UNIFORM, in);
    return gn_tape_linear(t, output, x, w, b);
}

static gn_value conv_bn_relu(gn_tape *t, const char *name, gn_value x, size_t out, size_t K,
                             bool relu)
{
    gn_value y = gn_tape_conv2d(t, say("%s.0", name).c, x,
                                conv_weight(t, say("%s.0", name), out, width(t, x), K));
    y = normalise(t, say("%s.1", name), y, norm_params(t, say("%s.1", name), out));
    return relu ? gn_tape_relu(t, name, y) : left_out(t, say("%s", name), y);
}

static gn_value gate(gn_tape *t, int i, gn_value x, gn_value w0, gn_value w2, edit e)
{
    const text mean = say("blocks.%d.se.mean", i);
    gn_value y = e == SE_MAX ? record(t, "max_pool", mean, x)
                             : gn_tape_global_avg_pool(t, mean.c, x);
    gn_tape_pin(t, y);
    y = gn_tape_linear(t, say("blocks.%d.se.excitation.0", i).c, y, w0, GN_NONE);
    const text relu = say("blocks.%d.se.excitation.1", i), last = say("blocks.%d.se.gate", i);
    y = e == NO_SE_RELU ? left_out(t, relu, y) : gn_tape_relu(t, relu.c, y);
    gn_tape_pin(t, y);
    y = gn_tape_linear(t, say("blocks.%d.se.excitation.2", i).c, y, w2, GN_NONE);
    y = e == NO_SIGMOID ? left_out(t, last, y) : gn_tape_sigmoid(t, last.c, y);
    gn_tape_pin(t, y);
    return y;
}

static gn_value add(gn_tape *t, int i, gn_value y, gn_value x, edit e)
{
    const text name = say("blocks.%d.add", i);
    return e == NO_SKIP ? left_out(t, name, y) : gn_tape_add(t, name.c, y, x);
}

static gn_value scale(gn_tape *t, int i, gn_value x, gn_value w0, gn_value w2, edit e)
{
    const text name = say("blocks.%d.se", i);
    const gn_value g = gate(t, i, x, w0, w2, e);
    return e == SE_NOT_APPLIED ? left_out(t, name, x) : gn_tape_channel_scale(t, name.c, x, g);
}

static gn_value block(gn_tape *t, int i, gn_value x, edit e)
{
    const size_t C = width(t, x), hidden = C < 16 ? 1 : C / 16;
    const gn_value w1 = conv_weight(t, say("blocks.%d.conv1.conv", i), C, C, 3);
    const text bn1 = say("blocks.%d.conv1.bn", i), bn2 = say("blocks.%d.conv2.bn", i);
    const norm n1 = norm_params(t, bn1, C);
    const gn_value w2 = conv_weight(t, say("blocks.%d.conv2.conv", i), C, C, 3);
    const norm n2 = norm_params(t, bn2, C);
    const gn_value down = weight(t, say("blocks.%d.se.excitation.0", i),
                                 gn_shape_of(2, hidden, C, 0, 0), C);
    const gn_value up = weight(t, say("blocks.%d.se.excitation.2", i),
                               gn_shape_of(2, C, hidden, 0, 0), hidden);
    const text relu1 = say("blocks.%d.relu1", i), name = say("blocks.%d", i);
    gn_value y = gn_tape_conv2d(t, say("blocks.%d.conv1.conv", i).c, x, w1);
    y = normalise(t, bn1, y, n1);
    y = e == NO_INNER_RELU  ? left_out(t, relu1, y)
        : e == RELU_AT_ZERO ? record(t, "relu_at_zero", relu1, y)
                            : gn_tape_relu(t, relu1.c, y);
    y = gn_tape_conv2d(t, say("blocks.%d.conv2.conv", i).c, y, w2);
    if (e == SE_BEFORE_BN)
        y = scale(t, i, y, down, up, e);
    y = normalise(t, bn2, y, n2);
    if (e == SE_AFTER_ADD)
        y = scale(t, i, add(t, i, y, x, e), down, up, e);
    else if (e != SE_BEFORE_BN)
        y = scale(t, i, y, down, up, e);
    if (e == RELU_BEFORE_ADD) /* a record that no golden file has */
        y = gn_tape_relu(t, say("blocks.%d.branch", i).c, y);
    if (e != SE_AFTER_ADD)
        y = add(t, i, y, x, e);
    if (e == STALE_MASK)
        return gn_tape_record(t, &mistaken_ops, "stale_relu", name.c, (gn_attr){0},
                              (gn_value[]){y, x}, 2);
    return e == RELU_BEFORE_ADD || e == NO_BLOCK_RELU ? left_out(t, name, y)
                                                      : gn_tape_relu(t, name.c, y);
}

gn_net mistaken_net(const gn_net_config *config, edit e)
{
    gn_err err = {0};
    gn_net n = {.config = *config};
    cr_assert(gn_tape_create(&n.tape, &err) == GN_OK, "%s", err.text);
    gn_tape *t = n.tape;
    const size_t S = (size_t)config->board_size;
    n.planes = gn_tape_input(t, "input/planes", gn_shape_of(4, GN_BATCH, S, S, GN_PLANES));
    n.target_policy = gn_tape_input(t, "input/policy", gn_shape_of(2, GN_BATCH, S * S, 0, 0));
    n.target_value = gn_tape_input(t, "input/value", gn_shape_of(1, GN_BATCH, 0, 0, 0));
    gn_tape_stage(t, "stem");
    gn_value x = conv_bn_relu(t, "input_conv", n.planes, (size_t)config->channels, 3, true);
    for (int i = 0; i < config->num_blocks; i++) {
        gn_tape_stage(t, say("blocks.%d", i).c);
        x = block(t, i, x, e);
    }
    gn_tape_stage(t, "heads");
    gn_value y = conv_bn_relu(t, "policy_conv", x, 32, 1, e != NO_HEAD_RELU);
    y = gn_tape_flatten(t, "policy_flatten", y);
    n.logits = linear(t, say("policy_fc"), "policy_logits", y, S * S);
    y = conv_bn_relu(t, "value_conv", x, 16, 1, e != NO_HEAD_RELU);
    y = gn_tape_flatten(t, "value_flatten", y);
    y = linear(t, say("value_fc.0"), "value_fc.0", y, 256);
    y = gn_tape_relu(t, "value_fc.1", y);
    y = linear(t, say("value_fc.2"), "value_fc.2", y, 1);
    n.value = e == NO_TANH ? left_out(t, say("value"), y) : gn_tape_tanh(t, "value", y);
    gn_tape_pin(t, n.logits);
    gn_tape_pin(t, n.value);
    n.loss_policy = gn_tape_softmax_cross_entropy(t, "loss/policy", n.logits, n.target_policy);
    n.loss_value = gn_tape_mean_squared_error(t, "loss/value", n.value, n.target_value);
    n.loss = gn_tape_add(t, "loss/total", n.loss_policy, n.loss_value);
    gn_tape_pin(t, n.loss_policy);
    gn_tape_pin(t, n.loss_value);
    gn_tape_loss(t, n.loss);
    cr_assert(gn_tape_check(t, &err) == GN_OK, "%s", err.text);
    return n;
}
