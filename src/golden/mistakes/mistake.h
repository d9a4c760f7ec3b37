/* Mistakes that authors of ports make, each a variant of one op, of what a record reads, or of the
 * update after the step, computed in float64 on the candidate's own tensors.
 *
 * Most are a line of arithmetic: an op's arguments or results put elsewhere, then the sound row of
 * the double table.  A new mistake is one entry in the table of its area.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_MISTAKE_H
#define GN_GOLDEN_MISTAKE_H

#include "gomokunet/golden.h"

/* One run of one op with a mistake in it.  Gradients are asked for one input at a time. */
typedef struct gn_slip {
    gn_call call;        /* in float64, with workspace for the sound row */
    const gn_row *sound; /* the row of the double table */
    int variant;         /* which form of the mistake */
    double *room;        /* as many numbers as all of the call's tensors with a border of one square
                          * around every map, twice */
} gn_slip;

/* What of an op a mistake changes. */
enum { GN_SLIP_FORWARD = 1, GN_SLIP_INPUT = 2, GN_SLIP_WEIGHT = 4 };
/* No element of the tensor: +0 is read, or nothing written. */
#define GN_NOWHERE SIZE_MAX
enum { GN_SLIP_OUTPUT = -1 };

/* The update after the step, with something in it done otherwise. */
typedef struct gn_update_slip {
    bool decay_coupled, decay_skips_vectors, decay_missing;
    bool no_bias_correction, eps_inside_root, second_moment_unclipped;
    bool clip_missing, clip_each;
    bool moments_forgotten; /* each step begins with moments of 0 */
    /* SGD.  Dampened: variant 1 takes the first gradient whole. */
    bool dampened, nesterov_missing, nesterov_extra, decay_after_momentum, rate_in_velocity;
    bool idle; /* a parameter whose gradient is 0 throughout is left as it is, without moments */
    bool running_biased, running_swapped;
    bool running_of_batch; /* of the batch's sound statistics, not of those recorded */
    int running_times;     /* 0: once; negative: never */
} gn_update_slip;

typedef struct gn_mistake {
    const char *name, *says;
    int variants; /* forms of it, all tried; 0 is 1 */

    /* The records that it is made in: of this op (NULL: any) where this holds (NULL: all). */
    const char *op;
    bool (*where)(const gn_record *record);
    unsigned passes; /* GN_SLIP_...; 0: all of them */
    bool inference;  /* in inference only */
    void (*forward)(const gn_slip *slip);
    void (*backward)(const gn_slip *slip);

    /* Instead of these two: element e of an input, or of the output, is taken from there. */
    size_t (*place)(const gn_slip *slip, gn_shape shape, size_t e);
    int side;                    /* the input, or GN_SLIP_OUTPUT */
    int (*side_of)(int variant); /* where it depends */

    /* What a record reads: slot i is input i, slot GN_MAX_IN + j output j, which backward reads. */
    gn_value (*reads)(const gn_tape *tape, int record, int slot, int variant);

    /* The update after the step. */
    const gn_update_slip *update;
    /* A tensor with this verdict is explained by it: a precision. */
    gn_verdict verdict;
    bool by_verdict;
    /* Results of an approximation that cannot be computed again: far more than float32 is off, but
     * nearly everywhere, and by less than this part of each. */
    double roughly;
    /* What the judge's bound does not know of, in units of 2^-24 of the tensor's root mean square:
     * numbers went through other ops than it looked at. */
    double loose;
} gn_mistake;

typedef struct gn_mistakes {
    const gn_mistake *at;
    size_t count;
} gn_mistakes;

extern const gn_mistakes gn_mistakes_conv, gn_mistakes_batch_norm, gn_mistakes_squeeze,
    gn_mistakes_residual, gn_mistakes_heads, gn_mistakes_loss, gn_mistakes_update,
    gn_mistakes_precision;

/* The whole catalogue, area after area; NULL beyond the last. */
const gn_mistake *gn_mistake_at(size_t index);
size_t gn_mistake_count(void);

/* Whether the mistake is made in this pass of the record, for the gradient of `input`. */
bool gn_mistake_hits(const gn_mistake *mistake, const gn_record *record, gn_pass pass, int input);
/* Runs the record's pass with the mistake. */
void gn_mistake_run(const gn_mistake *mistake, const gn_slip *slip);

/* --- For the areas ---------------------------------------------------------------------------- */

/* Parts of a call as numbers. */
const double *gn_slip_in(const gn_slip *slip, int input);
double *gn_slip_out(const gn_slip *slip, int output);
const double *gn_slip_dout(const gn_slip *slip);
double *gn_slip_din(const gn_slip *slip, int input); /* NULL: not asked for */
/* The sound row's pass with another call. */
void gn_slip_sound(const gn_slip *slip, const gn_call *call);
/* y = x, dx = dy, no gradient for other inputs: the op was left out. */
void gn_slip_left_out(const gn_slip *slip);

bool gn_record_is(const gn_record *record, const char *op);
bool gn_record_ends(const gn_record *record, const char *tail);
/* The output of a block: blocks.N. */
bool gn_record_is_block(const gn_record *record);

#endif
