/* The scalar functions of the numeric contract, its random numbers, and the platform's self-test.
 *
 * Every value here is the same on every machine.  docs/numerics.md is the specification.
 * The scalar functions take the floating-point state as it is, and expect the default one (round
 * to nearest, denormals kept); gn_expf, gn_logf and gn_tanhf are right in every rounding mode.  The
 * library's calls that compute on tensors set the state themselves.
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_NUMERIC_H
#define GOMOKUNET_NUMERIC_H

#include <stdint.h>

#include "gomokunet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Correctly rounded float functions: the value is the specification -------------------- */

/* a*b + c rounded once (to nearest even), with or without hardware, never libm's fmaf. */
float gn_fmaf(float a, float b, float c);

/* e^x, natural logarithm, hyperbolic tangent, correctly rounded.  NaN in, NaN out;
 * log(+-0) = -Inf, log(x < 0) = NaN. */
float gn_expf(float x);
float gn_logf(float x);
float gn_tanhf(float x);

/* --- The double table's functions: fixed polynomials, no fma, accurate to about an ulp ----- */

double gn_exp(double x);
double gn_log(double x);
double gn_tanh(double x);

/* --- Random numbers: Philox 4x32-10, a function of (seed, stream, index), no state --------- */

/* Four 32-bit words: the block `index` of stream `stream` under `seed`.
 * key = (seed low, seed high); counter = (index low, index high, stream low, stream high). */
void gn_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index);

/* Word `index` of the stream: block index / 4, lane index % 4. */
uint32_t gn_random_u32(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, bound): the high half of word * bound; bound > 0.  The bias is below
 * bound / 2^32. */
uint32_t gn_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bound);

/* Uniform in [-1, 1): (word >> 8) * 2^-23 - 1, exact in float32. */
float gn_random_symmetric(uint64_t seed, uint64_t stream, uint64_t index);

#ifdef __cplusplus
}
#endif
#endif
