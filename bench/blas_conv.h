/* The usual way to convolve: a copy of the image's neighbourhoods (im2col), and a matrix product of
 * OpenBLAS.  SPDX-License-Identifier: MIT */
#ifndef BENCH_BLAS_CONV_H
#define BENCH_BLAS_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "free_conv.h"

bool blas_here(void);          /* false: built without OpenBLAS, and nothing below may be called */
const char *blas_name(void);

/* The products alone, all images in one, on matrices that blas_prepare has made; all threads.
 * `work` has blas_work() floats. */
size_t blas_work(const free_conv *c);
void blas_prepare(const free_conv *c);
void blas_forward(const free_conv *c);
void blas_weight_gradient(const free_conv *c);

/* All of it from x, weight and dy, into y or dweight: an image a thread, which copies it and calls
 * a product of one thread, so that the copy is still in its caches. */
void blas_whole_forward(const free_conv *c);
void blas_whole_weight_gradient(const free_conv *c);

#endif
