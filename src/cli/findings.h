/* Findings of a verification, shown: what verify and diverge share.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_FINDINGS_H
#define GN_CLI_FINDINGS_H

#include "gomokunet/golden.h"

/* A finding in one line where its bits are right, else with the worst element. */
void finding_print(const gn_finding *finding);
/* The same as a JSON object, without a newline. */
void finding_json(const gn_finding *finding);
/* "3 not seen (level gradients)", where the candidate left tensors out that it may leave out. */
void findings_unseen(const gn_verification *verification);

#endif
