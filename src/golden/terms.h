/* The terms of a sum: what one element of an op's output, or of a gradient, is the sum of.
 *
 * Every op that sums is a sum of products a*b, each op in its own way of finding them.  Written out
 * as two lists, the sum can be taken in any order and any precision: that is how a verdict learns
 * what float32 may do, and which precision a candidate used.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_TERMS_H
#define GN_GOLDEN_TERMS_H

#include "gomokunet/op.h"

/* What is asked for: output `index` in a forward pass, the gradient of input `index` in backward.
 */
typedef struct gn_sum {
    const gn_call *call; /* float64; pass, in, out, dout filled as for the op */
    int index;
} gn_sum;

/* The number of products in each element; 0: this is no sum of products. */
size_t gn_terms_count(const gn_sum *sum);

/* The products come in runs of this length, the inner of their two indices: channels for each tap,
 * squares for each image. */
size_t gn_terms_inner(const gn_sum *sum);

/* The products of element `e` into a and b, in the contract's order; their number is
 * gn_terms_count. */
void gn_terms_gather(const gn_sum *sum, size_t e, double *a, double *b);

#endif
