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
static inline void chains_tile(tile *acc, const float *const a[ROWS], const float *panel,
                               size_t inner, size_t K, size_t line)
{
    tile_zero(acc);
    for (size_t kh = 0; kh < K; kh++)
        for (size_t kw = 0; kw < K; kw++, panel += inner * COLS) {
            const float *tap[ROWS];
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; r++)
                tap[r] = a[r] + kh * line + kw * inner;
            tile_rows(acc, tap, panel, inner);
        }
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
        tile acc;
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
        chains_tile(&acc, a, panel, C, c->K, line);
        tile_put(y + s * c->outer, &acc, there, cols, c->outer, c->add);
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

enum { PIECES = 24 }; /* of work that a thread gets at least */

/* All chains.  A piece of work is an image or a band of its rows, which a thread frames just
 * before.  Where there are no more images than threads, the team frames them together, and a piece
 * is one panel over a band.  Dynamic, because one slow core would hold up all others (measured:
 * half the speed on two cores, one of which had other work). */
static void chains_run(const chains *c)
{
    const size_t T = (size_t)gn_threads_available(), H = c->from.H, P = c->K / 2;
    const size_t panels = units_of(c->outer, COLS), size = source_size(&c->from, P);
    const bool together = c->N <= T;
    const size_t groups = together ? panels : 1, bands = units_of(PIECES * T, c->N * groups);
    const size_t least = together ? 1 : 4, height = larger(units_of(H, bands), lesser(least, H));
    const size_t steps = units_of(H, height), each = units_of(panels, groups);
    if (together)
        source_team(&c->from, c->buffers, P, c->N);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < c->N * groups * steps; i++) {
        const size_t n = i / steps / groups, p = i / steps % groups * each;
        const size_t first = i % steps * height, end = lesser(first + height, H);
        float *mine = c->buffers + (size_t)gn_thread_index() * size;
        const float *rows = together ? source_made(&c->from, c->buffers, P, n, first)
                                     : source_rows(&c->from, mine, P, n, first, end);
        chains_rows(c, c->y + (n * H + first) * c->from.W * c->outer, rows,
                    (end - first) * c->from.W, p, p + each);
    }
}

#include "kernels/conv2d_weight.c"
#include "kernels/conv2d_span.c"
