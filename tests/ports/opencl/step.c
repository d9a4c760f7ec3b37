/* Inference and training: the list of layers forward, the same list from its end, then what follows
 * backward.  SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "port.h"

#define MOMENTUM 0.1 /* of the running statistics: the share of the new batch */

/* --- What follows backward -------------------------------------------------------------------- */

void running_statistics(layer *l, int M)
{
    run("running_statistics", l->x->C, "bbbbiff", l->running_mean, l->running_var, l->mean, l->m2,
        M, MOMENTUM, 1 - MOMENTUM);
    l->tracked++;
}

void clip(const ops *o, const rule *r, const param *params, int count, cl_mem sums, cl_mem norm,
          cl_mem coef)
{
    for (int i = 0; i < count; i++) {
        const int size = (int)params[i].count, blocks = (size + 4095) / 4096;
        run("sum_of_squares", blocks, "bbi", o->leaf[0], params[i].grad, size);
        run("tree", 1, "bibi", sums, i, o->leaf[0], blocks);
    }
    run("tree", 1, "bibi", norm, 0, sums, count);
    run("clip", 1, "bbf", coef, norm, r->max_norm);
}

/* Coefficients are doubles; each becomes a float once, where it is handed over. */
void optimise(const rule *r, const param *p, cl_mem coef)
{
    if (r->sgd)
        run("sgd", p->count, "bbbbfffi", p->value, p->grad, p->first, coef, r->lr, r->momentum,
            r->decay, r->nesterov);
    else
        run("adamw", p->count, "bbbbbffffffff", p->value, p->grad, p->first, p->second, coef,
            r->beta1, r->beta2, r->eps, 1 - r->lr * r->decay, 1 - r->beta1, 1 - r->beta2,
            sqrt(1 - r->beta2_power), r->lr / (1 - r->beta1_power));
}

/* --- Forward, backward; `at` begins the names of a step's tensors ----------------------------- */

static void inference(net *n)
{
    n->ops.training = false;
    for (layer *l = n->layers; l < n->layers + n->first_loss; l++) {
        l->op->forward(&n->ops, l);
        keep(text("eval_forward/%s", l->name), l->y->data, l->y->count);
    }
}

static void forward(net *n, const char *at)
{
    n->ops.training = true;
    for (layer *l = n->layers; l < n->layers + n->layer_count; l++) {
        const bool loss = l >= n->layers + n->first_loss;
        l->op->forward(&n->ops, l);
        keep(text("%s%s%s", at, loss ? "" : "forward/", l->name), l->y->data, l->y->count);
        if (l->op == &batch_norm) {
            keep(text("%sstats/%s.mean", at, l->name), l->mean, l->x->C);
            keep(text("%sstats/%s.invstd", at, l->name), l->inv, l->x->C);
        }
    }
}

static void backward(net *n, const char *at)
{
    const float one = 1;
    buffer_write(n->total->grad, &one, 1);
    for (layer *l = n->layers; l < n->layers + n->layer_count; l++)
        l->y->given = 0;
    for (layer *l = n->layers + n->layer_count; l-- > n->layers;) {
        keep(text("%sgrad_forward/%s", at, l->name), l->y->grad, l->y->count);
        l->op->backward(&n->ops, l);
    }
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        keep(text("%sgrad/%s", at, p->name), p->grad, p->count);
}

static void update(net *n)
{
    rule *r = &n->rule;
    for (layer *l = n->layers; l < n->layers + n->layer_count; l++)
        if (l->op == &batch_norm)
            running_statistics(l, n->ops.N * n->size * n->size);
    clip(&n->ops, r, n->params, n->param_count, n->sums, n->norm, n->coef);
    r->beta1_power *= r->beta1;
    r->beta2_power *= r->beta2;
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        optimise(r, p, n->coef);
}

/* --- A step of a golden file ------------------------------------------------------------------ */

static void feed(const net *n, const char *at)
{
    const char *name[] = {"planes", "policy", "value"};
    const map *to[] = {n->planes, n->policy, n->value};
    for (int i = 0; i < 3; i++) {
        golden_load(text("%sinput/%s", at, name[i]), to[i]->data, to[i]->count);
        keep(text("%sinput/%s", at, name[i]), to[i]->data, to[i]->count);
    }
}

static void keep_state(const net *n, const char *at, const char *params, const char *buffers)
{
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        keep(text("%s%s/%s", at, params, p->name), p->value, p->count);
    for (const layer *l = n->layers; l < n->layers + n->layer_count; l++)
        if (l->op == &batch_norm) {
            keep(text("%s%s/%s.running_mean", at, buffers, l->name), l->running_mean, l->x->C);
            keep(text("%s%s/%s.running_var", at, buffers, l->name), l->running_var, l->x->C);
            keep_counter(text("%s%s/%s.num_batches_tracked", at, buffers, l->name), l->tracked);
        }
}

void net_step(net *n, int step)
{
    char at[TEXT] = "";
    if (step > 1)
        snprintf(at, sizeof at, "step/%d/", step);
    feed(n, at);
    if (step == 1)
        keep_state(n, at, "param", "buffer");
    if (step == 1 && golden_has("eval_forward/"))
        inference(n);
    if (golden_number("steps", 0, 1e6) < step)
        return;
    forward(n, at);
    backward(n, at);
    update(n);
    keep_state(n, at, "after", "after");
    for (const param *p = n->params; p < n->params + n->param_count; p++) {
        keep(text("%safter_exp_avg/%s", at, p->name), p->first, p->count);
        if (!n->rule.sgd)
            keep(text("%safter_exp_avg_sq/%s", at, p->name), p->second, p->count);
    }
}
