/* The floating-point guard: the state of every thread that computes, set on the way into a public
 * call and restored on the way out.
 *
 * A host may have changed the rounding mode, and any library built with -Ofast switches denormals
 * off for the threads it is loaded in, or that are created later.  Either changes bits.  So every
 * public function that computes does
 *
 *     gn_guard guard = gn_guard_enter(threads);
 *     ...
 *     gn_guard_leave(&guard);
 *
 * and the ops below it carry a bare `#pragma omp parallel for`.  The host's thread count, modes
 * and exception flags are back afterwards.  Guards nest.  Costs two empty parallel regions.
 * SPDX-License-Identifier: MIT */
#ifndef GN_BASE_GUARD_H
#define GN_BASE_GUARD_H

#include <stdint.h>

enum { GN_GUARD_THREADS = 256 }; /* the largest team */

typedef struct gn_guard {
    int threads;                        /* the host's thread count and dynamic setting */
    int dynamic;
    int team;                           /* how many entries of control are in use */
    uint64_t control[GN_GUARD_THREADS]; /* each thread's control register before */
} gn_guard;

/* Sets the team to `threads` (0: as many as the host allows; at most GN_GUARD_THREADS), and in
 * each of its threads: round to nearest even, denormals kept, no traps.
 * Enter and leave on the same thread. */
gn_guard gn_guard_enter(int threads);

/* Restores what enter found. */
void gn_guard_leave(const gn_guard *guard);

#endif
