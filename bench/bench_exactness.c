/* What the contract's order of sums costs: the library's convolutions beside the same source freed
 * of that order, an author who is free of it, and OpenBLAS; and whole training steps, the fast
 * table beside the freed one.
 *
 * Usage: bench_exactness JSON [ROUNDS]; a table on stdout, a line of JSON a row in the file.
 * All candidates take turns in every round, and the machine's peak is measured between any two of
 * them: a time counts where the peaks before and after it differ by no more than 5 %, and is taken
 * again where they do not.  Medians over the rounds.  SPDX-License-Identifier: MIT */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/streams.h"
#include "blas_conv.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"
#include "machine.h"

extern const gn_table gn_table_free;

enum { BOARD = 15, MOST_ROUNDS = 50, TRIES = 6 };

/* One shape with everything that any candidate needs. */
typedef struct job {
    free_conv mine, blas; /* blas: what blas_prepare made stays in its workspace */
    gn_call call;         /* the tables' view of the same memory */
    const gn_table *fast;
} job;

/* --- The candidates -------------------------------------------------------------------------- */

static void run_table(job *j, const gn_table *table, gn_pass pass)
{
    const gn_row *row = gn_table_find(table, "conv2d");
    j->call.pass = pass;
    if (pass == GN_FORWARD)
        row->forward(&j->call);
    else
        row->backward(&j->call);
}

static void ours_forward(job *j) { run_table(j, j->fast, GN_FORWARD); }
static void ours_weight(job *j) { run_table(j, j->fast, GN_BACKWARD); }
static void freed_forward(job *j) { run_table(j, &gn_table_free, GN_FORWARD); }
static void freed_weight(job *j) { run_table(j, &gn_table_free, GN_BACKWARD); }
static void author_forward(job *j) { free_conv_forward(&j->mine); }
static void author_weight(job *j) { free_conv_weight_gradient(&j->mine); }
static void sgemm_forward(job *j) { blas_forward(&j->blas); }
static void sgemm_weight(job *j) { blas_weight_gradient(&j->blas); }
static void whole_forward(job *j) { blas_whole_forward(&j->blas); }
static void whole_weight(job *j) { blas_whole_weight_gradient(&j->blas); }

enum { CANDIDATES = 5, OF_BLAS = 3 };
static const struct {
    const char *name, *key;
    void (*run[2])(job *); /* forward, weight gradient */
} candidate[CANDIDATES] = {
    {"ours", "ours", {ours_forward, ours_weight}},
    {"freed", "freed", {freed_forward, freed_weight}},
    {"free author", "author", {author_forward, author_weight}},
    {"sgemm", "sgemm", {sgemm_forward, sgemm_weight}},
    {"im2col+sgemm", "im2col_sgemm", {whole_forward, whole_weight}},
};

/* --- Jobs ------------------------------------------------------------------------------------ */

