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
    const map_size s = map_of(c->in[0].shape);
    const real *x = c->in[0].data, *g = c->in[1].data;
    real *y = c->out[0].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s.N * s.HW; i++) {
        const real *gate = g + i / s.HW * s.C;
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            y[i * s.C + j] = x[i * s.C + j] * gate[j];
    }
}

static void channel_scale_backward(const gn_call *c)
{
    const map_size s = map_of(c->in[0].shape);
    const real *x = c->in[0].data, *g = c->in[1].data, *dy = c->dout.data;
    real *dx = c->din[0].data, *dg = c->din[1].data;
    const bool add_x = adds(c, 0), add_g = adds(c, 1);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        real *sum = (real *)c->work + (size_t)gn_thread_index() * 2 * s.C, *unwanted = sum + s.C;
        row_zero(sum, 2 * s.C);
        for (size_t i = n * s.HW * s.C; i < (n + 1) * s.HW * s.C; i += s.C) {
            real *to = dx != NULL ? dx + i : unwanted;
#pragma omp simd
            for (size_t j = 0; j < s.C; j++) {
                const real v = dy[i + j];
                sum[j] = fma_real(v, x[i + j], sum[j]);
                to[j] = accumulate(to[j], v * g[n * s.C + j], add_x);
            }
        }
        if (dg != NULL)
            row_accumulate(dg + n * s.C, sum, s.C, add_g);
    }
}

static size_t channel_scale_work(const gn_call *c)
{
    const size_t rows = c->pass == GN_BACKWARD ? 2 * (size_t)c->threads : 0;
    return rows * c->in[0].shape.dim[3] * sizeof(real);
}

static gn_status channel_scale_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input", "gate"};
    const gn_shape x = c->in[0].shape, gate = gn_shape_of(2, x.dim[0], x.dim[3], 0, 0);
    if (x.rank != 4 || !gn_shape_equal(c->in[1].shape, gate))
        return gn_refuse_shapes(c, names, "[N,H,W,C] and [N,C]", err);
    return same_shape(c, err);
}

static size_t channel_scale_terms(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? map_of(c->in[0].shape).HW : 1;
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
