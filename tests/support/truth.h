/* The truth about a program: the tape run by hand, top to bottom and back, every value and every
 * gradient in memory of its own; no schedule, no arena, nothing in place, nothing dropped.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_TRUTH_H
#define GN_TESTS_TRUTH_H

#include "gomokunet/checkpoint.h"

typedef struct truth {
    int values;
    void **data, **grad; /* by value, all its own; NaN where nothing was written */
} truth;

/* Takes inputs, parameters and buffers from the engine, which must be fed and not have run yet;
 * runs forward, and backward where the program has one.  float32 only. */
truth truth_open(const gn_engine *engine, const gn_program *program);
void truth_close(truth *t);

/* The gradients of the parameters in `store` must have the true bits. */
void truth_gradients(const truth *t, const gn_program *program, const gn_store *store);

/* A hook's user: sees every value that a program has after a run of a record, and the whole gradient
 * of the first output before its backward.  `run` stands before the name in a failure. */
typedef struct truth_watch {
    const truth *truth;
    const char *run;
    size_t seen[3]; /* runs of records, by pass */
} truth_watch;

/* gn_engine_hook(engine, truth_compare, &watch): each is there, with the true bits. */
void truth_compare(void *watch, const gn_event *event);

#endif
