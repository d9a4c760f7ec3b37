/* The gates of a verdict, and the arithmetic on doubles that all who judge share.
 *
 * A tensor's root mean square error may be RMS_GATE times, its largest MAX_GATE times what float32
 * itself does on the same data; a channel of fewer than FEW elements is judged with the tensor; fewer
 * than NUMBERS may be the result of several formats, by chance.
 * Measured by `make rates`; docs/golden.md.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_GATES_H
#define GN_GOLDEN_GATES_H

#include <stdbool.h>

enum { RMS_GATE = 4, MAX_GATE = 12, FEW = 32, NUMBERS = 4 };

static inline double root(double x) { return __builtin_sqrt(x); }
static inline double size_of(double x) { return x < 0 ? -x : x; }
static inline double larger(double a, double b) { return a > b ? a : b; }
/* A number minus itself is 0, but for NaN and infinities. */
static inline bool finite(double x) { return x - x == 0; }

#endif
