/* A host program that is hostile to arithmetic: tests/build/hostile.sh builds it with -ffast-math,
 * whose start-up code switches denormals off, and links the shared library.
 *
 *     hostile_host STATE before|after
 *
 * STATE: clean (sets the default state), started (as the start-up code left it), ftz, daz, up,
 * down, zero, ftz-up.  `before`: a pool of threads exists, each in that state, when the library is
 * first called; `after`: the library's calls make the pool.  Prints a SHA-256 over what the public
 * calls that compute have given, which must not depend on the arguments; status 1 where the state
 * of a thread is not what it was.  It computes nothing itself.  SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#else
#define omp_get_thread_num() 0
#endif

#include "gomokunet/gomokunet.h"

/* --- The state ------------------------------------------------------------------------------- */

#if defined(__SSE__)
#include <xmmintrin.h>
/* The exception flags say what happened, not what will. */
static uint64_t get_state(void) { return _mm_getcsr() & ~0x3fu; }
static void set_state(uint64_t state) { _mm_setcsr((unsigned)state); }
enum { CLEAN = 0x1f80, FTZ = 0x8000, DAZ = 0x40, UP = 0x4000, DOWN = 0x2000, ZERO = 0x6000 };
#elif defined(__aarch64__)
static uint64_t get_state(void)
{
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return state;
}
static void set_state(uint64_t state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
enum { CLEAN = 0, FTZ = 1 << 24, DAZ = FTZ, UP = 1 << 22, DOWN = 2 << 22, ZERO = 3 << 22 };
#else
#error "no hostile states are known for this machine"
#endif

static uint64_t state_named(const char *name)
{
    static const struct {
        const char *name;
        uint64_t state;
    } states[] = {{"clean", CLEAN}, {"ftz", CLEAN | FTZ}, {"daz", CLEAN | DAZ},
                  {"up", CLEAN | UP}, {"down", CLEAN | DOWN}, {"zero", CLEAN | ZERO},
                  {"ftz-up", CLEAN | FTZ | DAZ | UP}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].state;
    if (strcmp(name, "started") != 0 || get_state() != (CLEAN | FTZ | DAZ)) {
        fprintf(stderr, "state %s: it is %llx\n", name, (unsigned long long)get_state());
        exit(2);
    }
    return CLEAN | FTZ | DAZ;
}

enum { TEAM = 3 };

static void set_team(uint64_t state)
{
#ifdef _OPENMP
#pragma omp parallel num_threads(TEAM)
#endif
    set_state(state);
    set_state(state); /* LLVM's runtime gives the first thread its old one back */
}

/* How many threads of a team are in another state. */
static int strangers(uint64_t state)
{
    int changed[TEAM] = {get_state() != state};
#ifdef _OPENMP
#pragma omp parallel num_threads(TEAM)
#endif
    if (omp_get_thread_num() > 0)
        changed[omp_get_thread_num()] = get_state() != state;
    return changed[0] + changed[1] + changed[2];
}

/* --- What is computed ------------------------------------------------------------------------ */

static uint64_t state;
static gn_sha256 hash;
static gn_err err;

static void must(gn_status status, const char *what)
{
    if (status == GN_OK && get_state() == state)
        return;
    fprintf(stderr, "%s: %s; the thread's state is %llx, was %llx\n", what,
            status == GN_OK ? "good" : err.text, (unsigned long long)get_state(),
            (unsigned long long)state);
    exit(1);
}

static void add(const void *bytes, size_t count) { gn_sha256_add(&hash, bytes, count); }

static void add_store(const gn_tape *tape, const gn_store *store)
{
    for (int v = 0; v < gn_tape_values(tape); v++)
        if (gn_store_data(store, v) != NULL)
            add(gn_store_data(store, v),
                gn_shape_count(gn_tape_value(tape, v)->shape) * sizeof(float));
}

enum { SIZE = 7, BATCH = 4, CELLS = SIZE * SIZE };

static void train(const gn_net *net, const gn_dataset *positions, const char *policy)
{
    static float planes[BATCH * CELLS * GN_PLANES], target[BATCH * CELLS], value[BATCH];
    gn_session_config config = gn_session_default();
    gn_session *session;
    gn_sampler sampler;
    gn_step_result result;
    gn_scores scores;
    gn_rate rate;
    config.batch = BATCH;
    config.threads = TEAM;
    config.policy = policy;
    must(gn_rate_parse(&rate, "step:1:0.7", 0.0123, &err), "gn_rate_parse");
    must(gn_session_create(&session, net, &config, &err), "gn_session_create");
    must(gn_sampler_create(&sampler, positions, 1, BATCH, &err), "gn_sampler_create");
    add_store(net->tape, gn_session_store(session));
    for (uint64_t step = 0; step < 3; step++) {
        const double now = gn_rate_at(&rate, step + 5);
        gn_sampler_batch(&sampler, step, planes, target, value);
        must(gn_session_step(session, planes, target, value, now, &result, &err), "a step");
        add(&now, sizeof now);
        add(&result.loss, sizeof result.loss);
        add(&result.grad_norm, sizeof result.grad_norm);
    }
    must(gn_session_gradients(session, planes, target, value, &result, &err), "gradients");
    char hex[65];
    gn_session_gradient_digest(session, hex);
    add(hex, 64);
    must(gn_session_evaluate(session, positions, &scores, &err), "gn_session_evaluate");
    add(&scores, sizeof scores);
    add_store(net->tape, gn_session_store(session));
    gn_sampler_free(&sampler);
    gn_session_destroy(session);
}

/* Inputs of 0 and 1, as bits. */
static void fill(void *user, const gn_tape *tape, gn_value input, double *data, size_t count)
{
    (void)user;
    (void)tape;
    for (size_t i = 0; i < count; i++)
        data[i] = gn_random_below(1, (uint64_t)input, i, 3) == 0 ? 1 : 0;
}

static void check_gradients(const gn_net *net)
{
    gn_gradcheck check = {.batch = 2, .seed = 1, .per_tensor = 1, .step = 1e-5,
                          .tolerance = 1e-4, .fill = fill};
    must(gn_gradcheck_run(net->tape, &check, &err), "gn_gradcheck_run");
    add(&check.worst, sizeof check.worst);
    add(&check.tried, sizeof check.tried);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    state = state_named(argv[1]);
    set_state(state);
    if (strcmp(argv[2], "before") == 0)
        set_team(state);
    gn_sha256_begin(&hash);
    must(gn_selftest(&err), "gn_selftest");
    for (int conv = 0; conv < 2; conv++) {
        const gn_net_config config = {.board_size = SIZE, .num_blocks = 2, .channels = 6,
                                      .conv = conv == 0 ? GN_DENSE : GN_SEPARABLE};
        gn_net net;
        gn_games games = {0};
        gn_dataset positions;
        must(gn_net_create(&net, &config, &err), "gn_net_create");
        must(gn_player_game(&games, 1, 1, SIZE, &err), "gn_player_game");
        must(gn_dataset_create(&positions, &games, SIZE, NULL, 0, &err), "gn_dataset_create");
        train(&net, &positions, conv == 0 ? "none" : "block");
        check_gradients(&net);
        gn_dataset_free(&positions);
        gn_games_free(&games);
        gn_net_destroy(&net);
    }
    char hex[65];
    gn_sha256_hex(&hash, hex);
    printf("%s\n", hex);
    const int changed = strangers(state);
    if (changed > 0)
        fprintf(stderr, "%d threads were left in another state\n", changed);
    return changed > 0;
}
