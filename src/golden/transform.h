/* Convolutions that are no direct sums: Winograd's, in tiles.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_TRANSFORM_H
#define GN_GOLDEN_TRANSFORM_H

#include "golden/judge.h"

/* Whether the errors are what a transformed convolution in float32 has on the same data: of a 3x3
 * convolution's output, or the gradient of its input or weight.  GN_E_NOMEM. */
gn_status gn_transform(bool *out, const gn_evidence *e, gn_err *err);

#endif
