/* The inside of verification: walking the records of a tape, gathering evidence on each.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_AUDIT_H
#define GN_GOLDEN_AUDIT_H

#include "golden/judge.h"
#include "golden/replay.h"
#include "golden/scope.h"

typedef struct gn_audit {
    gn_replay replay; /* its status is the audit's */
    const gn_scope *scope;
    gn_verification *out;
} gn_audit;

/* Where the worst element stands in the file, from its number in our layout. */
void gn_audit_index(gn_finding *finding, gn_shape ours, bool map);

/* A new finding, unjudged so far; NULL: no memory. */
gn_finding *gn_audit_finding(gn_audit *audit, const char *group, const char *name);
/* Judges and fills in the worst element; `map`: the file has it channels first. */
void gn_audit_judge(gn_audit *audit, gn_finding *finding, const gn_evidence *evidence,
                    gn_shape ours, bool map);
/* The candidate does not have the tensor, or not in its shape: wrong where the scope requires it. */
void gn_audit_missing(gn_audit *audit, const char *group, const char *name, gn_shape file_shape);
/* An input of it was not recorded: bits of the golden file, or unjudged. */
void gn_audit_unjudged(gn_audit *audit, const char *group, const char *name, gn_shape file_shape,
                       const char *input);

/* Outputs and statistics of every record, in the order of the tape. */
void gn_audit_forward(gn_audit *audit);
/* Gradients of every activation and parameter, from the loss to the input. */
void gn_audit_backward(gn_audit *audit);

/* Running statistics after the step, from the candidate's batch statistics: for a batch norm whose
 * record the replay holds. */
void gn_audit_running(gn_audit *audit, int record);
/* The ops that each finding outside the gates feeds, from number `first` on. */
void gn_audit_feeds(gn_audit *audit, size_t first);

/* Distances of what stayed unjudged among the findings from number `first` on. */
void gn_audit_distances(gn_audit *audit, size_t first);

/* Parameters and moments after each step, from the state before it and the candidate's gradients;
 * counters; and of the steps after the first what can only be compared: inputs, losses, gradients. */
void gn_audit_updates(gn_audit *audit);

#endif
