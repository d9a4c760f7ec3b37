/* The verdict on one tensor.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_JUDGE_H
#define GN_GOLDEN_JUDGE_H

#include "golden/precision.h"
#include "gomokunet/golden.h"

/* What is known about one tensor of a candidate, element by element in our own layout. */
typedef struct gn_evidence {
    const float *got;     /* the candidate's */
    const float *same;    /* what the contract gives on the candidate's own inputs */
    const double *want;   /* the truth on the candidate's own inputs */
    const double *bound;  /* how far any float32 computation may be off */
    const double *quad;   /* sqrt(sum of (ab)^2) where the op sums products; else NULL */
    size_t count, channels;
    size_t terms;         /* products in each element; 0: no sum of products */
    /* The products of an element; they feed a few hundred sums in other orders and precisions. */
    void (*gather)(const void *user, size_t element, double *a, double *b);
    const void *user;
} gn_evidence;

/* Fills everything of the finding but its name and index.  GN_E_NOMEM. */
gn_status gn_judge(gn_finding *finding, const gn_evidence *evidence, gn_err *err);

/* Bits, histogram, the element farthest off and the rms distance of one list of floats from
 * another: for what there is no truth to judge by.  No verdict. */
void gn_distance(gn_finding *finding, const float *got, const float *golden, size_t count);

/* Units in the last place between two floats; +0 and -0 are one apart.  Where one is NaN,
 * UINT32_MAX; both: 0. */
uint32_t gn_ulps(float a, float b);

#endif
