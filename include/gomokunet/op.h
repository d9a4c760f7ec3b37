/* Operations: what an op means (gn_op), who computes it (gn_row), and a set of rows (gn_table).
 *
 * The plain float table is the specification as code, the double table the truth for gradcheck and
 * error bounds, the fast table replaces some rows with twins of the same bits; a port is one more
 * table.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_OP_H
#define GOMOKUNET_OP_H

#include <stdint.h>

#include "gomokunet/status.h"
#include "gomokunet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GN_MAX_IN = 8, GN_MAX_OUT = 7 };

/* A recompute is a forward whose pinned outputs (batch statistics) are there already: it reads them
 * instead of computing them again. */
typedef enum gn_pass { GN_FORWARD, GN_RECOMPUTE, GN_BACKWARD } gn_pass;

typedef struct gn_attr {
    double eps; /* batch_norm */
} gn_attr;

struct gn_op;

/* Everything one run of one op sees.  A tensor whose data is NULL is not there: an optional input,
 * a value that backward does not read, a gradient that nobody wants. */
typedef struct gn_call {
    const struct gn_op *op;
    gn_attr attr;
    int nin, nout;
    gn_tensor in[GN_MAX_IN], out[GN_MAX_OUT];
    gn_tensor dout;           /* gradient of out[0]; backward only */
    gn_tensor din[GN_MAX_IN]; /* gradients of the inputs; backward only */
    uint32_t add;             /* bit i: din[i] holds a sum already, add to it; else store */
    gn_pass pass;
    bool training;            /* batch statistics, else running ones */
    int threads;              /* the size of the team, for workspace */
    void *work;               /* row->work(call) bytes, 64-byte aligned, contents undefined */
    const void *kept;         /* what row->keep made of the parameters as they are; NULL: nothing */
} gn_call;

#define GN_IN(i) (1u << (i))
#define GN_OUT(j) (1u << (16 + (j)))

/* One op of a span, consecutive records that a single row computes.  from[i]: the part of the span
 * whose first output is its input i; GN_OUTSIDE: a value from before the span, as all inputs after
 * the second are. */
#define GN_OUTSIDE (-1)
typedef struct gn_part {
    const char *op;
    int from[2];
} gn_part;

/* What an op means, whoever computes it. */
typedef struct gn_op {
    const char *name;
    int min_in, max_in, nout;
    uint32_t reads;    /* GN_IN(i) | GN_OUT(j): what backward reads; the only source for saving */
    uint32_t pinned;   /* GN_OUT(j): small outputs that are never dropped */
    uint32_t constant; /* GN_IN(i): inputs that get no gradient */
    /* Checks the inputs' shapes and fills the outputs'.  GN_E_SHAPE says what was expected. */
    gn_status (*shape)(gn_call *call, gn_err *err);
    /* Terms of the longest sum in this pass: the K of the error bound gamma_K.  NULL: a span, whose
     * parts have theirs. */
    size_t (*terms)(const gn_call *call);
    /* A span: its parts; bit k: the first output of part k is pinned; and GN_IN(i): inputs that no
     * later record may read, so that their gradient is stored here and its memory may hold something
     * else until then.  Its inputs are what the parts read from outside, in order; its outputs the
     * last part's, then all that are pinned. */
    const gn_part *part;
    int parts;
    uint32_t kept, last;
} gn_op;

/* Who computes it.  Rows are found by the op's name. */
typedef struct gn_row {
    const gn_op *op;
    void (*forward)(const gn_call *call); /* GN_FORWARD and GN_RECOMPUTE */
    void (*backward)(const gn_call *call);
    size_t (*work)(const gn_call *call);  /* bytes of workspace; NULL: none */
    uint32_t forward_in_place;  /* GN_IN(i): out[0] may lie where in[i] lies */
    uint32_t backward_in_place; /* GN_IN(i): din[i] may lie where dout lies */
    /* What forward makes of parameters alone, say their panels: the bytes of it, and where `to` is
     * not NULL, it.  NULL: forward makes nothing of them. */
    size_t (*keep)(const gn_call *call, void *to);
} gn_row;

/* AdamW's coefficients of one step, in double: decay = 1 - lr*wd, rest = 1 - beta,
 * correction2 = sqrt(1 - beta2^t), rate = lr / (1 - beta1^t). */
typedef struct gn_adamw {
    double beta1, beta2, eps, decay, rest1, rest2, correction2, rate;
} gn_adamw;

/* What a training step does after backward; formulas in src/ops/update.c. */
typedef struct gn_update {
    /* The contract's sum of squares of a tensor; work: one element for each 4096. */
    double (*sum_squares)(const void *gradient, size_t count, void *work);
    /* Merges the tensors' sums (destroyed); returns the factor that clips to max_norm (0: 1). */
    double (*clip)(double *sums, size_t count, double max_norm, double *norm);
    /* to = (to + from) * scale: gradients of micro-batches. */
    void (*add)(void *to, const void *from, size_t count, double scale);
    void (*adamw)(void *param, void *first, void *second, const void *gradient, size_t count,
                  double coef, const gn_adamw *adamw);
    void (*sgd)(void *param, void *velocity, const void *gradient, size_t count, double coef,
                double rate, double momentum, double decay, bool nesterov);
    /* count: the squares that the statistics were taken over. */
    void (*running)(void *running_mean, void *running_var, const void *mean, const void *m2,
                    size_t channels, size_t count, double momentum);
} gn_update;

typedef struct gn_table {
    const char *name; /* "plain", "double", "avx2", ... */
    size_t elem;      /* bytes of an element: 4 or 8 */
    const gn_row *const *row;
    size_t count;
    const struct gn_table *under; /* asked for what this table lacks; NULL: none */
    const gn_update *update;
} gn_table;

/* The row for an op's name in a table or those under it; NULL where there is none. */
const gn_row *gn_table_find(const gn_table *table, const char *name);

/* The update of a table or of those under it; NULL where there is none. */
const gn_update *gn_table_update(const gn_table *table);

/* --- The tables of this library ------------------------------------------------------------ */

extern const gn_table gn_plain;  /* float32: the specification as code */
extern const gn_table gn_double; /* float64: the truth */

/* The float32 tables that this processor runs, all of the same bits: the fastest is number 0,
 * gn_plain the last, then NULL. */
const gn_table *gn_table_float(size_t index);
/* Number 0. */
const gn_table *gn_table_fast(void);
/* "plain", "double", "fast", or an instruction set ("avx2", ...); NULL: unknown or not runnable. */
const gn_table *gn_table_named(const char *name);

#ifdef __cplusplus
}
#endif
#endif
