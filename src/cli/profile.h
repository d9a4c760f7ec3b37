/* Where the time of training steps goes: a clock around every record that the engine runs.
 *
 * Nothing is computed differently: the bits are those of a run without it.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CLI_PROFILE_H
#define GN_CLI_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gomokunet/train.h"

typedef enum profile_pass {
    PROFILE_DATA, PROFILE_FORWARD, PROFILE_RECOMPUTE, PROFILE_BACKWARD, PROFILE_OPTIMISER,
    PROFILE_PASSES
} profile_pass;

/* One kind of work in one pass, added up over all steps. */
typedef struct profile_row {
    char op[48];
    profile_pass pass;
    uint64_t calls;
    double seconds, flops, bytes; /* 0 flops or bytes: not counted */
} profile_row;

enum { PROFILE_ROWS = 64 };

typedef struct profile {
    bool on;
    profile_row row[PROFILE_ROWS];
    int count;
    const gn_optimizer_config *optimizer;
    const gn_program *program; /* of the last record seen */
    uint64_t steps;
    double wall;        /* of all steps, by the same clock */
    double began, mark; /* the step's begin, and the last reading */
    bool inside;        /* a record is running */
} profile;

/* Watches the steps of a session from now on.  The configuration is borrowed. */
void profile_start(profile *p, gn_session *session, const gn_optimizer_config *optimizer);

/* Around each part of a step; they do nothing where the profile is off.  Begin, the batch is there,
 * the session has done its step. */
void profile_step_begins(profile *p);
void profile_batch_made(profile *p);
void profile_step_ends(profile *p);

/* The table a step, slowest first, and the sums by pass; or one line of JSON over all steps:
 * {"profile":{"steps":,"seconds":,"other_seconds":,"rows":[{...}]}}. */
void profile_print(FILE *out, profile *p);
void profile_json(FILE *out, const profile *p);

/* --- profile_cost.c: flops and bytes by counting ---------------------------------------------- */

typedef struct profile_cost {
    double flops; /* by the formula of the op, or of a span's parts, a fused multiply-add as two, a division, root, exp, log
                     or tanh as one, comparisons not at all; 0: none, or the op is not known */
    double bytes; /* of the tensors read and written, each once */
} profile_cost;

profile_cost profile_record_cost(const gn_program *program, int record, gn_pass pass);

/* Norm and update of all parameters. */
profile_cost profile_update_cost(const gn_program *program, const gn_optimizer_config *optimizer);

/* The op's name, convolutions with their kernel: "conv2d 3x3". */
void profile_op_name(const gn_program *program, int record, char *text, size_t room);

#endif
