/* conv2d as a row, alone and at the end of a span:
 *
 *     [batch_norm relu] [depthwise_conv2d] conv2d
 *
 * What stands before the convolution becomes its source (source.c) and is never stored: forward
 * makes it an image at a time; backward makes it once more for the weight gradient, and takes each
 * image's gradient back through it while that image is in the cache.  The sums of batch norm need
 * all images, so its own dx is a last pass, in place.
 *
 * Reads: x, the weights; in a span also gamma, beta, mean, inv.
 * Order: that of the parts' plain ops.  SPDX-License-Identifier: MIT */

/* What the call consists of. */
typedef struct span {
    bool norm;        /* batch_norm relu, inputs 1 to 4 and outputs 1 to 3 as in batch_norm */
    int taps, weight; /* inputs: the depthwise weights, 0: none; the weights */
    size_t N, H, W, C, O, K;
} span;

static span span_of(const gn_call *c)
{
    const gn_shape x = c->in[0].shape, w = c->in[c->nin - 1].shape;
    const bool norm = c->nin >= 6;
    return (span){norm, c->nin == 3 || c->nin == 7 ? c->nin - 2 : 0, c->nin - 1,
                  x.dim[0], x.dim[1], x.dim[2], x.dim[3], w.dim[0], w.dim[2]};
}

/* Floats of the rows that a source needs: sc, and the depthwise weights. */
static size_t rows_size(const span *s)
{
    return (s->norm ? round_up(s->C, 16) : 0) +
           (s->taps > 0 ? round_up(TAPS * taps_width(s->C), 16) : 0);
}

/* What the convolution reads; `work` holds its rows. */
static source span_source(const gn_call *c, const span *s, float *work)
{
    source from = {.x = c->in[0].data, .H = s->H, .W = s->W, .C = s->C};
    if (s->norm) {
        bn_scale(c, map_of(c->in[0].shape), work);
        from.mean = c->out[BN_MEAN].data;
        from.sc = work;
        from.beta = c->in[BN_BETA].data;
        work += round_up(s->C, 16);
    }
    if (s->taps > 0) {
        pack_taps(work, c->in[s->taps].data, s->C, false);
        from.taps = work;
    }
    return from;
}

/* The weights in panels, as forward wants them. */
static size_t span_keep(const gn_call *c, void *to)
{
    const span s = span_of(c);
    const size_t KK = s.K * s.K;
    if (to != NULL)
        pack_panels(to, c->in[s.weight].data, s.O, s.C, s.C * KK, KK, KK, false);
    return panels_size(s.C, s.O, s.K) * sizeof(float);
}

static void span_forward(const gn_call *c)
{
    const span s = span_of(c);
    float *panels = (float *)c->work + rows_size(&s);
    if (s.norm && c->pass == GN_FORWARD)
        bn_normalisers(c, map_of(c->in[0].shape));
    if (c->kept == NULL)
        span_keep(c, panels);
    const chains all = {c->out[0].data, span_source(c, &s, c->work),
                        c->kept != NULL ? c->kept : panels, panels + panels_size(s.C, s.O, s.K),
                        s.N, s.O, s.K, false};
    chains_run(&all);
}

/* The input gradient of the convolution alone; work: its weights, and buffers. */
static chains span_back(const gn_call *c, const span *s, float *work)
{
    const source dy = {.x = c->dout.data, .H = s->H, .W = s->W, .C = s->O};
    const size_t KK = s->K * s->K;
    pack_panels(work, c->in[s->weight].data, s->C, s->O, KK, s->C * KK, KK, true);
    return (chains){c->din[0].data, dy, work, work + panels_size(s->O, s->C, s->K), s->N, s->C,
                    s->K, s->taps == 0 && adds(c, 0)};
}

/* Takes the gradient d of one viewed image back through the rectifier, in place, and sums it for
 * batch norm.  leaf: s1, s2. */
static void view_back(float *d, const source *from, size_t n, float *leaf)
{
    const size_t C = from->C, count = from->H * from->W * C;
    const float *x = from->x + n * count;
    float *s1 = leaf, *s2 = leaf + C;
    row_zero(leaf, 2 * C);
    for (size_t i = 0; i < count; i += C)
#pragma omp simd
        for (size_t j = 0; j < C; j++) {
            const float centred = x[i + j] - from->mean[j];
            const float y = fma_real(centred, from->sc[j], from->beta[j]);
            const float v = y <= 0 ? 0.0f : d[i + j];
            d[i + j] = v;
            s1[j] += v;
            s2[j] = fma_real(v, centred, s2[j]);
        }
}

