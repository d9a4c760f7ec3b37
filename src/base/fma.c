/* The public a*b + c.  All of it is in fma.h, so that kernels can have it in line.
 * SPDX-License-Identifier: MIT */
#include "base/fma.h"

#include "gomokunet/numeric.h"

float gn_fmaf(float a, float b, float c)
{
    return gn_fmaf_inline(a, b, c);
}
