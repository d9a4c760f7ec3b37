/* mean_squared_error: the value's loss, a mean over the positions that have a target.
 *
 *     loss = (sum over positions of (v - z)^2) / n
 *     dv   = 2 * (v - z) / n * dloss
 *
 * A position whose z is NaN has no target: it adds +0 to the loss, and its gradient is +0.
 * n counts the others; with n = 0 the loss is +0.
 *
 * Reads: v, z.
 * Order: d = v-z; the batch tree over d*d of the positions, then one division by n.
 * dv = ((2*d) / n) * dloss.  SPDX-License-Identifier: MIT */

static real mse_targets(const real *z, size_t N)
{
    size_t count = 0;
    for (size_t n = 0; n < N; n++)
        count += z[n] == z[n] ? 1 : 0;
    return (real)count;
}

static void mse_forward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0];
    const real *v = c->in[0].data, *z = c->in[1].data, count = mse_targets(z, N);
    real *loss = c->out[0].data, *leaf = c->work;
    for (size_t n = 0; n < N; n++) {
        const real d = v[n] - z[n];
        leaf[n] = z[n] == z[n] ? d * d : (real)0;
    }
    *loss = count > 0 ? tree_sum(leaf, N, 1) / count : (real)0;
}

static void mse_backward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0];
    const real *v = c->in[0].data, *z = c->in[1].data, count = mse_targets(z, N);
    const real dloss = *(const real *)c->dout.data;
    real *dv = c->din[0].data;
    for (size_t n = 0; n < N; n++) {
        const real g = 2 * (v[n] - z[n]) / count * dloss;
        dv[n] = accumulate(dv[n], z[n] == z[n] ? g : (real)0, adds(c, 0));
    }
}

static size_t mse_work(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? 0 : c->in[0].shape.dim[0] * sizeof(real);
}

static gn_status mse_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"value", "target"};
    const gn_shape v = c->in[0].shape, z = c->in[1].shape;
    const bool column = v.rank == 1 || (v.rank == 2 && v.dim[1] == 1);
    if (!column || z.rank != 1 || z.dim[0] != v.dim[0])
        return gn_refuse_shapes(c, names, "[N,1] or [N], and [N]", err);
    c->out[0].shape = gn_shape_of(1, 1, 0, 0, 0);
    return GN_OK;
}

static size_t mse_terms(const gn_call *c)
{
    return c->pass == GN_BACKWARD ? 1 : c->in[0].shape.dim[0];
}

static const gn_op mse_op = {
    .name = "mean_squared_error", .min_in = 2, .max_in = 2, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1), .constant = GN_IN(1), .shape = mse_shape, .terms = mse_terms,
};

static const gn_row mse_row = {
    .op = &mse_op, .forward = mse_forward, .backward = mse_backward, .work = mse_work,
};
