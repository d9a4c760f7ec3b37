/* Games that are the same up to symmetry: on the same board the same moves in the same order.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "data/hash.h"
#include "gomokunet/data.h"

typedef struct named {
    uint64_t hash;
    uint32_t game;
} named;

/* By hash, equal ones by number: then the first of equal ones is the earliest. */
static int by_hash(const void *a, const void *b)
{
    const named *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->game > y->game) - (x->game < y->game);
}

gn_status gn_games_match(const gn_games *games, const gn_games *in, uint32_t *match, gn_err *err)
{
    named *list = malloc((in->count + 1) * sizeof *list);
    if (list == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory to compare %zu games", in->count);
    for (size_t i = 0; i < in->count; i++)
        list[i] = (named){gn_hash_game(&in->game[i], in->moves), (uint32_t)i};
    qsort(list, in->count, sizeof *list, by_hash);
    for (size_t i = 0; i < games->count; i++) {
        const uint64_t hash = gn_hash_game(&games->game[i], games->moves);
        size_t low = 0, high = in->count;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (list[middle].hash < hash)
                low = middle + 1;
            else
                high = middle;
        }
        match[i] = low < in->count && list[low].hash == hash ? list[low].game : UINT32_MAX;
    }
    free(list);
    return GN_OK;
}
