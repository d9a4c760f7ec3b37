/* Mistakes in what happens after backward: running statistics, clipping, the optimiser.  How they
 * are computed stands in golden/trial_update.c.  SPDX-License-Identifier: MIT */
#include "golden/mistakes/mistake.h"

#define UPDATE(name_, says_, ...)                                                                  \
    {                                                                                              \
        .name = name_, .says = says_, .loose = 16, .update = &(const gn_update_slip)               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
static const gn_mistake mistakes[] = {
    UPDATE("bn-biased-running-var", "running_var takes the variance over M, not over M - 1",
           .running_biased = true),
    UPDATE("bn-momentum-swapped", "running statistics: 0.9 new + 0.1 old, not the reverse",
           .running_swapped = true),
    UPDATE("bn-updated-twice", "running statistics are updated twice a step: by a recompute?",
           .running_times = 2),
    UPDATE("bn-not-updated", "running statistics are not updated", .running_times = -1),
    /* Where gradient and decay cancel, the clip's rounding decides the step. */
    {.name = "decay-coupled",
     .says = "weight decay is added to the gradient, as in Adam, not AdamW",
     .loose = 1024,
     .update = &(const gn_update_slip){.decay_coupled = true}},
    UPDATE("decay-skipped-on-1d", "biases, gamma and beta are not decayed",
           .decay_skips_vectors = true),
    UPDATE("decay-missing", "no weight decay", .decay_missing = true),
    UPDATE("adam-no-bias-correction", "moments are not divided by 1 - beta^t",
           .no_bias_correction = true),
    UPDATE("adam-eps-inside-root", "sqrt(v + eps) in place of sqrt(v) + eps",
           .eps_inside_root = true),
    UPDATE("adam-second-moment-of-clipped-missing",
           "the second moment is that of the gradient before clipping",
           .second_moment_unclipped = true),
    UPDATE("moments-not-kept", "each step begins with moments, or a velocity, of 0",
           .moments_forgotten = true),
    {.name = "sgd-dampened",
     .says = "velocity: momentum times the old one + (1 - momentum) times the gradient",
     .variants = 2,
     .loose = 16,
     .update = &(const gn_update_slip){.dampened = true}},
    UPDATE("sgd-nesterov-missing", "the step goes along the velocity, not ahead of it",
           .nesterov_missing = true),
    UPDATE("sgd-nesterov-extra", "the step goes ahead of the velocity, as nobody asked it to",
           .nesterov_extra = true),
    UPDATE("sgd-decay-after-momentum",
           "weight decay is taken off the parameter, not added to the gradient",
           .decay_after_momentum = true),
    UPDATE("sgd-rate-in-velocity",
           "the velocity holds the learning rate: wrong as soon as that changes",
           .rate_in_velocity = true),
    UPDATE("clip-missing", "the gradients are not clipped", .clip_missing = true),
    UPDATE("clip-per-tensor", "each tensor is clipped by its own norm", .clip_each = true),
};
const gn_mistakes gn_mistakes_update = {mistakes, sizeof mistakes / sizeof *mistakes};
