/* channel_scale: multiplies each channel of an image by its gate, the "excite" of an SE block.
 *
 *     y [n,h,w,c] = x[n,h,w,c] * g[n,c]
 *     dx[n,h,w,c] = dy[n,h,w,c] * g[n,c]
 *     dg[n,c]     = sum over (h,w) of dy[n,h,w,c] * x[n,h,w,c]
 *
 * Reads: x, g.
 * Order: each element by itself; dg is a chain of fma(dy, x, .) from +0 over (h, w) ascending.
 * dy is read before dx is written, so dx may lie where dy lies.  SPDX-License-Identifier: MIT */

static void channel_scale_forward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t HW = in.dim[1] * in.dim[2], C = in.dim[3], rows = in.dim[0] * HW;
    const real *x = c->in[0].data, *g = c->in[1].data;
    real *y = c->out[0].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        const real *gate = g + i / HW * C;
#pragma omp simd
        for (size_t j = 0; j < C; j++)
            y[i * C + j] = x[i * C + j] * gate[j];
    }
}

/* One square: adds to the sums of dg, and writes dx where it is wanted. */
static void channel_scale_square(real *dx, real *sum, const real *dy, const real *x,
                                 const real *gate, size_t C, bool add)
{
    if (dx == NULL) {
#pragma omp simd
        for (size_t j = 0; j < C; j++)
            sum[j] = fma_real(dy[j], x[j], sum[j]);
        return;
    }
#pragma omp simd
    for (size_t j = 0; j < C; j++) {
        const real v = dy[j];
        sum[j] = fma_real(v, x[j], sum[j]);
        dx[j] = accumulate(dx[j], v * gate[j], add);
    }
}

static void channel_scale_backward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t N = in.dim[0], HW = in.dim[1] * in.dim[2], C = in.dim[3];
    const real *x = c->in[0].data, *g = c->in[1].data, *dy = c->dout.data;
    real *dx = c->din[0].data, *dg = c->din[1].data;
    const bool add_x = adds(c, 0), add_g = adds(c, 1);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        real *sum = (real *)c->work + (size_t)gn_thread_index() * C;
        row_zero(sum, C);
        for (size_t i = n * HW * C; i < (n + 1) * HW * C; i += C)
            channel_scale_square(dx == NULL ? NULL : dx + i, sum, dy + i, x + i, g + n * C, C,
                                 add_x);
        if (dg != NULL)
            row_accumulate(dg + n * C, sum, C, add_g);
    }
}

static size_t channel_scale_work(const gn_call *c)
{
    const size_t rows = c->pass == GN_BACKWARD ? (size_t)c->threads : 0;
    return rows * c->in[0].shape.dim[3] * sizeof(real);
}

static gn_status channel_scale_shape(gn_call *c, gn_err *err)
{
    const gn_shape x = c->in[0].shape, g = c->in[1].shape;
    if (x.rank != 4 || g.rank != 2 || g.dim[0] != x.dim[0] || g.dim[1] != x.dim[3]) {
        char xs[64], gs[64];
        return gn_fail(err, GN_E_SHAPE,
                       "channel_scale: input %s and gate %s; expected [N,H,W,C] and [N,C]",
                       gn_shape_text(x, xs, sizeof xs), gn_shape_text(g, gs, sizeof gs));
    }
    c->out[0].shape = x;
    return GN_OK;
}

static size_t channel_scale_terms(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? c->in[0].shape.dim[1] * c->in[0].shape.dim[2] : 1;
}

static const gn_op channel_scale_op = {
    .name = "channel_scale", .min_in = 2, .max_in = 2, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1), .shape = channel_scale_shape, .terms = channel_scale_terms,
};

static const gn_row channel_scale_row = {
    .op = &channel_scale_op, .forward = channel_scale_forward,
    .backward = channel_scale_backward, .work = channel_scale_work,
    .forward_in_place = GN_IN(0), .backward_in_place = GN_IN(0),
};
