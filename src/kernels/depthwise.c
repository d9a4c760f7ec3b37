/* depthwise_conv2d of 3x3: the fast twin of ops/depthwise_conv2d.c, the same bits.
 *
 *     y [n,h,w,c]   = sum over (kh,kw) of x[n, h+kh-1, w+kw-1, c] * W[c,0,kh,kw]
 *     dx[n,h,w,c]   = sum over (kh,kw) of dy[n, h+kh-1, w+kw-1, c] * W[c,0,2-kh,2-kw]
 *     dW[c,0,kh,kw] = sum over n, (h,w) of dy[n,h,w,c] * x[n, h+kh-1, w+kw-1, c]
 *
 * An image at a time, in a frame of zeros (source.c).  The nine weights, or the nine sums of dW,
 * are in registers for a row of the board.  Other kernel sizes are left to the plain op.
 *
 * Reads: x, W.
 * Order: that of the plain op.  SPDX-License-Identifier: MIT */

/* Adds one row to the sums of dW, channels c to c + LANES - 1; `frame` is one row above. */
static inline void taps_sum_lanes(float *leaf, const float *dy, const float *frame,
                                  const source *s, size_t c, size_t cols)
{
    const size_t C = s->C, line = (s->W + 2) * C, width = taps_width(C);
    vec acc[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        acc[t] = vec_load(leaf + t * width + c);
    for (size_t w = 0; w < s->W; w++) {
        const vec v = get_lanes(dy + w * C + c, cols);
        const float *at = frame + w * C + c;
#pragma GCC unroll 16
        for (size_t t = 0; t < TAPS; t++)
            acc[t] = vec_fma(v, get_lanes(at + t / 3 * line + t % 3 * C, cols), acc[t]);
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        vec_store(leaf + t * width + c, acc[t]);
}

/* The sums of dW inside one image: dy, and x in its frame. */
static void taps_sum_image(float *leaf, const float *dy, const float *frame, const source *s)
{
    memset(leaf, 0, TAPS * taps_width(s->C) * sizeof *leaf);
    for (size_t h = 0; h < s->H; h++, dy += s->W * s->C, frame += (s->W + 2) * s->C) {
        size_t c = 0;
        for (; c + LANES <= s->C; c += LANES)
            taps_sum_lanes(leaf, dy, frame, s, c, LANES);
        if (c < s->C)
            taps_sum_lanes(leaf, dy, frame, s, c, s->C - c);
    }
}

/* Sums the images' leaves over the batch tree and puts them into dW. */
static void taps_deliver(float *dweight, float *leaves, size_t N, size_t C, bool add)
{
    const size_t width = taps_width(C);
    tree_rows_team(leaves, N, TAPS * width, TAPS * width);
    for (size_t c = 0; c < C; c++)
        for (size_t t = 0; t < TAPS; t++)
            dweight[c * TAPS + t] = accumulate(dweight[c * TAPS + t], leaves[t * width + c], add);
}

/* y = the depthwise convolution of x by weights packed at `work`, the threads' frames after them. */
static void dw_images(float *y, const float *x, const gn_call *call, bool flip, bool add)
{
    const gn_shape s = call->in[0].shape;
    float *packed = call->work, *frames = packed + round_up(TAPS * taps_width(s.dim[3]), 16);
    const source from = {.x = x, .H = s.dim[1], .W = s.dim[2], .C = s.dim[3], .taps = packed};
    pack_taps(packed, call->in[1].data, from.C, flip);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.dim[0]; n++) {
        float *frame = frames + (size_t)gn_thread_index() * frame_size(&from, 1);
        frame_rows(frame, &from, 1, n, 0, from.H);
        depthwise_rows(y + n * from.H * from.W * from.C, frame, &from, from.H, add);
    }
}

static void taps_gradient(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    const source from = {.x = call->in[0].data, .H = s.dim[1], .W = s.dim[2], .C = s.dim[3]};
    const size_t leaf = TAPS * taps_width(from.C);
    float *leaves = call->work, *frames = leaves + round_up(s.dim[0] * leaf, 16);
    const float *dy = call->dout.data;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s.dim[0]; n++) {
        float *frame = frames + (size_t)gn_thread_index() * frame_size(&from, 1);
        frame_rows(frame, &from, 1, n, 0, from.H);
        taps_sum_image(leaves + n * leaf, dy + n * from.H * from.W * from.C, frame, &from);
    }
    taps_deliver(call->din[1].data, leaves, s.dim[0], from.C, adds(call, 1));
}

static void dw_fast_forward(const gn_call *call)
{
    if (call->in[1].shape.dim[2] == 3)
        dw_images(call->out[0].data, call->in[0].data, call, false, false);
    else
        dw_forward(call);
}

static void dw_fast_backward(const gn_call *call)
{
    if (call->in[1].shape.dim[2] != 3) {
        dw_backward(call);
        return;
    }
    if (call->din[0].data != NULL)
        dw_images(call->din[0].data, call->dout.data, call, true, adds(call, 0));
    if (call->din[1].data != NULL)
        taps_gradient(call);
}

static size_t dw_fast_work(const gn_call *call)
{
    const gn_shape s = call->in[0].shape;
    const source from = {.H = s.dim[1], .W = s.dim[2], .C = s.dim[3]};
    const size_t packed = TAPS * taps_width(from.C), N = call->pass == GN_BACKWARD ? s.dim[0] : 1;
    if (call->in[1].shape.dim[2] != 3)
        return dw_work(call);
    return (round_up(N * packed, 16) + (size_t)call->threads * frame_size(&from, 1)) *
           sizeof(float);
}

static const gn_row dw_fast_row = {
    .op = &dw_op, .forward = dw_fast_forward, .backward = dw_fast_backward, .work = dw_fast_work,
};
