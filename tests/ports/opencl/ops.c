/* Each op's kernels, forward and, below it, backward; section numbers are those of
 * docs/numerics.md.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"

#define BN_EPS 1e-5

map *map_new(int N, int C, int H, int W, bool with_grad)
{
    map *x = calloc(1, sizeof *x);
    if (x == NULL)
        stop(3, "no memory");
    *x = (map){.C = C, .H = H, .W = W, .count = (int64_t)N * C * H * W};
    x->data = buffer_new(x->count);
    x->grad = with_grad ? buffer_new(x->count) : NULL;
    return x;
}

param *param_new(param *to, const char *name, int64_t count)
{
    *to = (param){.value = buffer_new(count), .grad = buffer_new(count), .count = count,
                  .first = buffer_new(count), .second = buffer_new(count)};
    snprintf(to->name, sizeof to->name, "%s", name);
    return to;
}

void layer_buffers(const ops *o, layer *l)
{
    if (l->op == &batch_norm) {
        cl_mem *const all[] = {&l->mean, &l->m2, &l->inv, &l->running_mean, &l->running_var};
        for (int i = 0; i < 5; i++)
            *all[i] = buffer_new(l->x->C);
    } else {
        l->probability = buffer_new(l->x->count);
        l->total = buffer_new(o->N);
        l->known = buffer_new(1);
    }
}

int64_t layer_leaves(const ops *o, const layer *l)
{
    if (l->op == &linear)
        return (o->N + 7) / 8 * l->weight->count;
    return o->N * (l->op == &conv2d ? l->weight->count : l->x->C);
}

/* 10.1: the first contribution to a gradient is stored, a second one is added when complete. */
static cl_mem place(const ops *o, const map *x)
{
    return x->given == 0 ? x->grad : o->contribution;
}

static void met(const ops *o, map *x)
{
    if (x->given++ > 0)
        run("add", x->count, "bbb", x->grad, x->grad, o->contribution);
}

static int squares(const map *x)
{
    return x->H * x->W;
}

static void tree(cl_mem out, const ops *o, int leaf, int64_t width, int leaves)
{
    run("tree", width, "bibi", out, 0, o->leaf[leaf], leaves);
}

/* --- 3, 4: convolution, dense or of groups of one channel ------------------------------------- */

static void conv2d_forward(const ops *o, layer *l)
{
    (void)o;
    run("conv2d", l->y->count, "bbbiiiiii", l->y->data, l->x->data, l->weight->value, l->x->C,
        l->y->C, l->y->H, l->y->W, l->K, l->groups);
}

static void conv2d_backward(const ops *o, layer *l)
{
    const int C = l->x->C, O = l->y->C, H = l->y->H, W = l->y->W;
    if (l->x->grad != NULL) {
        run("conv2d_dx", l->x->count, "bbbiiiiii", place(o, l->x), l->y->grad, l->weight->value, C,
            O, H, W, l->K, l->groups);
        met(o, l->x);
    }
    run("conv2d_dweight", o->N * l->weight->count, "bbbiiiiii", o->leaf[0], l->y->grad, l->x->data,
        C, O, H, W, l->K, l->groups);
    tree(l->weight->grad, o, 0, l->weight->count, o->N);
}

/* --- 5: linear; a map [N,C,H,W] is read as [N,C*H*W] ------------------------------------------ */

static void linear_forward(const ops *o, layer *l)
{
    const param *bias = l->bias != NULL ? l->bias : l->weight;
    run("linear", l->y->count, "bbbbiii", l->y->data, l->x->data, l->weight->value, bias->value,
        l->bias != NULL, (int)(l->x->count / o->N), l->y->C);
}

static void linear_backward(const ops *o, layer *l)
{
    const int leaves = (o->N + 7) / 8, in = (int)(l->x->count / o->N), out = l->y->C;
    run("linear_dx", l->x->count, "bbbii", place(o, l->x), l->y->grad, l->weight->value, in, out);
    met(o, l->x);
    run("linear_dweight", leaves * l->weight->count, "bbbiii", o->leaf[0], l->y->grad, l->x->data,
        in, out, o->N);
    tree(l->weight->grad, o, 0, l->weight->count, leaves);
    if (l->bias == NULL)
        return;
    run("linear_dbias", (int64_t)leaves * out, "bbii", o->leaf[0], l->y->grad, out, o->N);
    tree(l->bias->grad, o, 0, out, leaves);
}

/* --- 6: batch normalisation ------------------------------------------------------------------- */

static void batch_norm_forward(const ops *o, layer *l)
{
    const int C = l->x->C, HW = squares(l->x);
    if (o->training) {
        run("batch_norm_leaf", (int64_t)o->N * C, "bbbi", o->leaf[0], o->leaf[1], l->x->data, HW);
        run("batch_norm_merge", C, "bbbbbiif", l->mean, l->m2, l->inv, o->leaf[0], o->leaf[1], o->N,
            HW, BN_EPS);
    } else {
        run("batch_norm_inverse", C, "bbf", l->inv, l->running_var, BN_EPS);
    }
    run("batch_norm", l->y->count, "bbbbbbii", l->y->data, l->x->data, l->weight->value,
        l->bias->value, o->training ? l->mean : l->running_mean, l->inv, C, HW);
}

