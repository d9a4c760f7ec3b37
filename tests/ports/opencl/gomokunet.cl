/* The ops of docs/numerics.md as OpenCL kernels that have its bits.
 *
 * One work-item computes one output, from its first term to its last: no sum is split, nothing is
 * atomic.  So work-group sizes are free.  `count` is the number of outputs; work-items behind it
 * have nothing to do.  Maps are [N,C,H,W], vectors [N,C], weights as PyTorch has them.
 * `fma` is rounded once.  It stands where the page writes it; the pragma keeps the compiler from
 * making others out of a*b + c.  Speed is no aim: a tile that advances many chains at once has
 * the same bits.  SPDX-License-Identifier: MIT */
#pragma OPENCL FP_CONTRACT OFF

/* --- Sums over the batch ---------------------------------------------------------------------- */

/* out[at + e] = the tree over n of leaf[n][e], N leaves of `count` numbers each; leaf is used up.
 * Order: neighbours, then pairs of neighbours, ...: N = 5 is ((0 + 1) + (2 + 3)) + 4. */
kernel void tree(int count, global float *out, int at, global float *leaf, int N)
{
    const int e = get_global_id(0);
    if (e >= count)
        return;
    for (int step = 1; step < N; step *= 2)
        for (int n = 0; n + step < N; n += 2 * step)
            leaf[n * count + e] = leaf[n * count + e] + leaf[(n + step) * count + e];
    out[at + e] = leaf[e];
}

/* --- Convolution: K odd, stride 1, K/2 squares of padding, no bias ---------------------------- */

/* What a tap sees: +0 outside the board, and its fma is done. */
static float seen(global const float *plane, int h, int w, int H, int W)
{
    return h >= 0 && h < H && w >= 0 && w < W ? plane[h * W + w] : 0.0f;
}

/* y[n,o,h,w] = sum over (kh,kw,c) of x[n, c, h+kh-P, w+kw-P] * weight[o,c,kh,kw], c of o's group.
 * One group: dense; C groups of one channel: depthwise.
 * Order: one chain of fma from +0, kh outermost, c innermost. */
kernel void conv2d(int count, global float *y, global const float *x, global const float *weight,
                   int C, int O, int H, int W, int K, int groups)
{
    const int i = get_global_id(0), w = i % W, h = i / W % H, o = i / (H * W) % O;
    const int n = i / (H * W) / O, inputs = C / groups, P = K / 2;
    if (i >= count)
        return;
    const int first = o / (O / groups) * inputs;
    float acc = 0.0f;
    for (int kh = 0; kh < K; kh++)
        for (int kw = 0; kw < K; kw++)
            for (int c = 0; c < inputs; c++)
                acc = fma(seen(x + (n * C + first + c) * H * W, h + kh - P, w + kw - P, H, W),
                          weight[((o * inputs + c) * K + kh) * K + kw], acc);
    y[i] = acc;
}

/* dx[n,c,h,w] = sum over (kh,kw,o) of dy[n, o, h+kh-P, w+kw-P] * weight[o,c,K-1-kh,K-1-kw].
 * Order: one chain of fma from +0, kh outermost, o innermost: the weight's taps descend. */
kernel void conv2d_dx(int count, global float *dx, global const float *dy,
                      global const float *weight, int C, int O, int H, int W, int K, int groups)
{
    const int i = get_global_id(0), w = i % W, h = i / W % H, c = i / (H * W) % C;
    const int n = i / (H * W) / C, inputs = C / groups, outputs = O / groups, P = K / 2;
    if (i >= count)
        return;
    const int first = c / inputs * outputs, tap = K * K - 1;
    float acc = 0.0f;
    for (int kh = 0; kh < K; kh++)
        for (int kw = 0; kw < K; kw++)
            for (int o = first; o < first + outputs; o++)
                acc = fma(seen(dy + (n * O + o) * H * W, h + kh - P, w + kw - P, H, W),
                          weight[(o * inputs + c % inputs) * K * K + tap - (kh * K + kw)], acc);
    dx[i] = acc;
}

/* dW[o,c,kh,kw] = sum over n, (h,w) of dy[n,o,h,w] * x[n, c, h+kh-P, w+kw-P]: leaf[n][o,c,kh,kw].
 * Order: in each image a chain of fma from +0 over (h,w), padded squares included; then `tree`. */
kernel void conv2d_dweight(int count, global float *leaf, global const float *dy,
                           global const float *x, int C, int O, int H, int W, int K, int groups)
{
    const int i = get_global_id(0), kw = i % K, kh = i / K % K, inputs = C / groups, P = K / 2;
    const int c = i / (K * K) % inputs, o = i / (K * K * inputs) % O, n = i / (K * K * inputs) / O;
    if (i >= count)
        return;
    global const float *plane = x + (n * C + o / (O / groups) * inputs + c) * H * W;
    float acc = 0.0f;
    for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++)
            acc = fma(dy[((n * O + o) * H + h) * W + w],
                      seen(plane, h + kh - P, w + kw - P, H, W), acc);
    leaf[i] = acc;
}

