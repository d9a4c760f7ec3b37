/* Lowering, first half: which record runs when.  SPDX-License-Identifier: MIT */
#ifndef GN_CHECKPOINT_LOWER_H
#define GN_CHECKPOINT_LOWER_H

#include "gomokunet/checkpoint.h"

/* Lowering remembers its first mistake, like a tape; after one, nothing is appended. */

/* Appends a step to a plan.  Mistake: GN_E_NOMEM. */
void gn_plan_append(gn_plan *plan, gn_step step, gn_err *mistake);

/* Appends the GN_COMPUTE steps of a schedule, in order, and nothing else.  Mistakes: GN_E_NOMEM,
 * or GN_E_CONFIG where the schedule is not legal. */
void gn_lower_runs(gn_plan *plan, const gn_schedule *schedule, gn_err *mistake);

#endif
