/* Tensor: a shape and a pointer.  It owns nothing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_TENSOR_H
#define GOMOKUNET_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GN_MAX_RANK = 4 };

/* Squares a side, and the planes that a position is told in: facts that games and network share. */
enum { GN_MIN_BOARD = 5, GN_MAX_BOARD = 25, GN_PLANES = 5 };

/* Stands for the batch size in a shape that is not bound yet. */
#define GN_BATCH ((size_t)0)

/* Row major, the last dimension contiguous.  Maps are [N, H, W, C], vectors [N, C], convolution
 * weights keep PyTorch's [O, C, K, K].  Rank 0 is a scalar with one element. */
typedef struct gn_shape {
    size_t dim[GN_MAX_RANK];
    int rank;
} gn_shape;

/* A shape and where its elements are; their type is the table's (float or double). */
typedef struct gn_tensor {
    void *data;
    gn_shape shape;
} gn_tensor;

/* Shapes of one to four dimensions, written as a call: gn_shape_of(4, n, h, w, c); unused trailing
 * arguments are ignored. */
gn_shape gn_shape_of(int rank, size_t d0, size_t d1, size_t d2, size_t d3);

/* The number of elements; GN_BATCH counts as 0. */
size_t gn_shape_count(gn_shape shape);

bool gn_shape_equal(gn_shape a, gn_shape b);

/* The same shape with every GN_BATCH in the first dimension replaced by `batch`. */
gn_shape gn_shape_bind(gn_shape shape, size_t batch);

/* "[N,15,15,64]" into text; returns text. */
const char *gn_shape_text(gn_shape shape, char *text, size_t room);

#ifdef __cplusplus
}
#endif
#endif
