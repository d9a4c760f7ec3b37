/* Golden files: every tensor of training steps and of inference, written down so that another
 * implementation can be compared with it, op by op.
 *
 * Names are those of docs/golden.md: input/ param/ buffer/ (before the step), eval_forward/,
 * forward/ stats/ loss/ grad_forward/ grad/ (before clipping), after/ after_exp_avg/
 * after_exp_avg_sq/ (parameters, buffers and moments after the step); maps are [N,C,H,W].
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_GOLDEN_H
#define GOMOKUNET_GOLDEN_H

#include "gomokunet/train.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_golden {
    const gn_net *net;         /* borrowed */
    const gn_dataset *dataset; /* borrowed; positions are drawn as in training */
    gn_session_config session; /* table (float32), batch, threads, policy, seed, optimizer */
    double rate;               /* learning rate of every step */
    uint64_t steps;            /* training steps: 1 or more, or 0 for inference alone */
    bool inference;            /* write eval_forward/ too */
    const char *model;         /* initial parameters from this file; NULL: from the seed */
    const char *only;          /* pattern with * and ?; NULL: all tensors */
    const char *command;       /* for the metadata: what made the file */
    /* Told now and then; returns false to stop, which leaves no file.  NULL: none. */
    bool (*progress)(void *user, size_t done, size_t total, const char *tensor);
    void *user;
} gn_golden;

/* 64 positions of a step, one step, with inference, AdamW at 1e-3; net and dataset to be set. */
gn_golden gn_golden_default(void);

/* Writes a golden file, streamed: memory is that of the training step.  What it is, the name says:
 * .safetensors holds the tensors, .sha256 a line "SHA-256  name" for each, in the same order; the
 * hash is of the little-endian bytes as they stand in the other.
 * The tensors of step 1 have the names above, those of step k the same after "step/k/".
 * GN_E_PLATFORM where the self-test fails, GN_E_CONFIG, GN_E_NUMERIC, GN_E_IO, GN_E_NOMEM. */
gn_status gn_golden_write(const char *path, const gn_golden *golden, gn_err *err);

/* Whether a name fits a pattern: * any number of characters, ? one. */
bool gn_golden_matches(const char *pattern, const char *name);

#ifdef __cplusplus
}
#endif
#endif
