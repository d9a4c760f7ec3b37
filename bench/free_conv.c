/* Convolutions by an author who is free of the contract's order, beside whom the library's are
 * measured.
 *
 * Forward: as a BLAS does it, the sum over taps and channels is cut into pieces whose weights stay
 * in the first-level cache while all squares of an image pass; the pieces' sums are added.
 * Weight gradient: each thread takes images of its own and adds them to a sum of its own, so
 * nobody waits for anybody and nothing is merged but the threads' sums at the end; the bits depend
 * on which thread took which image.  Both are compiled like free_table.c, with -Ofast
 * for the machine at hand.  SPDX-License-Identifier: MIT */
#include "free_conv.h"

#include <omp.h>

#define tree_drain __attribute__((unused)) tree_drain /* there is no tree here */
#include "kernels/tile.h"

enum {
    PIECE = 16384 / (COLS * sizeof(float)), /* terms whose panel fills half of a cache of 32 KiB */
    MOST_SQUARES = 25 * 25 + ROWS, MOST_THREADS = 256
};

/* Copies the squares of image n, `width` channels at a time, into panels with a margin of zeros. */
static void split_image(float *to, const float *from, size_t H, size_t W, size_t channels, size_t P,
                        size_t width)
{
    const size_t line = (W + 2 * P) * width;
    for (size_t c = 0; c < channels; c += width, to += (H + 2 * P) * line) {
        memset(to, 0, P * line * sizeof *to);
        for (size_t h = 0; h < H; h++) {
            float *row = to + (h + P) * line;
            memset(row, 0, P * width * sizeof *row);
            split_columns(row + P * width, from + h * W * channels, W, channels, c, width);
            memset(row + (P + W) * width, 0, P * width * sizeof *row);
        }
        memset(to + (P + H) * line, 0, P * line * sizeof *to);
    }
}

static size_t panels_size(const free_conv *c) { return c->K * c->K * c->C * round_up(c->O, COLS); }

static size_t frame_size(const free_conv *c, size_t width)
{
    return (c->H + c->K - 1) * (c->W + c->K - 1) * round_up(c->C, width);
}

static size_t sums_size(const free_conv *c)
{
    return c->K * c->K * round_up(c->C, ROWS) * round_up(c->O, COLS);
}

/* Floats of a thread: an image with its margin and a panel's sums; or an image of x and of dy in
 * panels, and all sums. */
static size_t thread_size(const free_conv *c)
{
    const size_t squares = c->H * c->W;
    const size_t forward = frame_size(c, 1) + round_up(squares, ROWS) * COLS;
    const size_t weight = frame_size(c, ROWS) + squares * round_up(c->O, COLS) + sums_size(c);
    return round_up(forward > weight ? forward : weight, 16);
}

size_t free_conv_work(const free_conv *c)
{
    return round_up(panels_size(c), 16) + (size_t)c->threads * thread_size(c);
}

/* --- Forward --------------------------------------------------------------------------------- */

/* Where the squares of a framed image lie; the last one stands for those that fill up a tile. */
static void place_squares(const free_conv *c, size_t *at)
{
    const size_t squares = c->H * c->W, line = (c->W + c->K - 1) * c->C;
    for (size_t s = 0; s < round_up(squares, ROWS); s++) {
        const size_t square = s < squares ? s : squares - 1;
        at[s] = square / c->W * line + square % c->W * c->C;
    }
}

/* `terms` terms of a tap, which starts at `frame`, for all squares with one panel: the first piece
 * stores its sums, the next ones add to them, the last one writes y. */
static void forward_piece(const free_conv *c, float *sums, float *y, const float *frame,
                          const size_t *at, const float *panel, size_t terms, size_t cols,
                          bool first, bool last)
{
    const size_t squares = c->H * c->W;
    for (size_t s = 0; s < squares; s += ROWS, sums += TILE) {
        const float *a[ROWS];
        tile acc;
        for (size_t r = 0; r < ROWS; r++)
            a[r] = frame + at[s + r];
        if (last)
            expect_tile(y + s * c->O, squares - s < ROWS ? squares - s : ROWS, c->O);
        tile_zero(&acc);
        tile_rows(&acc, a, panel, terms);
        if (!first)
            tile_merge(&acc, sums);
        if (last)
            tile_put(y + s * c->O, &acc, lesser(squares - s, ROWS), cols, c->O, false);
        else
            tile_store(sums, &acc);
    }
}

