/* flatten: a map as one row of numbers an image, in PyTorch's order (c, h, w).
 *
 *     y [n, c*HW + i] = x[n,i,c]          i = square h*W + w
 *     dx[n,i,c]       = dy[n, c*HW + i]
 *
 * Reads: nothing.
 * Order: a copy.  SPDX-License-Identifier: MIT */

static void flatten_forward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t N = in.dim[0], HW = in.dim[1] * in.dim[2], C = in.dim[3];
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real *x = (const real *)c->in[0].data + n * HW * C;
        real *y = (real *)c->out[0].data + n * HW * C;
        for (size_t j = 0; j < C; j++)
            for (size_t i = 0; i < HW; i++)
                y[j * HW + i] = x[i * C + j];
    }
}

static void flatten_backward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape;
    const size_t N = in.dim[0], HW = in.dim[1] * in.dim[2], C = in.dim[3];
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real *dy = (const real *)c->dout.data + n * HW * C;
        real *dx = (real *)c->din[0].data + n * HW * C;
        for (size_t i = 0; i < HW; i++)
            for (size_t j = 0; j < C; j++)
                dx[i * C + j] = accumulate(dx[i * C + j], dy[j * HW + i], add);
    }
}

static gn_status flatten_shape(gn_call *c, gn_err *err)
{
    const gn_shape x = c->in[0].shape;
    if (x.rank != 4) {
        char xs[64];
        return gn_fail(err, GN_E_SHAPE, "flatten: input %s; expected [N,H,W,C]",
                       gn_shape_text(x, xs, sizeof xs));
    }
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
