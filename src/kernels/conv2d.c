/* conv2d, forward and input gradient: the fast twin of ops/conv2d.c, the same bits.
 *
 *     y [n,h,w,o] = sum over (kh,kw,c) of x[n, h+kh-P, w+kw-P, c] * W[o,c,kh,kw]
 *     dx[n,h,w,c] = sum over (kh,kw,o) of dy[n, h+kh-P, w+kw-P, o] * W[o,c,K-1-kh,K-1-kw]
 *
 * One routine does both: the channels that are summed are called `inner`, those that remain
 * `outer`.  The weights lie in panels of COLS outer channels, [panel][kh,kw,inner][COLS]; the rows
 * in hand lie in a frame of zeros (source.c), where a row of im2col is K*K runs of `inner` numbers.
 *
 * Reads: x, W.
 * Order: that of the plain op.  A tile is ROWS squares x COLS outer channels, and its whole chain
 * runs in registers.  Outer channels that fill up a panel, and squares that fill up a tile, are
 * computed and dropped.  SPDX-License-Identifier: MIT */

typedef struct chains {
    float *y;
    source from; /* what is summed: `inner` channels */
    const float *panels;
    float *buffers; /* workspace: a source's buffer a thread */
    size_t N, outer, K;
    bool add;
} chains;

static size_t panels_size(size_t inner, size_t outer, size_t K)
{
    return round_up(K * K * inner * round_up(outer, COLS), 16);
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

/* One panel over `squares` squares of framed rows (of rows as they lie if K is 1).  y is the first
 * square's first channel of this panel. */
static void chains_panel(const chains *c, float *y, const float *rows, const float *panel,
                         size_t squares, size_t cols)
{
    const size_t W = c->from.W, C = c->from.C, P = c->K / 2;
    const size_t line = (W + 2 * P) * C, margin = 2 * P * C;
    size_t w = 0;
    for (size_t s = 0; s < squares; s += ROWS) {
        const float *a[ROWS];
        float out[TILE];
        for (size_t r = 0; r < ROWS; r++) {
            a[r] = rows;
            if (s + r + 1 < squares) { /* the tile's tail repeats the last square */
                rows += C;
                if (++w == W) {
                    w = 0;
                    rows += margin;
                }
            }
        }
        const size_t there = lesser(squares - s, ROWS);
        expect_tile(y + s * c->outer, there, c->outer);
        chains_tile(out, a, panel, C, c->K, line);
        put_tile(y + s * c->outer, out, there, cols, c->outer, c->add);
    }
}

/* Panels p to end - 1 over `squares` squares of rows.  With K = 1 few squares at a time, which the
 * first-level cache holds while the panels pass. */
static void chains_rows(const chains *c, float *y, const float *rows, size_t squares, size_t p,
                        size_t end)
{
    const size_t piece = c->K == 1 ? SQUARE_TILES * ROWS : squares, C = c->from.C;
    for (size_t s = 0; s < squares; s += piece)
        for (size_t i = p; i < end; i++) {
            const float *panel = c->panels + i * c->K * c->K * C * COLS;
            chains_panel(c, y + s * c->outer + i * COLS, rows + s * C, panel,
                         lesser(squares - s, piece), lesser(c->outer - i * COLS, COLS));
        }
}

enum { PIECES = 32 }; /* of work that a thread gets at least */

/* All chains.  A piece of work is an image; where there are few of them for the threads, some of
 * its panels, and a band of its rows (only that where the band costs a depthwise convolution).
 * Dynamic, because one slow core would hold up all others (measured: half the speed on two cores,
 * one of which had other work). */
static void chains_run(const chains *c)
{
    const size_t T = (size_t)gn_threads_available(), H = c->from.H, P = c->K / 2;
    const size_t panels = units_of(c->outer, COLS), size = source_size(&c->from, P);
    const size_t wanted = units_of(PIECES * T, c->N);
    const size_t groups = c->from.taps != NULL ? 1 : lesser(wanted, panels);
    const size_t height = units_of(H, lesser(units_of(wanted, groups), H));
    const size_t bands = units_of(H, height), each = units_of(panels, groups);
#pragma omp parallel
    {
        const float *rows = NULL;
        size_t held = c->N * bands;
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < c->N * bands * groups; i++) {
            const size_t band = i / groups, n = band / bands, first = band % bands * height;
            const size_t end = lesser(first + height, H), p = i % groups * each;
            float *buffer = c->buffers + (size_t)gn_thread_index() * size;
            if (band != held)
                rows = source_rows(&c->from, buffer, P, n, first, end);
            held = band;
            chains_rows(c, c->y + (n * H + first) * c->from.W * c->outer, rows,
                        (end - first) * c->from.W, p, lesser(p + each, panels));
        }
    }
}

#include "kernels/conv2d_weight.c"
#include "kernels/conv2d_span.c"
