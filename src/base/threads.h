/* How many threads there are and which one this is, with or without OpenMP.
 * SPDX-License-Identifier: MIT */
#ifndef GN_BASE_THREADS_H
#define GN_BASE_THREADS_H

#ifdef _OPENMP
#include <omp.h>
#endif

/* The size of the team that the next parallel region gets: inside a guard the guard's. */
static inline int gn_threads_available(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

/* This thread's number in its team, from 0: the index of its workspace, never of its work. */
static inline int gn_thread_index(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

#endif
