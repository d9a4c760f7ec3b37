/* How near a tensor is to what a mistake makes of it.
 *
 * The judge's gates, with the mistaken result in place of the truth.  SPDX-License-Identifier: MIT
 */
#ifndef GN_GOLDEN_EXPLAIN_H
#define GN_GOLDEN_EXPLAIN_H

#include "golden/judge.h"
#include "golden/trial.h"

#define GN_UNEXPLAINED 1e300

/* The error in units of what is allowed: above 1 the tensor is wrong. */
double gn_off(const gn_finding *finding, const gn_evidence *evidence);

/* The same with a mistake, in the nearest of its forms; GN_UNEXPLAINED where it has no part in the
 * tensor, or is no nearer than the sound result.  `want` is room for the tensor.  Read the trial's
 * status. */
double gn_explain(gn_trial *trial, const gn_mistake *mistake, const gn_finding *finding,
                  const gn_evidence *evidence, double *want);

/* Whether a tensor that is right would be another with the mistake that made `want`. */
bool gn_contradicts(const gn_evidence *evidence, const double *want);

#endif
