/* What checkpointing saves and costs here: both modes run on the same batch.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CLI_COMPARE_H
#define GN_CLI_COMPARE_H

#include <stdio.h>

#include "gomokunet/train.h"

/* Runs a few passes with `config` and with policy "none", in turn, with the parameters of `store`;
 * prints memory saved, speed paid, and the digests of the gradients on `out`.  Returns an exit
 * status: EXIT_NEGATIVE where the digests differ. */
int compare_modes(FILE *out, const gn_net *net, const gn_session_config *config,
                  const gn_store *store, const gn_dataset *dataset, gn_err *err);

#endif
