/* The verdict on a file of cases.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_CASES_JUDGE_H
#define GN_GOLDEN_CASES_JUDGE_H

#include "gomokunet/golden.h"
#include "gomokunet/io.h"

/* Whether a golden file is one of cases. */
bool gn_is_cases(const gn_reader *golden);

/* Findings for every computed tensor of every case that the golden file has.  GN_E_FORMAT: a case's
 * inputs are not those that it has here; GN_E_NOMEM. */
gn_status gn_cases_judge(gn_verification *out, const gn_reader *golden, const gn_reader *candidate,
                         const char *path, gn_err *err);

#endif
