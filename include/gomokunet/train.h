/* Training: optimisers, the learning rate over time, one step, evaluation.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_TRAIN_H
#define GOMOKUNET_TRAIN_H

#include "gomokunet/data.h"
#include "gomokunet/io.h"
#include "gomokunet/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Optimisers ------------------------------------------------------------------------------ */

typedef enum gn_optimizer_kind { GN_ADAMW, GN_SGD } gn_optimizer_kind;

typedef struct gn_optimizer_config {
    gn_optimizer_kind kind;
    double beta1, beta2, eps; /* AdamW */
    double momentum;          /* SGD */
    bool nesterov;            /* SGD: steps along g + momentum * velocity; needs momentum > 0 */
    double weight_decay;      /* decoupled (AdamW) or added to the gradient (SGD); all tensors */
    double clip;              /* largest global gradient norm; 0: no clipping */
} gn_optimizer_config;

/* AdamW, betas 0.9 and 0.999, eps 1e-8, momentum 0.9 (SGD), weight decay 1e-4, clip 1.0. */
gn_optimizer_config gn_optimizer_default(void);

typedef struct gn_optimizer gn_optimizer;

/* Moments for every parameter of the tape, all 0.  Release with gn_optimizer_destroy (NULL is
 * fine).  GN_E_CONFIG lists every fault of the configuration; GN_E_NOMEM. */
gn_status gn_optimizer_create(gn_optimizer **out, const gn_tape *tape, const gn_table *table,
                              const gn_optimizer_config *config, gn_err *err);
void gn_optimizer_destroy(gn_optimizer *optimizer);
size_t gn_optimizer_bytes(const gn_tape *tape, const gn_table *table,
                          const gn_optimizer_config *config);

/* The norm of all gradients, which the next step clips to.  Not finite where a gradient is not. */
double gn_optimizer_measure(gn_optimizer *optimizer, const gn_store *store);
/* One step with the gradients of the store, clipped by the last measured norm. */
void gn_optimizer_step(gn_optimizer *optimizer, gn_store *store, double rate);

/* --- The learning rate ----------------------------------------------------------------------- */

/* "constant"; "step:N:F": multiplied by F every N steps; "cosine:W" or "cosine:W:MIN": rises for W
 * steps, then falls along half a cosine to MIN (0) at the end of the run.  In double, the same bits
 * everywhere: docs/numerics.md. */
typedef struct gn_rate {
    double base, factor, floor;
    uint64_t every; /* 0: not in steps */
    bool cosine;
    uint64_t warmup, total;
} gn_rate;
gn_status gn_rate_parse(gn_rate *out, const char *text, double base, gn_err *err);
/* The steps of the whole run, which a cosine needs.  GN_E_CONFIG: none are left after warm-up. */
gn_status gn_rate_span(gn_rate *rate, uint64_t total, gn_err *err);
double gn_rate_at(const gn_rate *rate, uint64_t step); /* steps count from 0 */

/* --- A session: everything that a training run holds ------------------------------------------ */

typedef struct gn_session_config {
    const gn_table *table;
    size_t batch;
    size_t accumulate;       /* micro-batches of `batch` positions a step; 0 is 1 */
    int threads;
    const char *policy;      /* checkpoint policy; NULL: as the network's use_checkpoint says */
    bool torch_compat_bn;    /* running statistics of recomputed blocks twice, as PyTorch does */
    bool debug;              /* gn_engine_debug */
    bool unfused;            /* no spans: a hook of the engine sees every value of the tape */
    uint64_t seed;
    gn_optimizer_config optimizer;
} gn_session_config;

/* gn_table_fast, batch 64, one thread a core, seed 1, gn_optimizer_default. */
gn_session_config gn_session_default(void);

/* Bytes by what they are for.  activations: the arena, predicted to the byte; gradients: twice where
 * a step accumulates. */
typedef struct gn_memory {
    size_t parameters, gradients, optimizer, saved, activations, total;
} gn_memory;