/* What takes an image's gradient back through the span. */
typedef struct way_back {
    chains conv;
    source from;
    const float *flipped;            /* the depthwise weights for its input gradient */
    float *leaves, *tap_leaves, *dx; /* sums inside the images: batch norm's, dW of the taps */
    float *images; /* for each thread a gradient of the depthwise output, and a frame */
    bool add;
} way_back;

static size_t images_size(const span *s)
{
    const source x = {.H = s->H, .W = s->W, .C = s->C};
    return s->taps > 0 ? frame_size(&x, 0) + frame_size(&x, 1) : 0;
}

/* The gradient d of the depthwise output of image n: on to dx, and into dW of the taps. */
static void taps_back(const way_back *b, const float *d, float *frame, float *dx, size_t n)
{
    source seen = b->from, gradient = b->from;
    seen.taps = NULL;
    gradient.x = d;
    gradient.mean = NULL;
    gradient.taps = b->flipped;
    if (b->tap_leaves != NULL) {
        frame_rows(frame, &seen, 1, n, 0, seen.H);
        taps_sum_image(b->tap_leaves + n * TAPS * taps_width(seen.C), d, frame, &seen);
    }
    if (dx != NULL) {
        frame_rows(frame, &gradient, 1, 0, 0, seen.H);
        depthwise_rows(dx, frame, &gradient, seen.H, b->add);
    }
}

static void images_back(const way_back *b, const span *s)
{
    const size_t squares = s->H * s->W, size = source_size(&b->conv.from, s->K / 2);
    const size_t panels = units_of(s->C, COLS);
#pragma omp parallel for schedule(dynamic)
    for (size_t n = 0; n < s->N; n++) {
        float *buffer = b->conv.buffers + (size_t)gn_thread_index() * size;
        float *image = b->images + (size_t)gn_thread_index() * images_size(s);
        float *dx = b->dx == NULL ? NULL : b->dx + n * squares * s->C;
        chains_rows(&b->conv, s->taps > 0 ? image : dx,
                    source_rows(&b->conv.from, buffer, s->K / 2, n, 0, s->H), squares, 0, panels);
        if (s->taps > 0)
            taps_back(b, image, image + frame_size(&b->from, 0), dx, n);
        if (s->norm)
            view_back(dx, &b->from, n, b->leaves + 2 * n * s->C);
    }
}

static void span_input_gradient(const gn_call *c, const span *s, source from, float *work)
{
    const size_t taps = s->taps > 0 ? round_up(TAPS * taps_width(s->C), 16) : 0;
    float *coef = work, *leaves = coef + (s->norm ? round_up(3 * s->C, 16) : 0);
    float *tap_leaves = leaves + (s->norm ? round_up(2 * s->N * s->C, 16) : 0);
    float *flipped = tap_leaves + s->N * taps;
    way_back b = {.conv = span_back(c, s, flipped + taps), .from = from, .flipped = flipped,
                  .leaves = leaves, .dx = c->din[0].data, .add = adds(c, 0)};
    b.images = b.conv.buffers + (size_t)c->threads * source_size(&b.conv.from, s->K / 2);
    if (s->taps > 0) {
        pack_taps(flipped, c->in[s->taps].data, s->C, true);
        b.tap_leaves = c->din[s->taps].data != NULL ? tap_leaves : NULL;
    }
    images_back(&b, s);
    if (b.tap_leaves != NULL)
        taps_deliver(c->din[s->taps].data, tap_leaves, s->N, s->C, adds(c, s->taps));
    if (s->norm) {
        bn_gradient_rows(c, map_of(c->in[0].shape), leaves, coef);
        bn_gradient_apply(c, map_of(c->in[0].shape), coef, c->din[0].data);
    }
}

static void span_backward(const gn_call *c)
{
    const span s = span_of(c);
    float *work = (float *)c->work + rows_size(&s);
    const source from = span_source(c, &s, c->work);
    if (c->din[s.weight].data != NULL) {
        if (s.K <= 3)
            weight_gradient(c, from, work);
        else
            conv2d_weight_gradient(c);
    }
    if (s.norm || s.taps > 0) {
        span_input_gradient(c, &s, from, work);
    } else if (c->din[0].data != NULL) {
        const chains all = span_back(c, &s, work);
        chains_run(&all);
    }
}

