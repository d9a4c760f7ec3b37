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
    const char *const *except; /* of those, not what fits one of these patterns */
    size_t excepts;
    /* Compute it twice more, once as a machine does that flushes denormals to zero, and say in the
     * metadata whether the bits agree: "ftz-safe", yes or no.  GN_E_PLATFORM where the processor
     * cannot. */
    bool check_flush;
    const char *command;       /* for the metadata: what made the file */
    /* Told now and then; returns false to stop, which leaves no file.  NULL: none. */
    bool (*progress)(void *user, size_t done, size_t total, const char *tensor);
    void *user;
} gn_golden;

/* 64 positions of a step, one step, with inference, AdamW at 1e-3; net and dataset to be set. */
gn_golden gn_golden_default(void);

/* Writes a golden file, streamed: memory is that of the training step.  What it is, the name says:
 * .safetensors and .npz hold the tensors, .sha256 has a line "SHA-256  name" for each, in the same
 * order; the hash is of the little-endian bytes as they stand in the others.
 * The tensors of step 1 have the names above, those of step k the same after "step/k/".
 * GN_E_PLATFORM where the self-test fails, GN_E_CONFIG, GN_E_NUMERIC, GN_E_IO, GN_E_NOMEM. */
gn_status gn_golden_write(const char *path, const gn_golden *golden, gn_err *err);

/* Writes the cases: single ops on given numbers, forward and backward, as "case/TIER/OP/TENSOR";
 * docs/golden.md.  Of `golden` the table, the patterns and the command count.  Path and errors as
 * for gn_golden_write. */
gn_status gn_golden_write_cases(const char *path, const gn_golden *golden, gn_err *err);

/* Whether the patterns of `golden` let a tensor of this name in. */
bool gn_golden_wants(const gn_golden *golden, const char *name);

/* --- Verdicts ------------------------------------------------------------------------------- */

/* From best to worst.  bits: what the contract gives on the candidate's own inputs; bound: what
 * float32 may give in any order; transform: what Winograd's convolutions give; ftz, tf32, fp16,
 * bf16: what that precision gives; unjudged: there is nothing to judge it by. */
typedef enum gn_verdict {
    GN_VERDICT_BITS, GN_VERDICT_BOUND, GN_VERDICT_TRANSFORM, GN_VERDICT_FTZ, GN_VERDICT_TF32,
    GN_VERDICT_FP16, GN_VERDICT_BF16, GN_VERDICT_UNJUDGED, GN_VERDICT_WRONG
} gn_verdict;
const char *gn_verdict_name(gn_verdict verdict);

/* What a candidate declares to hold (metadata "level"; trace where it says nothing): the losses and
 * the two outputs; the gradients of all parameters too; every tensor of the golden file. */
typedef enum gn_level { GN_LEVEL_OUTPUTS, GN_LEVEL_GRADIENTS, GN_LEVEL_TRACE } gn_level;
const char *gn_level_name(gn_level level);

enum { GN_ULP_BINS = 12 };

/* What was found out about one tensor. */
typedef struct gn_finding {
    char name[160];
    gn_verdict verdict;
    char note[160];          /* what is wrong with it as a whole: missing, another shape, ... */
    bool compared;           /* of a later step, whose ops no file shows: compared, never judged */
    size_t elements, different; /* from the contract's result */
    size_t histogram[GN_ULP_BINS]; /* elements 0, 1, 2-3, 4-7, ... units in the last place off */
    uint32_t max_ulp;
    double max_error_over_bound;
    double bound;            /* there: how far off float32 may be */
    size_t element;          /* of that, in our layout; `index` says it in the file's */
    char index[64];          /* "[n,c,h,w]" */
    float expected, got;     /* there: the contract's result on the candidate's own inputs */
    double truth;
    double spread, envelope; /* rms error in u sqrt(sum (ab)^2), and the worst of float32's own */
    double rms_error, reference_rms_error; /* against float64: who is nearer */
    unsigned formats; /* of a few numbers: 1 << verdict for every format that explains them */
    char feeds[160]; /* the ops that read it; of a gradient, the gradients made of it */
} gn_finding;

typedef struct gn_verification {
    gn_verdict verdict; /* the worst */
    gn_finding *finding;
    size_t count, room;
    size_t extra; /* tensors of the candidate that the golden file does not have */
    char first_extra[160];
    gn_level level;  /* what the candidate declares */
    size_t unseen;   /* tensors of the golden file that it therefore need not have, and has not */
} gn_verification;

/* Judges a candidate's tensors, op by op, each from the candidate's own inputs, by
 * docs/golden.md; and each step's update from the state and gradients before it.  GN_OK also where
 * things are wrong: read the verdict.  Release with gn_verification_free.  GN_E_IO, GN_E_FORMAT,
 * GN_E_CONFIG (no golden file), GN_E_NOMEM. */
gn_status gn_verify(gn_verification *out, const char *golden, const char *candidate, int threads,
                    gn_err *err);
void gn_verification_free(gn_verification *verification);

/* Compares two files of one implementation tensor by tensor, with and without checkpointing, say:
 * bits or wrong.  No golden file, no truth: histogram, worst element and distance are of B from A.
 * Errors as gn_verify. */
gn_status gn_verify_same(gn_verification *out, const char *a, const char *b, gn_err *err);

/* Whether a name fits a pattern: * any number of characters, ? one. */
bool gn_golden_matches(const char *pattern, const char *name);

#ifdef __cplusplus
}
#endif
#endif
