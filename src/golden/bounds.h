/* How far float32 may be off in ops that are no plain sums of products.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_BOUNDS_H
#define GN_GOLDEN_BOUNDS_H

#include "golden/replay.h"

/* The op's name is this one. */
bool gn_is(const gn_record *record, const char *op);

/* Bounds of the elements of output 0 of a call in float64; and of the gradient of an input that is
 * no sum, which backward gave as `want`; false: no memory. */
void gn_bound_output(double *bound, const gn_call *call);
bool gn_bound_gradient(double *bound, const gn_call *call, int input, const double *want);

/* Bounds of the elements of output 0 of a record that was run in the truth's lane. */
void gn_bound_forward(double *bound, const gn_replay *replay, int record);

/* The same of the gradient of input 0, from the gradient of output 0; false: no memory. */
bool gn_bound_backward(double *bound, const gn_replay *replay, int record);

/* How far the batch mean of a channel may be off: 12 times what orders of its sum are; the call is
 * a batch norm's, forward.  -1: no memory. */
double gn_bound_mean(const gn_call *call, size_t channel);

#endif
