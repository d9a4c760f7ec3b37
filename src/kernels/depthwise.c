/* depthwise_conv2d of 3x3: the fast twin of ops/depthwise_conv2d.c, the same bits.
 *
 *     y [n,h,w,c]   = sum over (kh,kw) of x[n, h+kh-1, w+kw-1, c] * W[c,0,kh,kw]
 *     dx[n,h,w,c]   = sum over (kh,kw) of dy[n, h+kh-1, w+kw-1, c] * W[c,0,2-kh,2-kw]
 *     dW[c,0,kh,kw] = sum over n, (h,w) of dy[n,h,w,c] * x[n, h+kh-1, w+kw-1, c]
 *
 * A piece of work is one image's panel of COLS channels, copied into a frame of zeros that fits
 * the first-level cache.  The nine weights, or the nine sums of dW, stay in registers.  Backward
 * frames dy once for both gradients.  Other kernel sizes are left to the plain op.
 *
 * Reads: x, W.
 * Order: that of the plain op.  SPDX-License-Identifier: MIT */

enum { TAPS = 9 };

typedef struct depthwise {
    const float *x, *dy;
    float *y, *dx;
    float *weights, *frames, *leaves; /* workspace: [panel][tap][COLS], a thread's frames, sums */
    size_t N, H, W, C;
    bool add;
} depthwise;

static size_t dw_frame_size(size_t H, size_t W)
{
    return (H + 2) * (W + 2) * COLS;
}

/* The panels of the weights, for the input gradient with the taps in reverse. */
static void dw_fast_pack(const depthwise *d, const float *weight, bool flip)
{
    for (size_t c = 0; c < round_up(d->C, COLS); c++)
        for (size_t t = 0; t < TAPS; t++)
            d->weights[(c / COLS * TAPS + t) * COLS + c % COLS] =
                c < d->C ? weight[c * TAPS + (flip ? TAPS - 1 - t : t)] : 0.0f;
}

/* Copies the panel from channel c on of one image into a frame of zeros. */
static void dw_frame(const depthwise *d, float *frame, const float *image, size_t c)
{
    const size_t line = (d->W + 2) * COLS;
    memset(frame, 0, line * sizeof *frame);
    for (size_t h = 0; h < d->H; h++) {
        float *to = frame + (h + 1) * line;
        memset(to, 0, COLS * sizeof *to);
        split_columns(to + COLS, image + h * d->W * d->C, d->W, d->C, c, COLS);
        memset(to + line - COLS, 0, COLS * sizeof *to);
    }
    memset(frame + (d->H + 1) * line, 0, line * sizeof *frame);
}

/* Writes or adds the first `cols` lanes, if so many are there. */
static inline void put_lanes(float *y, vec value, size_t cols, bool add)
{
    if (cols >= LANES) {
        if (add)
            value = vec_load(y) + value;
        vec_store(y, value);
    } else {
        float lane[LANES];
        vec_store(lane, value);
        for (size_t j = 0; j < cols; j++)
            y[j] = accumulate(y[j], lane[j], add);
    }
}

