/* The update after a step in float64, with something in it done otherwise: running statistics,
 * clipping, AdamW, SGD.  Formulas as in src/ops/update.c; each step from the state before it.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/trial.h"
#include "golden/fields.h"
#include "golden/gates.h"

/* --- The state before a step ------------------------------------------------------------------ */

/* One step: its number, and what the names of its tensors and of those before it begin with. */
typedef struct step {
    uint64_t number;
    char here[40], before[40];
    const gn_reader *state; /* where the state before it stands */
} step;

static step step_of(const gn_trial *t, const char *name)
{
    step s = {.number = 1, .state = t->replay.golden};
    if (strncmp(name, "step/", 5) != 0)
        return s;
    s.number = strtoull(name + 5, NULL, 10);
    snprintf(s.here, sizeof s.here, "step/%llu/", (unsigned long long)s.number);
    if (s.number > 2)
        snprintf(s.before, sizeof s.before, "step/%llu/", (unsigned long long)s.number - 1);
    s.state = t->scope.restarts ? t->replay.golden : t->replay.candidate;
    return s;
}

/* A parameter or a moment before the step. */
static const float *before(const step *s, const char *group, const char *name, size_t count)
{
    char full[80];
    if (s->number == 1)
        return strcmp(group, "after") == 0 ? gn_field_floats(s->state, "param", name, count) : NULL;
    snprintf(full, sizeof full, "%s%s", s->before, group);
    return gn_field_floats(s->state, full, name, count);
}

static const float *gradient(const gn_trial *t, const step *s, const char *name, size_t count)
{
    char group[80];
    snprintf(group, sizeof group, "%sgrad", s->here);
    const float *own = gn_field_floats(t->replay.candidate, group, name, count);
    return own == NULL && s->number > 1 && t->scope.restarts
               ? gn_field_floats(t->replay.golden, group, name, count)
               : own;
}

/* --- Running statistics ----------------------------------------------------------------------- */

static const char *tail_of(const char *name, const char *tail)
{
    const size_t n = strlen(name), m = strlen(tail);
    return n > m && strcmp(name + n - m, tail) == 0 ? name + n - m : NULL;
}

/* The mean, or the variance over M, of a channel of a batch norm's recorded input. */
static double of_batch(const double *x, size_t M, size_t channels, size_t c, bool mean)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < M; i++)
        sum += x[i * channels + c];
    sum /= (double)M;
    for (size_t i = 0; i < M; i++) {
        const double d = x[i * channels + c] - sum;
        square += d * d;
    }
    return mean ? sum : square / (double)M;
}

/* The batch norm whose running statistic has that name, without the tail; NULL: none. */
static const gn_record *norm_of(const gn_trial *t, const char *name, char *stem, size_t room,
                                bool *mean)
{
    *mean = tail_of(name, ".running_mean") != NULL;
    const char *end = tail_of(name, *mean ? ".running_mean" : ".running_var");
    snprintf(stem, room, "%.*s", (int)(end - name), name);
    const gn_value y = gn_tape_find(t->net.tape, stem);
    return y == GN_NONE ? NULL
                        : gn_tape_record_at(t->net.tape, gn_tape_value(t->net.tape, y)->producer);
}

