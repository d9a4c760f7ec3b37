/* How far one record of a float run may be from the truth: the record computed again by the double
 * table, from the float run's own inputs, and an error bound for every element of it.
 *
 * A bound is (K + 4) u S: u = 2^-24, K the terms of the longest sum (gn_op.terms), and S the sum
 * of the absolute values of the terms, for sums of products the same op on absolute values.  The
 * other ops' S are derived in bounds.c.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_BOUNDS_H
#define GN_TESTS_BOUNDS_H

#include "gomokunet/program.h"

enum { BOUNDS_VALUES = 512 }; /* the most values that a tape may have here */

/* By value number; all arrays have a value's elements. */
typedef struct numbers {
    double **data, **grad;
} numbers;

typedef struct bounds {
    const gn_program *program; /* bound to the double table */
    numbers truth;             /* data: the float run's values, of inputs and outputs alike */
    numbers absolute;          /* the same without signs */
    numbers want, scale;       /* out: the truth of this record, and S */
    void *work;                /* enough for any record */
} bounds;

/* Room for every value of the program; all of it is NaN. */
numbers numbers_make(const gn_program *program);
void numbers_free(numbers *n, const gn_program *program);

/* The record forward: want.data and scale.data of its outputs.  The normalised output of a batch
 * norm is taken from the float run's own statistics, so that each is judged by itself. */
void bounds_forward(const bounds *b, int record);
/* The record backward from truth.grad of its output: want.grad and scale.grad of those inputs
 * that have a gradient; this record's contribution alone. */
void bounds_backward(const bounds *b, int record);

/* K + 4 of the record's output j, or of any gradient where the pass is GN_BACKWARD. */
double bounds_terms(const bounds *b, int record, gn_pass pass, int j);

#endif
