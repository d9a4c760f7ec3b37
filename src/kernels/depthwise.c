/* depthwise_conv2d of 3x3: the fast twin of ops/depthwise_conv2d.c, the same bits.
 *
 *     y [n,h,w,c]   = sum over (kh,kw) of x[n, h+kh-1, w+kw-1, c] * W[c,0,kh,kw]
 *     dx[n,h,w,c]   = sum over (kh,kw) of dy[n, h+kh-1, w+kw-1, c] * W[c,0,2-kh,2-kw]
 *     dW[c,0,kh,kw] = sum over n, (h,w) of dy[n,h,w,c] * x[n, h+kh-1, w+kw-1, c]
 *
 * Nothing is copied.  A line of the board is done LANES channels at a time, with the nine weights,
 * or the nine sums of dW, in registers.  The lines that come next are asked for ahead of time,
 * because no hardware prefetcher sees through that order (twice as fast where the maps are larger
 * than the cache).  A tap outside the board reads from a line of +0.  Other kernel sizes are left
 * to the plain op.
 *
 * Reads: x, W.
 * Order: that of the plain op.  SPDX-License-Identifier: MIT */

enum { TAPS = 9 };

typedef struct depthwise {
    const float *x, *dy;
    float *y, *dx, *leaves;   /* leaves: [N][tap][width], the sums of dW inside an image */
    float *weights, *outside; /* workspace: [tap][width], and a line of +0 */
    size_t N, H, W, C, width; /* width: C rounded up to whole vectors */
    bool add;
} depthwise;

/* The first `cols` lanes, if so many are there; the others are +0, or stay as they are. */
static inline vec get_lanes(const float *from, size_t cols)
{
    float lane[LANES] = {0};
    if (cols >= LANES)
        return vec_load(from);
    for (size_t j = 0; j < cols; j++)
        lane[j] = from[j];
    return vec_load(lane);
}

static inline void put_lanes(float *to, vec value, size_t cols, bool add)
{
    float lane[LANES];
    if (cols >= LANES) {
        if (add)
            value = vec_load(to) + value;
        vec_store(to, value);
        return;
    }
    vec_store(lane, value);
    for (size_t j = 0; j < cols; j++)
        to[j] = accumulate(to[j], lane[j], add);
}

/* The lines h-1, h, h+1 of an image, and how far ahead to look. */
static size_t dw_lines(const depthwise *d, const float *line[3], const float *map, size_t n,
                       size_t h)
{
    const float *image = map + n * d->H * d->W * d->C;
    for (size_t k = 0; k < 3; k++) { /* wraps where outside */
        const size_t y = h + k - 1;
        line[k] = y < d->H ? image + y * d->W * d->C : d->outside;
    }
    return n * d->H + h + 2 < d->N * d->H ? d->W * d->C : 0;
}

/* What the taps see at one square, `at` floats into the lines, whose neighbours to the left and to
 * the right are on the board or not. */
static inline void dw_taps(const float *tap[TAPS], const float *const line[3],
                           const float *outside, size_t at, size_t C, bool left, bool right)
{
#pragma GCC unroll 16
    for (size_t k = 0; k < 3; k++) {
        tap[3 * k] = left ? line[k] + at - C : outside;
        tap[3 * k + 1] = line[k] + at;
        tap[3 * k + 2] = right ? line[k] + at + C : outside;
    }
}

/* The chains of one square. */
static inline vec dw_square(const float *const tap[TAPS], const vec weight[TAPS], size_t cols)
{
    vec acc = vec_splat(0.0f);
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        acc = vec_fma(get_lanes(tap[t], cols), weight[t], acc);
    return acc;
}

