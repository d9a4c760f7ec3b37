/* What the tests share: seeded inputs, comparisons that explain themselves, and running one op.
 *
 * Everything here fails the running Criterion test by itself, with a text that names the thing.
 * The random numbers are not the library's: a test must not be made of what it tests.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_CHECK_H
#define GN_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "gomokunet/op.h"

/* --- Numbers -------------------------------------------------------------------------------- */

/* Uniform in [low, high), a function of the seed alone. */
void seeded_fill(float *out, size_t count, uint64_t seed, float low, float high);

/* Steps of the last place between two floats; +0 and -0 are one step apart.  UINT32_MAX where
 * exactly one is NaN, 0 where both are. */
uint32_t ulp_distance(float a, float b);

/* --- Comparisons ---------------------------------------------------------------------------- */

/* Every bit, except that NaN equals NaN.  On failure: how many differ, and of the first the index,
 * both values in hex, and their distance. */
void same_bits(const char *name, const float *got, const float *want, size_t count);

/* |got - want| <= relative * |want| + absolute, each element; NaN and infinity fail. */
void close_to(const char *name, const double *got, const double *want, size_t count,
              double relative, double absolute);

/* --- One op --------------------------------------------------------------------------------- */

/* An op on arrays of its own, made by op_open.  Fill inputs by op_set or op_fill, or through the
 * pointers of `call`; change call.training, call.add, call.attr, or put NULL into a pointer that
 * is not wanted; then op_forward, op_backward.
 *
 * Outputs, gradients and workspace start as NaN, each array ends in a guard that is checked after
 * every run, and inputs are checked to be unchanged. */
typedef struct op_run {
    const gn_table *table;
    const gn_row *row;
    gn_call call;
    struct op_array {
        unsigned char *base;
        size_t bytes;
    } array[2 * GN_MAX_IN + GN_MAX_OUT + 1]; /* all that op_close frees */
    int arrays;
} op_run;

/* Looks the op up in the table, runs its shape function, allocates everything; 1 thread,
 * training, eps 1e-5.  Fails the test where any of it fails. */
op_run op_open(const gn_table *table, const char *op, int nin, const gn_shape *in);
void op_close(op_run *run);

/* The status of the op's shape function alone, for tests of errors. */
gn_status op_shape(const char *op, int nin, const gn_shape *in, gn_err *err);

/* Values into a tensor, converted to the table's type. */
void op_set(op_run *run, gn_tensor tensor, const float *values);
void op_fill(op_run *run, gn_tensor tensor, uint64_t seed, float low, float high);
/* Values out of a tensor; float from a float table only. */
void op_get(const op_run *run, gn_tensor tensor, double *values);
const float *op_floats(const op_run *run, gn_tensor tensor);
/* same_bits of a whole tensor of a float table. */
void op_expect(const op_run *run, const char *name, gn_tensor tensor, const float *want);

/* Run under a guard with call.threads threads and a workspace of exactly row->work(call) bytes. */
void op_forward(op_run *run);
void op_recompute(op_run *run);
void op_backward(op_run *run);

#endif
