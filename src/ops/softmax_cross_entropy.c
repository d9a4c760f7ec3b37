/* softmax_cross_entropy: the policy's loss, a mean over the positions that have a target.
 *
 *     p       = exp(x - m) / sum of exp(x - m)             m = the largest logit of the position
 *     loss    = (sum over positions of -(sum over cells of t * log p)) / n
 *     dlogit  = (p * sum t - t) / n * dloss
 *
 * n counts the positions whose target's sum is not <= 0 (so NaN counts, and shows).  A position
 * without a target adds +0 to the loss, and its gradients are +0; p is there for every position.
 * With n = 0 the loss is +0.
 *
 * Reads: target, p.
 * Order, cells ascending: m starts at cell 0, a cell takes its place if it is greater;
 * e = exp(x-m); sum = chain(e) from +0; p = e/sum; logp = (x-m) - log(sum);
 * position = -(chain of fma(t, logp, .) from +0); T = chain(t) from +0; loss = the batch tree over
 * the positions, then one division by n.  dlogit = (fma(p, T, -t) / n) * dloss.
 * SPDX-License-Identifier: MIT */

/* One position: fills p, returns its loss as if it had a target. */
static real sce_position(real *p, const real *x, const real *t, size_t cells)
{
    real m = x[0], sum = 0, acc = 0;
    for (size_t i = 1; i < cells; i++)
        m = x[i] > m ? x[i] : m;
    for (size_t i = 0; i < cells; i++)
        p[i] = exp_real(x[i] - m);
    for (size_t i = 0; i < cells; i++)
        sum += p[i];
    const real log_sum = log_real(sum);
    for (size_t i = 0; i < cells; i++)
        acc = fma_real(t[i], x[i] - m - log_sum, acc);
    for (size_t i = 0; i < cells; i++)
        p[i] /= sum;
    return -acc;
}

/* The sums of the targets into `sums`, [N]; returns n. */
static real sce_targets(real *sums, const real *t, size_t N, size_t cells)
{
    size_t count = 0;
    for (size_t n = 0; n < N; n++) {
        real sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += t[n * cells + i];
        sums[n] = sum;
        count += sum <= 0 ? 0 : 1;
    }
    return (real)count;
}

static void sce_forward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], cells = c->in[0].shape.dim[1];
    const real *x = c->in[0].data, *t = c->in[1].data;
    real *loss = c->out[0].data, *p = c->out[1].data;
    real *sums = c->work, *leaf = sums + N;
    const real count = sce_targets(sums, t, N, cells);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real value = sce_position(p + n * cells, x + n * cells, t + n * cells, cells);
        leaf[n] = sums[n] <= 0 ? (real)0 : value;
    }
    *loss = count > 0 ? tree_sum(leaf, N, 1) / count : (real)0;
}

static void sce_backward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], cells = c->in[0].shape.dim[1];
    const real *t = c->in[1].data, *p = c->out[1].data, dloss = *(const real *)c->dout.data;
    real *dx = c->din[0].data, *sums = c->work;
    const real count = sce_targets(sums, t, N, cells);
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real sum = sums[n];
        const bool none = sum <= 0;
#pragma omp simd
        for (size_t i = n * cells; i < (n + 1) * cells; i++) {
            const real v = fma_real(p[i], sum, -t[i]) / count * dloss;
            dx[i] = accumulate(dx[i], none ? (real)0 : v, add);
        }
    }
}

static size_t sce_work(const gn_call *c)
{
    return 2 * c->in[0].shape.dim[0] * sizeof(real);
}

static gn_status sce_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"logits", "target"};
    const gn_shape x = c->in[0].shape;
    if (x.rank != 2 || x.dim[1] == 0 || !gn_shape_equal(x, c->in[1].shape))
        return gn_refuse_shapes(c, names, "two of [N,A]", err);
    c->out[0].shape = gn_shape_of(1, 1, 0, 0, 0);
    c->out[1].shape = x;
    return GN_OK;
}

static size_t sce_terms(const gn_call *c)
{
    const gn_shape x = c->in[0].shape;
    return c->pass == GN_BACKWARD ? x.dim[1] : x.dim[1] + x.dim[0];
}

static const gn_op sce_op = {
    .name = "softmax_cross_entropy", .min_in = 2, .max_in = 2, .nout = 2,
    .reads = GN_IN(1) | GN_OUT(1), .pinned = GN_OUT(1), .constant = GN_IN(1),
    .shape = sce_shape, .terms = sce_terms,
};

static const gn_row sce_row = {
    .op = &sce_op, .forward = sce_forward, .backward = sce_backward, .work = sce_work,
};
