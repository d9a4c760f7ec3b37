/* The tape: a network written down, record by record, before anything is computed.
 *
 * A record is an op with its inputs and outputs; records stand in named stages, the pieces that
 * checkpointing keeps or recomputes.  Building calls never fail outright: the first mistake is
 * remembered, later calls do nothing, and gn_tape_check (or binding) reports it.
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_TAPE_H
#define GOMOKUNET_TAPE_H

#include "gomokunet/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_tape gn_tape;
typedef int gn_value; /* a value of a tape */
#define GN_NONE (-1)  /* no value: an optional input left out, or a call after a mistake */

typedef enum gn_kind { GN_INPUT, GN_PARAM, GN_BUFFER, GN_ACTIVATION } gn_kind;
typedef enum gn_init { GN_ZEROS, GN_ONES, GN_UNIFORM /* in +-1/sqrt(fan_in) */ } gn_init;

/* GN_OK: *out is yours, release with gn_tape_destroy (NULL is fine).  GN_E_NOMEM. */
gn_status gn_tape_create(gn_tape **out, gn_err *err);
void gn_tape_destroy(gn_tape *tape);

/* The first mistake made while building, or GN_OK. */
gn_status gn_tape_check(const gn_tape *tape, gn_err *err);

/* --- Values -------------------------------------------------------------------------------- */

/* What a run is fed: [GN_BATCH, ...].  Gets no gradient. */
gn_value gn_tape_input(gn_tape *tape, const char *name, gn_shape shape);
/* Trained; fan_in counts for GN_UNIFORM only.  The order of parameters and buffers is the
 * state-dict order: of files, of initialisation, of the clip norm. */
gn_value gn_tape_param(gn_tape *tape, const char *name, gn_shape shape, gn_init init,
                       size_t fan_in);
/* State that is not trained: running statistics. */
gn_value gn_tape_buffer(gn_tape *tape, const char *name, gn_shape shape, gn_init init);
/* From here on, records belong to a new stage. */
void gn_tape_stage(gn_tape *tape, const char *name);
/* Never dropped, there until the run ends: what the caller reads, and small vectors. */
void gn_tape_pin(gn_tape *tape, gn_value value);
/* The scalar whose gradients backward computes. */
void gn_tape_loss(gn_tape *tape, gn_value loss);

/* --- Ops: each appends a record and returns its output; the formulas stand in src/ops ------- */
/* Only a record's first output carries a gradient; the others (statistics) are constants to it. */

gn_value gn_tape_conv2d(gn_tape *t, const char *name, gn_value x, gn_value weight);
gn_value gn_tape_depthwise_conv2d(gn_tape *t, const char *name, gn_value x, gn_value weight);
/* The running statistics are read in inference only; the training step updates them. */
gn_value gn_tape_batch_norm(gn_tape *t, const char *name, gn_value x, gn_value gamma, gn_value beta,
                             gn_value running_mean, gn_value running_var, double eps);
gn_value gn_tape_relu(gn_tape *t, const char *name, gn_value x);
gn_value gn_tape_add(gn_tape *t, const char *name, gn_value a, gn_value b);
gn_value gn_tape_global_avg_pool(gn_tape *t, const char *name, gn_value x);
gn_value gn_tape_linear(gn_tape *t, const char *name, gn_value x, gn_value weight, gn_value bias);
gn_value gn_tape_sigmoid(gn_tape *t, const char *name, gn_value x);
gn_value gn_tape_tanh(gn_tape *t, const char *name, gn_value x);
gn_value gn_tape_channel_scale(gn_tape *t, const char *name, gn_value x, gn_value gate);
gn_value gn_tape_flatten(gn_tape *t, const char *name, gn_value x);
gn_value gn_tape_softmax_cross_entropy(gn_tape *t, const char *name, gn_value logits,
                                       gn_value target);
gn_value gn_tape_mean_squared_error(gn_tape *t, const char *name, gn_value x, gn_value target);

/* Any op by its row in `table` (a table of your own, say): the same for all of the above. */
gn_value gn_tape_record(gn_tape *t, const gn_table *table, const char *op, const char *name,
                        gn_attr attr, const gn_value *in, int nin);

/* --- Fusing -------------------------------------------------------------------------------- */

/* A copy of the tape in which every run of records that `table` computes as a span (op.h) is one
 * record.  Values keep their numbers; those that only a span's inside reads are never made.  The
 * bits of all others are the same.  Release with gn_tape_destroy.  GN_E_NOMEM, or the tape's first
 * mistake. */
gn_status gn_tape_fuse(gn_tape **out, const gn_tape *tape, const gn_table *table, gn_err *err);

/* --- Reading a tape ------------------------------------------------------------------------ */

typedef struct gn_value_info {
    const char *name; /* an activation has its record's name; outputs after the first NAME:j */
    gn_kind kind;
    gn_shape shape; /* with GN_BATCH */
    gn_init init;
    size_t fan_in;
    int producer; /* the record that writes it, GN_NONE for the other kinds */
    bool pinned;
} gn_value_info;

typedef struct gn_record {
    const gn_op *op;
    const char *name;
    gn_attr attr;
    int nin, nout, stage;
    gn_value in[GN_MAX_IN], out[GN_MAX_OUT];
} gn_record;

int gn_tape_values(const gn_tape *tape);
int gn_tape_records(const gn_tape *tape);
int gn_tape_stages(const gn_tape *tape);
const gn_value_info *gn_tape_value(const gn_tape *tape, gn_value value);
const gn_record *gn_tape_record_at(const gn_tape *tape, int record);
const char *gn_tape_stage_name(const gn_tape *tape, int stage);
/* The value of that name, GN_NONE where there is none. */
gn_value gn_tape_find(const gn_tape *tape, const char *name);
/* The loss, GN_NONE where none is set. */
gn_value gn_tape_loss_value(const gn_tape *tape);
/* All elements of the parameters. */
size_t gn_tape_parameters(const gn_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
