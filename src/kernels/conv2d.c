/* conv2d, forward and input gradient: the fast twin of ops/conv2d.c, the same bits.
 *
 *     y [n,h,w,o] = sum over (kh,kw,c) of x[n, h+kh-P, w+kw-P, c] * W[o,c,kh,kw]
 *     dx[n,h,w,c] = sum over (kh,kw,o) of dy[n, h+kh-P, w+kw-P, o] * W[o,c,K-1-kh,K-1-kw]
 *
 * One routine does both: the channels that are summed are called `inner`, those that remain
 * `outer`.  The weights lie in panels of COLS outer channels, [panel][kh,kw,inner][COLS]; the
 * image in hand is copied into a frame of zeros, where a row of im2col is K*K runs of `inner`
 * numbers.  Nothing else is copied, and a 1x1 kernel reads the map where it lies.
 *
 * Reads: x, W.
 * Order: that of the plain op.  A tile is ROWS squares x COLS outer channels, and its whole chain
 * runs in registers.  Outer channels that fill up a panel, and squares that fill up a tile, are
 * computed and dropped.  SPDX-License-Identifier: MIT */

typedef struct chains {
    float *y;
    const float *x;
    float *panels, *frames; /* workspace: packed weights, a padded image a thread */
    size_t N, H, W, inner, outer, K;
    bool add;
} chains;

/* Floats of one padded image, a multiple of a cache line. */
static size_t frame_size(size_t H, size_t W, size_t inner, size_t K)
{
    return K == 1 ? 0 : round_up((H + K - 1) * (W + K - 1) * inner, 16);
}

/* Copies image n into a frame of zeros. */
static void frame_image(const chains *c, float *frame, size_t n)
{
    const size_t P = c->K / 2, line = (c->W + 2 * P) * c->inner, side = P * c->inner;
    const size_t run = c->W * c->inner;
    memset(frame, 0, P * line * sizeof *frame);
    for (size_t h = 0; h < c->H; h++) {
        float *to = frame + (h + P) * line;
        memset(to, 0, side * sizeof *to);
        memcpy(to + side, c->x + (n * c->H + h) * run, run * sizeof *to);
        memset(to + side + run, 0, side * sizeof *to);
    }
    memset(frame + (c->H + P) * line, 0, P * line * sizeof *frame);
}

/* The chains of ROWS squares, whose first taps are at a[], with one panel. */
static void chains_tile(float out[TILE], const float *const a[ROWS], const float *panel,
                        size_t inner, size_t K, size_t line)
{
    tile acc;
    tile_zero(&acc);
    for (size_t kh = 0; kh < K; kh++)
        for (size_t kw = 0; kw < K; kw++, panel += inner * COLS) {
            const float *tap[ROWS];
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; r++)
                tap[r] = a[r] + kh * line + kw * inner;
            tile_rows(&acc, tap, panel, inner);
        }
    tile_store(out, &acc);
}

/* One panel over `squares` squares of a framed image (or of the map itself if K is 1).  y is the
 * first square's first channel of this panel. */
static void chains_panel(const chains *c, float *y, const float *source, const float *panel,
                         size_t squares, size_t cols)
{
    const size_t line = (c->W + c->K - 1) * c->inner, margin = (c->K - 1) * c->inner;
    size_t w = 0;
    for (size_t s = 0; s < squares; s += ROWS) {
        const float *a[ROWS];
        float out[TILE];
        for (size_t r = 0; r < ROWS; r++) {
            a[r] = source;
            if (s + r + 1 < squares) { /* the tile's tail repeats the last square */
                source += c->inner;
                if (++w == c->W) {
                    w = 0;
                    source += margin;
                }
            }
        }
        const size_t rows = squares - s < ROWS ? squares - s : ROWS;
        expect_tile(y + s * c->outer, rows, c->outer);
        chains_tile(out, a, panel, c->inner, c->K, line);
        put_tile(y + s * c->outer, out, rows, cols, c->outer, c->add);
    }
}

