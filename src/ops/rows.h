/* Loops over a row: the contiguous channels of a square, or the contiguous cells of a position.
 *
 * The plain ops run their innermost loop over a row under `omp simd`, which only says that its
 * turns do not depend on each other (a compiler cannot see that through pointers, least of all in
 * place); no sum runs along a row, so that vector code has the same bits.
 * SPDX-License-Identifier: MIT */
#ifndef GN_OPS_ROWS_H
#define GN_OPS_ROWS_H

#include "ops/real.h"

/* Fills a row with +0, from where every chain starts. */
static inline void row_zero(real *row, size_t width)
{
    memset(row, 0, width * sizeof *row);
}

/* The batch tree over whole rows, leaf i at leaf + i * stride.  The sums end in row 0. */
static inline void tree_rows(real *leaf, size_t count, size_t stride, size_t width)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t i = 0; i + step < count; i += 2 * step) {
            real *a = leaf + i * stride;
            const real *b = leaf + (i + step) * stride;
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                a[j] += b[j];
        }
}

/* The same with the row cut into blocks, so that the team shares it. */
static inline void tree_rows_team(real *leaf, size_t count, size_t stride, size_t width)
{
    enum { BLOCK = 64 };
#pragma omp parallel for schedule(static)
    for (size_t j = 0; j < width; j += BLOCK)
        tree_rows(leaf + j, count, stride, width - j < BLOCK ? width - j : BLOCK);
}

/* Delivers a gradient: stores or adds a row. */
static inline void row_accumulate(real *gradient, const real *row, size_t width, bool add)
{
#pragma omp simd
    for (size_t j = 0; j < width; j++)
        gradient[j] = accumulate(gradient[j], row[j], add);
}

#endif
