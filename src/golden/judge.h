/* The verdict on one tensor.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_JUDGE_H
#define GN_GOLDEN_JUDGE_H

#include "golden/sums.h"
#include "gomokunet/golden.h"

/* What is known about one tensor of a candidate, element by element in our own layout. */
typedef struct gn_evidence {
    const float *got;    /* the candidate's */
    const float *same;   /* what the contract gives on the candidate's own inputs */
    const double *want;  /* the truth on the candidate's own inputs */
    const double *bound; /* how far any float32 computation may be off */
    const double *quad;  /* sqrt(sum of (ab)^2) where the op sums products; else NULL */
    size_t count, channels;
    size_t terms;        /* products in each element; 0: no sum of products */
    const gn_sums *sums; /* the products of an element, and the op on rounded inputs */
} gn_evidence;

/* Fills everything of the finding but its name and index.  GN_E_NOMEM. */
gn_status gn_judge(gn_finding *finding, const gn_evidence *evidence, gn_err *err);

/* Bits, histogram, the element farthest off and the rms distance of one list of floats from
 * another: for what there is no truth to judge by.  No verdict. */
void gn_distance(gn_finding *finding, const float *got, const float *golden, size_t count);

/* Infinities and NaNs must be where the truth has them; other elements within their bound. */
bool gn_judge_inside(const gn_evidence *e, size_t i);

/* Whether it is a sum of products; and whether what it is off, over the tensor, over each channel
 * and at most, is float32's own: in the finding spread and envelope.  GN_E_NOMEM. */
bool gn_judge_is_sum(const gn_evidence *e);
gn_status gn_judge_sums(bool *good, gn_finding *finding, const gn_evidence *e, gn_err *err);

/* The error of element i in units of u Q were it `value`; 0 where Q is 0, which the elements' gate
 * judges. */
double gn_judge_relative(const gn_evidence *e, size_t i, double value);

/* The place of sample k of `samples`: spread over the tensor, but not on a grid. */
size_t gn_judge_place(const gn_evidence *e, size_t k, size_t samples);

/* Units in the last place between two floats; +0 and -0 are one apart.  Where one is NaN,
 * UINT32_MAX; both: 0. */
uint32_t gn_ulps(float a, float b);

#endif
