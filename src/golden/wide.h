/* The table of the truth: gn_double, with convolutions that do not keep the contract's order.
 *
 * A verdict needs the truth to float64's error and in minutes; which order its sums have does not
 * matter, as long as it is the same for any number of threads.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_WIDE_H
#define GN_GOLDEN_WIDE_H

#include "gomokunet/op.h"

/* A table and what it consists of; it points into itself and must not be moved. */
typedef struct gn_wide {
    gn_row conv2d;
    const gn_row *row[1];
    gn_table table;
} gn_wide;

void gn_wide_init(gn_wide *wide);

#endif
