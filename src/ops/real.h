/* The type that the plain ops are written for.
 *
 * ops/plain.c is compiled twice: for float32, where fma rounds once and exp, log, tanh are
 * correctly rounded, and with -DGN_DOUBLE for float64, where there is no fma (so that its results
 * too are the same bits everywhere).  SPDX-License-Identifier: MIT */
#ifndef GN_OPS_REAL_H
#define GN_OPS_REAL_H

#include <assert.h>
#include <string.h>

#include "base/fma.h"
#include "base/threads.h"
#include "gomokunet/numeric.h"
#include "gomokunet/op.h"

#ifdef GN_DOUBLE
typedef double real;
#define fma_real(a, b, c) ((a) * (b) + (c))
#define exp_real gn_exp
#define log_real gn_log
#define tanh_real gn_tanh
#define sqrt_real __builtin_sqrt
#else
typedef float real;
#define fma_real gn_fmaf_inline
#define exp_real gn_expf
#define log_real gn_logf
#define tanh_real gn_tanhf
#define sqrt_real __builtin_sqrtf
#endif

/* The first contribution to a gradient is stored, later ones are added in reverse tape order. */
static inline real accumulate(real old, real value, bool add)
{
    return add ? old + value : value;
}

static inline bool adds(const gn_call *c, int input)
{
    return (c->add >> input & 1) != 0;
}

/* The batch tree of the contract, one column of it: leaves i * stride, split at the largest power
 * of two below the count.  The sum ends in leaf 0. */
static inline real tree_sum(real *leaf, size_t count, size_t stride)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t i = 0; i + step < count; i += 2 * step)
            leaf[i * stride] += leaf[(i + step) * stride];
    return leaf[0];
}

/* For ops that work on each element by itself. */
static inline size_t one_term(const gn_call *c)
{
    (void)c;
    return 1;
}

static inline gn_status same_shape(gn_call *c, gn_err *err)
{
    (void)err;
    c->out[0].shape = c->in[0].shape;
    return GN_OK;
}

/* The op and the row of a function of each element, whose backward reads its output only; both can
 * run in place. */
#define ELEMENTWISE(function)                                                                     \
    static const gn_op function##_op = {                                                          \
        .name = #function, .min_in = 1, .max_in = 1, .nout = 1, .reads = GN_OUT(0),               \
        .shape = same_shape, .terms = one_term};                                                  \
    static const gn_row function##_row = {                                                        \
        .op = &function##_op, .forward = function##_forward, .backward = function##_backward,     \
        .forward_in_place = GN_IN(0), .backward_in_place = GN_IN(0)}

/* Refuses the inputs' shapes: "OP: NAME [..] and NAME [..]; expected ...".  A name each. */
gn_status gn_refuse_shapes(const gn_call *c, const char *const *name, const char *expected,
                           gn_err *err);

static inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* A map seen as N images of HW squares of C channels; a vector is an image of one square. */
typedef struct map_size {
    size_t N, HW, C;
} map_size;

static inline map_size map_of(gn_shape s)
{
    return (map_size){s.dim[0], s.rank == 4 ? s.dim[1] * s.dim[2] : 1, s.dim[s.rank - 1]};
}

#endif
