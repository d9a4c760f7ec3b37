/* Running statistics, and which numbers of a run are not finite.  SPDX-License-Identifier: MIT */
#ifndef GN_TRAIN_RUNNING_H
#define GN_TRAIN_RUNNING_H

#include "gomokunet/train.h"

/* The weight of a new batch in the running statistics: that of torch.nn.BatchNorm2d. */
extern const double gn_running_momentum;

/* One momentum update of every batch norm from the batch statistics of the last run; with `twice`,
 * two for those in blocks. */
void gn_running_update(const gn_engine *engine, gn_store *store, const gn_program *program,
                       bool twice);

/* The first value, in the order of computing, that holds a NaN or an infinity, or NULL.  Runs the
 * engine once more; a hook of the user's is gone afterwards. */
const char *gn_first_not_finite(gn_engine *engine);
/* The first parameter whose gradient does, or NULL. */
const char *gn_first_bad_gradient(const gn_program *program, const gn_store *store);

#endif
