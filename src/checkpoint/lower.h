/* Lowering, first half: which record runs when.  SPDX-License-Identifier: MIT */
#ifndef GN_CHECKPOINT_LOWER_H
#define GN_CHECKPOINT_LOWER_H

#include "gomokunet/checkpoint.h"

/* Appends a step to a plan.  GN_E_NOMEM. */
gn_status gn_plan_append(gn_plan *plan, gn_step step, gn_err *err);

/* Appends the GN_COMPUTE steps of a schedule, in order, and nothing else.  GN_E_CONFIG: the
 * schedule is not legal. */
gn_status gn_lower_runs(gn_plan *plan, const gn_schedule *schedule, gn_err *err);

#endif
