/* What holds of every plain op: the same bits for any thread count, in place, recomputed, with
 * gradients added or unwanted; float close to double; double gradients equal to finite
 * differences; sums over a batch equal to the tree over its shards.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "support/check.h"
#include "support/op_cases.h"

#define S(rank, ...) {{__VA_ARGS__}, rank}

static size_t bytes_of(const op_run *r, gn_tensor t)
{
    return t.data == NULL ? 0 : gn_shape_count(t.shape) * r->table->elem;
}

/* Outputs and gradients of two runs, compared as bytes; tensors that one lacks are passed over. */
static void same_run(const char *what, const op_run *a, const op_run *b)
{
    const gn_call *p = &a->call, *q = &b->call;
    for (int j = 0; j < p->nout + p->nin; j++) {
        const bool out = j < p->nout;
        const gn_tensor s = out ? p->out[j] : p->din[j - p->nout];
        const gn_tensor t = out ? q->out[j] : q->din[j - p->nout];
        if (s.data != NULL && t.data != NULL)
            cr_assert(memcmp(s.data, t.data, bytes_of(a, s)) == 0,
                      "%s, table %s, %s: %s %d differs", p->op->name, a->table->name, what,
                      out ? "output" : "gradient", out ? j : j - p->nout);
    }
}

static const gn_table *const tables[] = {&gn_plain, &gn_double};

/* Gives `body` a finished run of one thread, for each table and case. */
static void for_each_run(void (*body)(const op_run *a, const op_case *k))
{
    for (int t = 0; t < 2; t++)
        for (const op_case *k = op_cases; k < op_cases + op_case_count; k++) {
            op_run a = op_open_case(tables[t], k);
            op_forward(&a);
            op_backward(&a);
            body(&a, k);
            op_close(&a);
        }
}

/* --- The same bits -------------------------------------------------------------------------- */

static void with_threads(const op_run *a, const op_case *k)
{
    static const int teams[] = {2, 3, 8};
    for (int i = 0; i < 3; i++) {
        op_run b = op_open_case(a->table, k);
        b.call.threads = teams[i];
        op_forward(&b);
        op_backward(&b);
        same_run("threads", a, &b);
        op_close(&b);
    }
}

Test(op_properties, any_thread_count)
{
    for_each_run(with_threads);
}

/* Large enough for threads to meet in a workspace that they should not share. */
Test(op_properties, any_thread_count_where_workspace_is_used)
{
    static const op_case large[] = {
        {"conv2d", 2, {S(4, 24, 9, 9, 33), S(4, 17, 33, 3, 3)}, -2, 2},
        {"depthwise_conv2d", 2, {S(4, 24, 15, 15, 65), S(4, 65, 1, 3, 3)}, -2, 2},
        {"batch_norm", 5, {S(4, 48, 15, 15, 65), S(1, 65), S(1, 65), S(1, 65), S(1, 65)}, -2, 4},
        {"global_avg_pool", 1, {S(4, 48, 15, 15, 65)}, -2, 2},
        {"linear", 3, {S(2, 133, 515), S(2, 67, 515), S(1, 67)}, -2, 2},
        {"channel_scale", 2, {S(4, 48, 15, 15, 65), S(2, 48, 65)}, -2, 2},
    };
    for (const op_case *k = large; k < large + sizeof large / sizeof *large; k++) {
        op_run a = op_open_case(&gn_plain, k);
        op_forward(&a);
        op_backward(&a);
        with_threads(&a, k);
        op_close(&a);
    }
}

