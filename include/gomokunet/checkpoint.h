/* Checkpointing: a schedule says which stages run forward, what they keep and what is recomputed;
 * a plan is the schedule lowered to single runs of records; the engine carries it out.
 *
 * Every schedule gives the same bits.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_CHECKPOINT_H
#define GOMOKUNET_CHECKPOINT_H

#include "gomokunet/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Schedules: data, not code ------------------------------------------------------------- */

typedef enum gn_action_kind {
    GN_RUN,        /* run the stage forward; of its values only those later stages read survive */
    GN_RUN_KEEP,   /* run it forward and keep what its backward reads; for a stage that ran before:
                      recompute, in order, just what is missing and read */
    GN_RUN_CHEAP,  /* run it forward and keep of what its backward reads only what is dear to make
                      again, the outputs of dense convolutions; the rest is recomputed */
    GN_DROP_INPUT, /* forget what the stage reads from earlier stages, but for what another stage
                      that has not run yet reads too */
    GN_RUN_BACK    /* run the stage backward */
} gn_action_kind;

typedef struct gn_action {
    gn_action_kind kind;
    int stage;
} gn_action;

typedef struct gn_schedule {
    char name[32];
    gn_action *action;
    size_t count, room;
} gn_schedule;

void gn_schedule_free(gn_schedule *schedule);

/* The schedule of a policy over `stages` stages, the first (stem) and the last (heads) being no
 * blocks: "none" keeps all that backward reads; "cheap", of the stem and the blocks, the outputs of
 * convolutions that sum over channels; "block" keeps each block's input; "every:K" each
 * K-th block's.  What is recomputed is recomputed once; the last segment, heads included, never.
 * "inference": forward only.  GN_E_CONFIG names the policies there are. */
gn_status gn_schedule_create(gn_schedule *out, const char *policy, int stages, gn_err *err);

/* How often a stage runs forward under the schedule. */
int gn_schedule_forward_runs(const gn_schedule *schedule, int stage);

/* Whether any stage runs forward more than once. */
bool gn_schedule_recomputes(const gn_schedule *schedule);

/* One line an action, "keep  blocks.3"; returns the length that the whole text needs. */
size_t gn_schedule_text(const gn_schedule *schedule, const gn_tape *tape, char *text, size_t room);

/* --- Plans: the schedule lowered ------------------------------------------------------------- */

/* A slot is a value's data (its number) or its gradient (its number + the number of values). */
typedef enum gn_step_kind {
    GN_TAKE,      /* place a slot in the arena */
    GN_GIVE,      /* free it: its last reader has run */
    GN_MOVE,      /* `slot` takes over the memory of slot `from`: computed in place */
    GN_SEED,      /* store 1 in the loss's gradient */
    GN_COMPUTE    /* run a record: forward, recompute or backward */
} gn_step_kind;

typedef struct gn_step {
    gn_step_kind kind;
    gn_pass pass;
    int record, slot, from;
} gn_step;

typedef struct gn_plan {
    const gn_program *program; /* borrowed */
    gn_step *step;
    size_t count, room;
} gn_plan;

/* Lowers a schedule over a program.  GN_E_CONFIG: the schedule is not legal (text says at which
 * action which value is missing).  Release with gn_plan_free. */
gn_status gn_plan_create(gn_plan *out, const gn_program *program, const gn_schedule *schedule,
                         gn_err *err);
void gn_plan_free(gn_plan *plan);

typedef struct gn_usage {
    size_t saved; /* bytes held between forward and backward, inputs and pinned vectors included */
    size_t peak;  /* extent of the arena: activations, gradients, workspace, holes */
} gn_usage;

/* What a run of the plan will use, to the byte.  GN_E_NOMEM. */
gn_status gn_plan_measure(const gn_plan *plan, gn_usage *usage, gn_err *err);

/* --- The engine ----------------------------------------------------------------------------- */

typedef struct gn_engine gn_engine;

/* Memory that engines share: they run one after the other, each from the start of it. */
typedef struct gn_pool gn_pool;
gn_status gn_pool_create(gn_pool **out, gn_err *err);
void gn_pool_destroy(gn_pool *pool); /* after the engines; NULL is fine */
size_t gn_pool_bytes(const gn_pool *pool);

/* What a hook is told, and when: after every forward and recompute, and just before a record's
 * backward, when the gradient of its output is complete. */
typedef struct gn_event {
    const gn_program *program;
    int record;
    gn_pass pass;
    gn_places places;
} gn_event;
typedef void (*gn_hook)(void *user, const gn_event *event);

/* Takes program and store (borrowed), lowers the schedule, grows the pool to the peak.
 * Release with gn_engine_destroy (NULL is fine).  GN_E_CONFIG, GN_E_NOMEM (names the bytes). */
gn_status gn_engine_create(gn_engine **out, const gn_program *program,
                           const gn_schedule *schedule, gn_store *store, gn_pool *pool,
                           gn_err *err);
void gn_engine_destroy(gn_engine *engine);

void gn_engine_hook(gn_engine *engine, gn_hook hook, void *user); /* NULL: none */
gn_hook gn_engine_hooked(const gn_engine *engine, void **user);   /* what was set */
/* Told twice of every run of a record, whatever its pass: just before, and just after it.  For
 * clocks; the core has none. */
void gn_engine_watch(gn_engine *engine, gn_hook watch, void *user);

/* Debug mode: freed memory is filled with NaNs, and every recomputed value is compared with a hash
 * of the first one; gn_engine_run then fails with GN_E_NUMERIC, naming stage, op and image. */
bool gn_engine_debug(gn_engine *engine, bool on); /* false: no memory for the hashes */

/* The memory of an input, to be filled before each run, or of a pinned value, to be read after it
 * and before another engine of the pool runs. */
void *gn_engine_data(const gn_engine *engine, gn_value value);
/* Copies floats into an input, converting to the table's type. */
void gn_engine_feed(const gn_engine *engine, gn_value input, const float *data);
/* Element `index` of a pinned value, an input, a parameter or a buffer. */
double gn_engine_read(const gn_engine *engine, gn_value value, size_t index);

/* One pass of the plan: forward, and backward where the schedule has one; parameter gradients end
 * in the store.  GN_E_NUMERIC (debug mode only), GN_E_NOMEM. */
gn_status gn_engine_run(gn_engine *engine, gn_err *err);

/* Predicted before the run; measured in the runs so far (saved and peak). */
gn_usage gn_engine_predicted(const gn_engine *engine);
gn_usage gn_engine_measured(const gn_engine *engine);
/* How often a stage has run forward in the last run: the most often that one of its records ran. */
int gn_engine_forward_runs(const gn_engine *engine, int stage);

#ifdef __cplusplus
}
#endif
#endif