/* --- Linear ----------------------------------------------------------------------------------- */

/* y[n,o] = (sum over k of x[n,k] * weight[o,k]) + bias[o].
 * Order: a chain of fma from +0 over k, then one addition, where there is a bias. */
kernel void linear(int count, global float *y, global const float *x, global const float *weight,
                   global const float *bias, int has_bias, int I, int O)
{
    const int i = get_global_id(0), n = i / O, o = i % O;
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int k = 0; k < I; k++)
        acc = fma(x[n * I + k], weight[o * I + k], acc);
    y[i] = has_bias ? acc + bias[o] : acc;
}

/* dx[n,k] = sum over o of dy[n,o] * weight[o,k].  Order: a chain of fma from +0 over o. */
kernel void linear_dx(int count, global float *dx, global const float *dy,
                      global const float *weight, int I, int O)
{
    const int i = get_global_id(0), n = i / I, k = i % I;
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int o = 0; o < O; o++)
        acc = fma(dy[n * O + o], weight[o * I + k], acc);
    dx[i] = acc;
}

/* dW[o,k] = sum over n of dy[n,o] * x[n,k]: leaf[n/8][o,k].
 * Order: 8 images are a leaf, the last may be short; in it a chain of fma from +0; then `tree`. */
kernel void linear_dweight(int count, global float *leaf, global const float *dy,
                           global const float *x, int I, int O, int N)
{
    const int i = get_global_id(0), k = i % I, o = i / I % O, first = i / I / O * 8;
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int n = first; n < min(first + 8, N); n++)
        acc = fma(dy[n * O + o], x[n * I + k], acc);
    leaf[i] = acc;
}

/* dbias[o] = sum over n of dy[n,o].  Order: the same leaves, a chain of additions; then `tree`. */
kernel void linear_dbias(int count, global float *leaf, global const float *dy, int O, int N)
{
    const int i = get_global_id(0), o = i % O, first = i / O * 8;
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int n = first; n < min(first + 8, N); n++)
        acc = acc + dy[n * O + o];
    leaf[i] = acc;
}

/* --- Batch normalisation ---------------------------------------------------------------------- */

/* Mean and sum of squared deviations of one channel of one image.
 * Order: chains from +0 over (h,w); the mean corrected once, the sum for it. */
kernel void batch_norm_leaf(int count, global float *mean, global float *m2, global const float *x,
                            int HW)
{
    const int i = get_global_id(0);
    if (i >= count)
        return;
    global const float *plane = x + i * HW;
    float sum = 0.0f, e = 0.0f, q = 0.0f;
    for (int s = 0; s < HW; s++)
        sum = sum + plane[s];
    const float m0 = sum / (float)HW;
    for (int s = 0; s < HW; s++) {
        const float d = plane[s] - m0;
        e = e + d;
        q = fma(d, d, q);
    }
    const float c = e / (float)HW, t = fma(-e, c, q);
    mean[i] = m0 + c;
    m2[i] = t <= 0.0f ? 0.0f : t;
}

/* The batch's mean, m2 and 1/deviation from the images': [N][C], used up.
 * Order: the shape of `tree`; nodes know how many images they hold. */
kernel void batch_norm_merge(int C, global float *mean, global float *m2, global float *inv,
                             global float *means, global float *m2s, int N, int HW, float eps)
{
    const int c = get_global_id(0);
    if (c >= C)
        return;
    for (int step = 1; step < N; step *= 2)
        for (int n = 0; n + step < N; n += 2 * step) {
            const int a = n * C + c, b = a + step * C, right = min(step, N - n - step);
            const float w = (float)right / (float)(step + right), D = means[b] - means[a];
            means[a] = fma(D, w, means[a]);
            m2s[a] = fma(D * D, (float)(step * HW) * w, m2s[a] + m2s[b]);
        }
    mean[c] = means[c];
    m2[c] = m2s[c];
    inv[c] = 1.0f / sqrt(m2s[c] / (float)(N * HW) + eps);
}

/* Inference: 1/deviation of the running variance. */
kernel void batch_norm_inverse(int C, global float *inv, global const float *running_var,
                               float eps)
{
    const int c = get_global_id(0);
    if (c < C)
        inv[c] = 1.0f / sqrt(running_var[c] + eps);
}

/* y = (x - mean) * (gamma * inv) + beta, the last product and sum one fma. */
kernel void batch_norm(int count, global float *y, global const float *x,
                       global const float *gamma, global const float *beta,
                       global const float *mean, global const float *inv, int C, int HW)
{
    const int i = get_global_id(0), c = i / HW % C;
    if (i < count)
        y[i] = fma(x[i] - mean[c], gamma[c] * inv[c], beta[c]);
}

