/* GomokuNet: the configuration, the network written onto a tape, and model files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_NET_H
#define GOMOKUNET_NET_H

#include "gomokunet/checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two kinds of 3x3 convolution in a block: one dense, or depthwise 3x3 then pointwise 1x1. */
typedef enum gn_conv { GN_DENSE, GN_SEPARABLE } gn_conv;

typedef struct gn_net_config {
    int board_size;      /* 5 to 25 */
    int num_blocks;      /* 1 to 1000 */
    int channels;        /* 1 to 4096 */
    gn_conv conv;
    bool use_checkpoint; /* acts in training only */
} gn_net_config;

/* 15, 30, 192, dense, no checkpointing. */
gn_net_config gn_net_default(void);

/* GN_E_CONFIG lists every fault at once. */
gn_status gn_net_validate(const gn_net_config *config, gn_err *err);

/* "dense", "separable". */
const char *gn_conv_name(gn_conv conv);

/* The network as a tape, and the values of it that a user handles. */
typedef struct gn_net {
    gn_net_config config;
    gn_tape *tape;
    gn_value planes, target_policy, target_value;       /* inputs: [N,S,S,5], [N,S*S], [N] */
    gn_value logits, value;                             /* outputs: [N,S*S], [N,1] */
    gn_value loss_policy, loss_value, loss;             /* [1] */
} gn_net;

/* Writes the tape: stage "stem", a stage a block, stage "heads".  Release with gn_net_destroy. */
gn_status gn_net_create(gn_net *out, const gn_net_config *config, gn_err *err);
void gn_net_destroy(gn_net *net);

/* The schedule of a policy for this network; NULL: "block" or "none" as use_checkpoint says. */
gn_status gn_net_schedule(gn_schedule *out, const gn_net *net, const char *policy, gn_err *err);

/* The explanation's arithmetic: one map is batch * channels * S^2 floats; normal mode saves 6 a
 * block, checkpointing 1. */
typedef struct gn_textbook {
    size_t map_bytes, normal_maps, checkpoint_maps;
} gn_textbook;
gn_textbook gn_net_textbook(const gn_net_config *config, size_t batch);

#ifdef __cplusplus
}
#endif
#endif
