/* depthwise_conv2d, 3x3, weight gradient: for spans; the bits of ops/depthwise_conv2d.c.
 *
 *     dW[c,0,kh,kw] = sum over n, (h,w) of dy[n,h,w,c] * x[n, h+kh-1, w+kw-1, c]
 *
 * An image at a time, x in a frame of zeros (source.c, which has the chains of y and dx too).  The
 * nine sums are in registers for a row of the board.
 *
 * Reads: x.
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
