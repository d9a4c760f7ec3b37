/* GomokuNet, written onto a tape.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "gomokunet/net.h"
#include "net/layers.h"

enum { POLICY_CHANNELS = 32, VALUE_CHANNELS = 16, VALUE_HIDDEN = 256 };

/* conv, BN, ReLU under PyTorch's nn.Sequential names: NAME.0, NAME.1, NAME. */
static gn_value conv_bn_relu(gn_tape *t, const char *name, gn_value x, size_t out, size_t kernel)
{
    gn_value y = gn_layer_conv(t, gn_name_of(name, ".0").text, x, out, kernel);
    y = gn_layer_batch_norm(t, gn_name_of(name, ".1").text, y);
    return gn_tape_relu(t, name, y);
}

static void policy_head(gn_net *net, gn_value x, size_t squares)
{
    gn_tape *t = net->tape;
    gn_value y = conv_bn_relu(t, "policy_conv", x, POLICY_CHANNELS, 1);
    y = gn_tape_flatten(t, "policy_flatten", y);
    net->logits = gn_layer_linear(t, "policy_fc", "policy_logits", y, squares, true);
    gn_tape_pin(t, net->logits);
}

static void value_head(gn_net *net, gn_value x)
{
    gn_tape *t = net->tape;
    gn_value y = conv_bn_relu(t, "value_conv", x, VALUE_CHANNELS, 1);
    y = gn_tape_flatten(t, "value_flatten", y);
    y = gn_layer_linear(t, "value_fc.0", NULL, y, VALUE_HIDDEN, true);
    y = gn_tape_relu(t, "value_fc.1", y);
    y = gn_layer_linear(t, "value_fc.2", NULL, y, 1, true);
    net->value = gn_tape_tanh(t, "value", y);
    gn_tape_pin(t, net->value);
}

static void losses(gn_net *net)
{
    gn_tape *t = net->tape;
    net->loss_policy =
        gn_tape_softmax_cross_entropy(t, "loss/policy", net->logits, net->target_policy);
    net->loss_value = gn_tape_mean_squared_error(t, "loss/value", net->value, net->target_value);
    net->loss = gn_tape_add(t, "loss/total", net->loss_policy, net->loss_value);
    gn_tape_pin(t, net->loss_policy);
    gn_tape_pin(t, net->loss_value);
    gn_tape_loss(t, net->loss);
}

static void write_tape(gn_net *net)
{
    gn_tape *t = net->tape;
    const size_t size = (size_t)net->config.board_size, squares = size * size;
    net->planes = gn_tape_input(t, "input/planes", gn_shape_of(4, GN_BATCH, size, size, GN_PLANES));
    net->target_policy = gn_tape_input(t, "input/policy", gn_shape_of(2, GN_BATCH, squares, 0, 0));
    net->target_value = gn_tape_input(t, "input/value", gn_shape_of(1, GN_BATCH, 0, 0, 0));

    gn_tape_stage(t, "stem");
    gn_value x = conv_bn_relu(t, "input_conv", net->planes, (size_t)net->config.channels, 3);
    for (int i = 0; i < net->config.num_blocks; i++) {
        char name[32];
        snprintf(name, sizeof name, "blocks.%d", i);
        gn_tape_stage(t, name);
        x = gn_block(t, name, x, net->config.conv == GN_SEPARABLE);
    }
    gn_tape_stage(t, "heads");
    policy_head(net, x, squares);
    value_head(net, x);
    losses(net);
}

gn_status gn_net_create(gn_net *out, const gn_net_config *config, gn_err *err)
{
    *out = (gn_net){.config = *config};
    gn_status status = gn_net_validate(config, err);
    if (status == GN_OK) status = gn_tape_create(&out->tape, err);
    if (status == GN_OK) {
        write_tape(out);
        status = gn_tape_check(out->tape, err);
    }
    if (status != GN_OK)
        gn_net_destroy(out);
    return status;
}

void gn_net_destroy(gn_net *net)
{
    gn_tape_destroy(net->tape);
    *net = (gn_net){0};
}

gn_status gn_net_schedule(gn_schedule *out, const gn_net *net, const char *policy, gn_err *err)
{
    if (policy == NULL)
        policy = net->config.use_checkpoint ? "block" : "none";
    return gn_schedule_create(out, policy, gn_tape_stages(net->tape), err);
}
