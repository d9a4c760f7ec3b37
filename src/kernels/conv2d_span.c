/* conv2d as a row, alone and at the end of a span:
 *
 *     [batch_norm relu] [depthwise_conv2d] conv2d
 *
 * What stands before the convolution becomes its source (source.c) and is never stored: forward
 * makes it an image at a time; backward makes it once more for the weight gradient, and takes each
 * image's gradient back through it while that image is in the cache.  A separable span, which waits
 * for memory more than it computes, does both at once.  The sums of batch norm need all images, so
 * its own dx is a last pass, in place.
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

/* What the convolution reads. */
static source span_source(const gn_call *c, const span *s, workspace *w)
{
    source from = {.x = c->in[0].data, .H = s->H, .W = s->W, .C = s->C};
    if (s->norm) {
        float *sc = take(w, s->C);
        if (w->there != NULL)
            bn_scale(c, map_of(c->in[0].shape), sc);
        from.mean = c->out[BN_MEAN].data;
        from.sc = sc;
        from.beta = c->in[BN_BETA].data;
    }
    if (s->taps > 0) {
        float *taps = take(w, TAPS * taps_width(s->C));
        if (w->there != NULL)
            dw_pack(taps, c->in[s->taps].data, s->C, taps_width(s->C), TAPS, false);
        from.taps = taps;
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

static chains span_chains(const gn_call *c, const span *s, workspace *w)
{
    const source from = span_source(c, s, w);
    float *panels = take(w, panels_size(s->C, s->O, s->K));
    if (w->there != NULL && c->kept == NULL)
        span_keep(c, panels);
    return (chains){c->out[0].data, from, c->kept != NULL ? c->kept : panels,
                    take(w, (size_t)c->threads * source_size(&from, s->K / 2)), s->N, s->O, s->K,
                    false};
}

static void span_forward(const gn_call *c)
{
    const span s = span_of(c);
    workspace w = {c->work, 0};
    if (s.norm && c->pass == GN_FORWARD)
        bn_normalisers(c, map_of(c->in[0].shape));
    const chains all = span_chains(c, &s, &w);
    chains_run(&all);
}

/* The input gradient of the convolution alone. */
static chains span_back(const gn_call *c, const span *s, workspace *w)
{
    const source dy = {.x = c->dout.data, .H = s->H, .W = s->W, .C = s->O};
    const size_t KK = s->K * s->K;
    float *panels = take(w, panels_size(s->O, s->C, s->K));
    if (w->there != NULL)
        pack_panels(panels, c->in[s->weight].data, s->C, s->O, KK, s->C * KK, KK, true);
    return (chains){c->din[0].data, dy, panels,
                    take(w, (size_t)c->threads * source_size(&dy, s->K / 2)), s->N, s->C, s->K,
                    s->taps == 0 && adds(c, 0)};
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
    float *flipped;       /* the depthwise weights for its input gradient */
    float *coef, *leaves; /* batch norm's rows, and its sums inside the images */
    float *tap_leaves;    /* dW of the taps inside the images; NULL: not wanted */
    float *images;        /* for each thread a gradient of the depthwise output, and a frame */
    float *dx;
    bool add;
} way_back;

static size_t images_size(const source *from)
{
    return from->taps != NULL ? frame_size(from, 0) + frame_size(from, 1) : 0;
}

static way_back span_way_back(const gn_call *c, const span *s, source from, workspace *w)
{
    const size_t taps = s->taps > 0 ? TAPS * taps_width(s->C) : 0, norm = s->norm ? s->C : 0;
    way_back b = {.from = from, .dx = c->din[0].data, .add = adds(c, 0)};
    b.coef = take(w, 3 * norm);
    b.leaves = take(w, 2 * s->N * norm);
    b.tap_leaves = take(w, s->N * taps);
    b.flipped = take(w, taps);
    b.conv = span_back(c, s, w);
    b.images = take(w, (size_t)c->threads * images_size(&from));
    if (s->taps == 0 || c->din[s->taps].data == NULL)
        b.tap_leaves = NULL;
    return b;
}

/* Takes image n back; seen: x in its frame, which the taps need. */
static void image_back(const way_back *b, size_t n, const float *seen)
{
    const source *from = &b->from, *dy = &b->conv.from;
    const size_t P = b->conv.K / 2, squares = from->H * from->W, size = frame_size(from, 0);
    const size_t thread = (size_t)gn_thread_index();
    float *buffer = b->conv.buffers + thread * source_size(dy, P);
    float *image = b->images + thread * images_size(from);
    float *dx = b->dx == NULL ? NULL : b->dx + n * squares * from->C;
    chains_rows(&b->conv, from->taps != NULL ? image : dx,
                source_rows(dy, buffer, P, n, 0, dy->H), squares, 0, units_of(from->C, COLS));
    if (b->tap_leaves != NULL)
        taps_sum_image(b->tap_leaves + n * TAPS * taps_width(from->C), image, seen, from);
    if (from->taps != NULL && dx != NULL) {
        const source gradient = {.x = image, .H = from->H, .W = from->W, .C = from->C,
                                 .taps = b->flipped};
        frame_rows(image + size, &gradient, 1, 0, 0, from->H);
        depthwise_rows(dx, image + size, &gradient, from->H, b->add);
    }
    if (from->sc != NULL)
        view_back(dx, from, n, b->leaves + 2 * n * from->C);
}

/* Both at once: an image that is split is taken back too, with one frame of x, beside the sums of
 * the group before it.  So x and dy come from memory once, and nobody waits for the split. */
static void separable_gradients(const sums *weight, const way_back *b)
{
    const size_t N = weight->N, blocks = weight->dweight != NULL ? blocks_of(weight) : 0;
#pragma omp parallel
    for (size_t first = 0; first < N + GROUP; first += GROUP) {
        const size_t images = first < N ? lesser(N - first, GROUP) : 0;
        const size_t tasks = images + (first > 0 ? blocks : 0);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < tasks; i++)
            if (i < images)
                image_back(b, first + i, split_image(weight, first + i));
            else
                sum_block(weight, i - images, first - GROUP, lesser(N + GROUP - first, GROUP));
    }
}

/* The way back to dx; in a separable span, the weight gradient too. */
static void span_back_through(const gn_call *c, const span *s, source from, workspace w)
{
    const way_back b = span_way_back(c, s, from, &w);
    const map_size map = map_of(c->in[0].shape);
    if (s->taps > 0) {
        const sums weight = sums_of(c, from, &w);
        dw_pack(b.flipped, c->in[s->taps].data, s->C, taps_width(s->C), TAPS, true);
        separable_gradients(&weight, &b);
    } else {
#pragma omp parallel for schedule(dynamic)
        for (size_t n = 0; n < s->N; n++)
            image_back(&b, n, NULL);
    }
    if (b.tap_leaves != NULL)
        taps_deliver(c->din[s->taps].data, b.tap_leaves, s->N, s->C, adds(c, s->taps));
    if (s->norm) {
        bn_gradient_rows(c, map, b.leaves, b.coef);
        bn_gradient_apply(c, map, b.coef, c->din[0].data);
    }
}

static void span_backward(const gn_call *c)
{
    const span s = span_of(c);
    workspace w = {c->work, 0};
    const source from = span_source(c, &s, &w);
    workspace again = w; /* one gradient after the other, in the same memory */
    if (s.taps == 0 && c->din[s.weight].data != NULL && s.K <= 3) {
        const sums weight = sums_of(c, from, &w);
        sums_run(&weight);
    } else if (s.taps == 0 && c->din[s.weight].data != NULL) {
        conv2d_weight_gradient(c);
    }
    if (s.norm || s.taps > 0) {
        span_back_through(c, &s, from, again);
    } else if (c->din[0].data != NULL) {
        const chains input = span_back(c, &s, &again);
        chains_run(&input);
    }
}

static size_t span_work(const gn_call *c)
{
    const span s = span_of(c);
    workspace w = {NULL, 0};
    if (c->pass != GN_BACKWARD) {
        span_chains(c, &s, &w);
        return larger(w.used * sizeof(float), s.norm ? bn_work(c) : 0);
    }
    const source from = span_source(c, &s, &w);
    workspace input = w;
    span_way_back(c, &s, from, &input);
    if (s.K <= 3)
        sums_of(c, from, s.taps > 0 ? &input : &w);
    else
        take(&w, (size_t)c->threads * s.N); /* conv2d_weight_gradient */
    return larger(w.used, input.used) * sizeof(float);
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
