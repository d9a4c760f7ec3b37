/* Mistaken updates after the step, in float32; see mistaken_rows.h.  SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdbool.h>

#include "support/mistaken_rows.h"

mistaken_params mistaken_step;
enum { UPDATE_RATE = 10 }; /* 1/rate of the tests' golden files */

typedef enum flaw {
    COUPLED,
    VECTORS,
    NO_DECAY,
    UNCORRECTED,
    INSIDE,
    UNCLIPPED,
    EACH,
    FORGOTTEN,
    DAMPENED,
    DAMPENED_LATER,
    BEHIND,
    AHEAD,
    AFTERWARDS,
    RATE_INSIDE
} flaw;

/* AdamW of the first steps, from the contract's coefficients. */
static void adamw(void *param, void *first, void *second, const void *gradient, size_t n,
                  double coef, const gn_adamw *a, flaw f)
{
    float *p = param, *m = first, *v = second, norm = 0;
    const float *g = gradient;
    const bool vector = mistaken_step.rank[mistaken_step.next++ % mistaken_step.count] < 2;
    const bool no_decay = f == NO_DECAY || f == COUPLED || (f == VECTORS && vector);
    for (size_t i = 0; i < n; i++)
        norm += g[i] * g[i];
    norm = sqrtf(norm) + 1e-6f;
    const float c = f == EACH ? (norm > 1 ? 1 / norm : 1) : (float)coef;
    const float rate = f == UNCORRECTED ? 1.0f / UPDATE_RATE : (float)a->rate;
    const float c2 = f == UNCORRECTED ? 1 : (float)a->correction2;
    for (size_t i = 0; i < n; i++) {
        const float add = f == COUPLED ? 1e-4f * p[i] : 0, gm = g[i] * c + add;
        const float gv = f == UNCLIPPED ? g[i] : gm;
        m[i] = f == FORGOTTEN ? 0 : m[i];
        v[i] = f == FORGOTTEN ? 0 : v[i];
        m[i] = (float)a->beta1 * m[i] + (float)a->rest1 * gm;
        v[i] = (float)a->beta2 * v[i] + (float)a->rest2 * gv * gv;
        const float root = f == INSIDE ? sqrtf(v[i] / (c2 * c2) + 1e-8f) : sqrtf(v[i]) / c2 + 1e-8f;
        p[i] = (no_decay ? p[i] : p[i] * (float)a->decay) - rate * m[i] / root;
    }
}
#define ADAMW(name, flaw)                                                                          \
    static void name(void *p, void *m, void *v, const void *g, size_t n, double c,                 \
                     const gn_adamw *a)                                                            \
    {                                                                                              \
        adamw(p, m, v, g, n, c, a, flaw);                                                          \
    }
ADAMW(coupled, COUPLED)
ADAMW(vectors, VECTORS)
ADAMW(no_decay, NO_DECAY)
ADAMW(uncorrected, UNCORRECTED)
ADAMW(inside, INSIDE)
ADAMW(unclipped, UNCLIPPED)
ADAMW(each, EACH)
ADAMW(forgotten, FORGOTTEN)

/* SGD: a velocity of 0 throughout is that of the first step. */
static void sgd(float *p, float *m, const float *g, size_t n, float coef, float rate, float mu,
                float decay, bool nesterov, flaw f)
{
    bool first = true;
    for (size_t i = 0; i < n; i++)
        first = first && m[i] == 0;
    for (size_t i = 0; i < n; i++) {
        const float wd = f == NO_DECAY ? 0 : decay * p[i];
        float whole = g[i] * coef;
        whole += f == AFTERWARDS ? 0 : wd;
        whole *= f == RATE_INSIDE ? rate : 1;
        const float old = f == FORGOTTEN ? 0 : mu * m[i];
        m[i] = f == DAMPENED || (f == DAMPENED_LATER && !first) ? old + (1 - mu) * whole
                                                                : old + whole;
        float step = (nesterov && f != BEHIND) || f == AHEAD ? whole + mu * m[i] : m[i];
        step = f == RATE_INSIDE ? step : rate * (f == AFTERWARDS ? step + wd : step);
        p[i] -= step;
    }
}
#define SGD(name, flaw)                                                                            \
    static void name(void *p, void *m, const void *g, size_t n, double c, double rate, double mu,  \
                     double wd, bool nesterov)                                                     \
    {                                                                                              \
        sgd(p, m, g, n, (float)c, (float)rate, (float)mu, (float)wd, nesterov, flaw);              \
    }
