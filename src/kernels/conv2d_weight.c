/* conv2d, weight gradient for 1x1 and 3x3: part of the fast twin of ops/conv2d.c, the same bits.
 *
 *     dW[o,c,kh,kw] = sum over n, (h,w) of dy[n,h,w,o] * x[n, h+kh-P, w+kw-P, c]
 *
 * Eight images at a time are split into panels: x, in its frame of zeros, of ROWS channels, dy of
 * COLS.  Then a block is one panel of dy against UNITS tiles: the taps of one panel of x (3x3), or
 * several panels of x (1x1).  A block's panels of one image stay in the first-level cache while
 * its tiles run over them; the first three levels of the tree, those inside eight images, stay on
 * the stack, the others in workspace.  Eight images and all tiles are two loops with a barrier
 * between them, so the bytes of workspace do not depend on the threads.
 *
 * Reads: x.
 * Order: that of the plain op.  Image n joins the tree as in a binary counter: it merges with the
 * node at each level that has a 1 bit in n.  The nodes left at the end, the 1 bits of N, merge
 * from the smallest upward.  Channels that fill up a panel are computed and dropped.
 * SPDX-License-Identifier: MIT */

enum { GROUP = 8, HOT_LEVELS = 3, UNITS = 9 };

typedef struct sums {
    float *dweight;
    const float *x, *dy;
    float *xs, *dys, *levels; /* workspace: panels of a group of images; the tree from level 3 */
    size_t N, H, W, C, O, K;
    bool add;
} sums;

/* What a block works on, and where its tree is. */
typedef struct block {
    float (*hot)[UNITS][TILE];
    float *cold;
    size_t units; /* tiles in a full block */
} block;

static size_t panels_of(size_t channels, size_t width)
{
    return (channels + width - 1) / width;
}

/* Panels of x in a block, and blocks for each panel of dy. */
static size_t block_span(size_t K)
{
    return K == 1 ? UNITS - 1 : 1;
}

static size_t blocks_across(const sums *s)
{
    return panels_of(panels_of(s->C, ROWS), block_span(s->K));
}

/* Levels of the tree that are kept in workspace. */
static size_t cold_levels(size_t N)
{
    size_t levels = 0;
    while (N >> levels > 1)
        levels++;
    return levels < HOT_LEVELS ? 0 : levels + 1 - HOT_LEVELS;
}

/* Floats of one image's panels of x and of dy, and of the cold tree. */
static size_t xs_size(const sums *s)
{
    return panels_of(s->C, ROWS) * ROWS * (s->H + s->K - 1) * (s->W + s->K - 1);
}

static size_t dys_size(const sums *s)
{
    return panels_of(s->O, COLS) * COLS * s->H * s->W;
}

static size_t cold_size(const sums *s)
{
    const size_t units = block_span(s->K) * s->K * s->K;
    return panels_of(s->O, COLS) * blocks_across(s) * cold_levels(s->N) * units * TILE;
}

/* Splits row h of the framed x of image n, and row h of dy, the group's image i. */
static void split_row(const sums *s, size_t n, size_t i, size_t h)
{
    const size_t P = s->K / 2, line = s->W + 2 * P, lines = s->H + 2 * P;
    const bool inside = h >= P && h < P + s->H;
    const float *x = s->x + (n * s->H + (inside ? h - P : 0)) * s->W * s->C;
    float *to = s->xs + i * xs_size(s) + h * line * ROWS;
    for (size_t c = 0; c < s->C; c += ROWS, to += lines * line * ROWS) {
        memset(to, 0, (inside ? P : line) * ROWS * sizeof *to);
        if (inside) {
            split_columns(to + P * ROWS, x, s->W, s->C, c, ROWS);
            memset(to + (P + s->W) * ROWS, 0, P * ROWS * sizeof *to);
        }
    }
    if (h >= s->H)
        return;
    to = s->dys + i * dys_size(s) + h * s->W * COLS;
    for (size_t o = 0; o < s->O; o += COLS, to += s->H * s->W * COLS)
        split_columns(to, s->dy + (n * s->H + h) * s->W * s->O, s->W, s->O, o, COLS);
}

static float *level_of(const block *b, size_t level, size_t unit)
{
    return level < HOT_LEVELS ? b->hot[level][unit]
                              : b->cold + ((level - HOT_LEVELS) * b->units + unit) * TILE;
}

