/* What the optimiser remembers, for the state file and for whoever checks a step.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TRAIN_OPTIMISER_H
#define GN_TRAIN_OPTIMISER_H

#include "gomokunet/train.h"

/* beta1^t and beta2^t, one product a step. */
typedef struct gn_powers {
    double first, second;
} gn_powers;

/* Moment 0 or 1 of a parameter; NULL where it has none. */
void *gn_optimizer_moment(const gn_optimizer *optimizer, int which, gn_value param);
gn_powers *gn_optimizer_powers(gn_optimizer *optimizer);
/* AdamW's coefficients of the last step; and the factor that clipped its gradients. */
gn_adamw gn_optimizer_last(const gn_optimizer *optimizer);
double gn_optimizer_clipped(const gn_optimizer *optimizer);

#endif
