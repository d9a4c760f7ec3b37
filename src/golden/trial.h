/* A trial: what a tensor of the candidate would be if one mistake had been made, computed in
 * float64 from the candidate's other tensors.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_TRIAL_H
#define GN_GOLDEN_TRIAL_H

#include "golden/mistakes/mistake.h"
#include "golden/replay.h"
#include "golden/scope.h"

typedef struct gn_trial {
    gn_net net;
    gn_replay replay; /* its status is the trial's; its data the candidate's, loaded when asked */
    gn_scope scope;
    const gn_mistake *mistake;
    int variant;
    gn_lane lane;  /* on the truth, or on absolute values or squares: see replay.h */
    bool touched;  /* the mistake had a part in what was computed */
    bool products; /* all of it was sums of products: the other lanes mean something */
    void **kept;   /* buffers, freed after each tensor */
    size_t count, room;
} gn_trial;

/* A trial on the files and in the mode of an audit's replay, which it does not share. */
gn_status gn_trial_open(gn_trial *out, const gn_replay *like, gn_err *err);
void gn_trial_close(gn_trial *trial);

/* Begins with another tensor of the candidate: forgets what was loaded. */
void gn_trial_clear(gn_trial *trial);

/* The tensor of that name in a golden file ("forward/policy_conv", "grad/...", "after/...") in our
 * layout, with the mistake.  false: it has no part in it, or what it needs was not recorded. */
bool gn_trial_run(gn_trial *trial, const gn_mistake *mistake, int variant, const char *name,
                  double *want, size_t count);

/* The same tensor with S and Q^2 of its sums in place of the numbers (GN_LANE_ABSOLUTE,
 * GN_LANE_SQUARE).  false: it is not all sums of products. */
bool gn_trial_again(gn_trial *trial, gn_lane lane, const char *name, double *sums, size_t count);

/* The record that computes a tensor of that name, or the gradient of its output; GN_NONE: none. */
int gn_trial_record(const gn_trial *trial, const char *name);

/* The part of it that concerns the update after the step. */
bool gn_trial_update(gn_trial *trial, const gn_update_slip *slip, const char *name, double *want,
                     size_t count);
/* Zeros, freed with the tensor; NULL: no memory. */
double *gn_trial_keep(gn_trial *trial, size_t count);

#endif
