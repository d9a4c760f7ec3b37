/* A small network with everything that runs it; see rig.h.  SPDX-License-Identifier: MIT */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static float *numbers(size_t count)
{
    float *x = calloc(count, sizeof *x);
    cr_assert_not_null(x);
    return x;
}

samples samples_make(const gn_net_config *config, size_t batch, uint64_t seed)
{
    const size_t cells = (size_t)config->board_size * (size_t)config->board_size;
    const size_t stones = batch * cells * GN_PLANES;
    samples s = {numbers(stones), numbers(batch * cells), numbers(batch)};
    float *draw = numbers(2 * batch);
    seeded_fill(s.planes, stones, seed, 0, 1);
    seeded_fill(draw, 2 * batch, seed + 1000, 0, 1);
    for (size_t i = 0; i < stones; i++)
        s.planes[i] = s.planes[i] < 0.3f ? 1 : 0;
    for (size_t n = 0; n < batch; n++) {
        s.policy[n * cells + (size_t)(draw[n] * (float)cells)] = 1;
        s.value[n] = (float)((int)(draw[batch + n] * 3) - 1);
    }
    free(draw);
    return s;
}

void samples_free(samples *s)
{
    free(s->planes);
    free(s->policy);
    free(s->value);
    *s = (samples){0};
}

gn_net_config small_net(int size, int blocks, int channels, gn_conv conv)
{
    return (gn_net_config){.board_size = size, .num_blocks = blocks, .channels = channels,
                           .conv = conv};
}

static rig open_bound(gn_status (*bind)(gn_program **, const gn_tape *, const gn_table *, size_t,
                                        int, bool, gn_err *),
                      gn_net_config config, const gn_table *table, size_t batch, int threads,
                      const char *policy)
{
    rig r = {0};
    gn_err err = {0};
    cr_assert(gn_net_create(&r.net, &config, &err) == GN_OK, "%s", err.text);
    cr_assert(gn_net_schedule(&r.schedule, &r.net, policy, &err) == GN_OK, "%s", err.text);
    const bool training = policy == NULL || strcmp(policy, "inference") != 0;
    gn_status st = bind(&r.program, r.net.tape, table, batch, threads, training, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    st = gn_store_create(&r.store, r.net.tape, table, training, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    gn_store_init(r.store, 1);
    cr_assert(gn_pool_create(&r.pool, &err) == GN_OK, "%s", err.text);
    st = gn_engine_create(&r.engine, r.program, &r.schedule, r.store, r.pool, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    return r;
}

rig rig_open(gn_net_config config, const gn_table *table, size_t batch, int threads,
             const char *policy)
{
    return open_bound(gn_program_bind, config, table, batch, threads, policy);
}

rig rig_open_fused(gn_net_config config, const gn_table *table, size_t batch, int threads,
                   const char *policy)
{
    return open_bound(gn_program_fuse, config, table, batch, threads, policy);
}

void rig_feed(const rig *r, const samples *s)
{
    gn_engine_feed(r->engine, r->net.planes, s->planes);
    gn_engine_feed(r->engine, r->net.target_policy, s->policy);
    gn_engine_feed(r->engine, r->net.target_value, s->value);
}

void rig_run(const rig *r)
{
    gn_err err = {0};
    cr_assert(gn_engine_run(r->engine, &err) == GN_OK, "%s", err.text);
}

void rig_close(rig *r)
{
    gn_engine_destroy(r->engine);
    gn_pool_destroy(r->pool);
    gn_store_destroy(r->store);
    gn_program_destroy(r->program);
    gn_schedule_free(&r->schedule);
    gn_net_destroy(&r->net);
}

unsigned char *rig_memory(const rig *r)
{
    return gn_engine_data(r->engine, r->net.planes);
}

gn_session *session_open(const gn_net *net, const gn_table *table, size_t batch, int threads,
                         const char *policy)
{
    gn_session_config config = gn_session_default();
    config.table = table;
    config.batch = batch;
    config.threads = threads;
    config.policy = policy;
    gn_session *s;
    gn_err err = {0};
    cr_assert(gn_session_create(&s, net, &config, &err) == GN_OK, "%s", err.text);
    return s;
}
