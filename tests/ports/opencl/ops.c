/* Each op's kernels, forward and, below it, backward: section numbers are those of
 * docs/numerics.md.  SPDX-License-Identifier: MIT */
#include "port.h"

#define BN_EPS 1e-5

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
    return x->S * x->S;
}

static void tree(cl_mem out, const ops *o, int leaf, int64_t width, int leaves)
{
    run("tree", width, "bibi", out, 0, o->leaf[leaf], leaves);
}

/* --- 3, 4: convolution, dense or of groups of one channel ------------------------------------- */

static void conv2d_forward(const ops *o, layer *l)
{
    (void)o;
    run("conv2d", l->y->count, "bbbiiiii", l->y->data, l->x->data, l->weight->value, l->x->C,
        l->y->C, l->y->S, l->K, l->groups);
}

static void conv2d_backward(const ops *o, layer *l)
{
    if (l->x->grad != NULL) {
        run("conv2d_dx", l->x->count, "bbbiiiii", place(o, l->x), l->y->grad, l->weight->value,
            l->x->C, l->y->C, l->y->S, l->K, l->groups);
        met(o, l->x);
    }
    run("conv2d_dweight", o->N * l->weight->count, "bbbiiiii", o->leaf[0], l->y->grad, l->x->data,
        l->x->C, l->y->C, l->y->S, l->K, l->groups);
    tree(l->weight->grad, o, 0, l->weight->count, o->N);
}

/* --- 5: linear; [N,C,S,S] is read as [N,C*S*S] ------------------------------------------------ */

static void linear_forward(const ops *o, layer *l)
{
    (void)o;
    run("linear", l->y->count, "bbbbiii", l->y->data, l->x->data, l->weight->value,
        (l->bias != NULL ? l->bias : l->weight)->value, l->bias != NULL,
        l->x->C * squares(l->x), l->y->C);
}

static void linear_backward(const ops *o, layer *l)
{
    const int leaves = (o->N + 7) / 8, in = l->x->C * squares(l->x), out = l->y->C;
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

/* --- 7: ReLU, add, pooling, channel scale ----------------------------------------------------- */

static void relu_forward(const ops *o, layer *l)
{
    (void)o;
    run("relu", l->y->count, "bb", l->y->data, l->x->data);
}

static void relu_backward(const ops *o, layer *l)
{
    run("relu_dx", l->x->count, "bbb", place(o, l->x), l->y->grad, l->y->data);
    met(o, l->x);
}

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

static void global_avg_pool_forward(const ops *o, layer *l)
{
    (void)o;
    run("global_avg_pool", l->y->count, "bbi", l->y->data, l->x->data, squares(l->x));
}

static void global_avg_pool_backward(const ops *o, layer *l)
{
    run("global_avg_pool_dx", l->x->count, "bbi", place(o, l->x), l->y->grad, squares(l->x));
    met(o, l->x);
}

static void channel_scale_forward(const ops *o, layer *l)
{
    (void)o;
    run("channel_scale", l->y->count, "bbbi", l->y->data, l->x->data, l->side->data,
        squares(l->x));
}

static void channel_scale_backward(const ops *o, layer *l)
{
    run("channel_scale", l->x->count, "bbbi", place(o, l->x), l->y->grad, l->side->data,
        squares(l->x));
    met(o, l->x);
    run("channel_scale_dgate", l->side->count, "bbbi", place(o, l->side), l->y->grad, l->x->data,
        squares(l->x));
    met(o, l->side);
}

/* --- 8: sigmoid, tanh ------------------------------------------------------------------------- */

static void sigmoid_forward(const ops *o, layer *l)
{
    (void)o;
    run("sigmoid", l->y->count, "bb", l->y->data, l->x->data);
}

static void sigmoid_backward(const ops *o, layer *l)
{
    run("sigmoid_dx", l->x->count, "bbb", place(o, l->x), l->y->grad, l->y->data);
    met(o, l->x);
}

static void tanh_forward(const ops *o, layer *l)
{
    (void)o;
    run("tanh_forward", l->y->count, "bb", l->y->data, l->x->data);
}

static void tanh_backward(const ops *o, layer *l)
{
    run("tanh_dx", l->x->count, "bbb", place(o, l->x), l->y->grad, l->y->data);
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
        l->side->data, l->x->C);
    mean_of_targets(o, l);
}

static void policy_loss_backward(const ops *o, layer *l)
{
    run("softmax_cross_entropy_dx", l->x->count, "bbbbbbi", place(o, l->x), l->probability,
        l->total, l->side->data, l->known, l->y->grad, l->x->C);
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

const op conv2d = {conv2d_forward, conv2d_backward}, linear = {linear_forward, linear_backward},
         batch_norm = {batch_norm_forward, batch_norm_backward},
         relu = {relu_forward, relu_backward}, add = {add_forward, add_backward},
         global_avg_pool = {global_avg_pool_forward, global_avg_pool_backward},
         channel_scale = {channel_scale_forward, channel_scale_backward},
         sigmoid = {sigmoid_forward, sigmoid_backward},
         hyperbolic_tangent = {tanh_forward, tanh_backward},
         policy_loss = {policy_loss_forward, policy_loss_backward},
         value_loss = {value_loss_forward, value_loss_backward};
