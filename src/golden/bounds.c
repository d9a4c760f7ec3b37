/* Error bounds of single ops, from their own recorded inputs, in units of u = 2^-24.
 *
 * An implementation may use another exp or tanh than ours, a few units off, and any order of its
 * sums.  What the bounds do not allow is another formula.
 * SPDX-License-Identifier: MIT */
#include "golden/bounds.h"
#include "golden/gates.h"

#include <stdlib.h>
#include <string.h>

#include "golden/precision.h"
#include "golden/terms.h"
#include "gomokunet/numeric.h"

static const double u = 0x1p-24, tiny = 0x1p-149, smallest_normal = 0x1p-126;

bool gn_is(const gn_record *r, const char *op) { return strcmp(r->op->name, op) == 0; }

/* Every element relative to itself. */
static void relative(double *bound, const double *want, size_t count, double units, double floor)
{
    for (size_t i = 0; i < count; i++)
        bound[i] = units * u * size_of(want[i]) + floor;
}

/* y = (x - mean) * sc + beta from given statistics.  Some ports fold the mean into the bias, x * sc
 * + (beta - mean * sc): both are rounding. */
static void batch_norm_forward(double *bound, const gn_call *c)
{
    const double *x = c->in[0].data, *gamma = c->in[1].data, *beta = c->in[2].data;
    const double *mean = c->out[1].data, *inv = c->out[3].data;
    const size_t C = c->in[1].shape.dim[0], count = gn_shape_count(c->in[0].shape);
    for (size_t i = 0; i < count; i++) {
        const size_t j = i % C;
        const double sc = size_of(gamma[j] * inv[j]);
        bound[i] = 4 * u * (sc * (size_of(x[i]) + size_of(mean[j])) + size_of(beta[j])) + tiny;
    }
}

/* What the orders of a float32 sum are off at most, and one unit more. */
static double sum_error(const gn_sum *sum, size_t element, double *a, double *b, size_t count)
{
    double want = 0, squares = 0, worst = 0;
    gn_terms_gather(sum, element, a, b);
    for (size_t i = 0; i < count; i++) {
        want += a[i] * b[i];
        squares += a[i] * b[i] * a[i] * b[i];
    }
    for (int o = 0; o < GN_ORDERS; o++) {
        const double error = size_of(gn_order_sum(o, a, b, count) - want);
        worst = error > worst ? error : worst;
    }
    return 12 * (worst + u * __builtin_sqrt(squares));
}

double gn_bound_mean(const gn_call *c, size_t channel)
{
    const gn_sum mean = {c, 1};
    const size_t terms = gn_terms_count(&mean);
    double *a = malloc(2 * terms * sizeof *a);
    const double error = a == NULL ? -1 : sum_error(&mean, channel, a, a + terms, terms);
    free(a);
    return error;
}

/* dx = sc (dy - k1 - xh k2), k1 and k2 being sums over the channel that have errors of their own. */
static bool batch_norm_backward(double *bound, const gn_call *c)
{
    const size_t C = c->in[1].shape.dim[0], count = gn_shape_count(c->in[0].shape), M = count / C;
    const double *x = c->in[0].data, *gamma = c->in[1].data, *dy = c->dout.data;
    const double *mean = c->out[1].data, *inv = c->out[3].data;
    double *a = malloc(2 * M * sizeof *a), *b = a + M;
    if (a == NULL)
        return false;
    for (size_t j = 0; j < C; j++) {
        double s1 = 0, s2 = 0;
        const gn_sum dgamma = {c, 1}, dbeta = {c, 2};
        const double e1 = sum_error(&dbeta, j, a, b, M) / (double)M;
        const double e2 = sum_error(&dgamma, j, a, b, M) / (double)M;
        for (size_t i = j; i < count; i += C) {
            s1 += dy[i];
            s2 += dy[i] * (x[i] - mean[j]) * inv[j];
        }
        const double sc = size_of(gamma[j] * inv[j]);
        const double k1 = size_of(s1 / (double)M), k2 = size_of(s2 / (double)M);
        for (size_t i = j; i < count; i += C) {
            const double xh = (size_of(x[i]) + size_of(mean[j])) * inv[j];
            bound[i] = sc * (e1 + xh * e2 + 8 * u * (size_of(dy[i]) + k1 + xh * k2)) + tiny;
        }
    }
    free(a);
    return true;
}

/* With d = x - m rounded, exp(d) is off by (|d| + 4) u, their sum by the weighted mean of that and
 * a unit a term; log p inherits both.  So p's S is p (4 + |d| + mean |d|), and the loss's
 * sum of t (4 + |d| + mean |d| + |log sum| + |log p|).  `each`: gradients, else the loss. */
