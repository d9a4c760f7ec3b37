/* Mistakes in batch norm.  The statistics are computed again from x, also where the candidate's own
 * are given: what it recorded need not be what it used.  SPDX-License-Identifier: MIT */
#include "golden/mistakes/mistake.h"
#include "golden/gates.h"

enum { X, GAMMA, BETA, MEAN, VAR };
enum { Y, BATCH_MEAN, M2, INV };

static size_t channels(const gn_slip *s)
{
    return s->call.in[GAMMA].shape.dim[0];
}

static size_t squares(const gn_slip *s)
{
    return gn_shape_count(s->call.in[X].shape) / channels(s);
}

/* The sound statistics and result, whatever was recorded. */
static void sound_forward(const gn_slip *s)
{
    gn_call c = s->call;
    c.pass = GN_FORWARD;
    gn_slip_sound(s, &c);
}

static void normalise(const gn_slip *s)
{
    const size_t C = channels(s), count = gn_shape_count(s->call.in[X].shape);
    const double *x = gn_slip_in(s, X), *gamma = gn_slip_in(s, GAMMA), *beta = gn_slip_in(s, BETA);
    const double *mean = gn_slip_out(s, BATCH_MEAN), *inv = gn_slip_out(s, INV);
    double *y = gn_slip_out(s, Y);
    for (size_t i = 0; i < count; i++)
        y[i] = (x[i] - mean[i % C]) * inv[i % C] * gamma[i % C] + beta[i % C];
}

/* The variance that is normalised with: the batch's, or the running one. */
static double variance(const gn_slip *s, size_t c)
{
    return s->call.training ? gn_slip_out(s, M2)[c] / (double)squares(s) : gn_slip_in(s, VAR)[c];
}

/* dx = sc * (dy - a k1 - b xh k2) with b for each channel; the sound one has a = b = 1. */
static void backward(const gn_slip *s, double a, double (*b)(const gn_slip *, size_t))
{
    gn_slip_sound(s, &s->call);
    double *dx = gn_slip_din(s, X), *k1 = s->room, *k2 = k1 + channels(s);
    if (dx == NULL)
        return;
    const size_t C = channels(s), count = gn_shape_count(s->call.in[X].shape);
    const double *x = gn_slip_in(s, X), *dy = gn_slip_dout(s), *gamma = gn_slip_in(s, GAMMA);
    const double *mean = gn_slip_out(s, BATCH_MEAN), *inv = gn_slip_out(s, INV);
    for (size_t j = 0; j < C; j++)
        k1[j] = k2[j] = 0;
    for (size_t i = 0; i < count; i++) {
        k1[i % C] += dy[i];
        k2[i % C] += dy[i] * (x[i] - mean[i % C]) * inv[i % C];
    }
    for (size_t i = 0; i < count; i++) {
        const size_t j = i % C;
        const double xh = (x[i] - mean[j]) * inv[j], M = (double)squares(s);
        dx[i] = gamma[j] * inv[j] * (dy[i] - a * k1[j] / M - b(s, j) * xh * k2[j] / M);
    }
}

/* --- eps -------------------------------------------------------------------------------------- */

static void other_eps(const gn_slip *s)
{
    static const double eps[] = {1e-3, 0, 1e-6, 1e-8, 1e-4, 1e-12};
    gn_call c = s->call;
    c.attr.eps = eps[s->variant];
    c.pass = GN_FORWARD;
    gn_slip_sound(s, &c);
}

static void eps_1e_3(const gn_slip *s)
{
    gn_slip first = *s;
    first.variant = 0;
    other_eps(&first);
}

static void eps_otherwise(const gn_slip *s)
{
    gn_slip later = *s;
    later.variant = s->variant + 1;
    other_eps(&later);
}

static void eps_outside(const gn_slip *s)
{
    sound_forward(s);
    for (size_t c = 0; c < channels(s); c++)
        gn_slip_out(s, INV)[c] = 1 / (root(variance(s, c)) + s->call.attr.eps);
    normalise(s);
}

/* d inv = -inv^2 / (2 root) d var, where the sound one is -inv^3 / 2. */
static double outside_slope(const gn_slip *s, size_t c)
{
    const double inv = gn_slip_out(s, INV)[c], deviation = 1 / inv - s->call.attr.eps;
    return deviation > 0 ? 1 / (deviation * inv) : 1;
}

static void eps_outside_back(const gn_slip *s)
{
    backward(s, 1, outside_slope);
}

/* --- Statistics ------------------------------------------------------------------------------- */

static void unbiased(const gn_slip *s)
{
    sound_forward(s);
    const double M = (double)squares(s);
    for (size_t c = 0; c < channels(s) && s->call.training; c++)
        gn_slip_out(s, INV)[c] = 1 / root(variance(s, c) * M / (M - 1) + s->call.attr.eps);
    normalise(s);
}

