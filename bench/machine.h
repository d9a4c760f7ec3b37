/* The machine's clock, its peak of fused multiply-adds and its memory: what the benchmarks in C
 * hold their times against.  SPDX-License-Identifier: MIT */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

/* Seconds; with one thread processor time, so that others on the machine do not count. */
double machine_now(void);

/* GFLOP/s of fused multiply-adds of all threads together, the best of several tries. */
double machine_peak(void);

/* GB/s of memory, reads and writes: a[i] += k b[i] over arrays that no cache holds. */
double machine_bandwidth(void);

#endif
