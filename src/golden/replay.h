/* Running single ops of a tape on a candidate's own recorded tensors.
 *
 * Four lanes run the same record: in float32 by the contract; in float64, the truth; in float64 on
 * absolute values, which gives S = sum of |ab|; in float64 on squares, which gives Q^2 = sum of
 * (ab)^2.  The last two mean something for ops that are sums of products only.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_REPLAY_H
#define GN_GOLDEN_REPLAY_H

#include "gomokunet/io.h"
#include "golden/wide.h"
#include "gomokunet/net.h"

typedef enum gn_lane { GN_LANE_FLOAT, GN_LANE_TRUTH, GN_LANE_ABSOLUTE, GN_LANE_SQUARE } gn_lane;
enum { GN_LANES = GN_LANE_SQUARE + 1 };

typedef struct gn_replay {
    const gn_net *net;
    const gn_reader *golden, *candidate;
    const char *group;      /* where activations are read: "forward" or "eval_forward" */
    gn_wide *wide;          /* the table of the truth */
    gn_program *program[2]; /* float32, float64 */
    void **data[GN_LANES], **grad[GN_LANES]; /* by value; what is loaded or computed */
    gn_err *err;
    gn_status status; /* the first failure; later calls do nothing */
} gn_replay;

gn_status gn_replay_open(gn_replay *out, const gn_net *net, size_t batch, bool training,
                         int threads, gn_err *err);
void gn_replay_close(gn_replay *replay);
/* Releases every tensor. */
void gn_replay_clear(gn_replay *replay);

/* Loads a value (or the gradient of one) into every lane: inputs, parameters and buffers from the
 * golden file, activations and statistics from the candidate, flattened ones through their map.
 * false: the candidate does not have it. */
bool gn_replay_load(gn_replay *replay, gn_value value, bool gradient);

/* Room for a value or gradient in every lane, all 0. */
void gn_replay_room(gn_replay *replay, gn_value value, bool gradient);

/* Runs a record in lanes first to last; outputs or gradients without room are left out. */
void gn_replay_run(gn_replay *replay, int record, gn_pass pass, gn_lane first, gn_lane last);

/* The call that the truth's lane would make; for the terms of a sum. */
gn_call gn_replay_call(const gn_replay *replay, int record, gn_pass pass);

/* The tensor of a file for a value's name in a group, turned to our layout, as floats; the caller
 * frees it.  NULL: not there, or of another shape. */
float *gn_replay_read(gn_replay *replay, const gn_reader *file, const char *group, gn_value value);

/* The shape that a golden file has for a value. */
gn_shape gn_replay_file_shape(const gn_replay *replay, gn_value value);

#endif
