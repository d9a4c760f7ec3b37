/* batch_norm: each channel brought to mean 0 and variance 1 over the batch, then gamma and beta.
 *
 *     y      = (x - mean) * sc + beta                     sc = gamma * inv
 *     mean, m2 over all n, h, w                           inv = 1 / sqrt(m2/M + eps), M = N*H*W
 *     dbeta  = sum of dy
 *     dgamma = sum of dy * (x - mean) * inv
 *     dx     = sc * (dy - dbeta/M - (x - mean) * inv * dgamma/M)
 *
 * Outputs 1 to 3 are mean, m2 (the sum of squared deviations) and inv; the training step makes the
 * running averages of them, this op writes none.  Without `training` mean and inv come from inputs
 * 3 and 4, and m2 is +0; only the batch's statistics can be differentiated.
 *
 * Reads: x, gamma, mean, inv; y is written after the same element of x was read for the last time,
 * so y may lie where x lies if no backward follows.
 * Order, a channel each; sums inside an image are chains from +0 over (h, w) ascending:
 *   leaf   m0 = chain(x)/HW; d = x-m0; e = chain(d); q = chain of fma(d,d,.); c = e/HW;
 *          mean = m0+c; m2 = max(+0, fma(-e,c,q)), NaN passing
 *   merge  of A (left) and B with nA and nB images, over the batch tree:
 *          w = nB/(nA+nB); D = meanB-meanA; mean = fma(D,w,meanA);
 *          m2 = fma(D*D, (nA*HW)*w, m2A+m2B)
 *   apply  inv = 1/sqrt(m2/M + eps); sc = gamma*inv; y = fma(x-mean, sc, beta)
 *   back   s1 = chain(dy); s2 = chain of fma(dy, x-mean, .); both summed over the batch tree;
 *          dbeta = s1; dgamma = s2*inv; k1 = s1/M; k2 = dgamma/M; B = -((sc*inv)*k2);
 *          C = -(sc*k1); dx = fma(x-mean, B, fma(sc, dy, C))
 * SPDX-License-Identifier: MIT */

enum { BN_X, BN_GAMMA, BN_BETA, BN_RUNNING_MEAN, BN_RUNNING_VAR };
enum { BN_Y, BN_MEAN, BN_M2, BN_INV };

/* One image's mean and m2 of every channel; e is scratch. */
static void bn_leaf(real *mean, real *m2, real *e, const real *x, size_t HW, size_t C)
{
    const real squares = (real)HW;
    row_zero(mean, C);
    row_zero(m2, C);
    row_zero(e, C);
    for (size_t i = 0; i < HW; i++)
#pragma omp simd
        for (size_t j = 0; j < C; j++)
            mean[j] += x[i * C + j];
#pragma omp simd
    for (size_t j = 0; j < C; j++)
        mean[j] /= squares;
    for (size_t i = 0; i < HW; i++)
#pragma omp simd
        for (size_t j = 0; j < C; j++) {
            const real d = x[i * C + j] - mean[j];
            e[j] += d;
            m2[j] = fma_real(d, d, m2[j]);
        }
#pragma omp simd
    for (size_t j = 0; j < C; j++) { /* the error of the first mean, taken back */
        const real shift = e[j] / squares, q = fma_real(-e[j], shift, m2[j]);
        mean[j] += shift;
        m2[j] = q <= 0 ? (real)0 : q;
    }
}

/* Chan's merge over the batch tree, for the channels from `first` to `last`.  A leaf is two rows:
 * mean, m2.  The node that starts at image i of level `step` holds min(step, N - i) images. */
static void bn_merge(real *leaves, map_size s, size_t first, size_t last)
{
    for (size_t step = 1; step < s.N; step *= 2)
        for (size_t i = 0; i + step < s.N; i += 2 * step) {
            const size_t left = s.N - i - step, nB = step < left ? step : left;
            const real w = (real)nB / (real)(step + nB), aw = (real)(step * s.HW) * w;
            real *mA = leaves + 2 * i * s.C, *qA = mA + s.C;
            const real *mB = leaves + 2 * (i + step) * s.C, *qB = mB + s.C;
#pragma omp simd
            for (size_t j = first; j < last; j++) {
                const real D = mB[j] - mA[j];
                mA[j] = fma_real(D, w, mA[j]);
                qA[j] = fma_real(D * D, aw, qA[j] + qB[j]);
            }
        }
}

