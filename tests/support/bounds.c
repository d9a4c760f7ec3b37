/* Error bounds of single records; see bounds.h.  SPDX-License-Identifier: MIT */
#include "support/bounds.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "gomokunet/numeric.h"

/* Inputs and outputs by name: as the ops number them. */
enum { BN_X, BN_GAMMA, BN_BETA };
enum { BN_Y, BN_MEAN, BN_M2, BN_INV };
enum { SCE_LOSS, SCE_P };

/* --- Numbers -------------------------------------------------------------------------------- */

static size_t count_of(const gn_program *p, gn_value v)
{
    return gn_shape_count(gn_program_shape(p, v));
}

static double **make(const gn_program *p)
{
    const int values = gn_tape_values(gn_program_tape(p));
    double **all = calloc((size_t)values, sizeof *all);
    for (int v = 0; all != NULL && v < values; v++) {
        all[v] = malloc(count_of(p, v) * sizeof **all);
        cr_assert_not_null(all[v]);
        for (size_t i = 0; i < count_of(p, v); i++)
            all[v][i] = NAN;
    }
    cr_assert_not_null(all);
    return all;
}

numbers numbers_make(const gn_program *p)
{
    return (numbers){make(p), make(p)};
}

void numbers_free(numbers *n, const gn_program *p)
{
    for (int v = 0; v < gn_tape_values(gn_program_tape(p)); v++) {
        free(n->data[v]);
        free(n->grad[v]);
    }
    free(n->data);
    free(n->grad);
}

/* --- Running a record ----------------------------------------------------------------------- */

static const gn_record *record_of(const bounds *b, int record)
{
    return gn_tape_record_at(gn_program_tape(b->program), record);
}

static bool is(const gn_record *r, const char *op)
{
    return strcmp(r->op->name, op) == 0;
}

/* The record in double: forward from `from` into `to`; a recompute reads statistics in `from`. */
static void run_forward(const bounds *b, int record, gn_pass pass, numbers from, numbers to)
{
    const gn_record *r = record_of(b, record);
    void *data[BOUNDS_VALUES];
    const int values = gn_tape_values(gn_program_tape(b->program));
    cr_assert(values <= BOUNDS_VALUES);
    for (int v = 0; v < values; v++)
        data[v] = from.data[v];
    for (int j = 0; j < r->nout; j++)
        if (pass == GN_FORWARD || j == 0)
            data[r->out[j]] = to.data[r->out[j]];
    const gn_guard guard = gn_guard_enter(1);
    gn_program_run(b->program, record, pass, (gn_places){data, NULL}, b->work);
    gn_guard_leave(&guard);
}

/* Backward: values and the output's gradient `from`, the inputs' gradients into `to`. */
static void run_backward(const bounds *b, int record, numbers from, numbers to)
{
    const gn_record *r = record_of(b, record);
    void *data[BOUNDS_VALUES], *grad[BOUNDS_VALUES];
    const int values = gn_tape_values(gn_program_tape(b->program));
    cr_assert(values <= BOUNDS_VALUES);
    for (int v = 0; v < values; v++) {
        data[v] = from.data[v];
        grad[v] = v == r->out[0] ? from.grad[v] : to.grad[v];
    }
    for (int i = 0; i < r->nin; i++) /* contributions are added to what is there: nothing */
        memset(to.grad[r->in[i]], 0, count_of(b->program, r->in[i]) * sizeof(double));
    const gn_guard guard = gn_guard_enter(1);
    gn_program_run(b->program, record, GN_BACKWARD, (gn_places){data, grad}, b->work);
    gn_guard_leave(&guard);
}

static void magnitude(double *scale, const double *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scale[i] = fabs(want[i]);
}

/* --- Batch norm ----------------------------------------------------------------------------- */

/* What the bounds of one channel are made of. */
typedef struct channel {
    const double *x; /* elements stride apart */
    size_t count, stride;
    double mean, inv, gamma, beta;
} channel;

