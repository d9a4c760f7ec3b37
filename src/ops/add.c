/* add: the sum of two maps of one shape, the end of a residual block.
 *
 *     y  = a + b
 *     da = dy
 *     db = dy
 *
 * Reads: nothing.
 * Order: each element by itself; da takes its contribution before db (they may be one tensor).
 * da or db may lie where dy lies: that one is there already, and the other is a copy of it.
 * SPDX-License-Identifier: MIT */

static void add_forward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->in[0].shape);
    const real *a = c->in[0].data, *b = c->in[1].data;
    real *y = c->out[0].data;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

/* One gradient.  Where it lies in dy, dy keeps its value: a copy onto itself. */
static void add_gradient(real *dx, const real *dy, size_t count, bool add)
{
    if (dx == NULL || (dx == dy && !add))
        return;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        dx[i] = accumulate(dx[i], dy[i], add);
}

static void add_backward(const gn_call *c)
{
    const size_t count = gn_shape_count(c->dout.shape);
    for (int i = 0; i < 2; i++)
        add_gradient(c->din[i].data, c->dout.data, count, adds(c, i));
}

static gn_status add_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"a", "b"};
    if (!gn_shape_equal(c->in[0].shape, c->in[1].shape))
        return gn_refuse_shapes(c, names, "two of one shape", err);
    return same_shape(c, err);
}

static const gn_op add_op = {
    .name = "add", .min_in = 2, .max_in = 2, .nout = 1, .shape = add_shape, .terms = one_term,
};

static const gn_row add_row = {
    .op = &add_op, .forward = add_forward, .backward = add_backward,
    .forward_in_place = GN_IN(0) | GN_IN(1), .backward_in_place = GN_IN(0) | GN_IN(1),
};
