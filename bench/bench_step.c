/* One training step of GomokuNet, or one inference: the median time of a few, as one JSON object.
 *
 * Usage: bench_step BLOCKS CHANNELS BATCH POLICY STEPS [separable]; POLICY inference: forward only.
 * flops counts what the network needs, forward and twice that backward, never the recompute, so that
 * policies and peers compare.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/streams.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"

enum { MAX_STEPS = 100, BOARD = 15, CELLS = BOARD * BOARD };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double flops_a_position(const gn_net_config *c)
{
    const double ch = c->channels;
    const double conv = c->conv == GN_SEPARABLE ? ch * ch + 9 * ch : 9 * ch * ch;
    const double trunk = CELLS * (2 * c->num_blocks * conv + 5 * 9 * ch + 48 * ch);
    return 3 * 2 * (trunk + CELLS * 32.0 * CELLS + CELLS * 16.0 * 256);
}

/* Random stones, one-hot policies, results of both signs. */
static void fill(float *planes, float *policy, float *value, size_t batch)
{
    const uint64_t stream = gn_stream(GN_STREAM_PROBE, 0);
    for (size_t i = 0; i < batch * CELLS * GN_PLANES; i++)
        planes[i] = (float)(gn_random_u32(1, stream, i) >> 31);
    memset(policy, 0, batch * CELLS * sizeof *policy);
    for (size_t n = 0; n < batch; n++) {
        policy[n * CELLS + gn_random_below(2, stream, n, CELLS)] = 1;
        value[n] = n % 2 == 0 ? 1.0f : -1.0f;
    }
}

/* What is timed: a step of a session, or a run of an inference engine. */
typedef struct subject {
    gn_session *session; /* parameters and memory, of inference too */
    gn_program *program;
    gn_engine *engine; /* NULL: training */
    gn_pool *pool;
    const gn_net *net;
    float *planes, *policy, *value;
} subject;

static gn_status open_inference(subject *s, const gn_session_config *c, gn_err *err)
{
    gn_schedule schedule = {0};
    gn_status st = gn_program_fuse(&s->program, s->net->tape, c->table, c->batch, c->threads, false,
                                   err);
    if (st == GN_OK) st = gn_pool_create(&s->pool, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, s->net, "inference", err);
    if (st == GN_OK)
        st = gn_engine_create(&s->engine, s->program, &schedule, gn_session_store(s->session),
                              s->pool, err);
    if (st == GN_OK) st = gn_program_keep(s->program, gn_session_store(s->session), err);
    gn_schedule_free(&schedule);
    return st;
}

static gn_status run_once(subject *s, gn_err *err)
{
    gn_step_result r;
    if (s->engine == NULL)
        return gn_session_step(s->session, s->planes, s->policy, s->value, 1e-3, &r, err);
    gn_engine_feed(s->engine, s->net->planes, s->planes);
    return gn_engine_run(s->engine, err);
}

static void report(const subject *s, const gn_session_config *c, double seconds)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const gn_memory m = gn_session_memory(s->session);
    const double flops = flops_a_position(&s->net->config) / (s->engine == NULL ? 1 : 3);
    printf("{\"seconds\":%.5f,\"positions_per_second\":%.2f,\"gflops\":%.1f,"
           "\"resident_mib\":%.0f,\"measured_bytes\":%zu,\"total_bytes\":%zu}\n",
           seconds, (double)c->batch / seconds, flops * (double)c->batch / seconds / 1e9,
           (double)usage.ru_maxrss / 1024, m.activations, m.total);
}

static int measure(const gn_net *net, gn_session_config config, int steps)
{
    gn_err err;
    double seconds[MAX_STEPS];
    const size_t batch = config.batch;
    const bool inference = strcmp(config.policy, "inference") == 0;
    subject s = {.net = net, .planes = malloc(batch * CELLS * GN_PLANES * sizeof(float)),
                 .policy = malloc(batch * CELLS * sizeof(float)),
                 .value = malloc(batch * sizeof(float))};
    if (inference) { /* the session only holds the parameters */
        config.policy = "block";
        config.batch = 1;
    }
    gn_status st = gn_session_create(&s.session, net, &config, &err);
    config.batch = batch;
    if (st == GN_OK && inference) st = open_inference(&s, &config, &err);
    if (st == GN_OK && s.planes != NULL && s.policy != NULL && s.value != NULL)
        fill(s.planes, s.policy, s.value, batch);
    for (int i = -1; i < steps && st == GN_OK; i++) { /* the first touches the memory */
        const double before = now();
        st = run_once(&s, &err);
        if (i >= 0)
            seconds[i] = now() - before;
    }
    if (st == GN_OK) {
        qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
        report(&s, &config, seconds[steps / 2]);
    } else {
        fprintf(stderr, "bench_step: %s\n", err.text);
    }
    gn_engine_destroy(s.engine);
    gn_pool_destroy(s.pool);
    gn_program_destroy(s.program);
    gn_session_destroy(s.session);
    free(s.planes);
    free(s.policy);
    free(s.value);
    return st == GN_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: bench_step BLOCKS CHANNELS BATCH POLICY STEPS [separable]\n");
        return 2;
    }
    gn_net_config c = gn_net_default();
    gn_net net;
    gn_err err;
    c.num_blocks = atoi(argv[1]);
    c.channels = atoi(argv[2]);
    c.conv = argc > 6 && strcmp(argv[6], "separable") == 0 ? GN_SEPARABLE : GN_DENSE;
    if (gn_net_create(&net, &c, &err) != GN_OK) {
        fprintf(stderr, "bench_step: %s\n", err.text);
        return 2;
    }
    gn_session_config config = gn_session_default();
    const int steps = atoi(argv[5]);
    config.batch = (size_t)atoi(argv[3]);
    config.policy = argv[4];
    const int status = measure(&net, config, steps < 1 ? 1 : steps < MAX_STEPS ? steps : MAX_STEPS);
    gn_net_destroy(&net);
    return status;
}
