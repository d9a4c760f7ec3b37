/* Debug mode of the engine: hashes of dropped values, poison in freed memory.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CHECKPOINT_DEBUG_H
#define GN_CHECKPOINT_DEBUG_H

#include "gomokunet/checkpoint.h"

typedef struct gn_debug gn_debug;

gn_debug *gn_debug_create(const gn_program *program); /* NULL: no memory */
void gn_debug_destroy(gn_debug *debug);

/* Fills memory with NaNs that no correct run ever reads. */
void gn_debug_poison(void *memory, size_t bytes);

/* After a forward: remembers a hash of each image of the run's outputs.  After a recompute:
 * compares.  GN_E_NUMERIC names stage, op, value and image. */
gn_status gn_debug_check(gn_debug *debug, const gn_event *event, gn_err *err);

#endif