/* The chains of one line, channels c to c + LANES - 1, `cols` of which are there. */
static inline void dw_chain(const depthwise *d, float *y, const float *const lines[3],
                            size_t ahead, size_t c, size_t cols)
{
    const float *const line[3] = {lines[0] + c, lines[1] + c, lines[2] + c}, *tap[TAPS];
    const size_t C = d->C, last = (d->W - 1) * C;
    const bool add = d->add;
    vec weight[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        weight[t] = vec_load(d->weights + t * d->width + c);
    dw_taps(tap, line, d->outside, 0, C, false, last > 0);
    put_lanes(y + c, dw_square(tap, weight, cols), cols, add);
    for (size_t at = C; at < last; at += C) {
        dw_taps(tap, line, NULL, at, C, true, true);
        __builtin_prefetch(line[1] + 2 * ahead + at);
        __builtin_prefetch(y + c + ahead + at, 1);
        put_lanes(y + c + at, dw_square(tap, weight, cols), cols, add);
    }
    if (last > 0) {
        dw_taps(tap, line, d->outside, last, C, true, false);
        put_lanes(y + c + last, dw_square(tap, weight, cols), cols, add);
    }
}

static void dw_chain_line(const depthwise *d, float *y, const float *map, size_t n, size_t h)
{
    const float *line[3];
    const size_t ahead = dw_lines(d, line, map, n, h);
    size_t c = 0;
    for (; c + LANES <= d->C; c += LANES)
        dw_chain(d, y, line, ahead, c, LANES);
    if (c < d->C)
        dw_chain(d, y, line, ahead, c, d->C - c);
}

/* Adds one square to the sums of dW. */
static inline void dw_sum_square(vec acc[TAPS], const float *const tap[TAPS], const float *dy,
                                 size_t cols)
{
    const vec v = get_lanes(dy, cols);
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        acc[t] = vec_fma(v, get_lanes(tap[t], cols), acc[t]);
}

/* Adds one line to the sums of dW. */
static inline void dw_sum(const depthwise *d, float *leaf, const float *dy,
                          const float *const lines[3], size_t ahead, size_t c, size_t cols)
{
    const float *const line[3] = {lines[0] + c, lines[1] + c, lines[2] + c}, *tap[TAPS];
    const size_t C = d->C, last = (d->W - 1) * C;
    vec acc[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        acc[t] = vec_load(leaf + t * d->width + c);
    dw_taps(tap, line, d->outside, 0, C, false, last > 0);
    dw_sum_square(acc, tap, dy + c, cols);
    for (size_t at = C; at < last; at += C) {
        dw_taps(tap, line, NULL, at, C, true, true);
        __builtin_prefetch(line[1] + 2 * ahead + at);
        dw_sum_square(acc, tap, dy + c + at, cols);
    }
    if (last > 0) {
        dw_taps(tap, line, d->outside, last, C, true, false);
        dw_sum_square(acc, tap, dy + c + last, cols);
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        vec_store(leaf + t * d->width + c, acc[t]);
}

static void dw_sum_line(const depthwise *d, float *leaf, const float *dy, size_t n, size_t h)
{
    const float *line[3];
    const size_t ahead = dw_lines(d, line, d->x, n, h);
    size_t c = 0;
    for (; c + LANES <= d->C; c += LANES)
        dw_sum(d, leaf, dy, line, ahead, c, LANES);
    if (c < d->C)
        dw_sum(d, leaf, dy, line, ahead, c, d->C - c);
}

/* Floats of workspace that both passes need: packed weights and a line of +0. */
static size_t dw_common_size(gn_shape s)
{
    return TAPS * round_up(s.dim[3], LANES) + round_up(s.dim[2] * s.dim[3], LANES);
}

static depthwise dw_open(const gn_call *call, bool flip)
{
    const gn_shape s = call->in[0].shape;
    const float *weight = call->in[1].data;
    depthwise d = {.x = call->in[0].data, .y = call->out[0].data, .dy = call->dout.data,
                   .dx = call->din[0].data, .weights = call->work, .N = s.dim[0], .H = s.dim[1],
                   .W = s.dim[2], .C = s.dim[3], .width = round_up(s.dim[3], LANES)};
    for (size_t t = 0; t < TAPS; t++)
        for (size_t c = 0; c < d.width; c++)
            d.weights[t * d.width + c] =
                c < d.C ? weight[c * TAPS + (flip ? TAPS - 1 - t : t)] : 0.0f;
    d.outside = d.weights + TAPS * d.width;
    memset(d.outside, 0, d.W * d.C * sizeof *d.outside);
    return d;
}

static void dw_fast_forward(const gn_call *call)
{
    if (call->in[1].shape.dim[2] != 3) {
        dw_forward(call);
        return;
    }
    const depthwise d = dw_open(call, false);
    const size_t size = d.W * d.C;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < d.N * d.H; i++)
        dw_chain_line(&d, d.y + i * size, d.x, i / d.H, i % d.H);
}

/* Both gradients of one image; those that are not wanted are NULL. */
static void dw_image_gradients(const depthwise *d, size_t n)
{
    const size_t size = d->W * d->C;
    float *leaf = d->leaves != NULL ? d->leaves + n * TAPS * d->width : NULL;
    if (leaf != NULL)
        memset(leaf, 0, TAPS * d->width * sizeof *leaf);
    for (size_t h = 0; h < d->H; h++) {
        const size_t at = (n * d->H + h) * size;
        if (d->dx != NULL)
            dw_chain_line(d, d->dx + at, d->dy, n, h);
        if (leaf != NULL)
            dw_sum_line(d, leaf, d->dy + at, n, h);
    }
}

static void dw_fast_backward(const gn_call *call)
{
    if (call->in[1].shape.dim[2] != 3) {
        dw_backward(call);
        return;
    }
    depthwise d = dw_open(call, true);
    float *dweight = call->din[1].data;
    d.add = adds(call, 0);
    d.leaves = dweight != NULL ? d.weights + dw_common_size(call->in[0].shape) : NULL;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < d.N; n++)
        dw_image_gradients(&d, n);
    if (dweight == NULL)
        return;
    tree_rows_team(d.leaves, d.N, TAPS * d.width, TAPS * d.width);
    for (size_t c = 0; c < d.C; c++)
        for (size_t t = 0; t < TAPS; t++)
            dweight[c * TAPS + t] =
                accumulate(dweight[c * TAPS + t], d.leaves[t * d.width + c], adds(call, 1));
}

static size_t dw_fast_work(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    if (call->in[1].shape.dim[2] != 3)
        return dw_work(call);
    const size_t leaves = s.dim[0] * TAPS * round_up(s.dim[3], LANES);
    return (dw_common_size(s) + (call->pass == GN_BACKWARD ? leaves : 0)) * sizeof(float);
}

static const gn_row dw_fast_row = {
    .op = &dw_op, .forward = dw_fast_forward, .backward = dw_fast_backward, .work = dw_fast_work,
};
