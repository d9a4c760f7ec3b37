/* linear: a matrix product, with a bias where there is a third input.
 *
 *     y [n,o] = sum over k of x[n,k] * W[o,k]  + bias[o]
 *     dx[n,k] = sum over o of dy[n,o] * W[o,k]
 *     dW[o,k] = sum over n of dy[n,o] * x[n,k]
 *     db[o]   = sum over n of dy[n,o]
 *
 * Reads: x, W.
 * Order: y is a chain of fma from +0 over k ascending, then one addition of the bias; dx a chain
 * of fma from +0 over o ascending.  dW and db: 8 consecutive images a leaf (the last may be
 * short), inside it a chain from +0 over n ascending, of fma for dW, of additions for db; over the
 * leaves the batch tree.  SPDX-License-Identifier: MIT */

enum { LINEAR_LEAF = 8, LINEAR_BLOCK = 64 }; /* images a leaf; columns of W that a thread takes */

static void linear_forward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const real *x = c->in[0].data, *weight = c->in[1].data;
    const real *bias = c->nin > 2 ? c->in[2].data : NULL;
    real *y = c->out[0].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < N * O; i++) {
        const size_t n = i / O, o = i % O;
        real acc = 0;
        for (size_t k = 0; k < K; k++)
            acc = fma_real(x[n * K + k], weight[o * K + k], acc);
        y[i] = bias != NULL ? acc + bias[o] : acc;
    }
}

static void linear_input_gradient(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const real *dy = c->dout.data, *weight = c->in[1].data;
    real *dx = c->din[0].data;
    const bool add = adds(c, 0);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < N; n++) {
        real *acc = (real *)c->work + (size_t)gn_thread_index() * K;
        row_zero(acc, K);
        for (size_t o = 0; o < O; o++) {
            const real v = dy[n * O + o];
#pragma omp simd
            for (size_t k = 0; k < K; k++)
                acc[k] = fma_real(v, weight[o * K + k], acc[k]);
        }
        row_accumulate(dx + n * K, acc, K, add);
    }
}

/* A thread owns LINEAR_BLOCK weights of one output; its leaves are [leaf][LINEAR_BLOCK]. */
static void linear_weight_gradient(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const size_t count = (N + LINEAR_LEAF - 1) / LINEAR_LEAF;
    const size_t blocks = (K + LINEAR_BLOCK - 1) / LINEAR_BLOCK;
    const real *dy = c->dout.data, *x = c->in[0].data;
    real *dweight = c->din[1].data;
    const bool add = adds(c, 1);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < O * blocks; i++) {
        const size_t o = i / blocks, k = i % blocks * LINEAR_BLOCK;
        const size_t width = K - k < LINEAR_BLOCK ? K - k : LINEAR_BLOCK;
        real *leaves = (real *)c->work + (size_t)gn_thread_index() * count * LINEAR_BLOCK;
        row_zero(leaves, count * LINEAR_BLOCK);
        for (size_t n = 0; n < N; n++) {
            const real *row = x + n * K + k, v = dy[n * O + o];
            real *leaf = leaves + n / LINEAR_LEAF * LINEAR_BLOCK;
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                leaf[j] = fma_real(v, row[j], leaf[j]);
        }
        tree_rows(leaves, count, LINEAR_BLOCK, width);
        row_accumulate(dweight + o * K + k, leaves, width, add);
    }
}

static void linear_bias_gradient(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], O = c->in[1].shape.dim[0];
    const real *dy = c->dout.data;
    real *leaves = c->work; /* [leaf][O] */
    const size_t count = (N + LINEAR_LEAF - 1) / LINEAR_LEAF;
    row_zero(leaves, count * O);
    for (size_t n = 0; n < N; n++) {
        real *leaf = leaves + n / LINEAR_LEAF * O;
#pragma omp simd
        for (size_t o = 0; o < O; o++)
            leaf[o] += dy[n * O + o];
    }
    tree_rows(leaves, count, O, O);
    row_accumulate(c->din[2].data, leaves, O, adds(c, 2));
}

static void linear_backward(const gn_call *c)
{
    if (c->din[0].data != NULL)
        linear_input_gradient(c);
    if (c->din[1].data != NULL)
        linear_weight_gradient(c);
    if (c->nin > 2 && c->din[2].data != NULL)
        linear_bias_gradient(c);
}

static size_t linear_work(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    if (c->pass != GN_BACKWARD)
        return 0;
    const size_t T = (size_t)c->threads, count = (N + LINEAR_LEAF - 1) / LINEAR_LEAF;
    return larger(larger(T * K, T * count * LINEAR_BLOCK), count * O) * sizeof(real);
}

static gn_status linear_shape(gn_call *c, gn_err *err)
{
    static const char *const names[] = {"input", "weight", "bias"};
    const gn_shape x = c->in[0].shape, w = c->in[1].shape;
    const gn_shape bias = gn_shape_of(1, w.dim[0], 0, 0, 0);
    if (x.rank != 2 || w.rank != 2 || w.dim[1] != x.dim[1] ||
        (c->nin > 2 && !gn_shape_equal(c->in[2].shape, bias)))
        return gn_refuse_shapes(c, names, "[N,K] and [O,K], and [O] for a bias", err);
    c->out[0].shape = gn_shape_of(2, x.dim[0], w.dim[0], 0, 0);
    return GN_OK;
}

static size_t linear_terms(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], O = c->in[1].shape.dim[0];
    if (c->pass != GN_BACKWARD)
        return c->in[0].shape.dim[1] + (c->nin > 2 ? 1 : 0);
    return larger(N, O);
}

static const gn_op linear_op = {
    .name = "linear", .min_in = 2, .max_in = 3, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1), .shape = linear_shape, .terms = linear_terms,
};

static const gn_row linear_row = {
    .op = &linear_op, .forward = linear_forward, .backward = linear_backward, .work = linear_work,
};