/* s1 = sum of dy, s2 = sum of dy * (x - mean), of one channel of one image.
 * Order: two chains from +0 over (h,w), the second of fma; then `tree` for each. */
kernel void batch_norm_sums(int count, global float *s1, global float *s2,
                            global const float *dy, global const float *x,
                            global const float *mean, int C, int HW)
{
    const int i = get_global_id(0), c = i % C;
    if (i >= count)
        return;
    float first = 0.0f, second = 0.0f;
    for (int s = i * HW; s < (i + 1) * HW; s++) {
        first = first + dy[s];
        second = fma(dy[s], x[s] - mean[c], second);
    }
    s1[i] = first;
    s2[i] = second;
}

/* dbeta = s1 needs no kernel; dgamma = s2 * inv, in place. */
kernel void batch_norm_dgamma(int C, global float *s2, global const float *inv)
{
    const int c = get_global_id(0);
    if (c < C)
        s2[c] = s2[c] * inv[c];
}

/* dx = (x - mean) * B + (sc * dy + C), B and C from the sums over the batch of M numbers. */
kernel void batch_norm_dx(int count, global float *dx, global const float *dy,
                          global const float *x, global const float *gamma,
                          global const float *mean, global const float *inv,
                          global const float *dgamma, global const float *dbeta, int channels,
                          int HW, int M)
{
    const int i = get_global_id(0), c = i / HW % channels;
    if (i >= count)
        return;
    const float k1 = dbeta[c] / (float)M, k2 = dgamma[c] / (float)M, sc = gamma[c] * inv[c];
    const float B = -((sc * inv[c]) * k2), C = -(sc * k1);
    dx[i] = fma(x[i] - mean[c], B, fma(sc, dy[i], C));
}

/* Once a step: the new statistics have the share k, the old ones r; the variance is unbiased. */
kernel void running_statistics(int C, global float *running_mean, global float *running_var,
                               global const float *mean, global const float *m2, int M, float k,
                               float r)
{
    const int c = get_global_id(0);
    if (c >= C)
        return;
    running_mean[c] = fma(k, mean[c], r * running_mean[c]);
    running_var[c] = fma(k, m2[c] / (float)max(M - 1, 1), r * running_var[c]);
}

/* --- Element by element; flattening [N,C,S,S] to (c,h,w) moves nothing ------------------------ */

kernel void relu(int count, global float *y, global const float *x) /* NaN passes */
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = x[i] <= 0.0f ? 0.0f : x[i];
}

kernel void relu_dx(int count, global float *dx, global const float *dy, global const float *y)
{
    const int i = get_global_id(0);
    if (i < count)
        dx[i] = y[i] <= 0.0f ? 0.0f : dy[i];
}

/* The skip connection; also how a second contribution to a gradient meets the first. */
kernel void add(int count, global float *y, global const float *a, global const float *b)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = a[i] + b[i];
}

/* The gradient of both summands. */
kernel void copy(int count, global float *y, global const float *x)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = x[i];
}

/* y[n,c] = (sum over (h,w) of x) / HW.  Order: a chain of additions from +0. */
kernel void global_avg_pool(int count, global float *y, global const float *x, int HW)
{
    const int i = get_global_id(0);
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int s = i * HW; s < (i + 1) * HW; s++)
        acc = acc + x[s];
    y[i] = acc / (float)HW;
}

kernel void global_avg_pool_dx(int count, global float *dx, global const float *dy, int HW)
{
    const int i = get_global_id(0);
    if (i < count)
        dx[i] = dy[i / HW] / (float)HW;
}

/* y[n,c,h,w] = x * gate[n,c]; dx is the same of dy. */
kernel void channel_scale(int count, global float *y, global const float *x,
                          global const float *gate, int HW)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = x[i] * gate[i / HW];
}

/* dgate[n,c] = sum over (h,w) of dy * x.  Order: a chain of fma from +0. */
kernel void channel_scale_dgate(int count, global float *dgate, global const float *dy,
                                global const float *x, int HW)
{
    const int i = get_global_id(0);
    if (i >= count)
        return;
    float acc = 0.0f;
    for (int s = i * HW; s < (i + 1) * HW; s++)
        acc = fma(dy[s], x[s], acc);
    dgate[i] = acc;
}

kernel void sigmoid(int count, global float *y, global const float *x)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = 1.0f / (1.0f + exact_exp(-x[i]));
}

kernel void sigmoid_dx(int count, global float *dx, global const float *dy, global const float *y)
{
    const int i = get_global_id(0);
    if (i < count)
        dx[i] = (dy[i] * (1.0f - y[i])) * y[i];
}

kernel void hyperbolic_tangent(int count, global float *y, global const float *x)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = exact_tanh(x[i]);
}

kernel void hyperbolic_tangent_dx(int count, global float *dx, global const float *dy,
                                  global const float *y)
{
    const int i = get_global_id(0);
    if (i < count)
        dx[i] = dy[i] * fma(-y[i], y[i], 1.0f);
}
