/* The inside of a session, shared by step and state.  SPDX-License-Identifier: MIT */
#ifndef GN_TRAIN_SESSION_H
#define GN_TRAIN_SESSION_H

#include "gomokunet/train.h"

struct gn_session {
    const gn_net *net;
    gn_session_config config;
    gn_store *store;
    gn_program *program;
    gn_pool *pool;
    gn_engine *engine;
    gn_optimizer *optimizer;
    char *sum; /* of the micro-batches' gradients, tensor after tensor; NULL: one batch a step */
    gn_tracked tracked;
    bool recomputes; /* the policy runs some stage forward twice */
};

#endif
