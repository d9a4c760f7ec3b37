/* Predictions as a file.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_PREDICTIONS_H
#define GN_CLI_PREDICTIONS_H

#include "gomokunet/train.h"

/* Writes positions and what a network says of them as safetensors, under the names of the golden
 * files: input/planes [N,5,S,S], input/policy [N,S*S], input/value [N] (NaN: the result is not
 * known), eval_forward/policy_logits [N,S*S], eval_forward/value [N]. */
gn_status predictions_write(const char *path, const gn_dataset *dataset,
                            const gn_predictions *predictions, gn_err *err);

#endif
