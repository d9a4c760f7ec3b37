/* conv2d, weight gradient for 1x1 and 3x3: part of the fast twin of ops/conv2d.c, the same bits.
 *
 *     dW[o,c,kh,kw] = sum over n, (h,w) of dy[n,h,w,o] * x[n, h+kh-P, w+kw-P, c]
 *
 * GROUP images at a time, eight, are split into panels: x, in its frame of zeros, of ROWS
 * channels, dy of COLS.  Then a block is one panel of dy against UNITS tiles: the taps of one
 * panel of x (3x3), or several panels of x (1x1).  A block's panels of one image stay in the
 * first-level cache while its tiles run over them; the first three levels of the tree, those
 * inside eight images, stay on the stack, the others in workspace.  Eight images and all tiles are
 * two loops with a barrier between them, so the bytes of workspace do not depend on the threads.
 *
 * Reads: x.
 * Order: that of the plain op.  Image n joins the tree as in a binary counter: it merges with the
 * node at each level that has a 1 bit in n.  The nodes left at the end, the 1 bits of N, merge
 * from the smallest upward.  Channels that fill up a panel are computed and dropped.
 * SPDX-License-Identifier: MIT */

enum { GROUP = 1 << HOT_LEVELS };

typedef struct sums {
    float *dweight;
    source from; /* x */
    const float *dy;
    float *xs, *dys, *cold; /* workspace: panels of a group of images; the tree from HOT_LEVELS */
    float *buffers;         /* and the source's, one a thread */
    size_t N, H, W, C, O, K;
    bool add;
    size_t slots;             /* images that there are panels for */
    size_t line, frame;       /* floats of a line of a panel of x, and of a whole panel */
    size_t xs_size, dys_size; /* floats of one image's panels */
    size_t span, across;      /* panels of x in a block, and blocks for each panel of dy */
    size_t units, levels;     /* tiles in a full block, and levels of its tree in `cold` */
} sums;

/* Splits image n of x, in its frame, and of dy; returns this thread's buffer of the source. */
static const float *split_image(const sums *s, size_t n)
{
    const size_t P = s->K / 2, run = s->W * s->C, slot = n % s->slots;
    float *buffer = s->buffers + (size_t)gn_thread_index() * source_size(&s->from, 0);
    const float *x = source_rows(&s->from, buffer, 0, n, 0, s->H);
    float *to = s->xs + slot * s->xs_size;
    for (size_t c = 0; c < s->C; c += ROWS) {
        memset(to, 0, P * s->line * sizeof *to);
        to += P * s->line;
        for (size_t h = 0; h < s->H; h++, to += s->line) {
            memset(to, 0, P * ROWS * sizeof *to);
            split_columns(to + P * ROWS, x + h * run, s->W, s->C, c, ROWS);
            memset(to + (P + s->W) * ROWS, 0, P * ROWS * sizeof *to);
        }
        memset(to, 0, P * s->line * sizeof *to);
        to += P * s->line;
    }
    const size_t squares = s->H * s->W;
    to = s->dys + slot * s->dys_size;
    for (size_t o = 0; o < s->O; o += COLS, to += squares * COLS)
        split_columns(to, s->dy + n * squares * s->O, squares, s->O, o, COLS);
    return buffer;
}

/* The tree of one tile of a block. */
static tree tree_of(const sums *s, float *hot, float *cold, size_t unit)
{
    return (tree){hot + unit * TILE, cold + unit * TILE, UNITS * TILE, s->units * TILE};
}

/* One image's sum of one tile, put into its tree. */
static inline void sum_image(const sums *s, const tree *t, const float *x, const float *dy,
                             size_t n)
{
    const size_t lines = s->K == 1 ? 1 : s->H, run = s->K == 1 ? s->H * s->W : s->W;
    tile acc;
    tile_zero(&acc);
    for (size_t h = 0; h < lines; h++)
        tile_panel(&acc, x + h * s->line, dy + h * run * COLS, run);
    tree_join(t, &acc, n);
}

/* Puts the part of a tile's sum that is there into dW. */
static void drain(const sums *s, const tree *sum, size_t o, size_t c, size_t t)
{
    const size_t KK = s->K * s->K;
    float out[TILE];
    tile acc;
    tree_drain(sum, &acc, s->N);
    tile_store(out, &acc);
    for (size_t r = 0; r < ROWS && c + r < s->C; r++)
        for (size_t j = 0; j < COLS && o + j < s->O; j++) {
            float *to = s->dweight + ((o + j) * s->C + c + r) * KK + t;
            *to = accumulate(*to, out[r * COLS + j], s->add);
        }
}

/* One block over a group of `count` images. */
static void sum_block(const sums *s, size_t index, size_t first, size_t count)
{
    float hot[HOT_LEVELS * UNITS * TILE], *cold = s->cold + index * s->levels * s->units * TILE;
    const size_t o = index / s->across, c = index % s->across * s->span, KK = s->K * s->K;
    const size_t units = lesser(units_of(s->C, ROWS) - c, s->span) * KK;
    for (size_t n = first; n < first + count; n++) {
        const float *dy = s->dys + n % s->slots * s->dys_size + o * s->H * s->W * COLS;
        const float *x = s->xs + n % s->slots * s->xs_size + c * s->frame;
        for (size_t u = 0; u < units; u++) {
            const size_t t = u % KK, tap = t / s->K * s->line + t % s->K * ROWS;
            const tree sum = tree_of(s, hot, cold, u);
            sum_image(s, &sum, x + u / KK * s->frame + tap, dy, n);
        }
    }
    for (size_t u = 0; u < units && first + count == s->N; u++) {
        const tree sum = tree_of(s, hot, cold, u);
        drain(s, &sum, o * COLS, (c + u / KK) * ROWS, u % KK);
    }
}

static size_t blocks_of(const sums *s) { return units_of(s->O, COLS) * s->across; }

static void sums_run(const sums *s)
{
    const size_t blocks = blocks_of(s);
#pragma omp parallel
    for (size_t first = 0; first < s->N; first += GROUP) {
        const size_t count = lesser(s->N - first, GROUP);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < count; i++)
            split_image(s, first + i);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < blocks; i++)
            sum_block(s, i, first, count);
    }
}

/* dW of a convolution of kernel size K, of `from` for x. */
static sums sums_of(const gn_call *call, source from, workspace *work)
{
    const gn_shape w = call->in[call->nin - 1].shape; /* after all that the source reads */
    sums s = {.dweight = call->din[call->nin - 1].data, .from = from, .dy = call->dout.data,
              .N = call->in[0].shape.dim[0], .H = from.H, .W = from.W, .C = w.dim[1],
              .O = w.dim[0], .K = w.dim[2], .slots = from.taps != NULL ? 2 * GROUP : GROUP,
              .add = adds(call, call->nin - 1)};
    s.line = (s.W + s.K - 1) * ROWS;
    s.frame = (s.H + s.K - 1) * s.line;
    s.xs_size = units_of(s.C, ROWS) * s.frame;
    s.dys_size = round_up(s.O, COLS) * s.H * s.W;
    s.span = s.K == 1 ? UNITS - 1 : 1;
    s.across = units_of(units_of(s.C, ROWS), s.span);
    s.units = s.span * s.K * s.K;
    while (s.N >> (s.levels + HOT_LEVELS - 1) > 1)
        s.levels++;
    s.xs = take(work, s.slots * s.xs_size);
    s.dys = take(work, s.slots * s.dys_size);
    s.cold = take(work, blocks_of(&s) * s.levels * s.units * TILE);
    s.buffers = take(work, (size_t)call->threads * source_size(&from, 0));
    return s;
}
