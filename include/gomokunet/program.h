/* A program: a tape bound to a table of rows, a batch size and a number of threads; and the store of
 * its parameters.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_PROGRAM_H
#define GOMOKUNET_PROGRAM_H

#include "gomokunet/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The store: memory of parameters, buffers and parameter gradients ----------------------- */

typedef struct gn_store gn_store;

/* Memory for every parameter and buffer of `tape`, elements of the table's type; with `gradients`
 * also one gradient a parameter.  The tape must outlive the store.  GN_OK: *out is yours, release
 * with gn_store_destroy (NULL is fine); all zero until gn_store_init.  GN_E_NOMEM. */
gn_status gn_store_create(gn_store **out, const gn_tape *tape, const gn_table *table,
                          bool gradients, gn_err *err);
void gn_store_destroy(gn_store *store);

/* Fills parameters and buffers as their gn_init says; parameter number k of the state-dict order
 * draws from the stream of its number, so the order of calls does not matter. */
void gn_store_init(gn_store *store, uint64_t seed);

void *gn_store_data(const gn_store *store, gn_value value); /* NULL: neither param nor buffer */
void *gn_store_grad(const gn_store *store, gn_value value); /* NULL: no parameter, or none kept */
size_t gn_store_elem(const gn_store *store); /* bytes of an element: 4 or 8 */
/* Bytes of parameters and buffers, and of gradients; without a store, what one would hold. */
void gn_store_sizes(const gn_tape *tape, const gn_table *table, size_t *data, size_t *grad);
size_t gn_store_data_bytes(const gn_store *store);
size_t gn_store_grad_bytes(const gn_store *store);

/* --- Binding -------------------------------------------------------------------------------- */

typedef struct gn_program gn_program;

/* Binds: works out every shape, looks up every row, decides which values have a gradient and which
 * contribution to it is the first (stored) and which come later (added, in reverse tape order).
 * training: batch norm uses batch statistics, and there is a backward if the tape has a loss.
 * The tape must outlive the program.  Release with gn_program_destroy (NULL is fine).
 * GN_E_CONFIG: a mistake on the tape, a row missing; GN_E_SHAPE, GN_E_NOMEM. */
gn_status gn_program_bind(gn_program **out, const gn_tape *tape, const gn_table *table,
                          size_t batch, int threads, bool training, gn_err *err);
/* The same with the table's spans fused (gn_tape_fuse): less memory and time, the same bits, but a
 * hook sees no value that only the inside of a span reads.  gn_program_tape is the fused tape. */
gn_status gn_program_fuse(gn_program **out, const gn_tape *tape, const gn_table *table,
                          size_t batch, int threads, bool training, gn_err *err);
void gn_program_destroy(gn_program *program);

/* Keeps what forward makes of the parameters (packed weights, about their size once more), so that
 * later runs need not.  Whoever changes a parameter then calls it again.  GN_E_NOMEM. */
gn_status gn_program_keep(gn_program *program, const gn_store *store, gn_err *err);

const gn_tape *gn_program_tape(const gn_program *program);
const gn_table *gn_program_table(const gn_program *program);
size_t gn_program_batch(const gn_program *program);
int gn_program_threads(const gn_program *program);
bool gn_program_training(const gn_program *program);
gn_shape gn_program_shape(const gn_program *program, gn_value value);
size_t gn_program_bytes(const gn_program *program, gn_value value);
bool gn_program_has_grad(const gn_program *program, gn_value value);
/* Whether the record takes part in backward; and the row that computes it. */
bool gn_program_has_backward(const gn_program *program, int record);
const gn_row *gn_program_row(const gn_program *program, int record);
/* Whether the record's contribution to the gradient of its input i is added (not the first). */
bool gn_program_adds(const gn_program *program, int record, int input);
/* Workspace of one run of a record. */
size_t gn_program_work(const gn_program *program, int record, gn_pass pass);

/* --- Running -------------------------------------------------------------------------------- */

/* Where values and gradients lie at the moment, by value number; NULL: not held. */
typedef struct gn_places {
    void **data, **grad;
} gn_places;

/* Runs one record.  `work` has gn_program_work bytes. */
void gn_program_run(const gn_program *program, int record, gn_pass pass, gn_places places,
                    void *work);

#ifdef __cplusplus
}
#endif
#endif
