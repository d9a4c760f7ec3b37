/* Streams: which random numbers are drawn for what, in one place.
 *
 * A random number is a function of (seed, stream, index); two uses that shared a stream would be
 * correlated.  A stream is a kind and a number within the kind, so that a new use is one line here.
 * The values are part of the numeric contract: changing one changes every run's bits.
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_BASE_STREAMS_H
#define GOMOKUNET_BASE_STREAMS_H

#include <stdint.h>

typedef enum gn_stream_kind {
    GN_STREAM_INIT = 1,     /* number: the tensor, in state-dict order; index: the element */
    GN_STREAM_ORDER = 2,    /* number: the epoch; index: the place in the permutation */
    GN_STREAM_SYMMETRY = 3, /* number: the step; index: the slot in the batch */
    GN_STREAM_SPLIT = 4,    /* number: 0; index: the hash of the game */
    GN_STREAM_PLAYER = 5,   /* number: the game; index: the draw */
    GN_STREAM_PROBE = 6     /* number: free; inputs of tests, gradcheck and golden files */
} gn_stream_kind;

/* The kind in the upper 16 bits, the low 48 bits of the number below it. */
static inline uint64_t gn_stream(gn_stream_kind kind, uint64_t number)
{
    return (uint64_t)kind << 48 | (number & 0xffffffffffffu);
}

#endif
