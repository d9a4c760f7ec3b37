/* One or two cases of every op, for tests of what holds of all ops, in any table.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_OP_CASES_H
#define GN_TESTS_OP_CASES_H

#include "support/check.h"

typedef struct op_case {
    const char *op;
    int nin;
    gn_shape in[GN_MAX_IN];
    float low, high; /* the range of input 0 */
} op_case;

extern const op_case op_cases[];
extern const int op_case_count;

/* op_open, then inputs and dout filled: the same numbers in every table. */
op_run op_open_case(const gn_table *table, const op_case *k);

#endif