static float *filled(size_t count, uint64_t stream)
{
    float *data = aligned_alloc(64, (count * sizeof *data + 63) / 64 * 64);
    if (data == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        data[i] = gn_random_symmetric(1, stream, i);
    return data;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Floats of workspace for whoever but BLAS needs most. */
static size_t work_of(job *j)
{
    size_t floats = free_conv_work(&j->mine);
    const gn_table *tables[] = {j->fast, &gn_table_free};
    for (int t = 0; t < 2; t++)
        for (int pass = GN_FORWARD; pass <= GN_BACKWARD; pass++) {
            j->call.pass = (gn_pass)pass;
            floats = larger(floats, gn_table_find(tables[t], "conv2d")->work(&j->call) / 4 + 1);
        }
    return floats;
}

static job create(size_t N, size_t C, size_t O, size_t K)
{
    const size_t squares = N * BOARD * BOARD;
    float *x = filled(squares * C, 1), *weight = filled(O * C * K * K, 2);
    float *dy = filled(squares * O, 3), *y = filled(squares * O, 4);
    float *dweight = filled(O * C * K * K, 5);
    job j = {.fast = gn_table_fast()};
    j.mine = (free_conv){.y = y, .dweight = dweight, .x = x, .weight = weight, .dy = dy, .N = N,
                         .H = BOARD, .W = BOARD, .C = C, .O = O, .K = K,
                         .threads = omp_get_max_threads()};
    const gn_shape map = gn_shape_of(4, N, BOARD, BOARD, O), taps = gn_shape_of(4, O, C, K, K);
    j.call = (gn_call){.op = gn_table_find(j.fast, "conv2d")->op, .nin = 2, .nout = 1,
                       .dout = {dy, map}, .training = true, .threads = omp_get_max_threads()};
    j.call.in[0] = (gn_tensor){x, gn_shape_of(4, N, BOARD, BOARD, C)};
    j.call.in[1] = (gn_tensor){weight, taps};
    j.call.out[0] = (gn_tensor){y, map};
    j.call.din[1] = (gn_tensor){dweight, taps}; /* the input's gradient is not wanted */
    j.mine.work = filled(work_of(&j), 6);
    j.call.work = j.mine.work;
    j.blas = j.mine;
    j.blas.work = filled(blas_work(&j.mine), 7);
    return j;
}

static void destroy(job *j)
{
    void *held[] = {j->mine.y, j->mine.dweight, j->mine.work, j->blas.work, j->call.in[0].data,
                    j->call.in[1].data, j->call.dout.data};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        free(held[i]);
}

/* A candidate that computes something else has no place in the table. */
static void check(job *j, int which, int pass)
{
    const float *got = pass == 0 ? j->mine.y : j->mine.dweight;
    const size_t count = gn_shape_count(pass == 0 ? j->call.out[0].shape : j->call.in[1].shape);
    float *want = filled(count, 8);
    double error = 0, most = 0;
    candidate[0].run[pass](j);
    memcpy(want, got, count * sizeof *want);
    memset(pass == 0 ? j->mine.y : j->mine.dweight, 0, count * sizeof *want);
    candidate[which].run[pass](j);
    for (size_t i = 0; i < count; i++) {
        error = fmax(error, fabs((double)got[i] - want[i]));
        most = fmax(most, fabs((double)want[i]));
    }
    free(want);
    if (!(error <= 1e-4 * most)) {
        fprintf(stderr, "bench_exactness: %s is off by %g of %g\n", candidate[which].name, error,
                most);
        exit(3);
    }
}

/* --- Timing ---------------------------------------------------------------------------------- */

/* What is timed: a run of one of several, whose results nobody needs. */
typedef void (*runner)(void *subject, int which);

typedef struct timing {
    double rate[MOST_ROUNDS]; /* runs a second of each round; NAN: the peak moved in every try */
    double share[MOST_ROUNDS]; /* the same for each GFLOP/s of the peak around it */
    int moved;                /* tries that were not still */
} timing;

static double seconds_of(runner run, void *subject, int which)
{
    double best = 1e9, total = 0;
    for (int runs = 0; runs < 2 || total < 0.06; runs++) {
        const double start = machine_now();
        run(subject, which);
        const double seconds = machine_now() - start;
        best = fmin(best, seconds);
        total += seconds;
    }
    return best;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of those that are numbers. */
static double median(const double *values, int count)
{
    double sorted[MOST_ROUNDS];
    int there = 0;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i]))
            sorted[there++] = values[i];
    qsort(sorted, (size_t)there, sizeof *sorted, by_value);
    return there == 0 ? NAN : (sorted[(there - 1) / 2] + sorted[there / 2]) / 2;
}

/* How fast t is beside ours: the median of the rounds' ratios. */
static double beside(const timing *t, const timing *ours, int rounds)
{
    double ratio[MOST_ROUNDS];
    for (int i = 0; i < rounds; i++)
        ratio[i] = t->share[i] / ours->share[i];
    return median(ratio, rounds);
}

/* Fills t[0 .. count - 1]. */
static void take_turns(timing *t, int count, int rounds, runner run, void *subject)
{
    for (int which = 0; which < count; which++) {
        t[which].moved = 0;
        run(subject, which); /* touches the memory */
    }
    double before = machine_peak();
    for (int i = 0; i < rounds * count; i++) {
        timing *to = &t[i % count];
        double *rate = &to->rate[i / count], *share = &to->share[i / count];
        *rate = *share = NAN;
        for (int tries = 0; tries < TRIES && isnan(*rate); tries++) {
            const double seconds = seconds_of(run, subject, i % count), after = machine_peak();
            if (fmax(before, after) <= 1.05 * fmin(before, after)) {
                *rate = 1 / seconds;
                *share = *rate / ((before + after) / 2);
            } else {
                to->moved++;
            }
            before = after;
        }
    }
}

/* --- The rows -------------------------------------------------------------------------------- */

typedef struct convolution {
    job *job;
    int pass;
} convolution;

static void run_candidate(void *subject, int which)
{
    const convolution *c = subject;
    candidate[which].run[c->pass](c->job);
}

static void print_row(FILE *json, const char *name, const timing *t, int count, int rounds,
                      double gflop)
{
    printf("%-36s", name);
    fprintf(json, "{\"row\":\"%s\",\"rounds\":%d,\"gflop\":%.6f,\"candidates\":{", name, rounds,
            gflop);
    for (int i = 0; i < count; i++) {
        const double rate = gflop * median(t[i].rate, rounds);
        const double share = gflop * median(t[i].share, rounds), ratio = beside(&t[i], t, rounds);
        if (isnan(ratio)) {
            printf("  (peak not still)  ");
            continue;
        }
        printf(" %8.1f  %.2f %.3f", rate, share, ratio);
        fprintf(json, "%s\"%s\":{\"gflops\":%.2f,\"share\":%.4f,\"beside_ours\":%.4f,"
                "\"moved\":%d}", i == 0 ? "" : ",", candidate[i].key, rate, share, ratio,
                t[i].moved);
    }
    printf("\n");
    fprintf(json, "}}\n");
    fflush(stdout);
}

