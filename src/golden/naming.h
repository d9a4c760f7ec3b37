/* Naming the precision of a tensor that is outside of float32's gates.  SPDX-License-Identifier:
 * MIT */
#ifndef GN_GOLDEN_NAMING_H
#define GN_GOLDEN_NAMING_H

#include "golden/judge.h"

/* *out: the format in which the op, computed on the candidate's own inputs, gives the candidate's
 * tensor; GN_VERDICT_WRONG where none does.  `envelope`: float32's own errors in units of u Q.
 * *formats: 1 << verdict of it; where there are fewer than NUMBERS elements, of every format that
 * explains them.  GN_E_NOMEM. */
gn_status gn_name(gn_verdict *out, unsigned *formats, const gn_evidence *e,
                  double envelope, gn_err *err);

/* Whether the tensor is right but for what flushing denormals took away.  GN_E_NOMEM. */
gn_status gn_name_flushed(bool *out, const gn_evidence *e, gn_err *err);

#endif