/* Tables for the instruction sets that run here, elementwise ops with hardware fma included. */
Test(op_properties, fast_tables_have_the_bits_of_the_plain_one)
{
    static const char *const names[] = {"avx2", "avx512", "fast"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (const op_case *k = op_cases; k < op_cases + op_case_count; k++) {
            const gn_table *fast = gn_table_named(names[i]);
            if (fast == NULL)
                continue;
            op_run a = op_open_case(&gn_plain, k), b = op_open_case(fast, k);
            b.call.threads = 2;
            op_forward(&a);
            op_forward(&b);
            op_backward(&a);
            op_backward(&b);
            same_run(fast->name, &a, &b);
            op_close(&a);
            op_close(&b);
        }
}

/* Outputs come back bit for bit while the pinned ones stay what they are. */
static void recomputed(const op_run *a, const op_case *k)
{
    op_run b = op_open_case(a->table, k);
    op_forward(&b);
    for (int j = 0; j < b.call.nout; j++)
        if ((b.call.op->pinned & GN_OUT(j)) == 0)
            memset(b.call.out[j].data, 0xff, bytes_of(&b, b.call.out[j]));
    op_recompute(&b);
    op_backward(&b);
    same_run("recompute", a, &b);
    op_close(&b);
}

Test(op_properties, recompute)
{
    for_each_run(recomputed);
}

static void in_place(const op_run *a, const op_case *k)
{
    for (int i = 0; i < k->nin; i++) {
        if (a->row->forward_in_place & GN_IN(i)) {
            op_run b = op_open_case(a->table, k);
            b.call.out[0].data = b.call.in[i].data;
            op_forward(&b);
            memset(b.call.din, 0, sizeof b.call.din);
            same_run("forward in place", a, &b);
            op_close(&b);
        }
        if (a->row->backward_in_place & GN_IN(i)) {
            op_run b = op_open_case(a->table, k);
            op_forward(&b);
            b.call.din[i].data = b.call.dout.data;
            op_backward(&b);
            same_run("backward in place", a, &b);
            op_close(&b);
        }
    }
}

Test(op_properties, in_place)
{
    for_each_run(in_place);
}

static void one_gradient_alone(const op_run *a, const op_case *k)
{
    for (int i = 0; i < k->nin; i++) {
        if (a->call.din[i].data == NULL)
            continue;
        op_run b = op_open_case(a->table, k);
        for (int other = 0; other < k->nin; other++)
            if (other != i)
                b.call.din[other].data = NULL;
        op_forward(&b);
        op_backward(&b);
        same_run("one gradient alone", a, &b);
        op_close(&b);
    }
}

Test(op_properties, gradients_that_nobody_wants)
{
    for_each_run(one_gradient_alone);
}

/* old + new, rounded once, for the gradient whose bit is set; the others are stored. */
static void one_gradient_added(const op_run *a, const op_case *k, int i)
{
    op_run b = op_open_case(a->table, k), want = op_open_case(a->table, k);
    b.call.add = UINT32_C(1) << i;
    op_fill(&b, b.call.din[i], 20, -1, 1);
    op_forward(&want);
    op_backward(&want);
    for (size_t e = 0; e < gn_shape_count(b.call.din[i].shape); e++)
        if (a->table->elem == sizeof(float))
            ((float *)want.call.din[i].data)[e] += ((float *)b.call.din[i].data)[e];
        else
            ((double *)want.call.din[i].data)[e] += ((double *)b.call.din[i].data)[e];
    op_forward(&b);
    op_backward(&b);
    same_run("gradient added", &want, &b);
    op_close(&b);
    op_close(&want);
}

static void gradients_added(const op_run *a, const op_case *k)
{
    for (int i = 0; i < k->nin; i++)
        if (a->call.din[i].data != NULL)
            one_gradient_added(a, k, i);
}

Test(op_properties, gradients_add_where_the_bit_is_set)
{
    for_each_run(gradients_added);
}

/* --- Float against double ------------------------------------------------------------------- */

enum { ROOM = 4096 };

/* |float - double| within (terms + 4) * u * S.  For sums of products S is the same op on absolute
 * values; the others get S = 2, the size of what they work on. */
static void within_bound(const op_run *f, const op_run *d, const op_run *s, gn_tensor ft,
                         gn_tensor dt, gn_tensor st, const char *what)
{
    static double x[ROOM], y[ROOM], z[ROOM];
    if (ft.data == NULL)
        return;
    op_get(f, ft, x);
    op_get(d, dt, y);
    if (s != NULL)
        op_get(s, st, z);
    const double gamma = (double)(f->call.op->terms(&f->call) + 4) * 0x1p-24;
    for (size_t i = 0; i < gn_shape_count(ft.shape); i++)
        cr_assert(fabs(x[i] - y[i]) <= gamma * (s != NULL ? z[i] : 2),
                  "%s, %s[%zu]: float %.9g, double %.17g, bound %g", f->call.op->name, what, i,
                  x[i], y[i], gamma * (s != NULL ? z[i] : 2));
}

static op_run absolute_run(const op_case *k)
{
    op_run r = op_open_case(&gn_double, k);
    for (int i = 0; i < k->nin; i++)
        for (size_t e = 0; e < gn_shape_count(k->in[i]); e++)
            ((double *)r.call.in[i].data)[e] = fabs(((double *)r.call.in[i].data)[e]);
    for (size_t e = 0; e < gn_shape_count(r.call.dout.shape); e++)
        ((double *)r.call.dout.data)[e] = fabs(((double *)r.call.dout.data)[e]);
    op_forward(&r);
    op_backward(&r);
    return r;
}

Test(op_properties, float_is_close_to_double)
{
    static const char *const products[] = {"add", "conv2d", "depthwise_conv2d", "global_avg_pool",
                                           "linear", "channel_scale", "flatten"};
    for (const op_case *k = op_cases; k < op_cases + op_case_count; k++) {
        op_run f = op_open_case(&gn_plain, k), d = op_open_case(&gn_double, k), s = absolute_run(k);
        bool product = false;
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            product = product || strcmp(products[i], k->op) == 0;
        const op_run *bound = product ? &s : NULL;
        op_forward(&f);
        op_forward(&d);
        within_bound(&f, &d, bound, f.call.out[0], d.call.out[0], s.call.out[0], "output");
        op_backward(&f);
        op_backward(&d);
        for (int i = 0; i < k->nin; i++)
            within_bound(&f, &d, bound, f.call.din[i], d.call.din[i], s.call.din[i], "gradient");
        op_close(&f);
        op_close(&d);
        op_close(&s);
    }
}

/* --- Finite differences --------------------------------------------------------------------- */

/* The scalar whose gradient backward gives: sum of dout * output 0. */
static double scalar(op_run *r)
{
    op_forward(r);
    const double *dy = r->call.dout.data, *y = r->call.out[0].data;
    double sum = 0;
    for (size_t i = 0; i < gn_shape_count(r->call.dout.shape); i++)
        sum += dy[i] * y[i];
    return sum;
}

Test(op_properties, gradients_equal_finite_differences)
{
    const double step = 1e-5;
    for (const op_case *k = op_cases; k < op_cases + op_case_count; k++) {
        op_run r = op_open_case(&gn_double, k);
        op_forward(&r);
        op_backward(&r);
        for (int i = 0; i < k->nin; i++) {
            if (r.call.din[i].data == NULL)
                continue;
            double *x = r.call.in[i].data;
            const double *dx = r.call.din[i].data;
            for (size_t e = 0; e < gn_shape_count(k->in[i]); e++) {
                const double at = x[e];
                x[e] = at + step;
                const double up = scalar(&r);
                x[e] = at - step;
                const double slope = (up - scalar(&r)) / (2 * step);
                x[e] = at;
                cr_assert(fabs(slope - dx[e]) <= 1e-7 * fabs(dx[e]) + 1e-8,
                          "%s: gradient %d [%zu] is %.12g, differences say %.12g", k->op, i, e,
                          dx[e], slope);
            }
        }
        op_close(&r);
    }
}

/* --- Shards --------------------------------------------------------------------------------- */

/* Images first .. first + count of `whole` in a run of their own; weights are the whole's. */
static op_run shard_of(const op_run *whole, const op_case *k, size_t first, size_t count)
{
    gn_shape in[GN_MAX_IN];
    memcpy(in, k->in, sizeof in);
    const size_t batch = k->in[0].dim[0];
    in[0].dim[0] = count;
    if (strcmp(k->op, "channel_scale") == 0 || strcmp(k->op, "add") == 0)
        in[1].dim[0] = count;
    op_run r = op_open(whole->table, k->op, k->nin, in);
    for (int i = 0; i <= k->nin; i++) {
        const gn_tensor from = i < k->nin ? whole->call.in[i] : whole->call.dout;
        const gn_tensor to = i < k->nin ? r.call.in[i] : r.call.dout;
        const size_t image = bytes_of(whole, from) / batch;
        const bool rows = bytes_of(&r, to) != bytes_of(whole, from);
        memcpy(to.data, (const char *)from.data + (rows ? first * image : 0), bytes_of(&r, to));
    }
    op_forward(&r);
    op_backward(&r);
    return r;
}

/* Shards of 8 images, the last short: gradients of weights merge by the tree, rows are slices. */
static void sharded(op_case k, size_t batch)
{
    k.in[0].dim[0] = batch;
    op_run whole = op_open_case(&gn_plain, &k), shard[4];
    op_forward(&whole);
    op_backward(&whole);
    const size_t count = (batch + 7) / 8;
    for (size_t i = 0; i < count; i++) {
        shard[i] = shard_of(&whole, &k, 8 * i, batch - 8 * i < 8 ? batch - 8 * i : 8);
        const gn_tensor y = shard[i].call.out[0], dx = shard[i].call.din[0];
        const size_t width = gn_shape_count(y.shape) / y.shape.dim[0];
        const size_t across = gn_shape_count(dx.shape) / dx.shape.dim[0];
        same_bits("y", y.data, (float *)whole.call.out[0].data + 8 * i * width,
                  gn_shape_count(y.shape));
        same_bits("dx", dx.data, (float *)whole.call.din[0].data + 8 * i * across,
                  gn_shape_count(dx.shape));
    }
    for (int i = 1; i < k.nin; i++) {
        const size_t n = gn_shape_count(k.in[i]);
        for (size_t step = 1; step < count; step *= 2)
            for (size_t s = 0; s + step < count; s += 2 * step)
                for (size_t e = 0; e < n; e++)
                    ((float *)shard[s].call.din[i].data)[e] +=
                        ((float *)shard[s + step].call.din[i].data)[e];
        same_bits(k.op, shard[0].call.din[i].data, whole.call.din[i].data, n);
    }
    for (size_t i = 0; i < count; i++)
        op_close(&shard[i]);
    op_close(&whole);
}

Test(op_properties, shards_of_eight_images_are_nodes_of_the_tree)
{
    static const size_t batches[] = {16, 21, 24, 29, 32};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        for (const op_case *k = op_cases; k < op_cases + op_case_count; k++)
            if (strcmp(k->op, "conv2d") == 0 || strcmp(k->op, "depthwise_conv2d") == 0 ||
                strcmp(k->op, "linear") == 0)
                sharded(*k, batches[i]);
}

/* Two shards of batch_norm, 8 and 5 images: mean and m2 merge by Chan's rule, fma by fma. */
Test(op_properties, batch_statistics_merge_over_shards)
{
    op_case k = op_cases[5];
    cr_assert(strcmp(k.op, "batch_norm") == 0);
    k.in[0].dim[0] = 13;
    op_run whole = op_open_case(&gn_plain, &k);
    op_forward(&whole);
    op_run a = shard_of(&whole, &k, 0, 8), b = shard_of(&whole, &k, 8, 5);
    const size_t C = 5, squares = 15;
    for (size_t j = 0; j < C; j++) {
        float *mA = a.call.out[1].data, *qA = a.call.out[2].data;
        const float *mB = b.call.out[1].data, *qB = b.call.out[2].data;
        const float w = 5.0f / 13.0f, D = mB[j] - mA[j];
        mA[j] = gn_fmaf(D, w, mA[j]);
        qA[j] = gn_fmaf(D * D, (float)(8 * squares) * w, qA[j] + qB[j]);
    }
    same_bits("mean", a.call.out[1].data, whole.call.out[1].data, C);
    same_bits("m2", a.call.out[2].data, whole.call.out[2].data, C);
    op_close(&a);
    op_close(&b);
    op_close(&whole);
}
