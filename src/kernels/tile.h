/* The tile: ROWS x COLS chains of fma that advance together, all of them in registers.
 *
 *     acc[r][j] = fma(a[r][k], b[k][j], acc[r][j])     for k = 0, 1, ... count - 1
 *
 * The lanes are different chains, so no sum is ever reordered.  b is a panel: COLS numbers for
 * each k, one k after the other.  a is read as single numbers, from ROWS places (tile_rows) or
 * from a panel of ROWS numbers for each k (tile_panel).  Without the unroll pragmas gcc keeps acc
 * in memory (measured: half the speed).  SPDX-License-Identifier: MIT */
#ifndef GN_KERNELS_TILE_H
#define GN_KERNELS_TILE_H

#include "kernels/vec.h"
#include "ops/real.h"

typedef struct tile {
    vec row[ROWS][VECS];
} tile;

/* Every vector of a tile, unrolled. */
#define FOR_TILE(r, v)                                                                            \
    _Pragma("GCC unroll 16") for (size_t r = 0; r < ROWS; r++)                                    \
        _Pragma("GCC unroll 16") for (size_t v = 0; v < VECS; v++)

static inline void tile_zero(tile *acc)
{
    FOR_TILE(r, v)
        acc->row[r][v] = vec_splat(0.0f);
}

static inline void tile_load(tile *acc, const float *from)
{
    FOR_TILE(r, v)
        acc->row[r][v] = vec_load(from + r * COLS + v * LANES);
}

/* Rows `step` apart. */
static inline void tile_store_rows(float *to, const tile *acc, size_t step)
{
    FOR_TILE(r, v)
        vec_store(to + r * step + v * LANES, acc->row[r][v]);
}

static inline void tile_store(float *to, const tile *acc) { tile_store_rows(to, acc, COLS); }

/* acc = left + acc: a node of the batch tree. */
static inline void tile_merge(tile *acc, const float *left)
{
    FOR_TILE(r, v)
        acc->row[r][v] = vec_load(left + r * COLS + v * LANES) + acc->row[r][v];
}

/* One k: acc[r] += a[r * stride] * b. */
static inline void tile_step(tile *acc, const float *const a[ROWS], size_t k, const float *b)
{
    vec right[VECS];
#pragma GCC unroll 16
    for (int v = 0; v < VECS; v++)
        right[v] = vec_load(b + v * LANES);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        const vec left = vec_splat(a[r][k]);
#pragma GCC unroll 16
        for (int v = 0; v < VECS; v++)
            acc->row[r][v] = vec_fma(left, right[v], acc->row[r][v]);
    }
}

static inline void tile_rows(tile *acc, const float *const a[ROWS], const float *b, size_t count)
{
    for (size_t k = 0; k < count; k++, b += COLS)
        tile_step(acc, a, k, b);
}

static inline void tile_panel(tile *acc, const float *a, const float *b, size_t count)
{
    for (size_t k = 0; k < count; k++, a += ROWS, b += COLS) {
        const float *row[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++)
            row[r] = a + r;
        tile_step(acc, row, 0, b);
    }
}

