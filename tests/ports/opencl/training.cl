/* Losses, clipping and the step of docs/numerics.md as OpenCL kernels: sections 9, 12, 13 and 14.
 * SPDX-License-Identifier: MIT */
#pragma OPENCL FP_CONTRACT OFF

/* --- Losses: a position has a target unless T <= 0 -------------------------------------------- */

/* p = softmax(x), T = sum of t, loss = -(sum over i of t * log p), of one position.
 * Order: chains from +0 over i; every cell takes part, t = 0 too. */
kernel void softmax_cross_entropy(int N, global float *loss, global float *p, global float *T,
                                  global const float *x, global const float *t, int cells)
{
    const int n = get_global_id(0), first = n * cells, end = first + cells;
    if (n >= N)
        return;
    float m = x[first], sum = 0.0f, total = 0.0f, acc = 0.0f;
    for (int i = first + 1; i < end; i++)
        m = x[i] > m ? x[i] : m;
    for (int i = first; i < end; i++) {
        p[i] = exact_exp(x[i] - m);
        sum = sum + p[i];
        total = total + t[i];
    }
    const float log_sum = exact_log(sum);
    for (int i = first; i < end; i++) {
        p[i] = p[i] / sum;
        acc = fma(t[i], (x[i] - m) - log_sum, acc);
    }
    T[n] = total;
    loss[n] = total <= 0.0f ? 0.0f : -acc;
}

kernel void softmax_cross_entropy_dx(int count, global float *dx, global const float *p,
                                     global const float *T, global const float *t,
                                     global const float *known, global const float *dloss,
                                     int cells)
{
    const int i = get_global_id(0), n = i / cells;
    if (i < count)
        dx[i] = T[n] <= 0.0f ? 0.0f : (fma(p[i], T[n], -t[i]) / known[0]) * dloss[0];
}

/* (v - z)^2 of one position; a target of NaN is none. */
kernel void mean_squared_error(int N, global float *loss, global float *T, global const float *v,
                               global const float *z)
{
    const int n = get_global_id(0);
    if (n >= N)
        return;
    const float d = v[n] - z[n];
    T[n] = isnan(z[n]) ? 0.0f : 1.0f;
    loss[n] = isnan(z[n]) ? 0.0f : d * d;
}

kernel void mean_squared_error_dx(int N, global float *dv, global const float *v,
                                  global const float *z, global const float *T,
                                  global const float *known, global const float *dloss)
{
    const int n = get_global_id(0);
    if (n < N)
        dv[n] = T[n] <= 0.0f ? 0.0f : ((2.0f * (v[n] - z[n])) / known[0]) * dloss[0];
}

/* loss[0] holds the sum (by `tree`) and becomes the mean over the positions that have a target. */
kernel void mean_of_targets(int one, global float *loss, global float *known,
                            global const float *T, int N)
{
    if (get_global_id(0) >= one)
        return;
    int have = 0;
    for (int n = 0; n < N; n++)
        have += !(T[n] <= 0.0f);
    known[0] = (float)have;
    loss[0] = have > 0 ? loss[0] / known[0] : 0.0f;
}

/* --- The step --------------------------------------------------------------------------------- */

/* The sum of squares of one block of 4096 elements of a tensor's `size`.
 * Order: 16 lanes, each a chain of fma from +0, then their tree; blocks by `tree`, tensors too. */
kernel void sum_of_squares(int blocks, global float *sum, global const float *g, int size)
{
    const int b = get_global_id(0);
    if (b >= blocks)
        return;
    float lane[16];
    for (int j = 0; j < 16; j++)
        lane[j] = 0.0f;
    for (int i = b * 4096; i < min((b + 1) * 4096, size); i++)
        lane[i % 16] = fma(g[i], g[i], lane[i % 16]);
    for (int step = 1; step < 16; step *= 2)
        for (int j = 0; j < 16; j += 2 * step)
            lane[j] = lane[j] + lane[j + step];
    sum[b] = lane[0];
}

/* norm[0] holds the sum of squares and becomes the norm.  coef = max_norm / (norm + 1e-6), at most
 * 1; a norm of NaN gives 1, so does max_norm <= 0. */
kernel void clip(int one, global float *coef, global float *norm, float max_norm)
{
    if (get_global_id(0) >= one)
        return;
    norm[0] = sqrt(norm[0]);
    const float c = max_norm / (norm[0] + 1e-6f);
    coef[0] = max_norm <= 0.0f ? 1.0f : c < 1.0f ? c : 1.0f;
}

/* c0 = 1 - lr*decay, c1 = 1 - beta1, c2 = 1 - beta2, c3 = sqrt(1 - beta2^t),
 * c4 = lr / (1 - beta1^t): in double on the host, rounded once. */
kernel void adamw(int count, global float *p, global const float *g, global float *m,
                  global float *v, global const float *coef, float b1, float b2, float eps,
                  float c0, float c1, float c2, float c3, float c4)
{
    const int i = get_global_id(0);
    if (i >= count)
        return;
    const float clipped = g[i] * coef[0];
    m[i] = fma(c1, clipped, b1 * m[i]);
    v[i] = fma(c2 * clipped, clipped, b2 * v[i]);
    const float d = sqrt(v[i]) / c3 + eps;
    p[i] = fma(-c4, m[i] / d, p[i] * c0);
}

kernel void sgd(int count, global float *p, global const float *g, global float *m,
                global const float *coef, float lr, float mu, float decay, int nesterov)
{
    const int i = get_global_id(0);
    if (i >= count)
        return;
    const float clipped = fma(decay, p[i], g[i] * coef[0]);
    m[i] = fma(mu, m[i], clipped);
    p[i] = fma(-lr, nesterov ? fma(mu, m[i], clipped) : m[i], p[i]);
}
