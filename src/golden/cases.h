/* Cases: single ops on given numbers, for those who have one op and no network yet.
 *
 * T0: small integers, exact in any order and in any format with 8 bits.  T1: probes of the order of
 * a sum, see probe.h.  T2: ordinary numbers; what they give is the contract's.  edge: signed zeros,
 * huge and tiny numbers.  denormal, nonfinite: apart, since many machines flush the ones and many
 * ports never meet the others.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_CASES_H
#define GN_GOLDEN_CASES_H

#include "gomokunet/op.h"

typedef struct gn_case gn_case;

/* Fills a tensor of a case, in our layout: input `index`, or GN_CASE_DOUT, the number after the
 * inputs of every op that has cases.  Its values depend on it, so it stays. */
enum { GN_CASE_DOUT = 5 };
typedef void (*gn_case_fill)(float *to, const gn_case *c, int index, gn_shape shape);

struct gn_case {
    const char *name, *op; /* "T0/conv2d_3x3", "conv2d" */
    gn_case_fill fill;
    bool inference; /* no statistics, no gradients */
    uint32_t parts; /* GN_OUT(0), GN_IN(i) for gradients: what is in the file; 0: everything */
    int nin;
    gn_shape in[GN_MAX_IN];
};

size_t gn_cases(void);
const gn_case *gn_case_at(size_t index);

/* --- Running one ------------------------------------------------------------------------------ */

typedef struct gn_case_run {
    const gn_case *c;
    const gn_table *table;
    const gn_row *row; /* NULL: an update */
    gn_call call;      /* every tensor has its memory, filled: 0 but for what `fill` gives */
} gn_case_run;

/* GN_E_NOMEM; GN_E_SHAPE and GN_E_CONFIG: the case is no case of that op.  Release in any case. */
gn_status gn_case_open(gn_case_run *out, const gn_case *c, const gn_table *table, gn_err *err);
void gn_case_close(gn_case_run *run);
gn_status gn_case_pass(gn_case_run *run, gn_pass pass, gn_err *err);

/* --- Its tensors, as they are named in a file ------------------------------------------------- */

typedef enum gn_role { GN_ROLE_GIVEN, GN_ROLE_OUTPUT, GN_ROLE_GRADIENT } gn_role;

typedef struct gn_case_tensor {
    char name[96]; /* "case/T0/conv2d_3x3/dweight" */
    gn_role role;
    int index; /* input (GN_CASE_DOUT for dy), output, input whose gradient it is */
    gn_tensor at;
    bool map; /* [N,H,W,C] here, [N,C,H,W] in a file */
} gn_case_tensor;

enum { GN_CASE_TENSORS = 2 * GN_MAX_IN + GN_MAX_OUT + 1 };
/* Given ones first, then outputs, then gradients; returns their number. */
int gn_case_tensors(const gn_case_run *run, gn_case_tensor list[GN_CASE_TENSORS]);

/* What stands in the file at element `e` of our layout. */
size_t gn_case_place(const gn_case_tensor *t, size_t e);
gn_shape gn_case_file_shape(const gn_case_tensor *t);

#endif
