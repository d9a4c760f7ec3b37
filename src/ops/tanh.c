/* tanh: the value head's last step.
 *
 *     y  = tanh(x), correctly rounded in float32
 *     dx = dy * fma(-y, y, 1)
 *
 * Reads: y, not x.
 * Order: each element by itself; 1 - y*y is rounded once, the product once more.
 * SPDX-License-Identifier: MIT */

static void tanh_forward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *x = c->in[0].data;
    real *y = c->out[0].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = tanh_real(x[i]);
}

static void tanh_backward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *y = c->out[0].data, *dy = c->dout.data;
    real *dx = c->din[0].data;
    const bool add = adds(c, 0);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        dx[i] = accumulate(dx[i], dy[i] * fma_real(-y[i], y[i], (real)1), add);
}

ELEMENTWISE(tanh);
