/* The fast table freed of the contract's order, for the benchmark of what the order costs.
 *
 * The same source as the library's, compiled with all that a compiler may do where the order of a
 * sum is free (-Ofast -march=native: sums and reductions split over lanes and accumulators, no care
 * for NaN, signed zeros or denormals), and with the tree over the images replaced by one running
 * sum, which saves its merges.  Nothing else uses this table: its bits are nobody's.
 * SPDX-License-Identifier: MIT */
#include "kernels/vec.h"

#define tree_join ordered_join
#define tree_drain __attribute__((unused)) ordered_drain
#include "kernels/tile.h"
#undef tree_join
#undef tree_drain

/* The sum of the leaves so far: in `cold` behind the last leaf of a group of 1 << HOT_LEVELS, since
 * `hot` lives no longer than the group; before that in `hot`, since `cold` is there for large
 * batches only. */
static inline float *running_sum(const tree *t, size_t n)
{
    return (n + 1) % (1 << HOT_LEVELS) == 0 ? t->cold : t->hot;
}

static inline void tree_join(const tree *t, tile *leaf, size_t n)
{
    if (n > 0)
        tile_merge(leaf, running_sum(t, n - 1));
    tile_store(running_sum(t, n), leaf);
}

static inline void tree_drain(const tree *t, tile *acc, size_t n)
{
    tile_load(acc, running_sum(t, n - 1));
}

#include "kernels/fast.c"
