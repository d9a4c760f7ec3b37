/* One training step of GomokuNet, or one inference: the median time of a few, as one JSON object.
 *
 * Usage: bench_step BLOCKS CHANNELS BATCH POLICY STEPS [separable] [board=N] [threads=N]; POLICY
 * inference: forward only, with the parameters and nothing else of a training run in memory.
 * flops counts what the network needs, forward and twice that backward, never the recompute, so
 * that policies and peers compare.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/streams.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"

enum { MAX_STEPS = 100 };

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

static size_t cells_of(const gn_net_config *c)
{
    return (size_t)c->board_size * (size_t)c->board_size;
}

static double flops_a_position(const gn_net_config *c)
{
    const double ch = c->channels, cells = (double)cells_of(c);
    const double conv = c->conv == GN_SEPARABLE ? ch * ch + 9 * ch : 9 * ch * ch;
    const double trunk = cells * (2 * c->num_blocks * conv + 5 * 9 * ch + 48 * ch);
    return 3 * 2 * (trunk + cells * 32 * cells + cells * 16 * 256);
}

/* What is timed: a step of a session, or a run of an inference engine. */
typedef struct subject {
    const gn_net *net;
    gn_session *session; /* NULL: inference, by what follows */
    gn_store *store;
    gn_program *program;
    gn_pool *pool;
    gn_engine *engine;
    float *planes, *policy, *value;
} subject;

/* Random stones, one-hot policies, results of both signs. */
static gn_status fill(subject *s, size_t batch, gn_err *err)
{
    const uint64_t stream = gn_stream(GN_STREAM_PROBE, 0);
    const size_t cells = cells_of(&s->net->config);
    s->planes = malloc(batch * cells * GN_PLANES * sizeof(float));
    s->policy = calloc(batch * cells, sizeof(float));
    s->value = malloc(batch * sizeof(float));
    if (s->planes == NULL || s->policy == NULL || s->value == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for %zu positions", batch);
    for (size_t i = 0; i < batch * cells * GN_PLANES; i++)
        s->planes[i] = (float)(gn_random_u32(1, stream, i) >> 31);
    for (size_t n = 0; n < batch; n++) {
        s->policy[n * cells + gn_random_below(2, stream, n, (uint32_t)cells)] = 1;
        s->value[n] = n % 2 == 0 ? 1.0f : -1.0f;
    }
    return GN_OK;
}

static gn_status open_inference(subject *s, const gn_session_config *c, gn_err *err)
{
    gn_schedule schedule = {0};
    gn_status st = gn_store_create(&s->store, s->net->tape, c->table, false, err);
    if (st == GN_OK)
        st = gn_program_fuse(&s->program, s->net->tape, c->table, c->batch, c->threads, false,
                             err);
    if (st == GN_OK) st = gn_pool_create(&s->pool, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, s->net, c->policy, err);
    if (st == GN_OK)
        st = gn_engine_create(&s->engine, s->program, &schedule, s->store, s->pool, err);
    if (st == GN_OK)
        gn_store_init(s->store, c->seed);
    if (st == GN_OK) st = gn_program_keep(s->program, s->store, err);
    gn_schedule_free(&schedule);
    return st;
}

static gn_status run_once(subject *s, gn_err *err)
{
    gn_step_result r;
    if (s->session != NULL)
        return gn_session_step(s->session, s->planes, s->policy, s->value, 1e-3, &r, err);
    gn_engine_feed(s->engine, s->net->planes, s->planes);
    return gn_engine_run(s->engine, err);
}

static gn_memory memory_of(const subject *s)
{
    if (s->session != NULL)
        return gn_session_memory(s->session);
    const size_t peak = gn_engine_measured(s->engine).peak;
    const size_t parameters = gn_store_data_bytes(s->store);
    return (gn_memory){.parameters = parameters, .activations = peak, .total = parameters + peak};
}

static void report(const subject *s, const gn_session_config *c, double seconds)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const gn_memory m = memory_of(s);
    const double flops = flops_a_position(&s->net->config) / (s->session == NULL ? 3 : 1);
    printf("{\"seconds\":%.6f,\"positions_per_second\":%.2f,\"gflops\":%.1f,"
           "\"resident_mib\":%.0f,\"measured_bytes\":%zu,\"total_bytes\":%zu,\"threads\":%d}\n",
           seconds, (double)c->batch / seconds, flops * (double)c->batch / seconds / 1e9,
           (double)usage.ru_maxrss / 1024, m.activations, m.total, c->threads);
}

static int measure(const gn_net *net, const gn_session_config *config, int steps)
{
    gn_err err;
    double seconds[MAX_STEPS];
    subject s = {.net = net};
    gn_status st = strcmp(config->policy, "inference") == 0
                       ? open_inference(&s, config, &err)
                       : gn_session_create(&s.session, net, config, &err);
    if (st == GN_OK) st = fill(&s, config->batch, &err);
    for (int i = -1; i < steps && st == GN_OK; i++) { /* the first touches the memory */
        const double before = now();
        st = run_once(&s, &err);
        if (i >= 0)
            seconds[i] = now() - before;
    }
    if (st == GN_OK) {
        qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
        report(&s, config, seconds[steps / 2]);
    } else {
        fprintf(stderr, "bench_step: %s\n", err.text);
    }
    gn_engine_destroy(s.engine);
    gn_pool_destroy(s.pool);
    gn_program_destroy(s.program);
    gn_store_destroy(s.store);
    gn_session_destroy(s.session);
    free(s.planes);
    free(s.policy);
    free(s.value);
    return st == GN_OK ? 0 : 1;
}

/* The words behind the numbers; false: no such word. */
static bool read_word(const char *word, gn_net_config *net, gn_session_config *config)
{
    if (strcmp(word, "separable") == 0)
        net->conv = GN_SEPARABLE;
    else if (strncmp(word, "board=", 6) == 0)
        net->board_size = atoi(word + 6);
    else if (strncmp(word, "threads=", 8) == 0)
        config->threads = atoi(word + 8);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    gn_net_config c = gn_net_default();
    gn_session_config config = gn_session_default();
    bool known = argc > 5;
    for (int i = 6; known && i < argc; i++)
        known = read_word(argv[i], &c, &config);
    if (!known) {
        fprintf(stderr, "usage: bench_step BLOCKS CHANNELS BATCH POLICY STEPS [separable] "
                        "[board=N] [threads=N]\n");
        return 2;
    }
    gn_net net;
    gn_err err;
    c.num_blocks = atoi(argv[1]);
    c.channels = atoi(argv[2]);
    config.batch = (size_t)atoi(argv[3]);
    config.policy = argv[4];
    const int steps = atoi(argv[5]);
    if (gn_net_create(&net, &c, &err) != GN_OK) {
        fprintf(stderr, "bench_step: %s\n", err.text);
        return 2;
    }
    const int status = measure(&net, &config,
                               steps < 1 ? 1 : steps < MAX_STEPS ? steps : MAX_STEPS);
    gn_net_destroy(&net);
    return status;
}
