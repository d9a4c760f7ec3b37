/* Checks that the library is right where it runs: the platform's arithmetic, and a tape's gradients.
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_CHECK_H
#define GOMOKUNET_CHECK_H

#include "gomokunet/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The platform ------------------------------------------------------------------------- */

/* Runs the start-up self-test: fma vectors, contraction, denormals, rounding mode, exp, log and
 * tanh spots.  GN_OK, or GN_E_PLATFORM with the first check that fails in err. */
gn_status gn_selftest(gn_err *err);

/* One check of the self-test: its name, and whether it holds here. */
typedef struct gn_check {
    const char *name;
    int passed;
} gn_check;

/* Fills at most `room` checks, returns how many there are. */
int gn_selftest_checks(gn_check *checks, int room);

/* --- Gradient check -------------------------------------------------------------------------- */

typedef struct gn_gradcheck {
    const gn_table *table; /* in: a float64 table; NULL: gn_double */
    size_t batch;       /* in: batch size */
    uint64_t seed;      /* in: for parameters and the choice of elements */
    size_t per_tensor;  /* in: elements tried in each parameter (0: all) */
    double step;        /* in: half the distance of the two points, about 1e-5 */
    double tolerance;   /* in: of the error relative to max(|gradient|, 1e-3 of the largest) */
    /* in: fills an input; called for every input of the tape. */
    void (*fill)(void *user, const gn_tape *tape, gn_value input, double *data, size_t count);
    void *user;
    size_t tried, skipped, failed; /* out; skipped: a rectifier changed sign between the points */
    double worst;                  /* out: the largest relative error */
    char where[160];               /* out: parameter[index] of the worst */
} gn_gradcheck;

/* Compares the gradients of the tape's loss with central finite differences.  GN_OK also where
 * elements fail: read `failed`.  GN_E_CONFIG: no loss, or a table of float32; GN_E_NOMEM. */
gn_status gn_gradcheck_run(const gn_tape *tape, gn_gradcheck *check, gn_err *err);

#ifdef __cplusplus
}
#endif
#endif
