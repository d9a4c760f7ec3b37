/* GomokuNet: the whole library in one include.  A complete program, one training step:
 *
 *     #include <gomokunet/gomokunet.h>
 *     #include <stdio.h>
 *
 *     static float planes[64 * 225 * 5], policy[64 * 225], value[64];
 *
 *     int main(void)
 *     {
 *         const gn_net_config config = {.board_size = 15, .num_blocks = 2, .channels = 16};
 *         const gn_session_config run = gn_session_default(); // batch 64, AdamW, the fast table
 *         gn_err err; gn_net net; gn_session *session; gn_step_result result;
 *         gn_games games = {0}; gn_dataset data; gn_sampler sampler;
 *         for (int i = 0; i < 4; i++) gn_player_game(&games, 1, i, 15, &err);
 *         if (gn_net_create(&net, &config, &err) || gn_session_create(&session, &net, &run, &err)
 *             || gn_dataset_create(&data, &games, 15, NULL, 0, &err)
 *             || gn_sampler_create(&sampler, &data, 1, 64, &err)) return puts(err.text), 1;
 *         gn_sampler_batch(&sampler, 0, planes, policy, value);
 *         if (gn_session_step(session, planes, policy, value, 1e-3, &result, &err)) return 1;
 *         printf("loss %.4f\n", result.loss);
 *     }
 *
 * (A program that goes on frees what it made: gn_session_destroy, gn_net_destroy, ...)
 * Compile with `cc -std=c11 step.c $(pkg-config --cflags --libs gomokunet)`.
 *
 * To build a network of your own: docs/own-network.md.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_GOMOKUNET_H
#define GOMOKUNET_GOMOKUNET_H

#include "gomokunet/status.h"     /* how a call says that it failed */
#include "gomokunet/tensor.h"     /* shapes */
#include "gomokunet/numeric.h"    /* exp, log, tanh, fma and random numbers: the same everywhere */
#include "gomokunet/io.h"         /* safetensors, SHA-256 */
#include "gomokunet/op.h"         /* operations and the tables that compute them */
#include "gomokunet/tape.h"       /* a network written down */
#include "gomokunet/program.h"    /* a tape bound to a table and a batch size; parameters */
#include "gomokunet/checkpoint.h" /* schedules, plans, the engine */
#include "gomokunet/net.h"        /* GomokuNet itself */
#include "gomokunet/check.h"      /* the self-test, finite differences */
#include "gomokunet/model.h"      /* model files */
#include "gomokunet/data.h"       /* game records, positions, batches */
#include "gomokunet/train.h"      /* optimisers, sessions, evaluation */
#include "gomokunet/golden.h"     /* golden tensors for other implementations */
#include "gomokunet/diagnose.h"   /* which mistake explains it */

#endif