static size_t span_work(const gn_call *c)
{
    const span s = span_of(c);
    const size_t T = (size_t)c->threads, rows = rows_size(&s);
    const float there = 0; /* only whether a pointer is NULL counts */
    const source from = {.H = s.H, .W = s.W, .C = s.C, .mean = s.norm ? &there : NULL,
                         .taps = s.taps > 0 ? &there : NULL};
    const source dy = {.H = s.H, .W = s.W, .C = s.O};
    if (c->pass != GN_BACKWARD) {
        const size_t run = panels_size(s.C, s.O, s.K) + T * source_size(&from, s.K / 2);
        return larger((rows + run) * sizeof(float), s.norm ? bn_work(c) : 0);
    }
    const size_t taps = s.taps > 0 ? (s.N + 1) * round_up(TAPS * taps_width(s.C), 16) : 0;
    const size_t norm = s.norm ? round_up(3 * s.C, 16) + round_up(2 * s.N * s.C, 16) : 0;
    const size_t input = norm + taps + panels_size(s.O, s.C, s.K) +
                         T * (source_size(&dy, s.K / 2) + images_size(&s));
    const sums all = sums_of(c, from);
    const size_t weight = s.K <= 3 ? sums_size(&all, T) : T * s.N;
    return (rows + larger(input, weight)) * sizeof(float);
}

static gn_status span_shape(gn_call *c, gn_err *err)
{
    const span s = span_of(c);
    const gn_shape x = c->in[0].shape, w = c->in[s.weight].shape;
    bool fits = x.rank == 4 && w.rank == 4 && w.dim[1] == x.dim[3] && s.K == w.dim[3] &&
                s.K == (s.taps > 0 ? 1 : 3);
    if (s.taps > 0)
        fits = fits && c->in[s.taps].shape.rank == 4 && c->in[s.taps].shape.dim[2] == 3 &&
               c->in[s.taps].shape.dim[0] == x.dim[3];
    if (!fits)
        return gn_fail(err, GN_E_SHAPE, "%s: shapes that its kernel does not know", c->op->name);
    for (int j = 1; j < c->nout; j++)
        c->out[j].shape = gn_shape_of(1, x.dim[3], 0, 0, 0);
    c->out[0].shape = gn_shape_of(4, x.dim[0], x.dim[1], x.dim[2], w.dim[0]);
    return GN_OK;
}

#define SPAN_RUN \
    .forward = span_forward, .backward = span_backward, .work = span_work, .keep = span_keep
static const gn_row conv2d_fast_row = {.op = &conv2d_op, SPAN_RUN};

#define NORM_PINNED (GN_OUT(BN_MEAN) | GN_OUT(BN_M2) | GN_OUT(BN_INV))
#define NORM_READS                                                                                \
    (GN_IN(BN_X) | GN_IN(BN_GAMMA) | GN_IN(BN_BETA) | GN_OUT(BN_MEAN) | GN_OUT(BN_INV))
#define NORM_CONSTANT (GN_IN(BN_RUNNING_MEAN) | GN_IN(BN_RUNNING_VAR))

/* A dense block's middle. */
static const gn_part norm_conv_parts[] = {
    {"batch_norm", {GN_OUTSIDE, GN_OUTSIDE}}, {"relu", {0}}, {"conv2d", {1, GN_OUTSIDE}}};
static const gn_op norm_conv_op = {
    .name = "batch_norm relu conv2d", .min_in = 6, .max_in = 6, .nout = 4,
    .reads = NORM_READS | GN_IN(5), .pinned = NORM_PINNED, .constant = NORM_CONSTANT,
    .shape = span_shape, .part = norm_conv_parts, .parts = 3, .last = GN_IN(BN_X),
};
static const gn_row norm_conv_row = {.op = &norm_conv_op, SPAN_RUN};

/* A separable block's convolutions: the first, and the second with what stands before it. */
static const gn_part separable_parts[] = {
    {"depthwise_conv2d", {GN_OUTSIDE, GN_OUTSIDE}}, {"conv2d", {0, GN_OUTSIDE}}};
static const gn_op separable_op = {
    .name = "depthwise_conv2d conv2d", .min_in = 3, .max_in = 3, .nout = 1,
    .reads = GN_IN(0) | GN_IN(1) | GN_IN(2), .shape = span_shape, .part = separable_parts,
    .parts = 2,
};
static const gn_row separable_row = {.op = &separable_op, SPAN_RUN};

static const gn_part norm_separable_parts[] = {
    {"batch_norm", {GN_OUTSIDE, GN_OUTSIDE}}, {"relu", {0}},
    {"depthwise_conv2d", {1, GN_OUTSIDE}}, {"conv2d", {2, GN_OUTSIDE}}};
static const gn_op norm_separable_op = {
    .name = "batch_norm relu depthwise_conv2d conv2d", .min_in = 7, .max_in = 7, .nout = 4,
    .reads = NORM_READS | GN_IN(5) | GN_IN(6), .pinned = NORM_PINNED, .constant = NORM_CONSTANT,
    .shape = span_shape, .part = norm_separable_parts, .parts = 4, .last = GN_IN(BN_X),
};
static const gn_row norm_separable_row = {.op = &norm_separable_op, SPAN_RUN};