static bool running(gn_trial *t, const gn_update_slip *slip, const char *name, double *want,
                    size_t count)
{
    char stem[200], full[256];
    bool mean;
    const gn_record *r = norm_of(t, name, stem, sizeof stem, &mean);
    snprintf(full, sizeof full, "%s.%s", stem, mean ? "mean" : "invstd");
    const float *statistic = gn_field_floats(t->replay.candidate, "stats", full, count);
    const float *old = gn_field_floats(t->replay.golden, "buffer", name, count);
    const bool of_x = slip->running_of_batch;
    if (r == NULL || statistic == NULL || old == NULL ||
        (of_x && !gn_replay_load(&t->replay, r->in[0], false)))
        return false;
    const double *x = of_x ? t->replay.data[GN_LANE_TRUTH][r->in[0]] : NULL;
    const size_t M = gn_shape_count(gn_program_shape(t->replay.program[1], r->in[0])) / count;
    const double k = slip->running_swapped ? 0.9 : 0.1;
    const int times = slip->running_times == 0 ? 1 : slip->running_times;
    for (size_t i = 0; i < count; i++) {
        const double s = (double)statistic[i];
        double batch = of_x ? of_batch(x, M, count, i, mean) : mean ? s : 1 / (s * s) - r->attr.eps;
        if (!mean && !slip->running_biased)
            batch *= (double)M / (double)(M - 1);
        want[i] = (double)old[i];
        for (int n = 0; n < times; n++)
            want[i] = k * batch + (1 - k) * want[i];
    }
    return true;
}

/* --- Clipping --------------------------------------------------------------------------------- */

static double squares(const float *g, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)g[i] * (double)g[i];
    return sum;
}

/* The factor of one tensor's gradient; negative: a gradient was not recorded. */
static double clip_factor(const gn_trial *t, const gn_update_slip *slip, const step *s,
                          const float *g, size_t count, double most)
{
    double sum = 0;
    if (slip->clip_missing || most <= 0)
        return 1;
    for (int v = 0; v < gn_tape_values(t->net.tape) && !slip->clip_each; v++) {
        const gn_value_info *info = gn_tape_value(t->net.tape, v);
        if (info->kind != GN_PARAM)
            continue;
        const size_t elements = gn_shape_count(info->shape);
        const float *each = gradient(t, s, info->name, elements);
        if (each == NULL)
            return -1;
        sum += squares(each, elements);
    }
    const double factor = most / (root(slip->clip_each ? squares(g, count) : sum) + 1e-6);
    return factor < 1 ? factor : 1;
}

/* --- The optimiser ---------------------------------------------------------------------------- */

/* One parameter in one step. */
typedef struct given {
    const gn_optimizer_config *c;
    const gn_update_slip *slip;
    const float *p, *g, *m0, *v0; /* moments: NULL is 0 */
    double rate, factor, decay;   /* of the clip; of the weights, 0 where there is none */
    uint64_t number;
    int variant;
} given;

static double at(const float *x, size_t i)
{
    return x == NULL ? 0 : (double)x[i];
}

/* beta^t by t products, as the contract has it. */
static double power(double beta, uint64_t t)
{
    double product = 1;
    while (t-- > 0)
        product *= beta;
    return product;
}

/* Everything that the step reads; false: it was not recorded. */
static bool read_given(given *x, const gn_trial *t, const gn_update_slip *slip, const step *s,
                       const char *name, size_t count)
{
    const gn_optimizer_config *c = &t->scope.optimizer;
    const gn_value param = gn_tape_find(t->net.tape, name);
    const bool kept = s->number > 1 && !slip->moments_forgotten;
    *x = (given){.c = c, .slip = slip, .p = before(s, "after", name, count),
                 .g = gradient(t, s, name, count), .rate = t->scope.rate, .number = s->number,
                 .variant = t->variant};
    if (kept) {
        x->m0 = before(s, "after_exp_avg", name, count);
        x->v0 = before(s, "after_exp_avg_sq", name, count);
    }
    if (x->p == NULL || x->g == NULL || param == GN_NONE ||
        (kept && (x->m0 == NULL || (c->kind == GN_ADAMW && x->v0 == NULL))))
        return false;
    const bool vector = gn_tape_value(t->net.tape, param)->shape.rank < 2;
    const bool none = slip->decay_missing || (slip->decay_skips_vectors && vector);
    x->decay = none ? 0 : c->weight_decay;
    x->factor = slip->idle ? 1 : clip_factor(t, slip, s, x->g, count, c->clip);
    return x->factor >= 0;
}

/* What element i becomes: the parameter and its moments. */
typedef struct result {
    double p, m, v;
} result;

