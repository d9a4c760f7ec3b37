/* Arena: places tensors in one stretch of memory and knows its high-water mark.
 *
 * The arena only deals in offsets.  Without memory behind it, it measures: the engine runs a plan
 * over an arena of offsets to predict the peak, and over one with memory to compute, by the same
 * code, so the two agree to the byte.  SPDX-License-Identifier: MIT */
#ifndef GN_BASE_ARENA_H
#define GN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gn_hole {
    size_t offset, bytes;
} gn_hole;

typedef struct gn_arena {
    gn_hole *hole; /* free stretches below `end`, by offset, never touching */
    size_t holes, room;
    size_t end;    /* the first byte above everything in use */
    size_t live;   /* bytes in use */
    size_t peak;   /* the largest `end` so far: the extent, holes included */
} gn_arena;

#define GN_ARENA_FULL ((size_t)-1)

/* Zero-initialise; release with gn_arena_free. */
void gn_arena_free(gn_arena *arena);
/* Empties it; the peak stays. */
void gn_arena_clear(gn_arena *arena);

/* The offset of `bytes` (rounded up to 64), in the smallest hole that fits, else at the end.
 * GN_ARENA_FULL: no memory for the list of holes. */
size_t gn_arena_take(gn_arena *arena, size_t bytes);
/* Gives back what was taken with the same two numbers.  false: no memory for the list of holes. */
bool gn_arena_give(gn_arena *arena, size_t offset, size_t bytes);

#endif