static void forward_panel(const free_conv *c, float *sums, float *y, const float *frame,
                          const size_t *at, const float *panel, size_t cols)
{
    const size_t line = (c->W + c->K - 1) * c->C, KK = c->K * c->K;
    for (size_t t = 0; t < KK; t++)
        for (size_t k = 0; k < c->C; k += PIECE) {
            const size_t terms = c->C - k < PIECE ? c->C - k : PIECE;
            forward_piece(c, sums, y, frame + t / c->K * line + t % c->K * c->C + k, at, panel,
                          terms, cols, t + k == 0, t == KK - 1 && k + terms == c->C);
            panel += terms * COLS;
        }
}

void free_conv_forward(const free_conv *c)
{
    const size_t squares = c->H * c->W, KK = c->K * c->K;
    const size_t panels = units_of(c->O, COLS), length = KK * c->C * COLS;
    float *mine = c->work + round_up(panels_size(c), 16);
    size_t at[MOST_SQUARES];
    place_squares(c, at);
    pack_panels(c->work, c->weight, c->O, c->C, c->C * KK, KK, KK, false);
    /* Whole images where there are enough of them, else panels of an image. */
    const int chunk = c->N < (size_t)(4 * c->threads) ? 1 : (int)panels;
#pragma omp parallel
    {
        float *frame = mine + (size_t)omp_get_thread_num() * thread_size(c);
        size_t held = c->N;
#pragma omp for schedule(dynamic, chunk)
        for (size_t i = 0; i < c->N * panels; i++) {
            const size_t n = i / panels, p = i % panels, left = c->O - p * COLS;
            const float *x = c->x + n * squares * c->C;
            if (c->K > 1 && n != held)
                split_image(frame, x, c->H, c->W, c->C, c->K / 2, c->C);
            held = n;
            forward_panel(c, frame + frame_size(c, 1), c->y + n * squares * c->O + p * COLS,
                          c->K > 1 ? frame : x, at, c->work + p * length,
                          left < COLS ? left : COLS);
        }
    }
}

/* --- Weight gradient ------------------------------------------------------------------------- */

/* Adds an image to a thread's sums, which lie in tiles [panel of O][panel of C][tap]. */
static void add_image(const free_conv *c, float *sums, const float *xs, const float *dys,
                      bool first)
{
    const size_t line = (c->W + c->K - 1) * ROWS, lines = c->K == 1 ? 1 : c->H;
    const size_t run = c->K == 1 ? c->H * c->W : c->W, frame = (c->H + c->K - 1) * line;
    for (size_t o = 0; o < c->O; o += COLS, dys += c->H * c->W * COLS)
        for (size_t i = 0; i < c->C; i += ROWS)
            for (size_t t = 0; t < c->K * c->K; t++, sums += TILE) {
                const float *x = xs + i / ROWS * frame + t / c->K * line + t % c->K * ROWS;
                tile acc;
                if (first)
                    tile_zero(&acc);
                else
                    tile_load(&acc, sums);
                for (size_t h = 0; h < lines; h++)
                    tile_panel(&acc, x + h * line, dys + h * run * COLS, run);
                tile_store(sums, &acc);
            }
}

/* The threads' sums into dW's layout. */
static void gather(const free_conv *c, const float *sums, const bool *worked, size_t step)
{
    const size_t KK = c->K * c->K, across = units_of(c->C, ROWS);
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < c->O; o++)
        for (size_t i = 0; i < c->C; i++)
            for (size_t t = 0; t < KK; t++) {
                const size_t unit = (o / COLS * across + i / ROWS) * KK + t;
                float sum = 0;
                for (int k = 0; k < c->threads; k++)
                    if (worked[k])
                        sum += sums[(size_t)k * step + unit * TILE + i % ROWS * COLS + o % COLS];
                c->dweight[(o * c->C + i) * KK + t] = sum;
            }
}

void free_conv_weight_gradient(const free_conv *c)
{
    bool worked[MOST_THREADS] = {false};
    const size_t squares = c->H * c->W, xs_size = frame_size(c, ROWS);
#pragma omp parallel
    {
        const int me = omp_get_thread_num();
        float *xs = c->work + (size_t)me * thread_size(c), *sums = xs + xs_size, *dys;
        dys = sums + sums_size(c);
#pragma omp for schedule(dynamic)
        for (size_t n = 0; n < c->N; n++) {
            split_image(xs, c->x + n * squares * c->C, c->H, c->W, c->C, c->K / 2, ROWS);
            split_image(dys, c->dy + n * squares * c->O, c->H, c->W, c->O, 0, COLS);
            add_image(c, sums, xs, dys, !worked[me]);
            worked[me] = true;
        }
    }
    gather(c, c->work + xs_size, worked, thread_size(c));
}
