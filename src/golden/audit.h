/* The inside of verification: walking the records of a tape, gathering evidence on each.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_AUDIT_H
#define GN_GOLDEN_AUDIT_H

#include "golden/judge.h"
#include "golden/replay.h"

struct gn_audit;

/* Sees every tensor that was judged, with the evidence. */
typedef struct gn_watch {
    void (*see)(void *user, struct gn_audit *audit, const gn_finding *finding,
                const gn_evidence *evidence);
    void *user;
} gn_watch;

typedef struct gn_audit {
    gn_replay replay; /* its status is the audit's */
    gn_verification *out;
    const gn_watch *watch; /* NULL: nobody looks on */
} gn_audit;

/* A new finding, unjudged so far; NULL: no memory. */
gn_finding *gn_audit_finding(gn_audit *audit, const char *group, const char *name);
/* Judges and fills in the worst element; `map`: the file has it channels first. */
void gn_audit_judge(gn_audit *audit, gn_finding *finding, const gn_evidence *evidence,
                    gn_shape ours, bool map);
/* The candidate does not have the tensor, or not in its shape; or not an input of it. */
void gn_audit_missing(gn_audit *audit, const char *group, const char *name, gn_shape file_shape);
void gn_audit_unjudged(gn_audit *audit, const char *group, const char *name, const char *input);

/* gn_verify with somebody looking on. */
gn_status gn_audit_files(gn_verification *out, const char *golden, const char *candidate,
                         int threads, const gn_watch *watch, gn_err *err);

/* Outputs and statistics of every record, in the order of the tape. */
void gn_audit_forward(gn_audit *audit);
/* Gradients of every activation and parameter, from the loss to the input. */
void gn_audit_backward(gn_audit *audit);

#endif