static channel channel_of(const bounds *b, const gn_record *r, size_t c)
{
    const size_t stride = count_of(b->program, r->in[BN_GAMMA]);
    return (channel){b->truth.data[r->in[BN_X]] + c, count_of(b->program, r->in[BN_X]) / stride,
                     stride, b->truth.data[r->out[BN_MEAN]][c], b->truth.data[r->out[BN_INV]][c],
                     b->truth.data[r->in[BN_GAMMA]][c], b->truth.data[r->in[BN_BETA]][c]};
}

/* mean: a sum over M squares, divided.  m2: a sum of d^2; d = x - mean is off by about
 * u (|x| + |mean|) and counts twice, so S = sum |d| (|x| + |mean|), which is at least m2.
 * inv = (m2/M + eps)^-1/2 has half of m2's relative error, and three roundings.
 * y, from given statistics, is x - mean, times gamma * inv, plus beta: three roundings, which
 * terms = 1 covers.  In inference mean is a copy and m2 is 0. */
static void bn_forward(const bounds *b, const gn_record *r, size_t c)
{
    const channel k = channel_of(b, r, c);
    const bool training = gn_program_training(b->program);
    const double mean = b->want.data[r->out[BN_MEAN]][c], inv = b->want.data[r->out[BN_INV]][c];
    double sum = 0, squares = 0;
    for (size_t i = 0; i < k.count; i++) {
        const double x = k.x[i * k.stride];
        sum += fabs(x);
        squares += fabs(x - mean) * (fabs(x) + fabs(mean));
        b->scale.data[r->out[BN_Y]][c + i * k.stride] =
            fabs(x - k.mean) * fabs(k.gamma) * k.inv + fabs(k.beta);
    }
    const double M = (double)k.count;
    b->scale.data[r->out[BN_MEAN]][c] = training ? sum / M : 0;
    b->scale.data[r->out[BN_M2]][c] = training ? squares : 0;
    b->scale.data[r->out[BN_INV]][c] = inv * (1 + (training ? 0.5 * squares / M * inv * inv : 0));
}

/* dbeta and dgamma are sums of products, the second times inv; dx = sc (dy - dbeta/M -
 * (x - mean) inv dgamma/M): S is the same with every term's absolute value. */
static void bn_backward(const bounds *b, const gn_record *r, size_t c)
{
    const channel k = channel_of(b, r, c);
    const double *dy = b->truth.grad[r->out[0]] + c, M = (double)k.count;
    double dbeta = 0, dgamma = 0;
    for (size_t i = 0; i < k.count; i++) {
        dbeta += fabs(dy[i * k.stride]);
        dgamma += fabs(dy[i * k.stride] * (k.x[i * k.stride] - k.mean)) * k.inv;
    }
    b->scale.grad[r->in[BN_BETA]][c] = dbeta;
    b->scale.grad[r->in[BN_GAMMA]][c] = dgamma;
    for (size_t i = 0; i < k.count; i++)
        b->scale.grad[r->in[BN_X]][c + i * k.stride] =
            fabs(k.gamma) * k.inv *
            (fabs(dy[i * k.stride]) + dbeta / M +
             fabs(k.x[i * k.stride] - k.mean) * k.inv * dgamma / M);
}

/* --- Softmax cross-entropy ------------------------------------------------------------------ */

/* With d = x - m rounded, exp(d) is off by (|d| + 1) u, their sum by the weighted mean of that and
 * one u a term; log p = d - log(sum) inherits both and rounds twice.  So p's S is
 * p (1 + |d| + mean |d|) and the loss's sum of t (1 + |d| + mean |d| + |log sum| + |log p|). */
static void sce_forward(const bounds *b, const gn_record *r)
{
    const gn_shape s = gn_program_shape(b->program, r->in[0]);
    const size_t cells = s.dim[1];
    double loss = 0, positions = 0;
    for (size_t n = 0; n < s.dim[0]; n++) {
        const double *x = b->truth.data[r->in[0]] + n * cells;
        const double *t = b->truth.data[r->in[1]] + n * cells;
        const double *p = b->want.data[r->out[SCE_P]] + n * cells;
        double m = x[0], mean = 0, total = 0;
        for (size_t i = 0; i < cells; i++)
            m = x[i] > m ? x[i] : m;
        for (size_t i = 0; i < cells; i++) {
            mean += p[i] * (m - x[i]);
            total += t[i];
        }
        positions += total > 0 ? 1 : 0;
        for (size_t i = 0; i < cells; i++) {
            const double d = m - x[i], logp = fabs(gn_log(p[i])), log_sum = fabs(logp - d);
            loss += t[i] * (1 + d + mean + log_sum + logp);
            b->scale.data[r->out[SCE_P]][n * cells + i] = p[i] * (1 + d + mean);
        }
    }
    b->scale.data[r->out[SCE_LOSS]][0] = positions > 0 ? loss / positions : 0;
}

