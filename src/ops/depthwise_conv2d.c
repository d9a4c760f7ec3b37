/* depthwise_conv2d: a square kernel of odd size K a channel, stride 1, padding K/2, no bias.
 *
 *     y [n,h,w,c]   = sum over (kh,kw) of x[n, h+kh-P, w+kw-P, c] * W[c,0,kh,kw]
 *     dx[n,h,w,c]   = sum over (kh,kw) of dy[n, h+kh-P, w+kw-P, c] * W[c,0,K-1-kh,K-1-kw]
 *     dW[c,0,kh,kw] = sum over n, (h,w) of dy[n,h,w,c] * x[n, h+kh-P, w+kw-P, c]
 *
 * Squares outside the board take part as +0.
 * Reads: x, W.
 * Order: y and dx are one chain of fma from +0 over (kh, kw) ascending.  dW: inside an image a
 * chain of fma from +0 over (h, w) ascending, padded squares included; over the images the batch
 * tree.  SPDX-License-Identifier: MIT */

/* What tap (kh, kw) sees at square (h, w): a row of C channels, or `outside`, a row of +0. */
static const real *dw_tap(const real *image, const real *outside, gn_shape s, size_t K, size_t kh,
                          size_t kw, size_t h, size_t w)
{
    const size_t y = h + kh - K / 2, x = w + kw - K / 2; /* wraps where outside */
    return y < s.dim[1] && x < s.dim[2] ? image + (y * s.dim[2] + x) * s.dim[3] : outside;
}

/* y = the chains over the taps of x times `packed`, [kh][kw][C].  work: (1 + threads) rows. */
static void dw_chains(real *y, const real *x, const real *packed, real *work, gn_shape s, size_t K,
                      bool add)
{
    const size_t H = s.dim[1], W = s.dim[2], C = s.dim[3];
    const real *outside = work;
    row_zero(work, C);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s.dim[0] * H * W; i++) {
        const real *image = x + i / (H * W) * H * W * C;
        real *acc = work + (1 + (size_t)gn_thread_index()) * C;
        row_zero(acc, C);
        for (size_t t = 0; t < K * K; t++) {
            const real *v = dw_tap(image, outside, s, K, t / K, t % K, i / W % H, i % W);
            const real *weight = packed + t * C;
#pragma omp simd
            for (size_t j = 0; j < C; j++)
                acc[j] = fma_real(v[j], weight[j], acc[j]);
        }
        row_accumulate(y + i * C, acc, C, add);
    }
}

/* Weights as [tap][width of C], filled up with +0; for the input gradient the taps in reverse. */
static void dw_pack(real *packed, const real *weight, size_t C, size_t width, size_t taps,
                    bool flip)
{
    for (size_t t = 0; t < taps; t++)
        for (size_t j = 0; j < width; j++)
            packed[t * width + j] =
                j < C ? weight[j * taps + (flip ? taps - 1 - t : t)] : (real)0;
}

static void dw_forward(const gn_call *c)
{
    const gn_shape s = c->in[0].shape;
    const size_t K = c->in[1].shape.dim[2], C = s.dim[3];
    real *packed = c->work;
    dw_pack(packed, c->in[1].data, C, C, K * K, false);
    dw_chains(c->out[0].data, c->in[0].data, packed, packed + K * K * C, s, K, false);
}

/* work: a row of +0, then the leaves, [N][tap][C]. */
static void dw_weight_gradient(const gn_call *c)
{
    const gn_shape s = c->in[0].shape;
    const size_t N = s.dim[0], H = s.dim[1], W = s.dim[2], C = s.dim[3];
    const size_t K = c->in[1].shape.dim[2], taps = K * K;
    real *dweight = c->din[1].data, *outside = c->work, *leaves = outside + C;
    row_zero(outside, C);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        const real *image = (const real *)c->in[0].data + n * H * W * C;
        const real *dy = (const real *)c->dout.data + n * H * W * C;
        real *leaf = leaves + n * taps * C;
        row_zero(leaf, taps * C);
        for (size_t i = 0; i < H * W; i++)
            for (size_t t = 0; t < taps; t++) {
                const real *v = dw_tap(image, outside, s, K, t / K, t % K, i / W, i % W);
#pragma omp simd
                for (size_t j = 0; j < C; j++)
                    leaf[t * C + j] = fma_real(dy[i * C + j], v[j], leaf[t * C + j]);
            }
    }
    tree_rows_team(leaves, N, taps * C, taps * C);
    for (size_t j = 0; j < C; j++)
        for (size_t t = 0; t < taps; t++)
            dweight[j * taps + t] =
                accumulate(dweight[j * taps + t], leaves[t * C + j], adds(c, 1));
}

static void dw_backward(const gn_call *c)
{
    const gn_shape s = c->in[0].shape;
    const size_t K = c->in[1].shape.dim[2], C = s.dim[3];
    if (c->din[0].data != NULL) {
        real *packed = c->work;
        dw_pack(packed, c->in[1].data, C, C, K * K, true);
        dw_chains(c->din[0].data, c->dout.data, packed, packed + K * K * C, s, K, adds(c, 0));
    }
    if (c->din[1].data != NULL)
        dw_weight_gradient(c);
}

static size_t dw_work(const gn_call *c)
{
    const gn_shape s = c->in[0].shape;
    const size_t taps = c->in[1].shape.dim[2] * c->in[1].shape.dim[3];
    const size_t chains = taps + 1 + (size_t)c->threads, leaves = 1 + s.dim[0] * taps;
    const size_t rows = c->pass == GN_BACKWARD ? larger(leaves, chains) : chains;
    return rows * s.dim[3] * sizeof(real);
}

static gn_status dw_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input", "weight"};
    const gn_shape x = c->in[0].shape, w = c->in[1].shape;
    if (x.rank != 4 || w.rank != 4 || w.dim[0] != x.dim[3] || w.dim[1] != 1 ||
        w.dim[2] != w.dim[3] || w.dim[2] % 2 == 0)
        return gn_refuse_shapes(c, names, "[N,H,W,C] and [C,1,K,K], K odd", err);
    return same_shape(c, err);
}

static size_t dw_terms(const gn_call *c)
{
    const gn_shape in = c->in[0].shape, ws = c->in[1].shape;
    const size_t taps = ws.dim[2] * ws.dim[3], squares = in.dim[0] * in.dim[1] * in.dim[2];
    return c->pass == GN_BACKWARD ? larger(squares, taps) : taps;
}

static const gn_op dw_op = {
    .name = "depthwise_conv2d", .min_in = 2, .max_in = 2, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1), .shape = dw_shape, .terms = dw_terms,
};

static const gn_row dw_row = {
    .op = &dw_op, .forward = dw_forward, .backward = dw_backward, .work = dw_work,
};
