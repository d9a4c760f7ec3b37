/* Names for orders of summation.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_ORDERS_H
#define GN_GOLDEN_ORDERS_H

#include <stdbool.h>
#include <stddef.h>

#include "gomokunet/status.h"

/* What the K-1 patterns of probe.h gave: seen[j-1] for terms 0 and j.  Terms are numbered outer
 * index first; K = outer * inner. */
typedef struct gn_order_probe {
    const float *seen;
    size_t outer, inner;
    const char *outer_name, *inner_name; /* "tap", "channel"; outer 1: no name */
    bool products, fused;
} gn_order_probe;

/* The first known order that gives all these numbers, in words; where none does, how the sum grows
 * around term 0.  GN_E_NOMEM. */
gn_status gn_order_name(char *text, size_t room, const gn_order_probe *probe, gn_err *err);

/* For tests: the number of known orders, and the sum of terms in the order of number `order`. */
size_t gn_orders_known(const gn_order_probe *probe);
float gn_order_take(const gn_order_probe *probe, size_t order, const float *terms, float *scratch);

#endif
