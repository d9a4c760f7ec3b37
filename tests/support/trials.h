/* Random trials of the judge: one op on random data, computed in another order, and the verdicts on
 * what came out.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_TRIALS_H
#define GN_TESTS_TRIALS_H

#include "gomokunet/golden.h"
#include "support/mistakes.h"

typedef struct trial {
    size_t verdicts[GN_VERDICT_WRONG + 1]; /* tensors by verdict */
    char worst[200]; /* what was drawn, and the first tensor that is worse than transform */
    double spread;   /* the largest rms error in units of float32's own, and element */
} trial;

/* One op with one variation; everything else is drawn from the seed.  `large`: sums of up to 57,600
 * terms.  Adds to *out.  Writes and removes a file in the current folder. */
void trial_run(trial *out, const rounding_only *r, uint64_t seed, bool large);

#endif
