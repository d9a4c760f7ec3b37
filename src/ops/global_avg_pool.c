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
    const map_size s = map_of(c->in[0].shape);
    const real squares = (real)s.HW;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const real *x = (const real *)c->in[0].data + n * s.HW * s.C;
        real *y = (real *)c->out[0].data + n * s.C;
        row_zero(y, s.C);
        for (size_t i = 0; i < s.HW; i++, x += s.C)
#pragma omp simd
            for (size_t j = 0; j < s.C; j++)
                y[j] += x[j];
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            y[j] /= squares;
    }
}

static void pool_backward(const gn_call *c)
{
    const map_size s = map_of(c->in[0].shape);
    const real squares = (real)s.HW;
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const real *dy = (const real *)c->dout.data + n * s.C;
        real *dx = (real *)c->din[0].data + n * s.HW * s.C;
        real *g = (real *)c->work + (size_t)gn_thread_index() * s.C;
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            g[j] = dy[j] / squares;
        for (size_t i = 0; i < s.HW; i++, dx += s.C)
            row_accumulate(dx, g, s.C, add);
    }
}

static size_t pool_work(const gn_call *c)
{
    const size_t rows = c->pass == GN_BACKWARD ? (size_t)c->threads : 0;
    return rows * c->in[0].shape.dim[3] * sizeof(real);
}

static gn_status pool_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input"};
    const gn_shape x = c->in[0].shape;
    if (x.rank != 4)
        return gn_refuse_shapes(c, names, "[N,H,W,C]", err);
    c->out[0].shape = gn_shape_of(2, x.dim[0], x.dim[3], 0, 0);
    return GN_OK;
}

static size_t pool_terms(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? 1 : map_of(c->in[0].shape).HW;
}

static const gn_op pool_op = {
    .name = "global_avg_pool", .min_in = 1, .max_in = 1, .nout = 1,
    .shape = pool_shape, .terms = pool_terms,
};

static const gn_row pool_row = {
    .op = &pool_op, .forward = pool_forward, .backward = pool_backward, .work = pool_work,
};