/* All chains.  A piece of work is one panel over one image (K > 1) or over some squares (K = 1);
 * a thread frames an image when it first meets it, so it takes a whole image where there are
 * enough of them.  Dynamic, because one slow core would hold up all others (measured: half the
 * speed on two cores, one of which had other work). */
static void chains_run(const chains *c)
{
    const size_t total = c->N * c->H * c->W, block = c->K == 1 ? SQUARE_TILES * ROWS : c->H * c->W;
    const size_t panels = units_of(c->outer, COLS), blocks = units_of(total, block);
    const size_t length = c->K * c->K * c->inner * COLS;
    const size_t frame = frame_size(c->H, c->W, c->inner, c->K);
    const int chunk = blocks < 4 * (size_t)gn_threads_available() ? 1 : (int)panels;
#pragma omp parallel
    {
        const float *source = NULL;
        size_t held = blocks;
#pragma omp for schedule(dynamic, chunk)
        for (size_t i = 0; i < blocks * panels; i++) {
            const size_t b = i / panels, p = i % panels, first = b * block;
            const size_t left = total - first, cols = c->outer - p * COLS;
            if (c->K == 1) {
                source = c->x + first * c->inner;
            } else if (b != held) {
                float *mine = c->frames + (size_t)gn_thread_index() * frame;
                frame_image(c, mine, b);
                source = mine;
                held = b;
            }
            chains_panel(c, c->y + first * c->outer + p * COLS, source, c->panels + p * length,
                         left < block ? left : block, cols < COLS ? cols : COLS);
        }
    }
}

static size_t panels_size(size_t inner, size_t outer, size_t K)
{
    return K * K * inner * round_up(outer, COLS);
}

static void conv2d_fast_forward(const gn_call *call)
{
    const gn_shape x = call->in[0].shape, w = call->in[1].shape;
    const size_t O = w.dim[0], C = w.dim[1], K = w.dim[2];
    float *work = call->work;
    const chains c = {call->out[0].data, call->in[0].data, work, work + panels_size(C, O, K),
                      x.dim[0], x.dim[1], x.dim[2], C, O, K, false};
    pack_panels(c.panels, call->in[1].data, O, C, C * K * K, K * K, K * K, false);
    chains_run(&c);
}

static void conv2d_fast_input_gradient(const gn_call *call)
{
    const gn_shape x = call->in[0].shape, w = call->in[1].shape;
    const size_t O = w.dim[0], C = w.dim[1], K = w.dim[2];
    float *work = call->work;
    const chains c = {call->din[0].data, call->dout.data, work, work + panels_size(O, C, K),
                      x.dim[0], x.dim[1], x.dim[2], O, C, K, adds(call, 0)};
    pack_panels(c.panels, call->in[1].data, C, O, K * K, C * K * K, K * K, true);
    chains_run(&c);
}

#include "kernels/conv2d_weight.c"

static void conv2d_fast_backward(const gn_call *call)
{
    if (call->din[0].data != NULL)
        conv2d_fast_input_gradient(call);
    if (call->din[1].data == NULL)
        return;
    if (call->in[1].shape.dim[2] <= 3)
        conv2d_fast_weight_gradient(call);
    else
        conv2d_weight_gradient(call);
}

static size_t conv2d_fast_work(const gn_call *call)
{
    const gn_shape x = call->in[0].shape, w = call->in[1].shape;
    const size_t O = w.dim[0], C = w.dim[1], K = w.dim[2], T = (size_t)call->threads;
    const size_t H = x.dim[1], W = x.dim[2];
    if (call->pass != GN_BACKWARD)
        return (panels_size(C, O, K) + T * frame_size(H, W, C, K)) * sizeof(float);
    const size_t input = panels_size(O, C, K) + T * frame_size(H, W, O, K);
    const size_t weight = K <= 3 ? weight_gradient_size(call) : T * x.dim[0];
    return larger(input, weight) * sizeof(float);
}

static const gn_row conv2d_fast_row = {
    .op = &conv2d_op, .forward = conv2d_fast_forward, .backward = conv2d_fast_backward,
    .work = conv2d_fast_work,
};
