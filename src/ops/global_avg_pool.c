/* global_avg_pool: the mean of each channel over the board, the "squeeze" of an SE block.
 *
 *     y [n,c]     = (sum over (h,w) of x[n,h,w,c]) / HW
 *     dx[n,h,w,c] = dy[n,c] / HW
 *
 * Reads: nothing.
 * Order: a chain of additions from +0 over (h, w) ascending, then one division by the count of
 * squares.  Backward: one division a channel.  SPDX-License-Identifier: MIT */

static void pool_forward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t N = in.dim[0], HW = in.dim[1] * in.dim[2], C = in.dim[3];
    const real squares = (real)HW;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real *x = (const real *)c->in[0].data + n * HW * C;
        real *y = (real *)c->out[0].data + n * C;
        row_zero(y, C);
        for (size_t i = 0; i < HW; i++, x += C)
#pragma omp simd
            for (size_t j = 0; j < C; j++)
                y[j] += x[j];
#pragma omp simd
        for (size_t j = 0; j < C; j++)
            y[j] /= squares;
    }
}

static void pool_backward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t N = in.dim[0], HW = in.dim[1] * in.dim[2], C = in.dim[3];
    const real squares = (real)HW;
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real *dy = (const real *)c->dout.data + n * C;
        real *dx = (real *)c->din[0].data + n * HW * C;
        real *g = (real *)c->work + (size_t)gn_thread_index() * C;
#pragma omp simd
        for (size_t j = 0; j < C; j++)
            g[j] = dy[j] / squares;
        for (size_t i = 0; i < HW; i++, dx += C)
            row_accumulate(dx, g, C, add);
    }
}

static size_t pool_work(const gn_call *c)
{
    const size_t rows = c->pass == GN_BACKWARD ? (size_t)c->threads : 0;
    return rows * c->in[0].shape.dim[3] * sizeof(real);
}

static gn_status pool_shape(gn_call *c, gn_err *err)
{
    const gn_shape x = c->in[0].shape;
    if (x.rank != 4) {
        char xs[64];
        return gn_fail(err, GN_E_SHAPE, "global_avg_pool: input %s; expected [N,H,W,C]",
                       gn_shape_text(x, xs, sizeof xs));
    }
    c->out[0].shape = gn_shape_of(2, x.dim[0], x.dim[3], 0, 0);
    return GN_OK;
}

static size_t pool_terms(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? 1 : c->in[0].shape.dim[1] * c->in[0].shape.dim[2];
}

static const gn_op pool_op = {
    .name = "global_avg_pool", .min_in = 1, .max_in = 1, .nout = 1,
    .shape = pool_shape, .terms = pool_terms,
};

static const gn_row pool_row = {
    .op = &pool_op, .forward = pool_forward, .backward = pool_backward, .work = pool_work,
};
