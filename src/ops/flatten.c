/* flatten: a map as one row of numbers an image, in PyTorch's order (c, h, w).
 *
 *     y [n, c*HW + i] = x[n,i,c]          i = square h*W + w
 *     dx[n,i,c]       = dy[n, c*HW + i]
 *
 * Reads: nothing.
 * Order: a copy.  SPDX-License-Identifier: MIT */

static void flatten_forward(const gn_call *c)
{
    const map_size s = map_of(c->in[0].shape);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const real *x = (const real *)c->in[0].data + n * s.HW * s.C;
        real *y = (real *)c->out[0].data + n * s.HW * s.C;
        for (size_t j = 0; j < s.C; j++)
            for (size_t i = 0; i < s.HW; i++)
                y[j * s.HW + i] = x[i * s.C + j];
    }
}

static void flatten_backward(const gn_call *c)
{
    const map_size s = map_of(c->in[0].shape);
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const real *dy = (const real *)c->dout.data + n * s.HW * s.C;
        real *dx = (real *)c->din[0].data + n * s.HW * s.C;
        for (size_t i = 0; i < s.HW; i++)
            for (size_t j = 0; j < s.C; j++)
                dx[i * s.C + j] = accumulate(dx[i * s.C + j], dy[j * s.HW + i], add);
    }
}

static gn_status flatten_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input"};
    const gn_shape x = c->in[0].shape;
    if (x.rank != 4)
        return gn_refuse_shapes(c, names, "[N,H,W,C]", err);
    c->out[0].shape = gn_shape_of(2, x.dim[0], x.dim[3] * x.dim[1] * x.dim[2], 0, 0);
    return GN_OK;
}

static const gn_op flatten_op = {
    .name = "flatten", .min_in = 1, .max_in = 1, .nout = 1,
    .shape = flatten_shape, .terms = one_term,
};

static const gn_row flatten_row = {
    .op = &flatten_op, .forward = flatten_forward, .backward = flatten_backward,
};
