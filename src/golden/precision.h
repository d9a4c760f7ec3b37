/* Summing in any order and any precision: what float32 may do, and what other formats do.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_PRECISION_H
#define GN_GOLDEN_PRECISION_H

#include <stdbool.h>
#include <stddef.h>

/* The formats that a candidate may have computed in.  Products are summed wide; the inputs are
 * rounded: to nearest even, to nearest away from zero, or toward zero, as hardware does. */
typedef enum gn_precision {
    GN_TF32_NEAREST,
    GN_TF32_AWAY,
    GN_TF32_TRUNCATED,
    GN_BF16_NEAREST,
    GN_BF16_TRUNCATED,
    GN_FP16_NEAREST,
    GN_FLUSH /* denormal inputs and results are 0 */
} gn_precision;
enum { GN_PRECISIONS = GN_FLUSH + 1 };

const char *gn_precision_name(gn_precision p); /* "tf32", "bf16", "fp16", "ftz" */

/* A number in that format. */
double gn_precision_round(gn_precision p, double x);

/* Half a unit in the last place of numbers near 1. */
double gn_precision_unit(gn_precision p);

/* How a sum is added up: wide; or in the format itself, every addition rounded: as a chain in the
 * contract's order, as a chain along the outer index first, as a chain over chains of the inner
 * index (see gn_terms_inner), forward or from the last to the first; or wide, and the factor that
 * all products share comes last, on a sum that was stored. */
typedef enum gn_adding {
    GN_WIDE,
    GN_CHAIN,
    GN_ACROSS,
    GN_LEAVES,
    GN_LEAVES_BACK,
    GN_SUM_FIRST
} gn_adding;

/* Where a computation in that format rounds: the factors of every product, each product before it
 * is added (softmax: its logarithm; with GN_ACROSS its sum too, with GN_CHAIN every step), each
 * contribution to a gradient before they are added, the result. */
typedef struct gn_rounding {
    gn_precision precision;
    bool a, b, products, parts, stored;
    gn_adding adding;
    bool wide_bias; /* a linear layer's bias is added as it is, behind the unit that multiplies */
} gn_rounding;

/* The roundings worth trying; returns how many.  `parts`: there are several contributions.  TF32 is
 * a way to multiply, no format to store: only factors are rounded to it. */
enum { GN_ROUNDINGS = 128 };
int gn_roundings(gn_rounding *list, bool parts);

/* The sum of a*b, the factors rounded already, in runs of `inner`. */
double gn_rounded_sum(const gn_rounding *r, const double *a, const double *b, size_t count,
                      size_t inner);

/* Whether every number is one of the format. */
bool gn_precision_holds(gn_precision p, const float *x, size_t count);

/* Orders of a float32 sum that verification tries on the candidate's own data: one chain of fused
 * multiply-adds, one chain of products and additions, 32 lanes and a tree; and where all products
 * share a factor, one chain of the others, times that: a mean. */
enum { GN_ORDERS = 4 };
double gn_order_sum(int order, const double *a, const double *b, size_t count);

#endif