static result adamw(const given *x, size_t i)
{
    const gn_update_slip *slip = x->slip;
    const gn_optimizer_config *c = x->c;
    const double first = slip->no_bias_correction ? 1 : 1 - power(c->beta1, x->number);
    const double second = slip->no_bias_correction ? 1 : 1 - power(c->beta2, x->number);
    const double p = (double)x->p[i], add = slip->decay_coupled ? x->decay * p : 0;
    const double scaled = (double)x->g[i] * x->factor + add;
    const double square = slip->second_moment_unclipped ? (double)x->g[i] + add : scaled;
    const double m = c->beta1 * at(x->m0, i) + (1 - c->beta1) * scaled;
    const double v = c->beta2 * at(x->v0, i) + (1 - c->beta2) * square * square;
    const double below = slip->eps_inside_root ? root(v / second + c->eps)
                                               : root(v / second) + c->eps;
    const double kept = slip->decay_coupled ? 1 : 1 - x->rate * x->decay;
    return (result){p * kept - x->rate * (m / first) / below, m, v};
}

static result sgd(const given *x, size_t i)
{
    const gn_update_slip *slip = x->slip;
    const double p = (double)x->p[i], mu = x->c->momentum, decay = x->decay * p;
    const bool whole = x->variant == 1 && x->number == 1;
    const double part = slip->dampened && !whole ? 1 - mu : 1;
    const double unit = slip->rate_in_velocity ? x->rate : 1; /* of the velocity */
    const double g = unit * ((double)x->g[i] * x->factor +
                             (slip->decay_after_momentum ? 0 : decay));
    const double m = mu * at(x->m0, i) + part * g;
    const bool ahead = (x->c->nesterov && !slip->nesterov_missing) || slip->nesterov_extra;
    const double along = (ahead ? g + mu * m : m) / unit;
    return (result){p - x->rate * (along + (slip->decay_after_momentum ? decay : 0)), m, 0};
}

/* Whether the mistake is one that this optimiser can make. */
static bool concerns(const gn_update_slip *slip, const gn_optimizer_config *c)
{
    if (c->kind == GN_ADAMW)
        return !(slip->dampened || slip->nesterov_missing || slip->nesterov_extra ||
                 slip->decay_after_momentum || slip->rate_in_velocity);
    return !(slip->decay_coupled || slip->no_bias_correction || slip->eps_inside_root ||
             slip->second_moment_unclipped) &&
           !(slip->nesterov_missing && !c->nesterov) && !(slip->nesterov_extra && c->nesterov);
}

static bool optimiser(gn_trial *t, const gn_update_slip *slip, const step *s, const char *group,
                      const char *name, double *want, size_t count)
{
    given x;
    if (!concerns(slip, &t->scope.optimizer) || !read_given(&x, t, slip, s, name, count))
        return false;
    const bool param = strcmp(group, "after") == 0, first = strcmp(group, "after_exp_avg") == 0;
    for (size_t i = 0; i < count; i++) {
        const result r = x.c->kind == GN_ADAMW ? adamw(&x, i) : sgd(&x, i);
        want[i] = slip->idle ? (double)x.p[i] : param ? r.p : first ? r.m : r.v;
    }
    return !slip->idle || (param && squares(x.g, count) == 0);
}

bool gn_trial_update(gn_trial *t, const gn_update_slip *slip, const char *name, double *want,
                     size_t count)
{
    char group[32];
    const step s = step_of(t, name);
    const char *own = name + strlen(s.here), *slash = strchr(own, '/');
    if (slash == NULL || slash - own >= (ptrdiff_t)sizeof group)
        return false;
    snprintf(group, sizeof group, "%.*s", (int)(slash - own), own);
    if (tail_of(name, ".running_mean") == NULL && tail_of(name, ".running_var") == NULL)
        return optimiser(t, slip, &s, group, slash + 1, want, count);
    return s.number == 1 && running(t, slip, slash + 1, want, count);
}