SGD(sgd_undecayed, NO_DECAY)
SGD(sgd_forgotten, FORGOTTEN)
SGD(sgd_dampened, DAMPENED)
SGD(sgd_dampened_later, DAMPENED_LATER)
SGD(sgd_behind, BEHIND)
SGD(sgd_ahead, AHEAD)
SGD(sgd_afterwards, AFTERWARDS)
SGD(sgd_rate_inside, RATE_INSIDE)

static double no_clip(double *sums, size_t n, double most, double *norm)
{
    gn_plain.update->clip(sums, n, most, norm);
    return 1;
}

static void biased(void *rm, void *rv, const void *mean, const void *m2, size_t channels, size_t n,
                   double momentum)
{
    float scaled[64];
    for (size_t c = 0; c < channels; c++)
        scaled[c] = ((const float *)m2)[c] * (float)(n - 1) / (float)n;
    gn_plain.update->running(rm, rv, mean, scaled, channels, n, momentum);
}

static void swapped(void *rm, void *rv, const void *mean, const void *m2, size_t channels, size_t n,
                    double momentum)
{
    gn_plain.update->running(rm, rv, mean, m2, channels, n, 1 - momentum);
}

static void never(void *rm, void *rv, const void *mean, const void *m2, size_t channels, size_t n,
                  double momentum)
{
    (void)rm, (void)rv, (void)mean, (void)m2, (void)channels, (void)n, (void)momentum;
}

static const struct {
    const char *name;
    void (*adamw)(void *, void *, void *, const void *, size_t, double, const gn_adamw *);
    void (*sgd)(void *, void *, const void *, size_t, double, double, double, double, bool);
    double (*clip)(double *, size_t, double, double *);
    void (*running)(void *, void *, const void *, const void *, size_t, size_t, double);
} update_list[] = {
    {.name = "bn-biased-running-var", .running = biased},
    {.name = "bn-momentum-swapped", .running = swapped},
    {.name = "bn-not-updated", .running = never},
    {.name = "decay-coupled", .adamw = coupled},
    {.name = "decay-skipped-on-1d", .adamw = vectors},
    {.name = "decay-missing", .adamw = no_decay},
    {.name = "adam-no-bias-correction", .adamw = uncorrected},
    {.name = "adam-eps-inside-root", .adamw = inside},
    {.name = "adam-second-moment-of-clipped-missing", .adamw = unclipped},
    {.name = "clip-per-tensor", .adamw = each},
    {.name = "clip-missing", .clip = no_clip},
    {.name = "moments-not-kept", .adamw = forgotten, .sgd = sgd_forgotten},
    {.name = "decay-missing", .sgd = sgd_undecayed},
    {.name = "sgd-dampened", .sgd = sgd_dampened},
    {.name = "sgd-dampened", .sgd = sgd_dampened_later},
    {.name = "sgd-nesterov-missing", .sgd = sgd_behind},
    {.name = "sgd-nesterov-extra", .sgd = sgd_ahead},
    {.name = "sgd-decay-after-momentum", .sgd = sgd_afterwards},
    {.name = "sgd-rate-in-velocity", .sgd = sgd_rate_inside},
};
enum { UPDATES = sizeof update_list / sizeof *update_list };

const gn_table *mistaken_update(size_t index)
{
    static gn_update update;
    static gn_table table;
    if (index >= UPDATES)
        return NULL;
    update = *gn_plain.update;
    if (update_list[index].adamw != NULL)
        update.adamw = update_list[index].adamw;
    if (update_list[index].sgd != NULL)
        update.sgd = update_list[index].sgd;
    if (update_list[index].clip != NULL)
        update.clip = update_list[index].clip;
    if (update_list[index].running != NULL)
        update.running = update_list[index].running;
    table = (gn_table){.name = update_list[index].name,
                       .elem = sizeof(float),
                       .under = &gn_plain,
                       .update = &update};
    return &table;
}
