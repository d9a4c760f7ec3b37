/* A small network with everything that runs it, for tests of schedules and of training.
 *
 * All of it fails the running test by itself.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_RIG_H
#define GN_TESTS_RIG_H

#include "gomokunet/train.h"

/* Samples of a batch: stones of 0 and 1, a one-hot policy, values of -1, 0 and 1. */
typedef struct samples {
    float *planes, *policy, *value;
} samples;
samples samples_make(const gn_net_config *config, size_t batch, uint64_t seed);
void samples_free(samples *s);

gn_net_config small_net(int size, int blocks, int channels, gn_conv conv);

/* A network's tape under one policy: gn_net_create to gn_engine_create. */
typedef struct rig {
    gn_net net;
    gn_store *store;
    gn_program *program;
    gn_pool *pool;
    gn_engine *engine;
    gn_schedule schedule;
} rig;

/* Parameters from seed 1; a training program unless the policy is "inference". */
rig rig_open(gn_net_config config, const gn_table *table, size_t batch, int threads,
             const char *policy);
/* The same with the table's spans fused. */
rig rig_open_fused(gn_net_config config, const gn_table *table, size_t batch, int threads,
                   const char *policy);
void rig_feed(const rig *r, const samples *s);
/* gn_engine_run, which must succeed. */
void rig_run(const rig *r);
void rig_close(rig *r);

/* The start of the pool's memory: the first input lies there. */
unsigned char *rig_memory(const rig *r);

/* A session over `net` with one thread count and policy (NULL: as the net says). */
gn_session *session_open(const gn_net *net, const gn_table *table, size_t batch, int threads,
                         const char *policy);

#endif
