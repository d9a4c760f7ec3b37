/* Single ops, forward and backward, of a golden file of cases.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

/* Names begin so; `x`, `side`: what the op's inputs are called. */
static const struct {
    const char *name, *x, *side;
    const op *op;
} table[] = {
    {"conv2d", "x", "", &conv2d},
    {"depthwise_conv2d", "x", "", &conv2d},
    {"linear", "x", "", &linear},
    {"batch_norm", "x", "", &batch_norm},
    {"relu", "x", "", &relu},
    {"add", "a", "b", &add},
    {"global_avg_pool", "x", "", &global_avg_pool},
    {"channel_scale", "x", "gate", &channel_scale},
    {"flatten", "x", "", &flatten},
    {"sigmoid", "x", "", &sigmoid},
    {"tanh", "x", "", &hyperbolic_tangent},
    {"softmax_cross_entropy", "logits", "target", &policy_loss},
    {"mean_squared_error", "x", "target", &value_loss},
};

static const char *at; /* "case/T2/linear" */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static void load(const char *name, cl_mem buffer, int64_t count) /* what is given is kept too */
{
    golden_load(text("%s/%s", at, name), buffer, count);
    keep(text("%s/%s", at, name), buffer, count);
}

static void give(const char *name, cl_mem buffer, int64_t count)
{
    keep(text("%s/%s", at, name), buffer, count);
}

static void shape(const char *name, int dim[4]) /* what is not there is 1 */
{
    dim[0] = dim[1] = dim[2] = dim[3] = 1;
    if (golden_shape(text("%s/%s", at, name), dim) == 0)
        stop(2, "%s: tensor %s/%s is missing, nothing can be computed without it", golden_path(),
             at, name);
}

static param *parameter(const char *name, int64_t count)
{
    param *p = calloc(1, sizeof *p);
    if (p == NULL)
        stop(3, "no memory");
    param_new(p, name, count);
    load(name, p->value, count);
    return p;
}

/* --- Ops -------------------------------------------------------------------------------------- */

static bool is_loss(const layer *l)
{
    return l->op == &policy_loss || l->op == &value_loss;
}

/* Weights, as many as x asks for; y. */
static void conv_or_linear(const ops *o, layer *l)
{
    const map *x = l->x;
    int dim[4];
    shape("weight", dim);
    const int rest = l->op == &linear ? (int)(x->count / o->N) : dim[1];
    l->K = dim[2];
    l->groups = x->C / rest > 0 ? x->C / rest : 1;
    if (l->op == &conv2d && (x->C % rest != 0 || dim[0] % l->groups != 0 || dim[2] % 2 == 0))
        stop(2, "%s: tensor %s/weight: expected [O,C,K,K], K odd, for %d channels", golden_path(),
             at, x->C);
    l->weight = parameter("weight", (int64_t)dim[0] * rest * dim[2] * dim[2]);
    l->y = l->op == &linear ? map_new(o->N, dim[0], 1, 1, true)
                            : map_new(o->N, dim[0], x->H, x->W, true);
    if (golden_shape(text("%s/bias", at), dim) > 0)
        l->bias = parameter("bias", l->y->C);
}

static void norm(ops *o, layer *l, const char *op_name)
{
    layer_buffers(o, l);
    l->weight = parameter("weight", l->x->C);
    l->bias = parameter("bias", l->x->C);
    load("running_mean", l->running_mean, l->x->C);
    load("running_var", l->running_var, l->x->C);
    o->training = !begins(op_name, "batch_norm_inference");
}

/* The second input; y where nobody made it yet. */
static void side_and_output(const ops *o, layer *l, const char *side)
{
    const map *x = l->x;
    const bool vector = l->op == &channel_scale || l->op == &global_avg_pool;
    if (is_loss(l))
        layer_buffers(o, l);
    if (*side != '\0') {
        l->side = vector ? map_new(o->N, x->C, 1, 1, true)
                         : map_new(o->N, l->op == &value_loss ? 1 : x->C, x->H, x->W, true);
        load(side, l->side->data, l->side->count);
    }
    if (l->y != NULL)
        return;
    if (is_loss(l))
        l->y = map_new(1, 1, 1, 1, true);
    else if (l->op == &flatten)
        l->y = map_new(o->N, (int)(x->count / o->N), 1, 1, true);
    else if (l->op == &global_avg_pool)
        l->y = map_new(o->N, x->C, 1, 1, true);
    else
        l->y = map_new(o->N, x->C, x->H, x->W, true);
}

