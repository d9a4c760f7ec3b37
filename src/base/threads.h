/* How many threads there are and which one this is, with or without OpenMP.
 * SPDX-License-Identifier: MIT */
#ifndef GN_BASE_THREADS_H
#define GN_BASE_THREADS_H

#ifdef _OPENMP
#include <omp.h>
#else /* one thread, and nothing to set */
#define omp_get_max_threads() 1
#define omp_get_num_threads() 1
#define omp_get_thread_num() 0
#define omp_get_dynamic() 0
#define omp_set_num_threads(threads) ((void)(threads))
#define omp_set_dynamic(dynamic) ((void)(dynamic))
#endif

/* The size of the team that the next parallel region gets: inside a guard the guard's. */
static inline int gn_threads_available(void)
{
    return omp_get_max_threads();
}

/* This thread's number in its team, from 0: the index of its workspace, never of its work. */
static inline int gn_thread_index(void)
{
    return omp_get_thread_num();
}

#endif