/* (p T - t) / n * dloss, T = sum of t: a difference of two terms. */
static void sce_backward(const bounds *b, const gn_record *r)
{
    const gn_shape s = gn_program_shape(b->program, r->in[0]);
    const size_t cells = s.dim[1];
    const double *p = b->truth.data[r->out[SCE_P]], *t = b->truth.data[r->in[1]];
    double positions = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t n = 0; n < s.dim[0]; n++) {
            double total = 0;
            for (size_t i = 0; i < cells; i++)
                total += t[n * cells + i];
            positions += pass == 0 && total > 0 ? 1 : 0;
            for (size_t i = n * cells; pass == 1 && i < (n + 1) * cells; i++)
                b->scale.grad[r->in[0]][i] = (p[i] * total + t[i]) / positions *
                                             fabs(b->truth.grad[r->out[0]][0]);
        }
}

/* --- All ops -------------------------------------------------------------------------------- */

double bounds_terms(const bounds *b, int record, gn_pass pass, int j)
{
    const gn_record *r = record_of(b, record);
    gn_call call = {.op = r->op, .nin = r->nin, .nout = r->nout, .pass = pass,
                    .training = gn_program_training(b->program)};
    for (int i = 0; i < r->nin; i++)
        call.in[i].shape = gn_program_shape(b->program, r->in[i]);
    if (is(r, "batch_norm") && pass == GN_FORWARD && j == BN_Y)
        return 1 + 4;
    return (double)r->op->terms(&call) + 4;
}

void bounds_forward(const bounds *b, int record)
{
    const gn_record *r = record_of(b, record);
    const size_t count = count_of(b->program, r->out[0]);
    run_forward(b, record, GN_FORWARD, b->truth, b->want);
    if (is(r, "batch_norm")) {
        run_forward(b, record, GN_RECOMPUTE, b->truth, b->want);
        for (size_t c = 0; c < count_of(b->program, r->in[BN_GAMMA]); c++)
            bn_forward(b, r, c);
    } else if (is(r, "softmax_cross_entropy")) {
        sce_forward(b, r);
    } else if (is(r, "relu") || is(r, "flatten")) { /* exact */
        memset(b->scale.data[r->out[0]], 0, count * sizeof(double));
    } else if (is(r, "sigmoid") || is(r, "tanh") || is(r, "mean_squared_error")) {
        /* A few roundings of numbers that do not cancel: relative to the result. */
        magnitude(b->scale.data[r->out[0]], b->want.data[r->out[0]], count);
    } else {
        run_forward(b, record, GN_FORWARD, b->absolute, b->scale);
    }
}

void bounds_backward(const bounds *b, int record)
{
    const gn_record *r = record_of(b, record);
    run_backward(b, record, b->truth, b->want);
    if (is(r, "batch_norm")) {
        for (size_t c = 0; c < count_of(b->program, r->in[BN_GAMMA]); c++)
            bn_backward(b, r, c);
    } else if (is(r, "softmax_cross_entropy")) {
        sce_backward(b, r);
    } else if (is(r, "relu") || is(r, "flatten")) { /* exact */
        memset(b->scale.grad[r->in[0]], 0, count_of(b->program, r->in[0]) * sizeof(double));
    } else if (is(r, "mean_squared_error")) { /* as it stands: v - z is rounded once */
        magnitude(b->scale.grad[r->in[0]], b->want.grad[r->in[0]],
                  count_of(b->program, r->in[0]));
    } else {
        run_backward(b, record, b->absolute, b->scale);
    }
}