/* What a session would hold, without building it. */
gn_status gn_session_predict(gn_memory *out, const gn_net *net, const gn_session_config *config,
                             gn_err *err);

typedef struct gn_session gn_session;

/* The net is borrowed and must outlive the session.  Parameters are initialised from the seed.
 * Release with gn_session_destroy (NULL is fine). */
gn_status gn_session_create(gn_session **out, const gn_net *net, const gn_session_config *config,
                            gn_err *err);
void gn_session_destroy(gn_session *session);

gn_store *gn_session_store(const gn_session *session);
gn_engine *gn_session_engine(const gn_session *session);
gn_memory gn_session_memory(const gn_session *session); /* with measured activations */

typedef struct gn_step_result {
    double loss, loss_policy, loss_value, grad_norm;
    size_t top1, targets; /* positions whose best logit is the target, of those with a target */
} gn_step_result;

/* Forward, backward, running statistics, optimiser, with batch * accumulate positions.  Losses and
 * gradients are the means over the micro-batches; each normalises by its own statistics and updates
 * the running ones.  GN_E_NUMERIC names the first tensor that is not finite; parameters are then as
 * before the step, and so are the running statistics but for those of earlier micro-batches. */
gn_status gn_session_step(gn_session *session, const float *planes, const float *policy,
                          const float *value, double rate, gn_step_result *result, gn_err *err);

/* Forward and backward only: gradients in the store, nothing updated. */
gn_status gn_session_gradients(gn_session *session, const float *planes, const float *policy,
                               const float *value, gn_step_result *result, gn_err *err);

/* SHA-256 of all gradients, in state-dict order, as 64 hex digits. */
void gn_session_gradient_digest(const gn_session *session, char hex[65]);

gn_status gn_session_save(const gn_session *session, const char *path, gn_err *err);
gn_status gn_session_load(gn_session *session, const char *path, gn_err *err);

/* --- State: what a run needs to go on with the same bits --------------------------------------- */

/* A text that travels in the state file's metadata. */
typedef struct gn_note {
    const char *key, *value;
} gn_note;

/* Writes parameters, buffers, moments, counters and `step`, the number of steps done, with a SHA-256
 * over all of it as the last tensor, under a temporary name, synced and renamed.  float32 tables
 * only.  GN_E_IO. */
gn_status gn_session_save_state(const gn_session *session, const char *path, uint64_t step,
                                const gn_note *notes, size_t count, gn_err *err);

/* Whether an open file is a whole state: checks the SHA-256.  GN_E_FORMAT. */
gn_status gn_state_check(const gn_reader *reader, const char *path, gn_err *err);

/* Goes on from a checked state.  GN_E_SHAPE: made for another network or optimiser. */
gn_status gn_session_load_state(gn_session *session, const gn_reader *reader, const char *path,
                                uint64_t *step, gn_err *err);

/* --- Evaluation ------------------------------------------------------------------------------ */

typedef struct gn_scores {
    double loss_policy, loss_value, top1, top5, value_error; /* means; value_error: mean |v - z| */
    size_t positions;
} gn_scores;

/* What the network says of each position, in the dataset's order; the caller's memory. */
typedef struct gn_predictions {
    float *logits, *value; /* [positions, S*S], [positions] */
} gn_predictions;

/* Scores a dataset in inference mode.  `batch` positions at a time; memory from `pool`.
 * `predictions` is filled unless it is NULL. */
gn_status gn_evaluate(gn_scores *out, const gn_predictions *predictions, const gn_net *net,
                      gn_store *store, const gn_table *table, gn_pool *pool, int threads,
                      size_t batch, const gn_dataset *dataset, gn_err *err);

/* The same with a session's parameters and memory. */
gn_status gn_session_evaluate(gn_session *session, const gn_dataset *dataset, gn_scores *out,
                              gn_err *err);

#ifdef __cplusplus
}
#endif
#endif
