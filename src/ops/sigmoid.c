/* sigmoid: the gate of an SE block.
 *
 *     s  = 1 / (1 + exp(-x))
 *     dx = (dy * (1 - s)) * s
 *
 * Reads: s, not x.
 * Order: each element by itself; forward three roundings after exp's, which is correctly rounded
 * in float32.  Where exp(-x) overflows (x < -88.72) s is +0, though the truth is a denormal.
 * SPDX-License-Identifier: MIT */

static void sigmoid_forward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *x = c->in[0].data;
    real *s = c->out[0].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++)
        s[i] = 1 / (1 + exp_real(-x[i]));
}

static void sigmoid_backward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *s = c->out[0].data, *dy = c->dout.data;
    real *dx = c->din[0].data;
    const bool add = adds(c, 0);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        dx[i] = accumulate(dx[i], dy[i] * (1 - s[i]) * s[i], add);
}

ELEMENTWISE(sigmoid);
