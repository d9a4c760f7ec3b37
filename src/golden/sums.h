/* What one tensor of a trace is made of: an op's output, or the contributions of all consumers to a
 * gradient.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_SUMS_H
#define GN_GOLDEN_SUMS_H

#include "golden/precision.h"
#include "golden/terms.h"

enum { GN_CONSUMERS = 4 };

typedef struct gn_sums {
    gn_call call[GN_CONSUMERS]; /* float64; inputs, outputs and the gradient of output 0 filled */
    int index[GN_CONSUMERS];    /* backward: the input whose gradient it is */
    bool flat[GN_CONSUMERS];    /* the consumer reads a flattened copy */
    bool unit[GN_CONSUMERS];    /* a copy: one term, (element of dout, 1) */
    int count;
    int output;   /* forward: which output; 0, or a batch norm's mean or inv */
    gn_shape map; /* for `flat` */
} gn_sums;

/* Terms of an element, of all contributions and of one. */
size_t gn_sums_terms(const gn_sums *s);
size_t gn_sums_part(const gn_sums *s, int part);
/* The inner length of a contribution's terms. */
size_t gn_sums_inner(const gn_sums *s, int part);
/* Whether a rerun can round what `r` asks for. */
bool gn_sums_can(const gn_sums *s, const gn_rounding *r);

/* Whether the last of the terms is a linear layer's bias. */
bool gn_sums_bias(const gn_sums *s);

/* Whether it is a sum that a batch norm takes. */
bool gn_sums_normalise(const gn_sums *s);

/* The products of element e, contribution by contribution; `user` is a gn_sums. */
void gn_sums_gather(const void *user, size_t e, double *a, double *b);

/* The tensor again in float64, from inputs rounded as `r` says: factors `a` are activations and
 * gradients, `b` parameters; `products` are the steps on the way.  `stored` is left to the caller.
 * `user` is a gn_sums; out has the tensor's elements.  GN_E_NOMEM. */
gn_status gn_sums_rerun(const void *user, const gn_rounding *r, double *out, size_t count,
                        gn_err *err);

#endif