static double unbiased_slope(const gn_slip *s, size_t c)
{
    (void)c;
    const double M = (double)squares(s);
    return M / (M - 1);
}

static void unbiased_back(const gn_slip *s)
{
    backward(s, 1, unbiased_slope);
}

static double none(const gn_slip *s, size_t c)
{
    (void)s;
    (void)c;
    return 0;
}

static double whole(const gn_slip *s, size_t c)
{
    (void)s;
    (void)c;
    return 1;
}

static void running_in_training(const gn_slip *s)
{
    gn_call c = s->call;
    c.pass = GN_FORWARD;
    c.training = false;
    gn_slip_sound(s, &c);
}

/* Variant 0: the running statistics before the step; 1: the updated ones, which lie in the same
 * place by the time of backward. */
static void constant_back(const gn_slip *s)
{
    const size_t C = channels(s);
    gn_slip own = *s;
    gn_call c = s->call;
    double *y = s->room, *mean = y + gn_shape_count(c.in[X].shape), *m2 = mean + C, *inv = m2 + C;
    own.room = inv + C;
    void *const places[] = {y, mean, m2, inv};
    for (int j = Y; j <= INV && s->variant == 1; j++)
        own.call.out[j].data = c.out[j].data = places[j];
    c.pass = GN_FORWARD;
    if (s->variant == 1)
        gn_slip_sound(s, &c);
    for (size_t j = 0; j < C && s->variant == 1; j++) {
        const double var = m2[j] / (double)(squares(s) - 1);
        mean[j] = 0.9 * gn_slip_in(s, MEAN)[j] + 0.1 * mean[j];
        inv[j] = 1 / root(0.9 * gn_slip_in(s, VAR)[j] + 0.1 * var + c.attr.eps);
    }
    backward(&own, 0, none);
}

static void batch_in_inference(const gn_slip *s)
{
    gn_call c = s->call;
    c.pass = GN_FORWARD;
    c.training = true;
    gn_slip_sound(s, &c);
}

/* Variant 0: neither the mean nor the variance depends on x; 1: the mean does not. */
static void mean_gradient_missing(const gn_slip *s)
{
    backward(s, 0, s->variant == 0 ? none : whole);
}

static void variance_gradient_missing(const gn_slip *s)
{
    backward(s, 1, none);
}

/* --- gamma and beta --------------------------------------------------------------------------- */

static void no_affine(const gn_slip *s)
{
    gn_call c = s->call;
    double *one = s->room, *zero = one + channels(s);
    for (size_t j = 0; j < channels(s); j++) {
        one[j] = 1;
        zero[j] = 0;
    }
    c.in[GAMMA].data = one;
    c.in[BETA].data = zero;
    gn_slip_sound(s, &c);
    for (int i = GAMMA; i <= BETA && c.pass == GN_BACKWARD; i++)
        for (size_t j = 0; j < channels(s) && gn_slip_din(s, i) != NULL; j++)
            gn_slip_din(s, i)[j] = 0;
}

/* What was normalised with is recorded, and is not what the running statistics take in. */
static const gn_update_slip of_batch = {.running_of_batch = true};

#define BATCH_NORM(name_, says_) .name = name_, .says = says_, .op = "batch_norm"
static const gn_mistake mistakes[] = {
    {BATCH_NORM("bn-eps-1e-3", "eps is 1e-3, not 1e-5"), .forward = eps_1e_3, .update = &of_batch},
    {BATCH_NORM("bn-eps-otherwise", "eps is 0, 1e-6, 1e-8, 1e-4 or 1e-12, not 1e-5"), .variants = 5,
     .forward = eps_otherwise, .update = &of_batch},
    {BATCH_NORM("bn-eps-outside-root", "1/(sqrt(var) + eps) in place of 1/sqrt(var + eps)"),
     .forward = eps_outside, .backward = eps_outside_back, .update = &of_batch},
    {BATCH_NORM("bn-unbiased-normalise", "normalised with the variance over M - 1, not over M"),
     .forward = unbiased, .backward = unbiased_back, .update = &of_batch},
    {BATCH_NORM("bn-running-in-training", "running statistics are used in training"), .variants = 2,
     .forward = running_in_training, .backward = constant_back, .update = &of_batch},
    {BATCH_NORM("bn-batch-in-inference", "the batch's statistics are used in inference"),
     .inference = true, .forward = batch_in_inference, .loose = 4096},
    {BATCH_NORM("bn-mean-gradient-missing",
                "the gradient does not pass through the mean (or neither through the variance)"),
     .variants = 2, .backward = mean_gradient_missing},
    {BATCH_NORM("bn-variance-gradient-missing", "the gradient does not pass through the variance"),
     .backward = variance_gradient_missing},
    {BATCH_NORM("bn-affine-missing", "gamma and beta are not applied"), .forward = no_affine,
     .backward = no_affine},
};
const gn_mistakes gn_mistakes_batch_norm = {mistakes, sizeof mistakes / sizeof *mistakes};
