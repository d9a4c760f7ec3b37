/* relu: the rectifier.
 *
 *     y  = (x <= 0) ? +0 : x
 *     dx = (y <= 0) ? +0 : dy
 *
 * Reads: y, not x, so the input may be dropped (or overwritten) at once.
 * Order: each element by itself.  NaN passes forward; where y is NaN, dy passes backward.
 * SPDX-License-Identifier: MIT */

static void relu_forward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *x = c->in[0].data;
    real *y = c->out[0].data;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = x[i] <= 0 ? (real)0 : x[i];
}

static void relu_backward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *y = c->out[0].data, *dy = c->dout.data;
    real *dx = c->din[0].data;
    const bool add = adds(c, 0);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        dx[i] = accumulate(dx[i], y[i] <= 0 ? (real)0 : dy[i], add);
}

ELEMENTWISE(relu);