static void bench_conv(FILE *json, int rounds, size_t N, size_t C, size_t K)
{
    static const char *const pass[] = {"forward", "weight gradient"};
    const int count = blas_here() ? CANDIDATES : OF_BLAS;
    job j = create(N, C, C, K);
    for (int p = 0; p < 2; p++) {
        char name[64];
        timing t[CANDIDATES];
        if (blas_here())
            blas_prepare(&j.blas);
        for (int which = 1; which < count; which++)
            check(&j, which, p);
        snprintf(name, sizeof name, "%zux%zu %zu channels N=%zu %s", K, K, C, N, pass[p]);
        take_turns(t, count, rounds, run_candidate, &(convolution){&j, p});
        print_row(json, name, t, count, rounds, 2e-9 * BOARD * BOARD * (double)(N * C * C * K * K));
    }
    destroy(&j);
}

/* --- Whole steps ----------------------------------------------------------------------------- */

typedef struct steps {
    gn_session *session[2]; /* the fast table's, the freed one's */
    float *planes, *policy, *value;
} steps;

static void run_step(void *subject, int which)
{
    const steps *s = subject;
    gn_step_result result;
    gn_err err;
    if (gn_session_step(s->session[which], s->planes, s->policy, s->value, 1e-4, &result, &err) !=
        GN_OK) {
        fprintf(stderr, "bench_exactness: %s\n", err.text);
        exit(3);
    }
}

static void bench_step(FILE *json, int rounds, int blocks, int channels, size_t batch,
                       gn_conv conv)
{
    enum { CELLS = BOARD * BOARD };
    gn_net_config c = gn_net_default();
    c.num_blocks = blocks;
    c.channels = channels;
    c.conv = conv;
    gn_net net;
    gn_err err;
    steps s = {.planes = filled(batch * CELLS * GN_PLANES, 8), .value = filled(batch, 9),
               .policy = calloc(batch * CELLS, sizeof(float))};
    if (s.policy == NULL || gn_net_create(&net, &c, &err) != GN_OK)
        abort();
    for (size_t n = 0; n < batch; n++)
        s.policy[n * CELLS + n % CELLS] = 1;
    for (int i = 0; i < 2; i++) {
        gn_session_config config = gn_session_default();
        config.batch = batch;
        config.policy = "none";
        config.table = i == 0 ? gn_table_fast() : &gn_table_free;
        if (gn_session_create(&s.session[i], &net, &config, &err) != GN_OK)
            abort();
    }
    timing t[2];
    char name[64];
    take_turns(t, 2, rounds, run_step, &s);
    snprintf(name, sizeof name, "step %dx%d %s batch %zu", blocks, channels, gn_conv_name(conv),
             batch);
    const double ours = (double)batch * median(t[0].rate, rounds);
    const double freed = (double)batch * median(t[1].rate, rounds);
    const double ratio = beside(&t[1], t, rounds);
    if (isnan(ratio))
        printf("%-36s   (peak not still)\n", name);
    else
        printf("%-36s %8.1f       %8.1f       %.3f\n", name, ours, freed, ratio);
    if (!isnan(ratio))
        fprintf(json, "{\"row\":\"%s\",\"positions_per_second\":[%.2f,%.2f],"
                "\"freed_beside_ours\":%.4f}\n", name, ours, freed, ratio);
    for (int i = 0; i < 2; i++)
        gn_session_destroy(s.session[i]);
    gn_net_destroy(&net);
    free(s.planes);
    free(s.policy);
    free(s.value);
}

int main(int argc, char **argv)
{
    const int rounds = argc > 2 ? atoi(argv[2]) : 7;
    FILE *json = argc > 1 && rounds > 0 && rounds <= MOST_ROUNDS ? fopen(argv[1], "w") : NULL;
    if (json == NULL) {
        fprintf(stderr, "usage: bench_exactness JSON [ROUNDS]; up to %d rounds\n", MOST_ROUNDS);
        return 2;
    }
    printf("%d threads, table %s, BLAS: %s\n", omp_get_max_threads(), gn_table_fast()->name,
           blas_here() ? blas_name() : "not there (Debian: libopenblas-dev)");
    printf("GFLOP/s, share of the peak, and that beside ours\n%-36s", "");
    for (int i = 0; i < (blas_here() ? CANDIDATES : OF_BLAS); i++)
        printf(" %19s", candidate[i].name);
    printf("\n");
    bench_conv(json, rounds, 32, 64, 3);
    bench_conv(json, rounds, 32, 192, 3);
    bench_conv(json, rounds, 32, 192, 1);
    printf("\n%-36s %8s       %8s       freed/ours\n", "positions a second", "ours", "freed");
    bench_step(json, rounds, 6, 64, 32, GN_DENSE);
    bench_step(json, rounds, 6, 64, 32, GN_SEPARABLE);
    return fclose(json) == 0 ? 0 : 3;
}
