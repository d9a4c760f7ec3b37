/* Summing in any order and any precision: what float32 may do, and what other formats do.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_PRECISION_H
#define GN_GOLDEN_PRECISION_H

#include <stddef.h>

/* The formats that a candidate may have computed in.  Products are summed wide; the inputs are
 * rounded: to nearest even, to nearest away from zero, or toward zero, as hardware does. */
typedef enum gn_precision {
    GN_TF32_NEAREST, GN_TF32_AWAY, GN_TF32_TRUNCATED, GN_BF16_NEAREST, GN_BF16_TRUNCATED,
    GN_FP16_NEAREST, GN_FLUSH /* denormal inputs and results are 0 */
} gn_precision;
enum { GN_PRECISIONS = GN_FLUSH + 1 };

const char *gn_precision_name(gn_precision p); /* "tf32", "bf16", "fp16", "ftz" */

/* A number in that format. */
double gn_precision_round(gn_precision p, double x);

/* The sum of a*b with inputs rounded to p, summed in float64. */
double gn_precision_sum(gn_precision p, const double *a, const double *b, size_t count);

/* Orders of a float32 sum that verification tries on the candidate's own data: one chain of fused
 * multiply-adds, one chain of products and additions, 32 lanes and a tree. */
enum { GN_ORDERS = 3 };
double gn_order_sum(int order, const double *a, const double *b, size_t count);

#endif
