/* update: what a training step does to parameters and running statistics after backward.
 *
 *     sum_squares  S = sum of g*g: blocks of 4096 elements; in a block 16 lanes, lane j the chain
 *                  of fma(g, g, lane) over i = j mod 16 from +0; lanes by tree, blocks by the
 *                  batch tree
 *     clip         norm = sqrt(tree of the tensors' S); coef = min(1, max / (norm + 1e-6))
 *     add          to = (to + from) * scale
 *     adamw        g' = g*coef; p1 = p*c0; m = fma(c1, g', b1*m); v = fma(c2*g', g', b2*v)
 *                  p = fma(-c4, m / (sqrt(v)/c3 + eps), p1)
 *     sgd          g' = fma(wd, p, g*coef); m = fma(mu, m, g'); p = fma(-lr, m, p)
 *     nesterov     the same with p = fma(-lr, fma(mu, m, g'), p)
 *     running      mean' = fma(k, mean, (1-k)*mean'); var' = fma(k, M2/(M-1), (1-k)*var')
 *
 * The coefficients come in double from double hyperparameters and are rounded once, here.
 * Order: each element by itself, but for the sums above.  SPDX-License-Identifier: MIT */

enum { CLIP_BLOCK = 4096, CLIP_LANES = 16 };

/* The chains of the 16 lanes of one block, merged by the tree. */
static real block_squares(const real *g, size_t count)
{
    real lane[CLIP_LANES] = {0};
    size_t i = 0;
    for (; i + CLIP_LANES <= count; i += CLIP_LANES)
#pragma omp simd
        for (size_t j = 0; j < CLIP_LANES; j++)
            lane[j] = fma_real(g[i + j], g[i + j], lane[j]);
    for (size_t j = 0; i + j < count; j++)
        lane[j] = fma_real(g[i + j], g[i + j], lane[j]);
    return tree_sum(lane, CLIP_LANES, 1);
}

static double update_sum_squares(const void *gradient, size_t count, void *work)
{
    const real *g = gradient;
    real *leaf = work;
    const size_t blocks = (count + CLIP_BLOCK - 1) / CLIP_BLOCK;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        const size_t left = count - b * CLIP_BLOCK;
        leaf[b] = block_squares(g + b * CLIP_BLOCK, left < CLIP_BLOCK ? left : CLIP_BLOCK);
    }
    return blocks == 0 ? 0 : (double)tree_sum(leaf, blocks, 1);
}

static double update_clip(double *sums, size_t count, double max_norm, double *norm_out)
{
    for (size_t step = 1; step < count; step *= 2) /* the sums are reals held in doubles */
        for (size_t i = 0; i + step < count; i += 2 * step)
            sums[i] = (double)((real)sums[i] + (real)sums[i + step]);
    const real norm = sqrt_real(count == 0 ? (real)0 : (real)sums[0]);
    *norm_out = (double)norm;
    if (max_norm <= 0)
        return 1;
    const real coef = (real)max_norm / (norm + (real)1e-6);
    return coef < 1 ? (double)coef : 1;
}

static void update_add(void *to, const void *from, size_t count, double scale)
{
    real *t = to;
    const real *f = from, k = (real)scale;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        t[i] = (t[i] + f[i]) * k;
}

static void update_adamw(void *param, void *first, void *second, const void *gradient,
                         size_t count, double coef, const gn_adamw *a)
{
    real *p = param, *m = first, *v = second;
    const real *g = gradient;
    const real c = (real)coef, b1 = (real)a->beta1, b2 = (real)a->beta2, eps = (real)a->eps;
    const real c0 = (real)a->decay, c1 = (real)a->rest1, c2 = (real)a->rest2;
    const real c3 = (real)a->correction2, c4 = (real)a->rate;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        const real scaled = g[i] * c;
        m[i] = fma_real(c1, scaled, b1 * m[i]);
        v[i] = fma_real(c2 * scaled, scaled, b2 * v[i]);
        const real d = sqrt_real(v[i]) / c3 + eps;
        p[i] = fma_real(-c4, m[i] / d, p[i] * c0);
    }
}

static void update_sgd(void *param, void *velocity, const void *gradient, size_t count,
                       double coef, double rate, double momentum, double decay, bool nesterov)
{
    real *p = param, *m = velocity;
    const real *g = gradient;
    const real c = (real)coef, lr = (real)rate, mu = (real)momentum, wd = (real)decay;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        const real whole = fma_real(wd, p[i], g[i] * c);
        const real next = fma_real(mu, m[i], whole), ahead = fma_real(mu, next, whole);
        m[i] = next;
        p[i] = fma_real(-lr, nesterov ? ahead : next, p[i]);
    }
}

static void update_running(void *running_mean, void *running_var, const void *mean,
                           const void *m2, size_t channels, size_t count, double momentum)
{
    real *rm = running_mean, *rv = running_var;
    const real *batch_mean = mean, *batch_m2 = m2;
    const real k = (real)momentum, rest = (real)(1.0 - momentum);
    const real divisor = (real)(count > 1 ? count - 1 : 1);
    for (size_t c = 0; c < channels; c++) {
        rm[c] = fma_real(k, batch_mean[c], rest * rm[c]);
        rv[c] = fma_real(k, batch_m2[c] / divisor, rest * rv[c]);
    }
}

static const gn_update plain_update = {
    .sum_squares = update_sum_squares, .clip = update_clip, .add = update_add,
    .adamw = update_adamw, .sgd = update_sgd, .running = update_running,
};