static void cross_entropy(double *bound, const gn_call *c, bool each)
{
    const gn_shape s = c->in[0].shape;
    const size_t cells = s.dim[1];
    double loss = 0, positions = 0;
    for (size_t n = 0; n < s.dim[0]; n++) {
        const double *x = (const double *)c->in[0].data + n * cells;
        const double *t = (const double *)c->in[1].data + n * cells;
        const double *p = (const double *)c->out[1].data + n * cells;
        double m = x[0], mean = 0, total = 0;
        for (size_t i = 0; i < cells; i++)
            m = x[i] > m ? x[i] : m;
        for (size_t i = 0; i < cells; i++) {
            mean += p[i] * (m - x[i]);
            total += t[i];
        }
        positions += total > 0 ? 1 : 0;
        for (size_t i = 0; i < cells; i++) {
            const double d = m - x[i], log_sum = size_of(gn_log(p[i]) + d);
            loss += t[i] * (4 + d + mean + log_sum + size_of(d + log_sum));
            if (each)
                bound[n * cells + i] = u * (p[i] * size_of(total) * (4 + d + mean) * 8 +
                                            4 * size_of(t[i]));
        }
    }
    for (size_t i = 0; each && positions > 0 && i < s.dim[0] * cells; i++)
        bound[i] = bound[i] / positions + tiny;
    if (!each)
        bound[0] = positions > 0 ? 8 * u * loss / positions : 0;
}

/* One rounding; and the recorded inputs may be roundings of what a wider or fused computation
 * added, a unit each. */
static void add_forward(double *bound, const gn_call *c)
{
    const double *a = c->in[0].data, *b = c->in[1].data, *y = c->out[0].data;
    for (size_t i = 0, n = gn_shape_count(c->out[0].shape); i < n; i++)
        bound[i] = 1.001 * u * (size_of(y[i]) + size_of(a[i]) + size_of(b[i])) + tiny;
}

static bool is(const gn_call *c, const char *op) { return strcmp(c->op->name, op) == 0; }

void gn_bound_output(double *bound, const gn_call *c)
{
    const size_t count = gn_shape_count(c->out[0].shape);
    if (is(c, "batch_norm"))
        batch_norm_forward(bound, c);
    else if (is(c, "softmax_cross_entropy"))
        cross_entropy(bound, c, false);
    else if (is(c, "sigmoid")) /* 1/(1+exp(-x)) gives 0 where the truth is denormal */
        relative(bound, c->out[0].data, count, 4, smallest_normal);
    else if (is(c, "tanh"))
        relative(bound, c->out[0].data, count, 4, tiny);
    else if (is(c, "mean_squared_error"))
        relative(bound, c->out[0].data, count, 8, tiny);
    else if (is(c, "channel_scale"))
        relative(bound, c->out[0].data, count, 3.001, tiny);
    else if (is(c, "add"))
        add_forward(bound, c);
    else /* relu, flatten: exact */
        relative(bound, c->out[0].data, count, 0, 0);
}

void gn_bound_forward(double *bound, const gn_replay *replay, int record)
{
    const gn_call c = gn_replay_call(replay, record, GN_FORWARD);
    gn_bound_output(bound, &c);
}

/* dx = dy (1 - y^2): the difference is rounded twice. */
static void tanh_backward(double *bound, const gn_call *c)
{
    const double *y = c->out[0].data, *dy = c->dout.data;
    for (size_t i = 0, n = gn_shape_count(c->out[0].shape); i < n; i++)
        bound[i] = 4 * u * size_of(dy[i]) * (y[i] * y[i] + size_of(1 - y[i] * y[i])) + tiny;
}

/* dx = dy (1 - s) s: 1 - s of a recorded s, which was wider where it was made. */
static void sigmoid_backward(double *bound, const gn_call *c)
{
    const double *s = c->out[0].data, *dy = c->dout.data;
    for (size_t i = 0, n = gn_shape_count(c->out[0].shape); i < n; i++)
        bound[i] = u * size_of(dy[i]) * s[i] * (4 * size_of(1 - s[i]) + 2 * s[i]) + tiny;
}

bool gn_bound_gradient(double *bound, const gn_call *c, int input, const double *want)
{
    const size_t count = gn_shape_count(c->in[input].shape);
    if (is(c, "batch_norm"))
        return batch_norm_backward(bound, c);
    if (is(c, "softmax_cross_entropy"))
        cross_entropy(bound, c, true);
    else if (is(c, "tanh"))
        tanh_backward(bound, c);
    else if (is(c, "sigmoid"))
        sigmoid_backward(bound, c);
    else if (is(c, "mean_squared_error"))
        relative(bound, want, count, 4, tiny);
    else if (is(c, "channel_scale") || is(c, "global_avg_pool"))
        relative(bound, want, count, 3.001, tiny);
    else /* relu, flatten, add: copies */
        relative(bound, want, count, 0, 0);
    return true;
}

bool gn_bound_backward(double *bound, const gn_replay *replay, int record)
{
    const gn_record *r = gn_tape_record_at(replay->net->tape, record);
    const gn_call c = gn_replay_call(replay, record, GN_BACKWARD);
    return gn_bound_gradient(bound, &c, 0, replay->grad[GN_LANE_TRUTH][r->in[0]]);
}
