/* The plain table: every op, written once for `real`.  Compiled for float32 (gn_plain), and with
 * -DGN_DOUBLE for float64 (gn_double); kernels/fast.c includes it once more for each instruction
 * set.  A new op is one file and two lines here.  SPDX-License-Identifier: MIT */
#include "ops/real.h"
#include "ops/rows.h"

#include "ops/relu.c"
#include "ops/conv2d.c"
#include "ops/depthwise_conv2d.c"
#include "ops/batch_norm.c"
#include "ops/add.c"
#include "ops/global_avg_pool.c"
#include "ops/linear.c"
#include "ops/sigmoid.c"
#include "ops/tanh.c"
#include "ops/channel_scale.c"
#include "ops/flatten.c"
#include "ops/softmax_cross_entropy.c"
#include "ops/mean_squared_error.c"
#include "ops/update.c"

static const gn_row *const plain_rows[] = {
    &relu_row,
    &conv2d_row,
    &dw_row,
    &bn_row,
    &add_row,
    &pool_row,
    &linear_row,
    &sigmoid_row,
    &tanh_row,
    &channel_scale_row,
    &flatten_row,
    &sce_row,
    &mse_row,
};

#ifndef GN_FAST
#ifdef GN_DOUBLE
const gn_table gn_double = {"double", sizeof(real), plain_rows,
                            sizeof plain_rows / sizeof *plain_rows, NULL, &plain_update};
#else
const gn_table gn_plain = {"plain", sizeof(real), plain_rows,
                           sizeof plain_rows / sizeof *plain_rows, NULL, &plain_update};
#endif
#endif
