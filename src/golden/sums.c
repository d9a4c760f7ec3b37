/* One tensor as a sum, and as a function of rounded inputs; see sums.h.
 * SPDX-License-Identifier: MIT */
#include "golden/sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"
#include "gomokunet/numeric.h"

size_t gn_sums_part(const gn_sums *s, int part)
{
    const gn_sum one = {&s->call[part], s->index[part]};
    return s->unit[part] ? 1 : gn_terms_count(&one);
}

size_t gn_sums_inner(const gn_sums *s, int part)
{
    const gn_sum one = {&s->call[part], s->index[part]};
    return s->unit[part] ? 1 : gn_terms_inner(&one);
}

size_t gn_sums_terms(const gn_sums *s)
{
    size_t terms = 0;
    for (int i = 0; i < s->count; i++)
        terms += gn_sums_part(s, i);
    return terms;
}

/* Element of a map [N,H,W,C] in the flattened copy [N, C*H*W]. */
static size_t flattened(gn_shape map, size_t e)
{
    const size_t HW = map.dim[1] * map.dim[2], C = map.dim[3];
    return (e / (HW * C) * C + e % C) * HW + e / C % HW;
}

void gn_sums_gather(const void *user, size_t e, double *a, double *b)
{
    const gn_sums *s = user;
    for (int i = 0; i < s->count; i++) {
        const gn_sum one = {&s->call[i], s->index[i]};
        const size_t terms = gn_sums_part(s, i);
        if (s->unit[i]) {
            a[0] = ((const double *)s->call[i].dout.data)[e];
            b[0] = 1;
        } else {
            gn_terms_gather(&one, s->flat[i] ? flattened(s->map, e) : e, a, b);
        }
        a += terms;
        b += terms;
    }
}

/* --- Running a call on rounded inputs --------------------------------------------------------- */

/* Memory of one rerun, freed together. */
typedef struct scratch {
    void *block[GN_MAX_IN + GN_MAX_OUT + 4];
    int count;
    bool failed;
} scratch;

static void *take(scratch *s, size_t bytes)
{
    void *p = gn_aligned_zeros(bytes + 1);
    s->failed = s->failed || p == NULL;
    if (p != NULL)
        s->block[s->count++] = p;
    return p;
}

static void drop(scratch *s)
{
    while (s->count > 0)
        free(s->block[--s->count]);
}

/* A rounded copy in the tensor's place. */
static void round_tensor(scratch *s, gn_tensor *t, gn_precision p, bool wanted)
{
    const size_t count = gn_shape_count(t->shape);
    if (!wanted || t->data == NULL)
        return;
    const double *from = t->data;
    double *to = take(s, count * sizeof *to);
    for (size_t i = 0; i < count && to != NULL; i++)
        to[i] = gn_precision_round(p, from[i]);
    t->data = to;
}

/* Parameters and targets; the second input of these two ops is an activation. */
static bool second_factor(const gn_call *c, int input)
{
    return input > 0 && strcmp(c->op->name, "add") != 0 &&
           strcmp(c->op->name, "channel_scale") != 0;
}

/* Backward reads outputs too: 0 is an activation, the others are statistics, used as recorded. */
static void round_call(scratch *s, gn_call *c, const gn_rounding *r)
{
    for (int i = 0; i < c->nin; i++)
        round_tensor(s, &c->in[i], r->precision, second_factor(c, i) ? r->b : r->a);
    if (c->pass == GN_BACKWARD) {
        round_tensor(s, &c->out[0], r->precision, r->a);
        round_tensor(s, &c->dout, r->precision, r->a);
    }
}

static void run_row(scratch *s, gn_call *c)
{
    const gn_row *row = gn_table_find(&gn_double, c->op->name);
    c->threads = 1;
    c->work = take(s, row->work == NULL ? 0 : row->work(c));
    if (s->failed)
        return;
    const gn_guard guard = gn_guard_enter(1);
    if (c->pass == GN_BACKWARD)
        row->backward(c);
    else
        row->forward(c);
    gn_guard_leave(&guard);
}

/* --- Softmax and cross-entropy with log p stored in the format -------------------------------- */

bool gn_sums_can(const gn_sums *s, const gn_rounding *r)
{
    if (!r->products && r->adding == GN_WIDE)
        return true;
    return r->products && r->adding <= GN_ACROSS && s->call[0].in[0].data != NULL && s->count == 1 &&
           strcmp(s->call[0].op->name, "softmax_cross_entropy") == 0;
}

bool gn_sums_bias(const gn_sums *s)
{
    const gn_call *c = &s->call[0];
    return c->pass != GN_BACKWARD && c->nin > 2 && strcmp(c->op->name, "linear") == 0;
}