/* The chains of LANES channels over a whole frame. */
static void dw_lanes(const depthwise *d, float *y, const float *frame, const float *weights,
                     size_t cols)
{
    const size_t line = (d->W + 2) * COLS;
    vec weight[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        weight[t] = vec_load(weights + t * COLS);
    for (size_t h = 0; h < d->H; h++)
        for (size_t w = 0; w < d->W; w++, y += d->C) {
            const float *tap = frame + h * line + w * COLS;
            vec acc = vec_splat(0.0f);
#pragma GCC unroll 16
            for (size_t t = 0; t < TAPS; t++)
                acc = vec_fma(vec_load(tap + t / 3 * line + t % 3 * COLS), weight[t], acc);
            put_lanes(y, acc, cols, d->add);
        }
}

/* The sums of LANES channels of dW over one image: frames of x and dy in, nine rows out. */
static void dw_lane_sums(const depthwise *d, float *leaf, const float *x, const float *dy,
                         size_t cols)
{
    const size_t line = (d->W + 2) * COLS;
    vec acc[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        acc[t] = vec_splat(0.0f);
    for (size_t h = 0; h < d->H; h++)
        for (size_t w = 0; w < d->W; w++) {
            const float *tap = x + h * line + w * COLS;
            const vec v = vec_load(dy + (h + 1) * line + (w + 1) * COLS);
#pragma GCC unroll 16
            for (size_t t = 0; t < TAPS; t++)
                acc[t] = vec_fma(v, vec_load(tap + t / 3 * line + t % 3 * COLS), acc[t]);
        }
    for (size_t t = 0; t < TAPS; t++)
        put_lanes(leaf + t * d->C, acc[t], cols, false);
}

static void dw_fast_forward(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    if (call->in[1].shape.dim[2] != 3) {
        dw_forward(call);
        return;
    }
    depthwise d = {.x = call->in[0].data, .y = call->out[0].data, .weights = call->work,
                   .N = s.dim[0], .H = s.dim[1], .W = s.dim[2], .C = s.dim[3]};
    const size_t panels = round_up(d.C, COLS) / COLS, image = d.H * d.W * d.C;
    d.frames = d.weights + panels * TAPS * COLS;
    dw_fast_pack(&d, call->in[1].data, false);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < d.N * panels; i++) {
        const size_t n = i / panels, p = i % panels, c = p * COLS;
        float *frame = d.frames + (size_t)gn_thread_index() * dw_frame_size(d.H, d.W);
        dw_frame(&d, frame, d.x + n * image, c);
        for (size_t v = 0; v < COLS && c + v < d.C; v += LANES)
            dw_lanes(&d, d.y + n * image + c + v, frame + v, d.weights + p * TAPS * COLS + v,
                     d.C - c - v);
    }
}

/* Both gradients of one image's panel; those that are not wanted are NULL. */
static void dw_panel_gradients(const depthwise *d, float *frames, size_t n, size_t p)
{
    const size_t image = n * d->H * d->W * d->C, c = p * COLS;
    float *dy = frames, *x = frames + dw_frame_size(d->H, d->W);
    dw_frame(d, dy, d->dy + image, c);
    if (d->leaves != NULL)
        dw_frame(d, x, d->x + image, c);
    for (size_t v = 0; v < COLS && c + v < d->C; v += LANES) {
        if (d->dx != NULL)
            dw_lanes(d, d->dx + image + c + v, dy + v, d->weights + p * TAPS * COLS + v,
                     d->C - c - v);
        if (d->leaves != NULL)
            dw_lane_sums(d, d->leaves + n * TAPS * d->C + c + v, x + v, dy + v, d->C - c - v);
    }
}

static void dw_fast_backward(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    if (call->in[1].shape.dim[2] != 3) {
        dw_backward(call);
        return;
    }
    depthwise d = {.x = call->in[0].data, .dy = call->dout.data, .dx = call->din[0].data,
                   .weights = call->work, .N = s.dim[0], .H = s.dim[1], .W = s.dim[2],
                   .C = s.dim[3], .add = adds(call, 0)};
    const size_t panels = round_up(d.C, COLS) / COLS, frames = 2 * dw_frame_size(d.H, d.W);
    float *dweight = call->din[1].data;
    d.frames = d.weights + panels * TAPS * COLS;
    if (dweight != NULL)
        d.leaves = d.frames + (size_t)call->threads * frames;
    dw_fast_pack(&d, call->in[1].data, true);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < d.N * panels; i++)
        dw_panel_gradients(&d, d.frames + (size_t)gn_thread_index() * frames, i / panels,
                           i % panels);
    if (dweight == NULL)
        return;
    tree_rows_team(d.leaves, d.N, TAPS * d.C, TAPS * d.C);
    for (size_t c = 0; c < d.C; c++)
        for (size_t t = 0; t < TAPS; t++)
            dweight[c * TAPS + t] =
                accumulate(dweight[c * TAPS + t], d.leaves[t * d.C + c], adds(call, 1));
}

static size_t dw_fast_work(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    const size_t T = (size_t)call->threads, frame = dw_frame_size(s.dim[1], s.dim[2]);
    const size_t weights = TAPS * round_up(s.dim[3], COLS);
    if (call->in[1].shape.dim[2] != 3)
        return dw_work(call);
    if (call->pass != GN_BACKWARD)
        return (weights + T * frame) * sizeof(float);
    return (weights + T * 2 * frame + s.dim[0] * TAPS * s.dim[3]) * sizeof(float);
}

static const gn_row dw_fast_row = {
    .op = &dw_op, .forward = dw_fast_forward, .backward = dw_fast_backward, .work = dw_fast_work,
};
