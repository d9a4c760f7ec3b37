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

/* One small layer of the tail: y from x by W (NULL: element by element, in place). */
static gn_call small_call(const gn_call *c, gn_tensor x, gn_tensor weight, gn_tensor y, void *work)
{
    return (gn_call){.nin = weight.data != NULL ? 2 : 1, .nout = 1, .in = {x, weight}, .out = {y},
                     .pass = c->pass, .training = c->training, .threads = c->threads,
                     .work = work};
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
    const gn_tensor m = c->out[TAIL_M], hidden = c->out[TAIL_HIDDEN], g = c->out[TAIL_G];
    const gn_call first = small_call(c, m, c->in[TAIL_W1], hidden, work);
    const gn_call relu = small_call(c, hidden, (gn_tensor){0}, hidden, NULL);
    const gn_call second = small_call(c, hidden, c->in[TAIL_W2], g, work);
    const gn_call gate = small_call(c, g, (gn_tensor){0}, g, NULL);
    linear_fast_forward(&first);
    relu_forward(&relu);
    linear_fast_forward(&second);
    sigmoid_forward(&gate);
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
    const gn_tensor m = c->out[TAIL_M], hidden = c->out[TAIL_HIDDEN], g = c->out[TAIL_G];
    const gn_tensor dgate = {dg, g.shape}, dhidden = {dh, hidden.shape};
    gn_call gate = small_call(c, g, (gn_tensor){0}, g, NULL);
    gn_call second = small_call(c, hidden, c->in[TAIL_W2], g, work);
    gn_call relu = small_call(c, hidden, (gn_tensor){0}, hidden, NULL);
    gn_call first = small_call(c, m, c->in[TAIL_W1], hidden, work);
    gate.dout = gate.din[0] = dgate;
    second.dout = dgate;
    second.din[0] = relu.dout = relu.din[0] = first.dout = dhidden;
    first.din[0] = dgate;
    second.din[1] = c->din[TAIL_W2];
    second.add = adds(c, TAIL_W2) ? 2 : 0;
    first.din[1] = c->din[TAIL_W1];
    first.add = adds(c, TAIL_W1) ? 2 : 0;
    sigmoid_backward(&gate);
    linear_fast_backward(&second);
    relu_backward(&relu);
    linear_fast_backward(&first);
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
    const gn_tensor m = {NULL, gn_shape_of(2, s.N, C, 0, 0)};
    const gn_tensor h = {NULL, gn_shape_of(2, s.N, hidden, 0, 0)};
    gn_call first = {.nin = 2, .nout = 1, .in = {m, c->in[TAIL_W1]}, .out = {h},
                     .pass = c->pass, .threads = c->threads};
    gn_call second = first;
    second.in[0] = h;
    second.in[1] = c->in[TAIL_W2];
    const size_t small = larger(linear_fast_work(&first), linear_fast_work(&second));
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
    .constant = NORM_CONSTANT, .shape = tail_shape, .terms = bn_terms,
    .part = tail_parts, .parts = 9, .kept = 1u << 1 | 1u << 3 | 1u << 5,
    .last = GN_IN(BN_X) | GN_IN(TAIL_SKIP),
};

static const gn_row tail_row = {
    .op = &tail_op, .forward = tail_forward, .backward = tail_backward, .work = tail_work,
    .backward_in_place = GN_IN(TAIL_SKIP),
};