/* How many units hold `count` things, and how many things these hold. */
static inline size_t units_of(size_t count, size_t unit) { return (count + unit - 1) / unit; }
static inline size_t lesser(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t round_up(size_t count, size_t unit) { return units_of(count, unit) * unit; }

/* A row's workspace, laid out by being taken.  With nothing there it only counts, so that how much
 * is needed and where things lie is the same code. */
typedef struct workspace {
    float *there;
    size_t used;
} workspace;

static inline float *take(workspace *w, size_t count)
{
    static float nowhere;
    float *place = w->there != NULL ? w->there + w->used : &nowhere;
    w->used += round_up(count, 16);
    return place;
}

/* The batch tree of one tile as a binary counter: leaf n merges with the node at each level that
 * has a 1 bit in n.  The first HOT_LEVELS, those inside eight leaves, lie in `hot`, the others in
 * `cold`, levels so many floats apart. */
typedef struct tree {
    float *hot, *cold;
    size_t hot_step, cold_step;
} tree;

static inline float *tree_node(const tree *t, size_t level)
{
    return level < HOT_LEVELS ? t->hot + level * t->hot_step
                              : t->cold + (level - HOT_LEVELS) * t->cold_step;
}

static inline void tree_join(const tree *t, tile *leaf, size_t n)
{
    size_t level = 0;
    for (; (n >> level & 1) != 0; level++)
        tile_merge(leaf, tree_node(t, level));
    tile_store(tree_node(t, level), leaf);
}

/* The sum of n leaves: the nodes that are left, the 1 bits of n, merge from the smallest upward. */
static void tree_drain(const tree *t, tile *acc, size_t n)
{
    size_t level = 0;
    while ((n >> level & 1) == 0)
        level++;
    tile_load(acc, tree_node(t, level));
    for (level++; n >> level != 0; level++)
        if ((n >> level & 1) != 0)
            tile_merge(acc, tree_node(t, level));
}

/* Transposes a matrix of `outer` x `inner` weights, so many floats apart, of KK taps each, into
 * panels: [panel][tap][inner][COLS], the taps in reverse with `flip`.  Outer channels that fill up
 * the last panel are +0. */
static void pack_panels(float *panels, const float *weight, size_t outer, size_t inner,
                        size_t outer_step, size_t inner_step, size_t KK, bool flip)
{
    enum { PIECE = 64 }; /* inner channels that a thread packs at a time */
    const size_t pieces = units_of(inner, PIECE);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < units_of(outer, COLS) * pieces; i++) {
        const size_t p = i / pieces, first = i % pieces * PIECE;
        const size_t end = first + PIECE < inner ? first + PIECE : inner;
        const size_t cols = outer - p * COLS < COLS ? outer - p * COLS : COLS;
        for (size_t t = 0; t < KK; t++) {
            const float *from = weight + p * COLS * outer_step + (flip ? KK - 1 - t : t);
            float *to = panels + (p * KK + t) * inner * COLS;
            for (size_t k = first; k < end; k++)
                for (size_t j = 0; j < COLS; j++)
                    to[k * COLS + j] = j < cols ? from[j * outer_step + k * inner_step] : 0.0f;
        }
    }
}

/* Tells the cache that a tile will be written (a 1x1 convolution: .81 of the peak without, .91
 * with). */
static inline void expect_tile(const float *y, size_t rows, size_t step)
{
    for (size_t r = 0; r < rows; r++)
        __builtin_prefetch(y + r * step, 1);
}

/* Writes or adds the part of a tile that is there: `rows` rows, `step` apart, of `cols`.  A whole
 * one goes straight from registers to y (a 1x1 convolution: .84 of the peak, .90 with it). */
static inline void tile_put(float *y, const tile *acc, size_t rows, size_t cols, size_t step,
                            bool add)
{
    float out[TILE];
    if (rows == ROWS && cols == COLS && !add) {
        tile_store_rows(y, acc, step);
        return;
    }
    tile_store(out, acc);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < cols; j++)
            y[r * step + j] = accumulate(y[r * step + j], out[r * COLS + j], add);
}

/* Copies columns first .. first + width - 1 of a matrix of `columns` into a panel; +0 where there
 * are no more columns.  Inlined with a constant width, or memcpy becomes a call. */
static inline void split_columns(float *to, const float *from, size_t rows, size_t columns,
                                 size_t first, size_t width)
{
    const size_t there = columns - first;
    for (size_t i = 0; i < rows; i++, to += width, from += columns) {
        if (there >= width)
            memcpy(to, from + first, width * sizeof *to);
        else
            for (size_t j = 0; j < width; j++)
                to[j] = j < there ? from[first + j] : 0.0f;
    }
}

#endif
