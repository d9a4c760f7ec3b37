/* What collections share: positions, by a sorted list of the hashes of all prefixes of games, and
 * whole games, by the hash of the longest.
 *
 * A prefix and its seven images have the least of their eight hashes in common.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "data/hash.h"
#include "gomokunet/data.h"

/* Eight running hashes, one a symmetry; after k moves, the least of them names the position. */
typedef struct prefix {
    uint64_t hash[8];
} prefix;

static prefix prefix_begin(int size)
{
    prefix p;
    for (int s = 0; s < 8; s++)
        p.hash[s] = gn_hash_begin(size);
    return p;
}

static void prefix_move(prefix *p, int cell, int size)
{
    for (int s = 0; s < 8; s++)
        p->hash[s] = gn_hash_move(p->hash[s], gn_symmetry_cell(s, cell, size));
}

static uint64_t prefix_name(const prefix *p)
{
    uint64_t least = p->hash[0];
    for (int s = 1; s < 8; s++)
        least = p->hash[s] < least ? p->hash[s] : least;
    return least;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The name of every position of every game; *count of them, sorted.  NULL: no memory. */
static uint64_t *all_names(const gn_games *games, size_t *count)
{
    uint64_t *names = malloc((games->move_count + games->count + 1) * sizeof *names);
    *count = 0;
    for (size_t i = 0; i < games->count && names != NULL; i++) {
        const gn_game *g = &games->game[i];
        prefix p = prefix_begin(g->size);
        for (int ply = 0; ply < g->count; ply++) {
            names[(*count)++] = prefix_name(&p);
            prefix_move(&p, games->moves[g->first + (size_t)ply], g->size);
        }
    }
    if (names != NULL)
        qsort(names, *count, sizeof *names, by_value);
    return names;
}

gn_status gn_dataset_remove_seen(gn_dataset *dataset, const gn_games *seen, gn_err *err)
{
    size_t count, kept = 0;
    uint64_t *names = all_names(seen, &count);
    if (names == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for the positions of %zu games", seen->count);
    for (size_t i = 0; i < dataset->count; i++) {
        const gn_position at = dataset->position[i];
        const gn_game *g = &dataset->games->game[at.game];
        prefix p = prefix_begin(g->size);
        for (int ply = 0; ply < at.ply; ply++)
            prefix_move(&p, dataset->games->moves[g->first + (size_t)ply], g->size);
        const uint64_t name = prefix_name(&p);
        if (bsearch(&name, names, count, sizeof *names, by_value) == NULL)
            dataset->position[kept++] = at;
    }
    dataset->count = kept;
    free(names);
    return GN_OK;
}

/* --- Whole games ------------------------------------------------------------------------------ */

/* The name of every game, in their order. */
static uint64_t *game_names(const gn_games *games, gn_err *err)
{
    uint64_t *names = malloc((games->count + 1) * sizeof *names);
    for (size_t i = 0; i < games->count && names != NULL; i++) {
        const gn_game *g = &games->game[i];
        prefix p = prefix_begin(g->size);
        for (int ply = 0; ply < g->count; ply++)
            prefix_move(&p, games->moves[g->first + (size_t)ply], g->size);
        names[i] = prefix_name(&p);
    }
    if (names == NULL)
        gn_fail(err, GN_E_NOMEM, "no memory for the names of %zu games", games->count);
    else
        qsort(names, games->count, sizeof *names, by_value);
    return names;
}

gn_status gn_games_duplicates(size_t *out, const gn_games *games, gn_err *err)
{
    uint64_t *names = game_names(games, err);
    *out = 0;
    for (size_t i = 1; i < games->count && names != NULL; i++)
        *out += names[i] == names[i - 1];
    free(names);
    return names == NULL ? GN_E_NOMEM : GN_OK;
}

gn_status gn_games_shared(size_t *out, const gn_games *games, const gn_games *others, gn_err *err)
{
    uint64_t *ours = game_names(games, err), *theirs = game_names(others, err);
    const bool good = ours != NULL && theirs != NULL;
    *out = 0;
    for (size_t i = 0; i < games->count && good; i++)
        *out += bsearch(&ours[i], theirs, others->count, sizeof *theirs, by_value) != NULL;
    free(ours);
    free(theirs);
    return good ? GN_OK : GN_E_NOMEM;
}
