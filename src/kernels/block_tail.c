/* The end of a residual block as one row:
 *
 *     batch_norm, squeeze-and-excitation, add, relu
 *
 *     b = batch_norm(x);  m = mean of b over the board;  g = sigmoid(W2 relu(W1 m))
 *     y = relu(b * g + skip)
 *
 * The output b of the batch norm is never stored: each pass over the maps makes it from x.  The
 * small layers between m and g are the rows that they are elsewhere, called for the whole batch.
 *
 *     dv = dy where y > 0 (kept where dskip goes);  dg = sum over the board of dv * b
 *     dm = back through the small layers;  db = dv * g + dm / HW;  then batch norm's backward
 *
 * Reads: x, gamma, beta, W1, W2, y, batch_norm's mean and inv, m, the hidden layer, g.
 * Order: that of the parts' plain ops.  SPDX-License-Identifier: MIT */

enum { TAIL_W1 = 5, TAIL_W2, TAIL_SKIP };
enum { TAIL_M = 4, TAIL_HIDDEN, TAIL_G };

/* b of one square's channel j. */
#define TAIL_NORM(x, j) fma_real((x) - mean[j], sc[j], beta[j])

/* The small layers: linear, relu, linear, sigmoid; relu and sigmoid in place. */
static void small_layers(const gn_call *c, void *work, gn_call layer[4])
{
    static const int in[] = {TAIL_M, TAIL_HIDDEN, TAIL_HIDDEN, TAIL_G};
    static const int out[] = {TAIL_HIDDEN, TAIL_HIDDEN, TAIL_G, TAIL_G};
    for (int i = 0; i < 4; i++) {
        const int weight = i == 0 ? TAIL_W1 : TAIL_W2;
        layer[i] = (gn_call){.nin = 1, .nout = 1, .in = {c->out[in[i]]}, .out = {c->out[out[i]]},
                             .pass = c->pass, .threads = c->threads, .work = work};
        if (i % 2 == 0) {
            layer[i].nin = 2;
            layer[i].in[1] = c->in[weight];
            layer[i].din[1] = c->din[weight];
            layer[i].add = adds(c, weight) ? GN_IN(1) : 0;
        }
    }
}

static void tail_squeeze(const gn_call *c, map_size s, const float *sc)
{
    const float *mean = c->out[BN_MEAN].data, *beta = c->in[BN_BETA].data;
    const float squares = (float)s.HW;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const float *x = (const float *)c->in[BN_X].data + n * s.HW * s.C;
        float *m = (float *)c->out[TAIL_M].data + n * s.C;
        row_zero(m, s.C);
        for (size_t i = 0; i < s.HW; i++, x += s.C)
#pragma omp simd
            for (size_t j = 0; j < s.C; j++)
                m[j] += TAIL_NORM(x[j], j);
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            m[j] /= squares;
    }
}

static void tail_excite(const gn_call *c, void *work)
{
    gn_call layer[4];
    small_layers(c, work, layer);
    linear_fast_forward(&layer[0]);
    relu_forward(&layer[1]);
    linear_fast_forward(&layer[2]);
    sigmoid_forward(&layer[3]);
}

static void tail_forward(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    float *sc = c->work, *work = sc + round_up(s.C, 16);
    if (c->pass == GN_FORWARD)
        bn_normalisers(c, s);
    bn_scale(c, s, sc);
    if (c->pass == GN_FORWARD) {
        tail_squeeze(c, s, sc);
        tail_excite(c, work);
    }
    const float *x = c->in[BN_X].data, *skip = c->in[TAIL_SKIP].data;
    const float *mean = c->out[BN_MEAN].data, *beta = c->in[BN_BETA].data;
    float *y = c->out[BN_Y].data;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s.N * s.HW; i++) {
        const float *g = (const float *)c->out[TAIL_G].data + i / s.HW * s.C;
#pragma omp simd
        for (size_t j = 0; j < s.C; j++) {
            const size_t at = i * s.C + j;
            const float v = TAIL_NORM(x[at], j) * g[j] + skip[at];
            y[at] = v <= 0 ? 0.0f : v;
        }
    }
}

/* dskip, and the gradient of the gate. */
static void tail_gate_gradient(const gn_call *c, map_size s, const float *sc, float *dg)
{
    const float *mean = c->out[BN_MEAN].data, *beta = c->in[BN_BETA].data;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const size_t first = n * s.HW * s.C;
        const float *x = (const float *)c->in[BN_X].data + first;
        const float *y = (const float *)c->out[BN_Y].data + first;
        const float *dy = (const float *)c->dout.data + first;
        float *dv = (float *)c->din[TAIL_SKIP].data + first, *sum = dg + n * s.C;
        row_zero(sum, s.C);
        for (size_t i = 0; i < s.HW * s.C; i += s.C)
#pragma omp simd
            for (size_t j = 0; j < s.C; j++) {
                const float v = y[i + j] <= 0 ? 0.0f : dy[i + j];
                dv[i + j] = v;
                sum[j] = fma_real(v, TAIL_NORM(x[i + j], j), sum[j]);
            }
    }
}

/* From the gradient of the gate, dg, to that of the mean, dm; on the way dW1 and dW2.  Lays dm over
 * dg; dh is another [N][hidden]. */
