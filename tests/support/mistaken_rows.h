/* Rows of float32 with mistakes in them, written without the catalogue's.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_MISTAKEN_ROWS_H
#define TESTS_SUPPORT_MISTAKEN_ROWS_H

#include "gomokunet/op.h"

/* A table in which one op, or the update, is mistaken: its name is the mistake's.  NULL beyond the
 * last. */
const gn_table *mistaken_table(size_t index);

/* A mistake that no catalogue lists: the policy's loss is of logits / 1.02. */
const gn_table *mistaken_temperature(void);

/* Those of the update alone. */
const gn_table *mistaken_update(size_t index);

/* Ranks of the parameters in their order, for updates that tell one from another. */
typedef struct mistaken_params {
    int rank[128];
    int count, next;
} mistaken_params;
extern mistaken_params mistaken_step;

#endif
