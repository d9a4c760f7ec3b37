/* The fast table: twins, of the same bits, for the rows of the plain table that need one.
 *
 * One source, compiled once for each instruction set with -DGN_FAST -DGN_TABLE=gn_table_NAME and
 * that set's flags; select.c chooses at run time.  It includes the plain ops, so that they too are
 * compiled for the instruction set: those that work on each element by itself need nothing more,
 * because the compiler may vectorise them and may not reorder any sum.
 * SPDX-License-Identifier: MIT */
#include "ops/plain.c"

#include "kernels/vec.h"
#include "kernels/tile.h"

#include "kernels/source.c"
#include "kernels/depthwise.c"
#include "kernels/conv2d.c"
#include "kernels/linear.c"
#include "kernels/block_tail.c"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const gn_row *const fast_rows[] = {
    &conv2d_fast_row,
    &linear_fast_row,
    &norm_separable_row, /* spans, the longest of those that start alike first */
    &norm_conv_row,
    &separable_row,
    &tail_row,
};

static const gn_table plain_here = {
    .name = "plain for " VEC_NAME, .elem = sizeof(float),
    .row = plain_rows, .count = COUNT(plain_rows), .update = &plain_update,
};

extern const gn_table GN_TABLE;
const gn_table GN_TABLE = {
    .name = VEC_NAME, .elem = sizeof(float),
    .row = fast_rows, .count = COUNT(fast_rows), .under = &plain_here,
};