static void batch_norm_backward(const ops *o, layer *l)
{
    const int C = l->x->C, HW = squares(l->x);
    const cl_mem dgamma = l->weight->grad, dbeta = l->bias->grad;
    run("batch_norm_sums", (int64_t)o->N * C, "bbbbbii", o->leaf[0], o->leaf[1], l->y->grad,
        l->x->data, l->mean, C, HW);
    tree(dbeta, o, 0, C, o->N);
    tree(dgamma, o, 1, C, o->N);
    run("batch_norm_dgamma", C, "bb", dgamma, l->inv);
    run("batch_norm_dx", l->x->count, "bbbbbbbbiii", place(o, l->x), l->y->grad, l->x->data,
        l->weight->value, l->mean, l->inv, dgamma, dbeta, C, HW, o->N * HW);
    met(o, l->x);
}

/* --- 7: add, pooling, channel scale ----------------------------------------------------------- */

static void add_forward(const ops *o, layer *l)
{
    (void)o;
    run("add", l->y->count, "bbb", l->y->data, l->x->data, l->side->data);
}

static void add_backward(const ops *o, layer *l)
{
    map *const both[] = {l->x, l->side};
    for (int i = 0; i < 2; i++) {
        run("copy", l->y->count, "bb", place(o, both[i]), l->y->grad);
        met(o, both[i]);
    }
}

static void pool_forward(const ops *o, layer *l)
{
    (void)o;
    run("global_avg_pool", l->y->count, "bbi", l->y->data, l->x->data, squares(l->x));
}

static void pool_backward(const ops *o, layer *l)
{
    run("global_avg_pool_dx", l->x->count, "bbi", place(o, l->x), l->y->grad, squares(l->x));
    met(o, l->x);
}

static void scale_forward(const ops *o, layer *l)
{
    (void)o;
    run("channel_scale", l->y->count, "bbbi", l->y->data, l->x->data, l->side->data,
        squares(l->x));
}

static void scale_backward(const ops *o, layer *l)
{
    const int HW = squares(l->x);
    run("channel_scale", l->x->count, "bbbi", place(o, l->x), l->y->grad, l->side->data, HW);
    met(o, l->x);
    run("channel_scale_dgate", l->side->count, "bbbi", place(o, l->side), l->y->grad, l->x->data,
        HW);
    met(o, l->side);
}

/* --- 7, 8: ReLU, flatten, sigmoid, tanh: element by element ----------------------------------- */

static void unary_forward(const ops *o, layer *l)
{
    (void)o;
    run(l->op->kernel, l->y->count, "bb", l->y->data, l->x->data);
}

static void unary_backward(const ops *o, layer *l)
{
    run(l->op->kernel_dx, l->x->count, "bbb", place(o, l->x), l->y->grad, l->y->data);
    met(o, l->x);
}

static void flatten_backward(const ops *o, layer *l)
{
    run("copy", l->x->count, "bb", place(o, l->x), l->y->grad);
    met(o, l->x);
}

/* --- 9: losses; y is one number, the mean over the positions that have a target --------------- */

static void mean_of_targets(const ops *o, layer *l)
{
    tree(l->y->data, o, 0, 1, o->N);
    run("mean_of_targets", 1, "bbbi", l->y->data, l->known, l->total, o->N);
}

static void policy_loss_forward(const ops *o, layer *l)
{
    run("softmax_cross_entropy", o->N, "bbbbbi", o->leaf[0], l->probability, l->total, l->x->data,
        l->side->data, (int)(l->x->count / o->N));
    mean_of_targets(o, l);
}

static void policy_loss_backward(const ops *o, layer *l)
{
    run("softmax_cross_entropy_dx", l->x->count, "bbbbbbi", place(o, l->x), l->probability,
        l->total, l->side->data, l->known, l->y->grad, (int)(l->x->count / o->N));
    met(o, l->x);
}

static void value_loss_forward(const ops *o, layer *l)
{
    run("mean_squared_error", o->N, "bbbb", o->leaf[0], l->total, l->x->data, l->side->data);
    mean_of_targets(o, l);
}

static void value_loss_backward(const ops *o, layer *l)
{
    run("mean_squared_error_dx", o->N, "bbbbbb", place(o, l->x), l->x->data, l->side->data,
        l->total, l->known, l->y->grad);
    met(o, l->x);
}

const op conv2d = {.forward = conv2d_forward, .backward = conv2d_backward},
         linear = {.forward = linear_forward, .backward = linear_backward},
         batch_norm = {.forward = batch_norm_forward, .backward = batch_norm_backward},
         add = {.forward = add_forward, .backward = add_backward},
         global_avg_pool = {.forward = pool_forward, .backward = pool_backward},
         channel_scale = {.forward = scale_forward, .backward = scale_backward},
         relu = {unary_forward, unary_backward, "relu", "relu_dx"},
         sigmoid = {unary_forward, unary_backward, "sigmoid", "sigmoid_dx"},
         hyperbolic_tangent = {unary_forward, unary_backward, "hyperbolic_tangent",
                               "hyperbolic_tangent_dx"},
         flatten = {unary_forward, flatten_backward, "copy", NULL},
         policy_loss = {.forward = policy_loss_forward, .backward = policy_loss_backward},
         value_loss = {.forward = value_loss_forward, .backward = value_loss_backward};
