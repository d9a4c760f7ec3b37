/* linear: the fast twin of ops/linear.c, the same bits.
 *
 *     y [n,o] = sum over k of x[n,k] * W[o,k]  + bias[o]
 *     dx[n,k] = sum over o of dy[n,o] * W[o,k]
 *     dW[o,k] = sum over n of dy[n,o] * x[n,k]
 *     db[o]   = sum over n of dy[n,o]            (the plain op's own function)
 *
 * y: one factor is split into panels (transposed), the other is read where it lies.  Which one is
 * a matter of shapes: W where there are many images, x where there are few, because W is large
 * and is read once then.  dx: COLS columns of W at a time, a thread each.  dW: COLS columns of x
 * at a time, a thread each, against panels of dy.
 *
 * Reads: x, W.
 * Order: that of the plain op.  y advances by pieces of TERMS terms; a partial sum that is stored
 * as float32 is exact.  SPDX-License-Identifier: MIT */

enum { LINEAR_LEVELS = 32 };

/* out[i,j] = chain over k of rows[i,k] * cols[j,k], which lies at y[i * i_step + j * j_step]. */
typedef struct product {
    const float *rows, *cols, *row_bias, *col_bias;
    float *y;
    const float *panels;
    size_t I, J, K, i_step, j_step;
} product;

/* Whether W goes into panels, else x.  A number that is transposed costs about 16 products. */
static bool weight_in_panels(size_t N, size_t O)
{
    const size_t weight = round_up(N, ROWS) * round_up(O, COLS) + 16 * O;
    const size_t input = round_up(O, ROWS) * round_up(N, COLS) + 16 * N;
    return weight < input;
}

/* ROW_TILES tiles of rows from `first` on with one panel, piece by piece. */
static void product_block(const product *p, float sum[ROW_TILES][TILE], size_t first,
                          const float *panel)
{
    for (size_t k = 0; k < p->K; k += TERMS)
        for (size_t t = 0; t < ROW_TILES && first + t * ROWS < p->I; t++) {
            const float *a[ROWS];
            tile acc;
            for (size_t r = 0; r < ROWS; r++) { /* the last row stands for those that are not */
                const size_t i = first + t * ROWS + r;
                a[r] = p->rows + (i < p->I ? i : p->I - 1) * p->K + k;
            }
            if (k == 0)
                tile_zero(&acc);
            else
                tile_load(&acc, sum[t]);
            tile_rows(&acc, a, panel + k * COLS, p->K - k < TERMS ? p->K - k : TERMS);
            tile_store(sum[t], &acc);
        }
}

static void product_run(const product *p)
{
    const size_t height = ROW_TILES * ROWS, blocks = units_of(p->I, height);
    const size_t panels = units_of(p->J, COLS);
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks * panels; b++) {
        const size_t i = b % blocks * height, j = b / blocks * COLS;
        const size_t rows = p->I - i < height ? p->I - i : height;
        const size_t cols = p->J - j < COLS ? p->J - j : COLS;
        float sum[ROW_TILES][TILE] = {{0}}; /* K = 0 gives +0 */
        product_block(p, sum, i, p->panels + j * p->K);
        for (size_t r = 0; r < rows; r++)
            for (size_t l = 0; l < cols; l++) {
                float v = sum[r / ROWS][r % ROWS * COLS + l];
                if (p->row_bias != NULL)
                    v += p->row_bias[i + r];
                if (p->col_bias != NULL)
                    v += p->col_bias[j + l];
                p->y[(i + r) * p->i_step + (j + l) * p->j_step] = v;
            }
    }
}

static size_t linear_fast_keep(const gn_call *c, void *to)
{
    const size_t O = c->in[1].shape.dim[0], K = c->in[1].shape.dim[1];
    if (to != NULL)
        pack_panels(to, c->in[1].data, O, K, K, 1, 1, false);
    return K * round_up(O, COLS) * sizeof(float);
}

