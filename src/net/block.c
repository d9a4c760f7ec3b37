/* The residual block with squeeze-and-excitation.  SPDX-License-Identifier: MIT */
#include "net/layers.h"

enum { SE_REDUCTION = 16 };

/* One of the block's two convolutions, dense or separable, and its batch norm. */
static gn_value conv_bn(gn_tape *t, const char *name, gn_value x, bool separable)
{
    const size_t channels = x == GN_NONE ? 0 : gn_tape_value(t, x)->shape.dim[3];
    gn_value y;
    if (separable) {
        y = gn_layer_depthwise(t, gn_name_of(name, ".depthwise").text, x);
        y = gn_layer_conv(t, gn_name_of(name, ".pointwise").text, y, channels, 1);
    } else {
        y = gn_layer_conv(t, gn_name_of(name, ".conv").text, x, channels, 3);
    }
    return gn_layer_batch_norm(t, gn_name_of(name, ".bn").text, y);
}

/* Squeeze: the mean of each channel.  Excite: two small linear layers make a gate in (0, 1) for
 * each.  The vectors are small, so they are pinned: no recompute repeats the mean over the board.
 */
static gn_value squeeze_excite(gn_tape *t, const char *name, gn_value x)
{
    const size_t channels = x == GN_NONE ? 0 : gn_tape_value(t, x)->shape.dim[3];
    const size_t hidden = channels < SE_REDUCTION ? 1 : channels / SE_REDUCTION;
    const gn_value mean = gn_tape_global_avg_pool(t, gn_name_of(name, ".mean").text, x);
    const gn_value first = gn_layer_linear(t, gn_name_of(name, ".excitation.0").text, NULL, mean,
                                           hidden, false);
    const gn_value active = gn_tape_relu(t, gn_name_of(name, ".excitation.1").text, first);
    const gn_value second = gn_layer_linear(t, gn_name_of(name, ".excitation.2").text, NULL,
                                            active, channels, false);
    const gn_value gate = gn_tape_sigmoid(t, gn_name_of(name, ".gate").text, second);
    const gn_value small[] = {mean, active, gate};
    for (int i = 0; i < 3; i++)
        gn_tape_pin(t, small[i]);
    return gn_tape_channel_scale(t, name, x, gate);
}

gn_value gn_block(gn_tape *t, const char *name, gn_value x, bool separable)
{
    gn_value y = conv_bn(t, gn_name_of(name, ".conv1").text, x, separable);
    y = gn_tape_relu(t, gn_name_of(name, ".relu1").text, y);
    y = conv_bn(t, gn_name_of(name, ".conv2").text, y, separable);
    y = squeeze_excite(t, gn_name_of(name, ".se").text, y);
    y = gn_tape_add(t, gn_name_of(name, ".add").text, y, x);
    return gn_tape_relu(t, name, y);
}
