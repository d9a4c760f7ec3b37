/* Updates as cases; see cases_update.h.  SPDX-License-Identifier: MIT */
#include "golden/cases_update.h"
#include "golden/gates.h"

#include <string.h>

static const double u = 0x1p-24, tiny = 0x1p-149;

enum { STEP = 3, SQUARES = 75 };
static const double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 1e-4;
static const double sgd_rate = 0.1, momentum = 0.9, largest = 1, keep = 0.1;

const char gn_case_update_numbers[] =
    "adamw: lr 0.001, betas 0.9 0.999, eps 1e-8, weight decay 0.0001, third step; sgd: lr 0.1, "
    "momentum 0.9, weight decay 0.0001; clip: norm 1; running: momentum 0.1, 75 squares";

/* --- Ops -------------------------------------------------------------------------------------- */

static gn_status shape_adamw(gn_call *c, gn_err *err)
{
    (void)err;
    for (int j = 0; j < c->nout; j++)
        c->out[j].shape = c->in[j].shape;
    return GN_OK;
}

static gn_status shape_clip(gn_call *c, gn_err *err)
{
    (void)err;
    c->out[0].shape = c->out[1].shape = gn_shape_of(1, 1, 0, 0, 0);
    return GN_OK;
}

static const gn_op ops[] = {
    {.name = "adamw", .min_in = 5, .max_in = 5, .nout = 3, .shape = shape_adamw},
    {.name = "sgd", .min_in = 4, .max_in = 4, .nout = 2, .shape = shape_adamw},
    {.name = "nesterov", .min_in = 4, .max_in = 4, .nout = 2, .shape = shape_adamw},
    {.name = "clip", .min_in = 1, .max_in = 1, .nout = 2, .shape = shape_clip},
    {.name = "running", .min_in = 4, .max_in = 4, .nout = 2, .shape = shape_adamw},
};

const gn_op *gn_case_update_op(const char *name)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

static bool is(const gn_call *c, const char *name)
{
    return strcmp(c->op->name, name) == 0;
}

static double number(const gn_tensor t, size_t elem)
{
    return elem == sizeof(float) ? (double)*(const float *)t.data : *(const double *)t.data;
}

static gn_adamw coefficients(void)
{
    double first = 1, second = 1;
    for (int t = 0; t < STEP; t++) {
        first *= beta1;
        second *= beta2;
    }
    return (gn_adamw){.beta1 = beta1,
                      .beta2 = beta2,
                      .eps = eps,
                      .decay = 1 - rate * decay,
                      .rest1 = 1 - beta1,
                      .rest2 = 1 - beta2,
                      .correction2 = __builtin_sqrt(1 - second),
                      .rate = rate / (1 - first)};
}

void gn_case_update(const gn_update *up, const gn_call *c, size_t elem)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    if (is(c, "clip")) {
        double norm, work, sum = up->sum_squares(c->in[0].data, count, &work);
        const double coef = up->clip(&sum, 1, largest, &norm);
        for (int j = 0; j < 2; j++) {
            const double value = j == 0 ? norm : coef;
            if (elem == sizeof(float))
                *(float *)c->out[j].data = (float)value;
            else
                *(double *)c->out[j].data = value;
        }
        return;
    }
    for (int j = 0; j < c->nout; j++)
        memcpy(c->out[j].data, c->in[j].data, count * elem);
    const gn_adamw a = coefficients();
    if (is(c, "adamw"))
        up->adamw(c->out[0].data, c->out[1].data, c->out[2].data, c->in[3].data, count,
                  number(c->in[4], elem), &a);
    else if (is(c, "running"))
        up->running(c->out[0].data, c->out[1].data, c->in[2].data, c->in[3].data, count, SQUARES,
                    keep);
    else
        up->sgd(c->out[0].data, c->out[1].data, c->in[2].data, count, number(c->in[3], elem),
                sgd_rate, momentum, decay, is(c, "nesterov"));
}

/* --- Bounds ----------------------------------------------------------------------------------- */

static double at(gn_tensor t, size_t i)
{
    return ((const double *)t.data)[i];
}

static double bound_adamw(const gn_call *c, int index, size_t i)
{
    const gn_adamw a = coefficients();
    const double g = size_of(at(c->in[3], i) * at(c->in[4], 0));
    const double m = 5 * u * (a.rest1 * g + size_of(beta1 * at(c->in[1], i)));
    const double v = 7 * u * (a.rest2 * g * g + beta2 * at(c->in[2], i));
    if (index > 0)
        return (index == 1 ? m : v) + tiny;
    const double second = at(c->out[2], i), root = __builtin_sqrt(second);
    const double d = root / a.correction2 + eps, p = size_of(at(c->in[0], i));
    const double step = a.rate * size_of(at(c->out[1], i)) / d;
    return u * (2 * p + size_of(at(c->out[0], i))) + a.rate * m / d +
           step * (second > 0 ? v / second : 0) + 8 * u * step + tiny;
}

static double bound_sgd(const gn_call *c, int index, size_t i)
{
    const double g = size_of(at(c->in[2], i) * at(c->in[3], 0));
    const double p = size_of(at(c->in[0], i)), old = momentum * size_of(at(c->in[1], i));
    const double m = 5 * u * (g + decay * p + old) + tiny;
    return index == 1 ? m : 2 * u * p + sgd_rate * (3 * m + u * (g + old)) + tiny;
}

void gn_case_update_bound(double *bound, const gn_call *c, int index)
{
    const size_t count = gn_shape_count(c->out[index].shape);
    for (size_t i = 0; i < count; i++) {
        if (is(c, "adamw"))
            bound[i] = bound_adamw(c, index, i);
        else if (is(c, "clip")) /* half of what the sum may be off, in any order */
            bound[i] = ((double)gn_shape_count(c->in[0].shape) / 2 + 8) * u * at(c->out[index], i);
        else if (is(c, "running"))
            bound[i] = 5 * u *
                           (size_of(at(c->in[index], i)) + keep * size_of(at(c->in[index + 2], i)) /
                                                               (index == 0 ? 1 : SQUARES - 1)) +
                       tiny;
        else
            bound[i] = bound_sgd(c, index, i);
    }
}