static void tail_excite_back(const gn_call *c, float *dg, float *dh, void *work)
{
    gn_call layer[4];
    small_layers(c, work, layer);
    layer[3].dout = layer[3].din[0] = layer[2].dout = layer[0].din[0] =
        (gn_tensor){dg, c->out[TAIL_G].shape};
    layer[2].din[0] = layer[1].dout = layer[1].din[0] = layer[0].dout =
        (gn_tensor){dh, c->out[TAIL_HIDDEN].shape};
    sigmoid_backward(&layer[3]);
    linear_fast_backward(&layer[2]);
    relu_backward(&layer[1]);
    linear_fast_backward(&layer[0]);
}

/* db, where dx will lie, and batch norm's sums of it. */
static void tail_norm_gradient(const gn_call *c, map_size s, float *dm, float *leaves)
{
    const float *mean = c->out[BN_MEAN].data, squares = (float)s.HW;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.N; n++) {
        const size_t first = n * s.HW * s.C;
        const float *x = (const float *)c->in[BN_X].data + first;
        const float *dv = (const float *)c->din[TAIL_SKIP].data + first;
        const float *g = (const float *)c->out[TAIL_G].data + n * s.C;
        float *k = dm + n * s.C, *db = (float *)c->din[BN_X].data + first;
        float *s1 = leaves + 2 * n * s.C, *s2 = s1 + s.C;
        row_zero(s1, 2 * s.C);
#pragma omp simd
        for (size_t j = 0; j < s.C; j++)
            k[j] /= squares;
        for (size_t i = 0; i < s.HW * s.C; i += s.C)
#pragma omp simd
            for (size_t j = 0; j < s.C; j++) {
                const float v = dv[i + j] * g[j] + k[j];
                db[i + j] = v;
                s1[j] += v;
                s2[j] = fma_real(v, x[i + j] - mean[j], s2[j]);
            }
    }
}

static void tail_backward(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    const size_t hidden = c->in[TAIL_W1].shape.dim[0];
    float *coef = c->work, *leaves = coef + round_up(3 * s.C, 16);
    float *dm = leaves + round_up(2 * s.N * s.C, 16), *dh = dm + round_up(s.N * s.C, 16);
    bn_scale(c, s, coef);
    tail_gate_gradient(c, s, coef, dm);
    tail_excite_back(c, dm, dh, dh + round_up(s.N * hidden, 16));
    tail_norm_gradient(c, s, dm, leaves);
    bn_gradient_rows(c, s, leaves, coef);
    bn_gradient_apply(c, s, coef, c->din[BN_X].data);
}

static size_t tail_work(const gn_call *c)
{
    const map_size s = map_of(c->in[BN_X].shape);
    const size_t hidden = c->in[TAIL_W1].shape.dim[0], C = s.C;
    gn_call layer[4];
    small_layers(c, NULL, layer);
    const size_t small = larger(linear_fast_work(&layer[0]), linear_fast_work(&layer[2]));
    if (c->pass != GN_BACKWARD)
        return larger(round_up(C, 16) * sizeof(float) + small, bn_work(c));
    return (round_up(3 * C, 16) + round_up(2 * s.N * C, 16) + round_up(s.N * C, 16) +
            round_up(s.N * hidden, 16)) * sizeof(float) + small;
}

static gn_status tail_shape(gn_call *c, gn_err *err)
{
    const gn_shape x = c->in[BN_X].shape, w = c->in[TAIL_W1].shape;
    if (x.rank != 4 || w.rank != 2 || w.dim[1] != x.dim[3] ||
        !gn_shape_equal(c->in[TAIL_W2].shape, gn_shape_of(2, x.dim[3], w.dim[0], 0, 0)) ||
        !gn_shape_equal(c->in[TAIL_SKIP].shape, x))
        return gn_fail(err, GN_E_SHAPE, "%s: shapes that its kernel does not know", c->op->name);
    c->out[TAIL_M].shape = c->out[TAIL_G].shape = gn_shape_of(2, x.dim[0], x.dim[3], 0, 0);
    c->out[TAIL_HIDDEN].shape = gn_shape_of(2, x.dim[0], w.dim[0], 0, 0);
    for (int j = BN_MEAN; j <= BN_INV; j++)
        c->out[j].shape = gn_shape_of(1, x.dim[3], 0, 0, 0);
    return same_shape(c, err);
}

static const gn_part tail_parts[] = {
    {"batch_norm", {GN_OUTSIDE, GN_OUTSIDE}}, {"global_avg_pool", {0}},
    {"linear", {1, GN_OUTSIDE}}, {"relu", {2}}, {"linear", {3, GN_OUTSIDE}}, {"sigmoid", {4}},
    {"channel_scale", {0, 5}}, {"add", {6, GN_OUTSIDE}}, {"relu", {7}}};

static const gn_op tail_op = {
    .name = "batch_norm squeeze_excite add relu", .min_in = 8, .max_in = 8, .nout = 7,
    .reads = NORM_READS | GN_IN(TAIL_W1) | GN_IN(TAIL_W2) | GN_OUT(BN_Y) | GN_OUT(TAIL_M) |
             GN_OUT(TAIL_HIDDEN) | GN_OUT(TAIL_G),
    .pinned = NORM_PINNED | GN_OUT(TAIL_M) | GN_OUT(TAIL_HIDDEN) | GN_OUT(TAIL_G),
    .constant = NORM_CONSTANT, .shape = tail_shape, .part = tail_parts, .parts = 9,
    .kept = 1u << 1 | 1u << 3 | 1u << 5,
    .last = GN_IN(BN_X) | GN_IN(TAIL_SKIP),
};

static const gn_row tail_row = {
    .op = &tail_op, .forward = tail_forward, .backward = tail_backward, .work = tail_work,
    .backward_in_place = GN_IN(TAIL_SKIP),
};
