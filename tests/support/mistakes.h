/* Mistakes of ports, each a change of one op's rows.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_MISTAKES_H
#define GN_TESTS_MISTAKES_H

#include "support/twist.h"

extern const twist mistakes[];
extern const size_t mistakes_count;

/* Changes of order and rounding that are none: what float32 may do. */
extern const twist variations[];
extern const size_t variations_count;

/* The same for random trials: how an op is computed in both passes.  `op` NULL: any op that sums.
 */
typedef struct rounding_only {
    const char *name, *op;
    bool wide, flush; /* in float64; denormal inputs and outputs are 0 */
    void (*forward)(gn_call *call, twist_run run);
    void (*backward)(gn_call *call, twist_run run);
} rounding_only;

extern const rounding_only roundings[];
extern const size_t roundings_count;

#endif
