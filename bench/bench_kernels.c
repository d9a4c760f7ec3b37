/* How fast the table's kernels are: GFLOP/s beside the machine's peak of fused multiply-adds, or
 * GB/s for ops that only pass over memory.
 *
 * Usage: bench_kernels [TABLE] [THREADS [peak|bandwidth]]; then only that, in GFLOP/s or in GB/s.
 * The peak is measured just before and just after each row, because shared machines swing; a row
 * where the two differ by over 5 % is marked.  With one thread all times are processor time, so
 * that others on the machine do not count.
 * SPDX-License-Identifier: MIT */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "gomokunet/op.h"
#include "machine.h"

/* --- Running a row ------------------------------------------------------------------------- */

static void *filled(gn_shape shape, uint64_t stream)
{
    const size_t count = gn_shape_count(shape);
    float *data = aligned_alloc(64, (count * sizeof *data + 63) / 64 * 64);
    if (data == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        data[i] = gn_random_symmetric(1, stream, i);
    return data;
}

static const gn_table *table;

/* A call of `op` with all tensors there: inputs as given, the rest by the op's shape rule. */
static gn_call *prepare(const char *op, int nin, const gn_shape *in)
{
    gn_call *c = calloc(1, sizeof *c);
    const gn_row *row = gn_table_find(table, op);
    gn_err err;
    if (c == NULL || row == NULL)
        abort();
    c->op = row->op;
    c->attr.eps = 1e-5;
    c->nin = nin;
    c->nout = row->op->nout;
    c->training = true;
    c->threads = omp_get_max_threads();
    for (int i = 0; i < nin; i++) {
        c->in[i] = (gn_tensor){filled(in[i], (uint64_t)i), in[i]};
        c->din[i] = (gn_tensor){filled(in[i], (uint64_t)(10 + i)), in[i]};
    }
    if (row->op->shape(c, &err) != GN_OK)
        abort();
    for (int j = 0; j < c->nout; j++)
        c->out[j].data = filled(c->out[j].shape, (uint64_t)(20 + j));
    c->dout = (gn_tensor){filled(c->out[0].shape, 30), c->out[0].shape};
    size_t bytes = 0;
    for (int pass = GN_FORWARD; row->work != NULL && pass <= GN_BACKWARD; pass++) {
        c->pass = (gn_pass)pass;
        bytes = row->work(c) > bytes ? row->work(c) : bytes;
    }
    c->work = aligned_alloc(64, (bytes + 127) / 64 * 64);
    return c;
}

static void discard(gn_call *c)
{
    for (int i = 0; i < c->nin; i++) {
        free(c->in[i].data);
        free(c->din[i].data);
    }
    for (int j = 0; j < c->nout; j++)
        free(c->out[j].data);
    free(c->dout.data);
    free(c->work);
    free(c);
}

static void once(const gn_call *c)
{
    const gn_row *row = gn_table_find(table, c->op->name);
    if (c->pass == GN_BACKWARD)
        row->backward(c);
    else
        row->forward(c);
}

/* Seconds of the fastest of several runs that take half a second together. */
static double fastest(const gn_call *c)
{
    double best = 1e9, total = 0;
    once(c);
    for (int runs = 0; runs < 3 || total < 0.5; runs++) {
        const double start = machine_now();
        once(c);
        const double seconds = machine_now() - start;
        best = seconds < best ? seconds : best;
        total += seconds;
    }
    return best;
}

static void report(const char *what, const gn_call *c, double flops)
{
    const double before = machine_peak(), seconds = fastest(c), after = machine_peak();
    const double top = before > after ? before : after, rate = 1e-9 * flops / seconds;
    printf("%-42s %9.3f ms %7.1f GFLOP/s  %.2f of %.1f%s\n", what, 1e3 * seconds, rate, rate / top,
           top, before > 1.05 * after || after > 1.05 * before ? "  (unsteady)" : "");
    fflush(stdout);
}

/* Forward and the gradient of each input by itself. */
static void report_product(const char *name, gn_call *c, double flops)
{
    char what[128];
    void *dx = c->din[0].data, *dw = c->din[1].data;
    c->pass = GN_FORWARD;
    snprintf(what, sizeof what, "%s forward", name);
    report(what, c, flops);
    c->pass = GN_BACKWARD;
    c->din[1].data = NULL;
    snprintf(what, sizeof what, "%s input gradient", name);
    report(what, c, flops);
    c->din[1].data = dw;
    c->din[0].data = NULL;
    snprintf(what, sizeof what, "%s weight gradient", name);
    report(what, c, flops);
    c->din[0].data = dx;
}

static void bench_conv(size_t N, size_t C, size_t O, size_t K)
{
    char name[64];
    const gn_shape in[2] = {gn_shape_of(4, N, 15, 15, C), gn_shape_of(4, O, C, K, K)};
    gn_call *c = prepare("conv2d", 2, in);
    snprintf(name, sizeof name, "conv %zux%zu %zu->%zu N=%zu", K, K, C, O, N);
    report_product(name, c, 2.0 * 225 * (double)(N * C * O * K * K));
    discard(c);
}

static void bench_linear(size_t N, size_t K, size_t O)
{
    char name[64];
    const gn_shape in[3] = {gn_shape_of(2, N, K, 0, 0), gn_shape_of(2, O, K, 0, 0),
                            gn_shape_of(1, O, 0, 0, 0)};
    gn_call *c = prepare("linear", 3, in);
    snprintf(name, sizeof name, "linear %zu->%zu N=%zu", K, O, N);
    report_product(name, c, 2.0 * (double)(N * K * O));
    discard(c);
}

/* Bytes of all tensors of a pass: an op that reads and writes each once takes that many. */
static double traffic(const gn_call *c)
{
    double count = 0;
    for (int i = 0; i < c->nin; i++)
        if (c->pass == GN_BACKWARD)
            count += (double)gn_shape_count(c->din[i].shape) +
                     ((c->op->reads & GN_IN(i)) != 0 ? (double)gn_shape_count(c->in[i].shape) : 0);
        else
            count += (double)gn_shape_count(c->in[i].shape);
    for (int j = 0; j < c->nout; j++)
        if (c->pass != GN_BACKWARD || (c->op->reads & GN_OUT(j)) != 0)
            count += (double)gn_shape_count(c->out[j].shape);
    if (c->pass == GN_BACKWARD)
        count += (double)gn_shape_count(c->dout.shape);
    return count * sizeof(float);
}

static void bench_memory(const char *op, int nin, const gn_shape *in)
{
    gn_call *c = prepare(op, nin, in);
    static const char *const pass[] = {"forward", "recompute", "backward"};
    for (int i = GN_FORWARD; i <= GN_BACKWARD; i += 2) {
        c->pass = (gn_pass)i;
        const double seconds = fastest(c);
        printf("%-26s %-15s %9.3f ms %7.1f GB/s\n", op, pass[i], 1e3 * seconds,
               1e-9 * traffic(c) / seconds);
    }
    fflush(stdout);
    discard(c);
}

/* Maps of N = 128 at 192 channels: 22 MB each. */
static void bench_maps(void)
{
    const gn_shape map = gn_shape_of(4, 128, 15, 15, 192), row = gn_shape_of(2, 128, 192, 0, 0);
    const gn_shape c = gn_shape_of(1, 192, 0, 0, 0), tap = gn_shape_of(4, 192, 1, 3, 3);
    bench_memory("relu", 1, (gn_shape[]){map});
    bench_memory("add", 2, (gn_shape[]){map, map});
    bench_memory("channel_scale", 2, (gn_shape[]){map, row});
    bench_memory("global_avg_pool", 1, (gn_shape[]){map});
    bench_memory("batch_norm", 5, (gn_shape[]){map, c, c, c, c});
    bench_memory("depthwise_conv2d", 2, (gn_shape[]){map, tap});
    bench_memory("flatten", 1, (gn_shape[]){gn_shape_of(4, 256, 15, 15, 32)});
    bench_memory("sigmoid", 1, (gn_shape[]){row});
    bench_memory("tanh", 1, (gn_shape[]){row});
    bench_memory("softmax_cross_entropy", 2,
                 (gn_shape[]){gn_shape_of(2, 256, 225, 0, 0), gn_shape_of(2, 256, 225, 0, 0)});
}

int main(int argc, char **argv)
{
    table = gn_table_named(argc > 1 ? argv[1] : "fast");
    if (table == NULL) {
        fprintf(stderr, "bench_kernels: no table %s here\n", argv[1]);
        return 2;
    }
    if (argc > 2)
        omp_set_num_threads(atoi(argv[2]));
    if (argc > 3 && strcmp(argv[3], "peak") == 0) {
        printf("%.1f\n", machine_peak());
        return 0;
    }
    if (argc > 3 && strcmp(argv[3], "bandwidth") == 0) {
        printf("%.1f\n", machine_bandwidth());
        return 0;
    }
    printf("table %s, %d threads\n", table->name, omp_get_max_threads());
    bench_conv(32, 64, 64, 3);
    bench_conv(32, 192, 192, 3);
    bench_conv(1, 192, 192, 3);
    bench_conv(32, 192, 192, 1);
    bench_linear(1, 7200, 225);
    bench_linear(64, 7200, 225);
    bench_linear(256, 7200, 225);
    bench_linear(1024, 3600, 256);
    bench_linear(256, 64, 4);
    bench_linear(256, 4, 64);
    bench_maps();
    return 0;
}
