/* Winograd's convolutions in float32, with the matrices of the literature, as twists of conv2d.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_WINOGRAD_H
#define GN_TESTS_WINOGRAD_H

#include "support/twist.h"

/* F(2,3) and F(4,3) of Lavin and Gray; F(3,3) at the points 0, -1, 1/2, 2 and infinity.  Forward,
 * or the gradients that are wanted; kernels other than 3x3 are left to `run`. */
void winograd_2(gn_call *call, twist_run run);
void winograd_3(gn_call *call, twist_run run);
void winograd_4(gn_call *call, twist_run run);

#endif