/* mean and m2 of the batch.  leaves: [N][2][C]; e: [threads][C]. */
static void bn_statistics(real *mean, real *m2, const real *x, map_size s, real *leaves, real *e)
{
    enum { BLOCK = 32 };
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        real *leaf = leaves + 2 * n * s.C;
        bn_leaf(leaf, leaf + s.C, e + (size_t)gn_thread_index() * s.C, x + n * s.HW * s.C, s.HW,
                s.C);
    }
#pragma omp parallel for schedule(static)
    for (size_t j = 0; j < s.C; j += BLOCK)
        bn_merge(leaves, s, j, s.C - j < BLOCK ? s.C : j + BLOCK);
    memcpy(mean, leaves, s.C * sizeof *mean);
    memcpy(m2, leaves + s.C, s.C * sizeof *m2);
}

/* The small outputs: from the batch, or from the running averages. */
static void bn_normalisers(const gn_call *c, map_size s)
{
    real *mean = c->out[BN_MEAN].data, *m2 = c->out[BN_M2].data, *inv = c->out[BN_INV].data;
    real *leaves = (real *)c->work + s.C;
    const real *running = c->in[BN_RUNNING_VAR].data;
    const real M = (real)(s.N * s.HW), eps = (real)c->attr.eps;
    if (c->training) {
        bn_statistics(mean, m2, c->in[BN_X].data, s, leaves, leaves + 2 * s.N * s.C);
    } else {
        memcpy(mean, c->in[BN_RUNNING_MEAN].data, s.C * sizeof *mean);
        row_zero(m2, s.C);
    }
    for (size_t j = 0; j < s.C; j++)
        inv[j] = 1 / sqrt_real((c->training ? m2[j] / M : running[j]) + eps);
}

/* sc of every channel. */
static void bn_scale(const gn_call *c, map_size s, real *sc)
{
    const real *gamma = c->in[BN_GAMMA].data, *inv = c->out[BN_INV].data;
    for (size_t j = 0; j < s.C; j++)
        sc[j] = gamma[j] * inv[j];
}

static void bn_forward(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    real *sc = c->work;
    if (c->pass == GN_FORWARD)
        bn_normalisers(c, s);
    bn_scale(c, s, sc);
    const real *x = c->in[BN_X].data, *beta = c->in[BN_BETA].data, *mean = c->out[BN_MEAN].data;
    real *y = c->out[BN_Y].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s.N * s.HW; i++)
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            y[i * s.C + j] = fma_real(x[i * s.C + j] - mean[j], sc[j], beta[j]);
}

/* s1 and s2 inside each image.  leaves: [N][2][C]. */
static void bn_gradient_leaves(const gn_call *c, map_size s, real *leaves)
{
    const real *mean = c->out[BN_MEAN].data;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const real *x = (const real *)c->in[BN_X].data + n * s.HW * s.C;
        const real *dy = (const real *)c->dout.data + n * s.HW * s.C;
        real *s1 = leaves + 2 * n * s.C, *s2 = s1 + s.C;
        row_zero(s1, 2 * s.C);
        for (size_t i = 0; i < s.HW * s.C; i += s.C)
#pragma omp simd
            for (size_t j = 0; j < s.C; j++) {
                s1[j] += dy[i + j];
                s2[j] = fma_real(dy[i + j], x[i + j] - mean[j], s2[j]);
            }
    }
}

