/* conv2d: a square kernel of odd size K, stride 1, padding K/2, no bias.
 *
 *     y [n,h,w,o]  = sum over (kh,kw,c) of x[n, h+kh-P, w+kw-P, c] * W[o,c,kh,kw]
 *     dx[n,h,w,c]  = sum over (kh,kw,o) of dy[n, h+kh-P, w+kw-P, o] * W[o,c,K-1-kh,K-1-kw]
 *     dW[o,c,kh,kw] = sum over n, (h,w) of dy[n,h,w,o] * x[n, h+kh-P, w+kw-P, c]
 *
 * Squares outside the board take part as +0.
 * Reads: x, W.
 * Order: y and dx are one chain of fma from +0, (kh, kw, channel) ascending, along an im2col row.
 * dW: inside an image a chain of fma from +0 over (h, w) ascending, padded squares included; over
 * the images the batch tree.  SPDX-License-Identifier: MIT */

/* Writes the K*K*C values that the kernel sees at square (h, w): one row of im2col. */
static void im2col_row(real *row, const real *image, size_t H, size_t W, size_t C, size_t K,
                       size_t h, size_t w)
{
    const size_t P = K / 2;
    for (size_t kh = 0; kh < K; kh++)
        for (size_t kw = 0; kw < K; kw++, row += C) {
            const size_t y = h + kh - P, x = w + kw - P; /* wraps where outside */
            if (y < H && x < W)
                memcpy(row, image + (y * W + x) * C, C * sizeof *row);
            else
                memset(row, 0, C * sizeof *row);
        }
}

/* y = the chain over im2col rows of x times `weight`, [O][K*K*C], for every image and square. */
static void conv2d_chains(real *y, const real *x, const real *weight, real *rows, gn_shape in,
                          size_t O, size_t K, bool add)
{
    const size_t N = in.dim[0], H = in.dim[1], W = in.dim[2], C = in.dim[3], L = K * K * C;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < N * H * W; i++) {
        real *row = rows + (size_t)gn_thread_index() * L;
        const size_t n = i / (H * W), h = i / W % H, w = i % W;
        im2col_row(row, x + n * H * W * C, H, W, C, K, h, w);
        for (size_t o = 0; o < O; o++) {
            real acc = 0;
            for (size_t l = 0; l < L; l++)
                acc = fma_real(row[l], weight[o * L + l], acc);
            y[i * O + o] = accumulate(y[i * O + o], acc, add);
        }
    }
}

static void conv2d_forward(const gn_call *c)
{
    const gn_shape in = c->in[0].shape, ws = c->in[1].shape;
    const size_t O = ws.dim[0], C = ws.dim[1], K = ws.dim[2];
    const real *weight = c->in[1].data;
    real *packed = c->work; /* [O][kh][kw][c], the order of the chain */
    for (size_t o = 0; o < O; o++)
        for (size_t t = 0; t < K * K; t++)
            for (size_t i = 0; i < C; i++)
                packed[(o * K * K + t) * C + i] = weight[(o * C + i) * K * K + t];
    conv2d_chains(c->out[0].data, c->in[0].data, packed, packed + O * K * K * C, in, O, K, false);
}

static void conv2d_input_gradient(const gn_call *c)
{
    const gn_shape ws = c->in[1].shape;
    const size_t O = ws.dim[0], C = ws.dim[1], K = ws.dim[2];
    const real *weight = c->in[1].data;
    real *packed = c->work; /* [C][kh][kw][o], taps flipped */
    for (size_t i = 0; i < C; i++)
        for (size_t t = 0; t < K * K; t++)
            for (size_t o = 0; o < O; o++)
                packed[(i * K * K + t) * O + o] = weight[(o * C + i) * K * K + K * K - 1 - t];
    conv2d_chains(c->din[0].data, c->dout.data, packed, packed + C * K * K * O, c->dout.shape, C,
                  K, adds(c, 0));
}

static void conv2d_weight_gradient(const gn_call *c)
{
    const gn_shape in = c->in[0].shape, ws = c->in[1].shape;
    const size_t N = in.dim[0], H = in.dim[1], W = in.dim[2], C = in.dim[3];
    const size_t O = ws.dim[0], K = ws.dim[2], P = K / 2;
    const real *x = c->in[0].data, *dy = c->dout.data;
    real *dweight = c->din[1].data, *leaves = c->work; /* [thread][N] */
    const bool add = adds(c, 1);
#pragma omp parallel for schedule(static)
    for (size_t e = 0; e < O * C * K * K; e++) { /* a thread owns a whole weight */
        const size_t o = e / (C * K * K), i = e / (K * K) % C, kh = e / K % K, kw = e % K;
        real *leaf = leaves + (size_t)gn_thread_index() * N;
        for (size_t n = 0; n < N; n++) {
            real acc = 0;
            for (size_t h = 0; h < H; h++)
                for (size_t w = 0; w < W; w++) {
                    const size_t sy = h + kh - P, sx = w + kw - P; /* wraps where outside */
                    const bool inside = sy < H && sx < W;
                    const real v = inside ? x[((n * H + sy) * W + sx) * C + i] : (real)0;
                    acc = fma_real(dy[((n * H + h) * W + w) * O + o], v, acc);
                }
            leaf[n] = acc;
        }
        dweight[e] = accumulate(dweight[e], tree_sum(leaf, N, 1), add);
    }
}

static void conv2d_backward(const gn_call *c)
{
    if (c->din[0].data != NULL)
        conv2d_input_gradient(c);
    if (c->din[1].data != NULL)
        conv2d_weight_gradient(c);
}

static size_t conv2d_work(const gn_call *c)
{
    const gn_shape in = c->in[0].shape, ws = c->in[1].shape;
    const size_t T = (size_t)c->threads, KK = ws.dim[2] * ws.dim[3];
    const size_t weights = gn_shape_count(ws);
    if (c->pass != GN_BACKWARD)
        return (weights + T * KK * ws.dim[1]) * sizeof(real);
    const size_t input = weights + T * KK * ws.dim[0];
    return larger(input, T * in.dim[0]) * sizeof(real);
}

static gn_status conv2d_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input", "weight"};
    const gn_shape x = c->in[0].shape, w = c->in[1].shape;
    if (x.rank != 4 || w.rank != 4 || w.dim[1] != x.dim[3] || w.dim[2] != w.dim[3] ||
        w.dim[2] % 2 == 0)
        return gn_refuse_shapes(c, names, "[N,H,W,C] and [O,C,K,K], K odd", err);
    c->out[0].shape = gn_shape_of(4, x.dim[0], x.dim[1], x.dim[2], w.dim[0]);
    return GN_OK;
}

static size_t conv2d_terms(const gn_call *c)
{
    const gn_shape in = c->in[0].shape, ws = c->in[1].shape;
    const size_t taps = ws.dim[2] * ws.dim[3];
    if (c->pass != GN_BACKWARD)
        return taps * ws.dim[1];
    return larger(taps * ws.dim[0], in.dim[0] * in.dim[1] * in.dim[2]);
}

static const gn_op conv2d_op = {
    .name = "conv2d", .min_in = 2, .max_in = 2, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1), .shape = conv2d_shape, .terms = conv2d_terms,
};

static const gn_row conv2d_row = {
    .op = &conv2d_op, .forward = conv2d_forward, .backward = conv2d_backward,
    .work = conv2d_work,
};
