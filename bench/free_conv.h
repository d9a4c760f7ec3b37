/* Convolutions by an author who is free of the contract's order.  SPDX-License-Identifier: MIT */
#ifndef BENCH_FREE_CONV_H
#define BENCH_FREE_CONV_H

#include <stddef.h>

/* y [N,H,W,O] and dweight [O,C,K,K] of x [N,H,W,C]; K odd. */
typedef struct free_conv {
    float *y, *dweight;
    const float *x, *weight, *dy;
    size_t N, H, W, C, O, K;
    int threads;
    float *work; /* free_conv_work() floats */
} free_conv;

size_t free_conv_work(const free_conv *c);
void free_conv_forward(const free_conv *c);
void free_conv_weight_gradient(const free_conv *c);

#endif
