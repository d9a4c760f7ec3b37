/* GomokuNet written once more, with mistakes in it.  SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_MISTAKEN_NET_H
#define TESTS_SUPPORT_MISTAKEN_NET_H

#include "gomokunet/net.h"

/* What is written otherwise. */
typedef enum edit {
    AS_IT_IS,
    SE_BEFORE_BN,
    SE_AFTER_ADD,
    NO_SE_RELU,
    NO_SIGMOID,
    SE_NOT_APPLIED,
    NO_INNER_RELU,
    RELU_BEFORE_ADD,
    NO_BLOCK_RELU,
    NO_SKIP,
    STALE_MASK,
    NO_HEAD_RELU,
    NO_TANH,
    SE_MAX,
    RELU_AT_ZERO
} edit;

/* Dense, with the parameters in the same order as gn_net_create has them; fails the running test
 * by itself.  Its tables must stand over mistaken_ops. */
gn_net mistaken_net(const gn_net_config *config, edit e);

/* "copy": y = x.  "stale_relu": a ReLU whose gradient is masked by its second input.
 * "max_pool": the largest square of a channel.  "relu_at_zero": a ReLU that passes it there. */
extern const gn_table mistaken_ops;

#endif
