/* The pieces that the network is made of: an op with its parameters, named as PyTorch names them.
 *
 * Each writes records onto the tape and returns the output.  SPDX-License-Identifier: MIT */
#ifndef GN_NET_LAYERS_H
#define GN_NET_LAYERS_H

#include "gomokunet/tape.h"

/* "prefix" followed by "suffix"; the text lives as long as the struct. */
typedef struct gn_name {
    char text[96];
} gn_name;
gn_name gn_name_of(const char *prefix, const char *suffix);

/* Convolution without bias; the weight is NAME.weight [out, in, kernel, kernel]. */
gn_value gn_layer_conv(gn_tape *t, const char *name, gn_value x, size_t out, size_t kernel);
/* Depthwise 3x3; NAME.weight [C, 1, 3, 3]. */
gn_value gn_layer_depthwise(gn_tape *t, const char *name, gn_value x);
/* NAME.weight, .bias, .running_mean, .running_var. */
gn_value gn_layer_batch_norm(gn_tape *t, const char *name, gn_value x);
/* NAME.weight [out, in], NAME.bias [out] if wanted.  `output` names the record, NULL: NAME. */
gn_value gn_layer_linear(gn_tape *t, const char *name, const char *output, gn_value x, size_t out,
                         bool bias);

/* A residual block: conv, BN, ReLU, conv, BN, SE, add the block's input, ReLU. */
gn_value gn_block(gn_tape *t, const char *name, gn_value x, bool separable);

#endif