/* One image's sum of one tile, put into the tree. */
static inline void sum_image(const sums *s, const block *b, const float *x, const float *dy,
                             size_t unit, size_t n)
{
    const size_t lines = s->K == 1 ? 1 : s->H, run = s->K == 1 ? s->H * s->W : s->W;
    const size_t line = s->W + s->K - 1;
    tile acc;
    tile_zero(&acc);
    for (size_t h = 0; h < lines; h++)
        tile_panel(&acc, x + h * line * ROWS, dy + h * run * COLS, run);
    size_t level = 0;
    for (; (n >> level & 1) != 0; level++)
        tile_merge(&acc, level_of(b, level, unit));
    tile_store(level_of(b, level, unit), &acc);
}

/* Merges the nodes that are left of one tile and puts the part that is there into dW. */
static void drain(const sums *s, const block *b, size_t unit, size_t o, size_t c, size_t t)
{
    const size_t KK = s->K * s->K;
    float out[TILE];
    size_t level = 0;
    while ((s->N >> level & 1) == 0)
        level++;
    memcpy(out, level_of(b, level, unit), sizeof out);
    for (level++; s->N >> level != 0; level++)
        if ((s->N >> level & 1) != 0) {
            const float *left = level_of(b, level, unit);
            for (size_t j = 0; j < TILE; j++)
                out[j] = left[j] + out[j];
        }
    for (size_t r = 0; r < ROWS && c + r < s->C; r++)
        for (size_t j = 0; j < COLS && o + j < s->O; j++) {
            float *to = s->dweight + ((o + j) * s->C + c + r) * KK + t;
            *to = accumulate(*to, out[r * COLS + j], s->add);
        }
}

/* One block over a group of `count` images. */
static void sum_block(const sums *s, size_t index, size_t first, size_t count)
{
    float hot[HOT_LEVELS][UNITS][TILE];
    const size_t across = blocks_across(s), span = block_span(s->K), KK = s->K * s->K;
    const size_t line = s->W + s->K - 1, frame = (s->H + s->K - 1) * line * ROWS;
    const size_t o = index / across, c = index % across * span;
    const size_t left = panels_of(s->C, ROWS) - c, units = (left < span ? left : span) * KK;
    const block b = {hot, s->levels + index * cold_levels(s->N) * span * KK * TILE, span * KK};
    for (size_t i = 0; i < count; i++) {
        const float *dy = s->dys + i * dys_size(s) + o * s->H * s->W * COLS;
        const float *x = s->xs + i * xs_size(s) + c * frame;
        for (size_t u = 0; u < units; u++) {
            const size_t t = u % KK, tap = (t / s->K * line + t % s->K) * ROWS;
            sum_image(s, &b, x + u / KK * frame + tap, dy, u, first + i);
        }
    }
    if (first + count == s->N)
        for (size_t u = 0; u < units; u++)
            drain(s, &b, u, o * COLS, (c + u / KK) * ROWS, u % KK);
}

static void sums_run(const sums *s)
{
    const size_t lines = s->H + s->K - 1, blocks = panels_of(s->O, COLS) * blocks_across(s);
#pragma omp parallel
    for (size_t first = 0; first < s->N; first += GROUP) {
        const size_t count = s->N - first < GROUP ? s->N - first : GROUP;
#pragma omp for schedule(static)
        for (size_t i = 0; i < count * lines; i++)
            split_row(s, first + i / lines, i / lines, i % lines);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < blocks; i++)
            sum_block(s, i, first, count);
    }
}

static sums sums_of(const gn_call *call)
{
    const gn_shape x = call->in[0].shape, w = call->in[1].shape;
    return (sums){.dweight = call->din[1].data, .x = call->in[0].data, .dy = call->dout.data,
                  .N = x.dim[0], .H = x.dim[1], .W = x.dim[2], .C = w.dim[1], .O = w.dim[0],
                  .K = w.dim[2], .add = adds(call, 1)};
}

static void conv2d_fast_weight_gradient(const gn_call *call)
{
    sums s = sums_of(call);
    s.xs = call->work;
    s.dys = s.xs + round_up(GROUP * xs_size(&s), 16);
    s.levels = s.dys + GROUP * dys_size(&s);
    sums_run(&s);
}

/* Floats of workspace. */
static size_t weight_gradient_size(const gn_call *call)
{
    const sums s = sums_of(call);
    return round_up(GROUP * xs_size(&s), 16) + GROUP * dys_size(&s) + cold_size(&s);
}