static void linear_fast_forward(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const float *x = c->in[0].data, *weight = c->in[1].data;
    const float *bias = c->nin > 2 ? c->in[2].data : NULL;
    product p;
    if (c->kept != NULL || weight_in_panels(N, O))
        p = (product){x, weight, NULL, bias, c->out[0].data, c->work, N, O, K, O, 1};
    else
        p = (product){weight, x, bias, NULL, c->out[0].data, c->work, O, N, K, 1, O};
    if (c->kept != NULL)
        p.panels = c->kept;
    else
        pack_panels(c->work, p.cols, p.J, K, K, 1, 1, false);
    product_run(&p);
}

static void linear_fast_input_gradient(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const float *dy = c->dout.data, *weight = c->in[1].data;
    float *dx = c->din[0].data;
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < K; k += COLS) {
        float *panel = (float *)c->work + (size_t)gn_thread_index() * O * COLS;
        const size_t cols = K - k < COLS ? K - k : COLS;
        split_columns(panel, weight, O, K, k, COLS);
        for (size_t n = 0; n < N; n += ROWS) {
            const size_t rows = N - n < ROWS ? N - n : ROWS;
            const float *a[ROWS];
            tile acc;
            for (size_t r = 0; r < ROWS; r++)
                a[r] = dy + (r < rows ? n + r : n) * O;
            expect_tile(dx + n * K + k, rows, K);
            tile_zero(&acc);
            tile_rows(&acc, a, panel, O);
            tile_put(dx + n * K + k, &acc, rows, cols, K, adds(c, 0));
        }
    }
}

/* One tile of dW: the tree over leaves of LINEAR_LEAF images. */
static void weight_tile(tile *sum, const float *dy, const float *x, size_t N)
{
    float node[LINEAR_LEVELS][TILE];
    const tree t = {node[0], node[HOT_LEVELS], TILE, TILE};
    for (size_t n = 0; n < N; n += LINEAR_LEAF) {
        tile acc;
        tile_zero(&acc);
        tile_panel(&acc, dy + n * ROWS, x + n * COLS, N - n < LINEAR_LEAF ? N - n : LINEAR_LEAF);
        tree_join(&t, &acc, n / LINEAR_LEAF);
    }
    tree_drain(&t, sum, units_of(N, LINEAR_LEAF));
}

static void linear_fast_weight_gradient(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const float *x = c->in[0].data;
    float *dweight = c->din[1].data, *panels = c->work;
    float *columns = panels + round_up(N * round_up(O, ROWS), 16); /* a panel of x a thread */
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < O; o += ROWS)
        split_columns(panels + o * N, c->dout.data, N, O, o, ROWS);
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < K; k += COLS) {
        float *panel = columns + (size_t)gn_thread_index() * N * COLS;
        const size_t cols = K - k < COLS ? K - k : COLS;
        split_columns(panel, x, N, K, k, COLS);
        for (size_t o = 0; o < O; o += ROWS) {
            const size_t rows = O - o < ROWS ? O - o : ROWS;
            tile sum;
            expect_tile(dweight + o * K + k, rows, K);
            weight_tile(&sum, panels + o * N, panel, N);
            tile_put(dweight + o * K + k, &sum, rows, cols, K, adds(c, 1));
        }
    }
}

static void linear_fast_backward(const gn_call *c)
{
    if (c->din[0].data != NULL)
        linear_fast_input_gradient(c);
    if (c->din[1].data != NULL)
        linear_fast_weight_gradient(c);
    if (c->nin > 2 && c->din[2].data != NULL)
        linear_bias_gradient(c);
}

static size_t linear_fast_work(const gn_call *c)
{
    const size_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1], O = c->in[1].shape.dim[0];
    const size_t T = (size_t)c->threads;
    if (c->pass != GN_BACKWARD)
        return K * round_up(weight_in_panels(N, O) ? O : N, COLS) * sizeof(float);
    const size_t input = T * O * COLS, bias = units_of(N, LINEAR_LEAF) * O;
    const size_t weight = round_up(N * round_up(O, ROWS), 16) + T * N * COLS;
    return larger(larger(input, weight), bias) * sizeof(float);
}

static const gn_row linear_fast_row = {
    .op = &linear_op, .forward = linear_fast_forward, .backward = linear_fast_backward,
    .work = linear_fast_work, .keep = linear_fast_keep,
};
