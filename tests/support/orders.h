/* Sums of products in float32, in the orders that other programs take.  SPDX-License-Identifier:
 * MIT */
#ifndef GN_TESTS_ORDERS_H
#define GN_TESTS_ORDERS_H

#include <stddef.h>

typedef enum order {
    ORDER_CHAIN,
    ORDER_BACKWARDS,
    ORDER_UNFUSED,
    ORDER_LANES,
    ORDER_PAIRWISE,
    ORDER_BLOCKED,
    ORDER_SHUFFLED,
    ORDER_SPLIT,
    ORDER_WIDE
} order;
enum { ORDERS = ORDER_WIDE + 1 };

extern const char *const order_names[ORDERS];

/* The factors are floats, or what float32 makes of a quotient. */
float order_sum(order o, const double *a, const double *b, size_t count);

#endif
