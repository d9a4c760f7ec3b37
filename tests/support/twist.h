/* Candidates without another framework: a table of rows that compute in another precision, in
 * another order, or wrongly, and whole traces written with it.
 *
 * One table is twisted at a time; what it does is told by a `twist`.  SPDX-License-Identifier: MIT
 */
#ifndef GN_TESTS_TWIST_H
#define GN_TESTS_TWIST_H

#include "golden/precision.h"
#include "gomokunet/golden.h"

/* Runs the untwisted row on float32 arrays that the caller may change before and after. */
typedef void (*twist_run)(gn_call *call);

typedef struct twist {
    const char *name;
    bool wide;     /* rows compute in float64, and round once */
    bool narrow;   /* round as below */
    bool products; /* only ops that multiply and add: convolutions and linear layers */
    bool activations, parameters;   /* rounded before an op reads them, gradients too */
    bool stored, stored_parameters; /* outputs and gradients; gradients of parameters */
    gn_precision precision;
    /* Instead of running the row: changes arrays, runs it or not.  `op`: only of this op (NULL:
     * all); `backward`: only in backward, else only in forward. */
    const char *op;
    bool backward;
    void (*change)(gn_call *call, twist_run run);
} twist;

/* The table; valid until the next call. */
const gn_table *twist_table(const twist *t);

/* A small network with nothing at its initial value, and a trace of one training step and of
 * inference: golden.safetensors by the contract's table and candidate.safetensors by another, in
 * the current folder. */
typedef struct rig_trace {
    gn_net net;
    gn_dataset dataset;
    gn_games games;
    size_t batch;
} rig_trace;
enum { TRACE_SIZE = 5, TRACE_BATCH = 6 };
void trace_open(rig_trace *trace, gn_conv conv, int blocks, int channels);
void trace_write(const rig_trace *trace, const char *path, const gn_table *table);
void trace_close(rig_trace *trace);
gn_verification trace_verify(const char *candidate);

#endif