bool gn_sums_normalise(const gn_sums *s)
{
    return strcmp(s->call[0].op->name, "batch_norm") == 0;
}

/* The positions that have a target. */
static double targets(const double *t, size_t N, size_t cells)
{
    double count = 0;
    for (size_t n = 0; n < N; n++) {
        double sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += t[n * cells + i];
        count += sum <= 0 ? 0 : 1;
    }
    return count;
}

/* log p of one position in the format: only stored in it; the sum and its logarithm too; or with
 * every step rounded. */
static void narrow_log_softmax(double *logp, const double *x, size_t cells, const gn_rounding *r)
{
    const gn_precision p = r->precision;
    const bool steps = r->adding == GN_CHAIN;
    double m = x[0], sum = 0;
    for (size_t i = 1; i < cells; i++)
        m = x[i] > m ? x[i] : m;
    for (size_t i = 0; i < cells; i++)
        sum += steps ? gn_precision_round(p, gn_exp(gn_precision_round(p, x[i] - m)))
                     : gn_exp(x[i] - m);
    const double log_sum = r->adding == GN_WIDE
                               ? gn_log(sum)
                               : gn_precision_round(p, gn_log(gn_precision_round(p, sum)));
    for (size_t i = 0; i < cells; i++)
        logp[i] = gn_precision_round(p, x[i] - m - log_sum);
}

/* loss = -sum t logp / n; dlogit = exp(logp) sum t / n - t/n, and t/n is stored too. */
static void rerun_cross_entropy(scratch *s, const gn_call *c, const gn_rounding *r, double *out)
{
    const size_t N = c->in[0].shape.dim[0], cells = c->in[0].shape.dim[1];
    const double *target = c->in[1].data, n = targets(target, N, cells);
    double *logp = take(s, cells * sizeof *logp), loss = 0;
    for (size_t row = 0; row < N && n > 0 && logp != NULL; row++) {
        const double *t = target + row * cells;
        double total = 0;
        narrow_log_softmax(logp, (const double *)c->in[0].data + row * cells, cells, r);
        for (size_t i = 0; i < cells; i++) {
            total += gn_precision_round(r->precision, t[i] / n);
            loss -= t[i] > 0 ? t[i] * logp[i] / n : 0;
        }
        for (size_t i = 0; i < cells && c->pass == GN_BACKWARD; i++)
            out[row * cells + i] = gn_exp(logp[i]) * total -
                                   gn_precision_round(r->precision, t[i] / n);
    }
    if (c->pass != GN_BACKWARD)
        *out = loss;
}

/* --- Rerunning -------------------------------------------------------------------------------- */

/* A batch norm's output is made of the statistics that were recorded. */
static void rerun_forward(scratch *s, const gn_sums *sums, const gn_rounding *r, double *out)
{
    gn_call c = sums->call[0];
    const bool given = sums->output == 0 && c.training && strcmp(c.op->name, "batch_norm") == 0;
    c.pass = given ? GN_RECOMPUTE : GN_FORWARD;
    round_call(s, &c, r);
    for (int j = 0; j < c.nout; j++)
        if (j == sums->output)
            c.out[j].data = out;
        else if (!given || j == 0)
            c.out[j].data = take(s, gn_shape_count(c.out[j].shape) * sizeof(double));
    run_row(s, &c);
    if (r->products && !s->failed)
        rerun_cross_entropy(s, &c, r, out);
}

static void rerun_backward(scratch *s, const gn_sums *sums, int part, const gn_rounding *r,
                           double *out, size_t count)
{
    gn_call c = sums->call[part];
    const int i = sums->index[part];
    round_call(s, &c, r);
    double *gradient = take(s, count * sizeof *gradient);
    c.din[i] = (gn_tensor){gradient, c.in[i].shape};
    run_row(s, &c);
    if (r->products && !s->failed)
        rerun_cross_entropy(s, &c, r, gradient);
    for (size_t e = 0; e < count && !s->failed; e++) {
        const double x = gradient[sums->flat[part] ? flattened(sums->map, e) : e];
        out[e] += r->parts ? gn_precision_round(r->precision, x) : x;
    }
}

gn_status gn_sums_rerun(const void *user, const gn_rounding *r, double *out, size_t count,
                        gn_err *err)
{
    const gn_sums *sums = user;
    scratch s = {0};
    memset(out, 0, count * sizeof *out);
    for (int k = 0; k < sums->count && !s.failed; k++) {
        if (sums->call[k].pass == GN_BACKWARD)
            rerun_backward(&s, sums, k, r, out, count);
        else
            rerun_forward(&s, sums, r, out);
        drop(&s);
    }
    return s.failed ? gn_fail(err, GN_E_NOMEM, "verify: no memory for %zu numbers", count) : GN_OK;
}