static void backward(const ops *o, layer *l, const char *x, const char *side)
{
    int dim[4];
    const char *upstream = is_loss(l) ? "dloss" : "dy";
    if (golden_shape(text("%s/%s", at, upstream), dim) == 0)
        return;
    load(upstream, l->y->grad, l->y->count);
    l->op->backward(o, l);
    give(text("d%s", x), l->x->grad, l->x->count);
    if (l->side != NULL && !is_loss(l))
        give(text("d%s", side), l->side->grad, l->side->count);
    if (l->weight != NULL)
        give("dweight", l->weight->grad, l->weight->count);
    if (l->bias != NULL)
        give("dbias", l->bias->grad, l->bias->count);
}

static void run_op(const op *which, const char *op_name, const char *x, const char *side)
{
    int dim[4];
    shape(x, dim);
    ops o = {.N = dim[0], .training = true};
    layer l = {.op = which, .x = map_new(dim[0], dim[1], dim[2], dim[3], true)};
    load(x, l.x->data, l.x->count);
    if (which == &conv2d || which == &linear)
        conv_or_linear(&o, &l);
    else if (which == &batch_norm)
        norm(&o, &l, op_name);
    side_and_output(&o, &l, side);
    o.leaf[0] = buffer_new(layer_leaves(&o, &l));
    o.leaf[1] = buffer_new(layer_leaves(&o, &l));
    which->forward(&o, &l);
    give(is_loss(&l) ? "loss" : "y", l.y->data, l.y->count);
    if (which == &batch_norm && o.training) {
        give("mean", l.mean, l.x->C);
        give("invstd", l.inv, l.x->C);
    }
    backward(&o, &l, x, side);
}

/* --- What follows backward; the numbers are those of the file's metadata "updates" ------------ */

static void run_optimizer(const char *op_name)
{
    const rule r = {.sgd = strcmp(op_name, "adamw") != 0, .nesterov = *op_name == 'n',
                    .lr = *op_name == 'a' ? 1e-3 : 0.1, .decay = 1e-4, .momentum = 0.9,
                    .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .beta1_power = 0.9 * 0.9 * 0.9,
                    .beta2_power = 0.999 * 0.999 * 0.999};
    int dim[4];
    const cl_mem coef = buffer_new(1);
    shape("param", dim);
    const param *p = parameter("param", dim[0]);
    load("grad", p->grad, p->count);
    load("coef", coef, 1);
    load(r.sgd ? "velocity" : "exp_avg", p->first, p->count);
    if (!r.sgd)
        load("exp_avg_sq", p->second, p->count);
    optimise(&r, p, coef);
    give("after", p->value, p->count);
    give(r.sgd ? "after_velocity" : "after_exp_avg", p->first, p->count);
    give("after_exp_avg_sq", p->second, p->count);
}

static void run_clip(void)
{
    const rule r = {.max_norm = 1};
    const cl_mem sums = buffer_new(1), norm = buffer_new(1), coef = buffer_new(1);
    int dim[4];
    shape("grad", dim);
    const param p = {.grad = parameter("grad", dim[0])->value, .count = dim[0]};
    clip(&(ops){.leaf = {buffer_new(p.count)}}, &r, &p, 1, sums, norm, coef);
    give("norm", norm, 1);
    give("coef", coef, 1);
}

static void run_running(void)
{
    int dim[4];
    shape("mean", dim);
    layer l = {.op = &batch_norm, .x = &(map){.C = dim[0]}};
    layer_buffers(NULL, &l);
    load("mean", l.mean, dim[0]);
    load("m2", l.m2, dim[0]);
    load("running_mean", l.running_mean, dim[0]);
    load("running_var", l.running_var, dim[0]);
    running_statistics(&l, 75);
    give("after_mean", l.running_mean, dim[0]);
    give("after_var", l.running_var, dim[0]);
}

static void run_case(const char *op_name)
{
    if (strcmp(op_name, "adamw") == 0 || strcmp(op_name, "sgd") == 0 ||
        strcmp(op_name, "nesterov") == 0) {
        run_optimizer(op_name);
    } else if (strcmp(op_name, "clip") == 0) {
        run_clip();
    } else if (strcmp(op_name, "running") == 0) {
        run_running();
    } else {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            if (begins(op_name, table[i].name)) {
                run_op(table[i].op, op_name, table[i].x, table[i].side);
                return;
            }
        stop(2, "%s: tensors %s/*: this port has no op of this name", golden_path(), at);
    }
}

void cases_run(void)
{
    char last[TEXT] = "";
    for (size_t i = 0; i < golden_tensors(); i++) {
        const char *name = golden_name(i, "case/");
        const char *end = name == NULL ? NULL : strrchr(name, '/');
        if (end == NULL || strchr(name, '/') == end)
            stop(2, "%s: tensor %s: expected case/TIER/OP/NAME", golden_path(), golden_name(i, ""));
        const char *now = text("case/%.*s", (int)(end - name), name);
        if (strcmp(now, last) == 0)
            continue;
        snprintf(last, sizeof last, "%s", now);
        at = last;
        run_case(strrchr(last, '/') + 1);
    }
}
