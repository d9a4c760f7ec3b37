/* Optimisers: AdamW and SGD with momentum over all tensors, with a global clip.
 *
 * The arithmetic on tensors is the table's (ops/update.c); here are the moments, the order of
 * tensors and the coefficients of a step, in double.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/align.h"
#include "base/guard.h"
#include "train/optimiser.h"

struct gn_optimizer {
    const gn_tape *tape;
    size_t elem;
    const gn_update *update;
    gn_optimizer_config config;
    char *first, *second; /* moments, tensor after tensor; SGD has only the first */
    void *work;
    double *sums;         /* one a parameter */
    double coef;          /* the clip factor of the last measured norm */
    gn_powers powers;
    gn_adamw last;
};

gn_optimizer_config gn_optimizer_default(void)
{
    return (gn_optimizer_config){.kind = GN_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                 .momentum = 0.9, .weight_decay = 1e-4, .clip = 1.0};
}

static gn_status check_config(const gn_optimizer_config *c, gn_err *err)
{
    char text[600];
    size_t used = 0;
    const struct {
        const char *name;
        double value, low, high;
    } limits[] = {{"kind (0 adamw, 1 sgd)", (double)c->kind, 0, 1},
                  {"beta1", c->beta1, 0, 0.999999}, {"beta2", c->beta2, 0, 0.9999999},
                  {"eps", c->eps, 1e-30, 1},        {"momentum", c->momentum, 0, 0.999999},
                  {"weight-decay", c->weight_decay, 0, 1}, {"clip", c->clip, 0, 1e30}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (!(limits[i].value >= limits[i].low && limits[i].value <= limits[i].high))
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     "%s%s %g, expected %.7g to %.7g", used > 0 ? "; " : "",
                                     limits[i].name, limits[i].value, limits[i].low,
                                     limits[i].high);
    if (c->nesterov && !(c->kind == GN_SGD && c->momentum > 0))
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%snesterov, expected sgd with momentum above 0",
                                 used > 0 ? "; " : "");
    return used == 0 ? GN_OK : gn_fail(err, GN_E_CONFIG, "optimizer: %s", text);
}

static bool is_param(const gn_tape *tape, gn_value v)
{
    return gn_tape_value(tape, v)->kind == GN_PARAM;
}

static size_t moment_bytes(const gn_tape *tape, size_t elem)
{
    size_t bytes = 0;
    for (int v = 0; v < gn_tape_values(tape); v++)
        if (is_param(tape, v))
            bytes += gn_align(gn_shape_count(gn_tape_value(tape, v)->shape) * elem);
    return bytes;
}

size_t gn_optimizer_bytes(const gn_tape *tape, const gn_table *table,
                          const gn_optimizer_config *config)
{
    return moment_bytes(tape, table->elem) * (config->kind == GN_ADAMW ? 2 : 1);
}

gn_status gn_optimizer_create(gn_optimizer **out, const gn_tape *tape, const gn_table *table,
                              const gn_optimizer_config *config, gn_err *err)
{
    *out = NULL;
    if (check_config(config, err) != GN_OK)
        return GN_E_CONFIG;
    if (gn_table_update(table) == NULL)
        return gn_fail(err, GN_E_CONFIG, "optimizer: table %s has no update", table->name);
    gn_optimizer *o = calloc(1, sizeof *o);
    if (o == NULL)
        return gn_fail(err, GN_E_NOMEM, "optimizer: no memory for the handle");
    *o = (gn_optimizer){.tape = tape, .elem = table->elem, .update = gn_table_update(table),
                        .config = *config, .coef = 1, .powers = {1, 1}};
    size_t largest = 0;
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const size_t count = gn_shape_count(gn_tape_value(tape, v)->shape);
        if (is_param(tape, v) && count > largest)
            largest = count;
    }
    const size_t bytes = moment_bytes(tape, o->elem);
    o->first = gn_aligned_zeros(bytes);
    o->second = config->kind == GN_ADAMW ? gn_aligned_zeros(bytes) : NULL;
    o->work = gn_aligned((largest / 4096 + 1) * o->elem);
    o->sums = malloc(((size_t)gn_tape_values(tape) + 1) * sizeof *o->sums);
    if (o->first == NULL || (config->kind == GN_ADAMW && o->second == NULL) || o->work == NULL ||
        o->sums == NULL) {
        gn_optimizer_destroy(o);
        return gn_fail(err, GN_E_NOMEM, "optimizer: no memory for moments (%zu bytes)", bytes);
    }
    *out = o;
    return GN_OK;
}

void gn_optimizer_destroy(gn_optimizer *o)
{
    if (o == NULL)
        return;
    free(o->first);
    free(o->second);
    free(o->work);
    free(o->sums);
    free(o);
}

double gn_optimizer_measure(gn_optimizer *o, const gn_store *store)
{
    const gn_guard guard = gn_guard_enter(0);
    size_t tensors = 0;
    for (int v = 0; v < gn_tape_values(o->tape); v++)
        if (is_param(o->tape, v))
            o->sums[tensors++] =
                o->update->sum_squares(gn_store_grad(store, v),
                                       gn_shape_count(gn_tape_value(o->tape, v)->shape), o->work);
    double norm;
    o->coef = o->update->clip(o->sums, tensors, o->config.clip, &norm);
    gn_guard_leave(&guard);
    return norm;
}

static gn_adamw coefficients(gn_optimizer *o, double rate)
{
    const gn_optimizer_config *c = &o->config;
    o->powers.first *= c->beta1;
    o->powers.second *= c->beta2;
    return (gn_adamw){.beta1 = c->beta1, .beta2 = c->beta2, .eps = c->eps,
                      .decay = 1 - rate * c->weight_decay, .rest1 = 1 - c->beta1,
                      .rest2 = 1 - c->beta2, .correction2 = __builtin_sqrt(1 - o->powers.second),
                      .rate = rate / (1 - o->powers.first)};
}

void gn_optimizer_step(gn_optimizer *o, gn_store *store, double rate)
{
    const gn_guard guard = gn_guard_enter(0);
    const gn_adamw adamw = o->last = coefficients(o, rate);
    size_t at = 0;
    for (int v = 0; v < gn_tape_values(o->tape); v++) {
        if (!is_param(o->tape, v))
            continue;
        const size_t count = gn_shape_count(gn_tape_value(o->tape, v)->shape);
        void *param = gn_store_data(store, v);
        const void *grad = gn_store_grad(store, v);
        if (o->config.kind == GN_ADAMW)
            o->update->adamw(param, o->first + at, o->second + at, grad, count, o->coef, &adamw);
        else
            o->update->sgd(param, o->first + at, grad, count, o->coef, rate, o->config.momentum,
                           o->config.weight_decay, o->config.nesterov);
        at += gn_align(count * o->elem);
    }
    gn_guard_leave(&guard);
}

void *gn_optimizer_moment(const gn_optimizer *o, int which, gn_value param)
{
    char *moments = which == 0 ? o->first : o->second;
    size_t at = 0;
    for (int v = 0; v < param; v++)
        if (is_param(o->tape, v))
            at += gn_align(gn_shape_count(gn_tape_value(o->tape, v)->shape) * o->elem);
    return moments == NULL || !is_param(o->tape, param) ? NULL : moments + at;
}

gn_powers *gn_optimizer_powers(gn_optimizer *o) { return &o->powers; }

gn_adamw gn_optimizer_last(const gn_optimizer *o) { return o->last; }
double gn_optimizer_clipped(const gn_optimizer *o) { return o->coef; }
