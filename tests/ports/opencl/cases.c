/* Single ops, forward and backward, of a golden file of cases.  SPDX-License-Identifier: MIT */
#include <stdio.h>
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

static int64_t load(const char *name, cl_mem buffer, int64_t count) /* what is given is kept too */
{
    golden_load(text("%s/%s", at, name), buffer, count);
    keep(text("%s/%s", at, name), buffer, count);
    return count;
}

static void give(const char *name, cl_mem buffer, int64_t count)
{
    keep(text("%s/%s", at, name), buffer, count);
}

/* An input, its shape the file's; NULL: the case has none of this name. */
static map *input(const char *name, int *N)
{
    int dim[4] = {1, 1, 1, 1};
    if (golden_shape(text("%s/%s", at, name), dim) == 0)
        return NULL;
    map *x = map_new(dim[0], dim[1], dim[2], dim[3], true);
    load(name, x->data, x->count);
    *N = dim[0];
    return x;
}

static param *parameter(param *to, const char *name, int dim[4])
{
    const int rank = golden_shape(text("%s/%s", at, name), dim);
    if (rank == 0)
        return NULL;
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dim[i];
    param_new(to, name, count);
    load(name, to->value, count);
    return to;
}

/* --- Ops -------------------------------------------------------------------------------------- */

static map *output(const ops *o, const layer *l, int channels)
{
    const map *x = l->x;
    if (l->op == &conv2d)
        return map_new(o->N, channels, x->H, x->W, true);
    if (l->op == &linear || l->op == &global_avg_pool)
        return map_new(o->N, l->op == &linear ? channels : x->C, 1, 1, true);
    if (l->op == &flatten)
        return map_new(o->N, (int)(x->count / o->N), 1, 1, true);
    if (l->op == &policy_loss || l->op == &value_loss)
        return map_new(1, 1, 1, 1, true);
    return map_new(o->N, x->C, x->H, x->W, true);
}

static void norm_inputs(ops *o, layer *l, const char *op_name)
{
    layer_buffers(o, l);
    load("running_mean", l->running_mean, l->x->C);
    load("running_var", l->running_var, l->x->C);
    o->training = !begins(op_name, "batch_norm_inference");
}

static void backward(const ops *o, layer *l, const char *x, const char *side)
{
    int dim[4];
    const bool loss = l->op == &policy_loss || l->op == &value_loss;
    const char *upstream = loss ? "dloss" : "dy";
    if (golden_shape(text("%s/%s", at, upstream), dim) == 0)
        return;
    load(upstream, l->y->grad, l->y->count);
    l->op->backward(o, l);
    give(text("d%s", x), l->x->grad, l->x->count);
    if (l->side != NULL && !loss)
        give(text("d%s", side), l->side->grad, l->side->count);
    if (l->weight != NULL)
        give("dweight", l->weight->grad, l->weight->count);
    if (l->bias != NULL)
        give("dbias", l->bias->grad, l->bias->count);
}

static void run_op(const op *which, const char *op_name, const char *x, const char *side)
{
    int dim[4] = {1, 1, 1, 1}, other[4] = {1, 1, 1, 1};
    param weight, bias;
    ops o = {.training = true};
    layer l = {.op = which, .side = *side == '\0' ? NULL : input(side, &o.N), .x = input(x, &o.N)};
    l.weight = parameter(&weight, "weight", dim);
    l.bias = parameter(&bias, "bias", other);
    const bool needs_weight = which == &conv2d || which == &linear || which == &batch_norm;
    if (l.x == NULL || (*side != '\0' && l.side == NULL) || (needs_weight && l.weight == NULL) ||
        (which == &batch_norm && l.bias == NULL))
        stop(2, "%s: an input is missing, nothing can be computed without it", at);
    if (which == &conv2d && (l.x->C % dim[1] != 0 || dim[2] != dim[3] || dim[2] % 2 == 0))
        stop(2, "%s/weight: expected [O,C,K,K], K odd, for %d channels", at, l.x->C);
    l.K = dim[2];
    l.groups = l.x->C / dim[1];
    l.y = output(&o, &l, dim[0]);
    o.leaf[0] = buffer_new(layer_leaves(&o, &l));
    o.leaf[1] = buffer_new(layer_leaves(&o, &l));
    if (which == &batch_norm)
        norm_inputs(&o, &l, op_name);
    else if (which == &policy_loss || which == &value_loss)
        layer_buffers(&o, &l);
    which->forward(&o, &l);
    give(which == &policy_loss || which == &value_loss ? "loss" : "y", l.y->data, l.y->count);
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
    param p;
    const cl_mem coef = buffer_new(1);
    parameter(&p, "param", dim);
    load("grad", p.grad, p.count);
    load("coef", coef, 1);
    load(r.sgd ? "velocity" : "exp_avg", p.first, p.count);
    if (!r.sgd)
        load("exp_avg_sq", p.second, p.count);
    optimise(&r, &p, coef);
    give("after", p.value, p.count);
    give(r.sgd ? "after_velocity" : "after_exp_avg", p.first, p.count);
    give("after_exp_avg_sq", p.second, p.count);
}

static void run_clip(void)
{
    const rule r = {.max_norm = 1};
    const cl_mem sums = buffer_new(1), norm = buffer_new(1), coef = buffer_new(1);
    int dim[4];
    param p;
    parameter(&p, "grad", dim);
    p.grad = p.value;
    clip(&(ops){.leaf = {buffer_new(p.count)}}, &r, &p, 1, sums, norm, coef);
    give("norm", norm, 1);
    give("coef", coef, 1);
}

static void run_running(void)
{
    int dim[4] = {0}, N;
    golden_shape(text("%s/mean", at), dim);
    N = dim[0];
    layer l = {.op = &batch_norm, .x = &(map){.C = N}};
    layer_buffers(NULL, &l);
    load("mean", l.mean, N);
    load("m2", l.m2, N);
    load("running_mean", l.running_mean, N);
    load("running_var", l.running_var, N);
    running_statistics(&l, 75);
    give("after_mean", l.running_mean, N);
    give("after_var", l.running_var, N);
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
        stop(2, "%s: this port has no op of this name", at);
    }
}

void cases_run(void)
{
    char last[TEXT] = "";
    for (size_t i = 0; i < golden_tensors(); i++) {
        const char *name = golden_name(i, "case/");
        const char *end = name == NULL ? NULL : strrchr(name, '/');
        if (end == NULL || strchr(name, '/') == end)
            stop(2, "tensor %s: expected case/TIER/OP/NAME", golden_name(i, ""));
        const char *now = text("case/%.*s", (int)(end - name), name);
        if (strcmp(now, last) == 0)
            continue;
        snprintf(last, sizeof last, "%s", now);
        at = last;
        run_case(strrchr(last, '/') + 1);
    }
}
