/* Naming the precision of a tensor that is outside of float32's gates.  SPDX-License-Identifier:
 * MIT */
#ifndef GN_GOLDEN_NAMING_H
#define GN_GOLDEN_NAMING_H

#include "golden/judge.h"

/* *out: the format in which the op, computed on the candidate's own inputs, gives the candidate's
 * tensor; GN_VERDICT_WRONG where none does.  `envelope`: float32's own errors in units of u Q.
 * GN_E_NOMEM. */
gn_status gn_name(gn_verdict *out, const gn_evidence *e, double envelope, gn_err *err);

#endif