/* What dx is made of: sc, B and C, a row each at `coef`. */
static void bn_gradient_rows(const gn_call *c, map_size s, real *leaves, real *coef)
{
    const real *inv = c->out[BN_INV].data, M = (real)(s.N * s.HW);
    real *sc = coef, *B = sc + s.C, *K = B + s.C, *s1 = leaves, *s2 = s1 + s.C;
    tree_rows_team(leaves, s.N, 2 * s.C, 2 * s.C);
    bn_scale(c, s, sc);
    for (size_t j = 0; j < s.C; j++) {
        const real dgamma = s2[j] * inv[j];
        B[j] = -(sc[j] * inv[j] * (dgamma / M));
        K[j] = -(sc[j] * (s1[j] / M)); /* the C of the formula */
        s2[j] = dgamma;
    }
    if (c->din[BN_GAMMA].data != NULL)
        row_accumulate(c->din[BN_GAMMA].data, s2, s.C, adds(c, BN_GAMMA));
    if (c->din[BN_BETA].data != NULL)
        row_accumulate(c->din[BN_BETA].data, s1, s.C, adds(c, BN_BETA));
}

/* dx from dy, which may lie where dx lies. */
static void bn_gradient_apply(const gn_call *c, map_size s, const real *coef, const real *dy)
{
    const real *sc = coef, *B = sc + s.C, *K = B + s.C;
    const real *x = c->in[BN_X].data, *mean = c->out[BN_MEAN].data;
    real *dx = c->din[BN_X].data;
    const bool add = adds(c, BN_X);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s.N * s.HW; i++)
#pragma omp simd
        for (size_t j = 0; j < s.C; j++) {
            const size_t at = i * s.C + j;
            const real inner = fma_real(sc[j], dy[at], K[j]);
            dx[at] = accumulate(dx[at], fma_real(x[at] - mean[j], B[j], inner), add);
        }
}

static void bn_backward(const gn_call *c)
{
    assert(c->training);
    const map_size s = map_of(c->in[BN_X].shape);
    real *coef = c->work, *leaves = coef + 3 * s.C;
    bn_gradient_leaves(c, s, leaves);
    bn_gradient_rows(c, s, leaves, coef);
    if (c->din[BN_X].data != NULL)
        bn_gradient_apply(c, s, coef, c->dout.data);
}

static size_t bn_work(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    if (c->pass == GN_BACKWARD)
        return (3 + 2 * s.N) * s.C * sizeof(real);
    const size_t leaves = 2 * s.N + (size_t)c->threads;
    return (1 + (c->pass == GN_FORWARD && c->training ? leaves : 0)) * s.C * sizeof(real);
}

static gn_status bn_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input", "gamma", "beta", "running mean",
                                        "running variance"};
    const gn_shape x = c->in[BN_X].shape;
    const gn_shape channels = gn_shape_of(1, x.rank == 4 ? x.dim[3] : x.dim[1], 0, 0, 0);
    bool fits = x.rank == 4 || x.rank == 2;
    for (int i = BN_GAMMA; i <= BN_RUNNING_VAR; i++)
        fits = fits && gn_shape_equal(c->in[i].shape, channels);
    if (!fits)
        return gn_refuse_shapes(c, names, "[N,H,W,C] or [N,C], and four of [C]", err);
    for (int j = BN_MEAN; j <= BN_INV; j++)
        c->out[j].shape = channels;
    return same_shape(c, err);
}

static size_t bn_terms(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    return c->training ? s.N * s.HW : 1;
}

static const gn_op bn_op = {
    .name = "batch_norm", .min_in = 5, .max_in = 5, .nout = 4,
    .reads = GN_IN(BN_X) | GN_IN(BN_GAMMA) | GN_OUT(BN_MEAN) | GN_OUT(BN_INV),
    .pinned = GN_OUT(BN_MEAN) | GN_OUT(BN_M2) | GN_OUT(BN_INV),
    .constant = GN_IN(BN_RUNNING_MEAN) | GN_IN(BN_RUNNING_VAR),
    .shape = bn_shape, .terms = bn_terms,
};

static const gn_row bn_row = {
    .op = &bn_op, .forward = bn_forward, .backward = bn_backward, .work = bn_work,
    .forward_in_place = GN_IN(BN_X), .backward_in_place = GN_IN(BN_X),
};
