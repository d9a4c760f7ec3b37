/* Inference and training steps: the list of layers forward, the same list from its end, then what
 * follows backward.  SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "port.h"

#define MOMENTUM 0.1 /* of the running statistics: the share of the new batch */

/* --- Kept, under the names of docs/golden.md; `at` is the step's prefix ----------------------- */

static void keep_inputs(const net *n, const char *at)
{
    golden_load(text("%sinput/planes", at), n->planes->data, n->planes->count);
    golden_load(text("%sinput/policy", at), n->policy->data, n->policy->count);
    golden_load(text("%sinput/value", at), n->value->data, n->value->count);
    keep(text("%sinput/planes", at), n->planes->data, n->planes->count);
    keep(text("%sinput/policy", at), n->policy->data, n->policy->count);
    keep(text("%sinput/value", at), n->value->data, n->value->count);
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

/* --- Forward, backward ------------------------------------------------------------------------ */

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
    for (layer *l = n->layers; l < n->layers + n->layer_count; l++)
        l->y->given = 0;
    buffer_write(n->total->grad, &one, 1);
    for (layer *l = n->layers + n->layer_count; l-- > n->layers;) {
        keep(text("%sgrad_forward/%s", at, l->name), l->y->grad, l->y->count);
        l->op->backward(&n->ops, l);
    }
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        keep(text("%sgrad/%s", at, p->name), p->grad, p->count);
}

/* --- The step --------------------------------------------------------------------------------- */

static void running(net *n)
{
    const double share = MOMENTUM;
    for (layer *l = n->layers; l < n->layers + n->layer_count; l++)
        if (l->op == &batch_norm) {
            run("running_statistics", l->x->C, "bbbbiff", l->running_mean, l->running_var, l->mean,
                l->m2, n->ops.N * l->x->S * l->x->S, share, 1 - share);
            l->tracked++;
        }
}

/* The coefficient of clipping; all gradients under one norm. */
static void clip(const net *n)
{
    for (int i = 0; i < n->param_count; i++) {
        const param *p = &n->params[i];
        const int blocks = (int)((p->count + 4095) / 4096);
        run("sum_of_squares", blocks, "bbi", n->ops.leaf[0], p->grad, (int)p->count);
        run("tree", 1, "bibi", n->sums, i, n->ops.leaf[0], blocks);
    }
    run("tree", 1, "bibi", n->norm, 0, n->sums, n->param_count);
    run("clip", 1, "bbf", n->coef, n->norm, golden_number("clip", -1e38, 1e38));
}

static void adamw(net *n)
{
    const double lr = golden_number("lr", 0, 1e9), decay = golden_number("weight_decay", 0, 1e9);
    const double b1 = golden_number("beta1", 0, 1), b2 = golden_number("beta2", 0, 1);
    const double eps = golden_number("eps", 0, 1);
    n->beta1_power *= b1;
    n->beta2_power *= b2;
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        run("adamw", p->count, "bbbbbffffffff", p->value, p->grad, p->first, p->second, n->coef,
            b1, b2, eps, 1 - lr * decay, 1 - b1, 1 - b2, sqrt(1 - n->beta2_power),
            lr / (1 - n->beta1_power));
}

static void sgd(const net *n)
{
    const double lr = golden_number("lr", 0, 1e9), decay = golden_number("weight_decay", 0, 1e9);
    const double momentum = golden_number("momentum", 0, 1);
    const bool nesterov = strcmp(golden_word("nesterov"), "true") == 0;
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        run("sgd", p->count, "bbbbfffi", p->value, p->grad, p->first, n->coef, lr, momentum, decay,
            nesterov);
}

void net_step(net *n, int step)
{
    const bool is_sgd = strcmp(golden_word("optimizer"), "sgd") == 0;
    char at[TEXT] = "";
    if (step > 1)
        strcpy(at, text("step/%d/", step));
    keep_inputs(n, at);
    if (step == 1)
        keep_state(n, at, "param", "buffer");
    if (step == 1 && golden_has("eval_forward/"))
        inference(n);
    if (golden_number("steps", 0, 1e9) < step)
        return;
    forward(n, at);
    backward(n, at);
    running(n);
    clip(n);
    if (is_sgd)
        sgd(n);
    else
        adamw(n);
    keep_state(n, at, "after", "after");
    for (const param *p = n->params; p < n->params + n->param_count; p++) {
        keep(text("%safter_exp_avg/%s", at, p->name), p->first, p->count);
        if (!is_sgd)
            keep(text("%safter_exp_avg_sq/%s", at, p->name), p->second, p->count);
    }
}
