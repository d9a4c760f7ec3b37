/* The split of games into those to train on and those to test with.
 *
 * It goes by game, since the positions of one game are nearly copies of each other.  A game's side
 * is drawn by what the game is, not by where it stands in the list: so copies, turned or not, fall
 * on the same side, and games added later move no game to the other side.
 * SPDX-License-Identifier: MIT */
#include "base/streams.h"
#include "data/hash.h"
#include "data/record.h"
#include "gomokunet/data.h"
#include "gomokunet/numeric.h"

static uint64_t hash_under(const gn_game *game, const uint16_t *moves, int symmetry)
{
    uint64_t hash = gn_hash_begin(game->size);
    for (int i = 0; i < game->count; i++)
        hash = gn_hash_move(hash, gn_symmetry_cell(symmetry, moves[i], game->size));
    return hash;
}

uint64_t gn_hash_game(const gn_game *game, const uint16_t *moves)
{
    uint64_t least = UINT64_MAX;
    for (int symmetry = 0; symmetry < 8; symmetry++) {
        const uint64_t hash = hash_under(game, moves + game->first, symmetry);
        if (hash < least)
            least = hash;
    }
    return least;
}

void gn_split(const gn_games *games, uint64_t seed, double fraction, uint8_t *use)
{
    const double limit = fraction * 4294967296.0; /* exact: a power of two */
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *game = &games->game[i];
        const uint64_t hash = gn_hash_game(game, games->moves);
        const uint32_t draw = gn_random_u32(seed, gn_stream(GN_STREAM_SPLIT, 0), hash);
        use[i] = (double)draw < limit;
    }
    use += games->count;
    for (size_t i = 0; i < games->sample_sets; i++)
        for (size_t k = 0; k < games->samples[i].count; k++)
            *use++ = (double)gn_random_u32(seed, gn_stream(GN_STREAM_SPLIT, 0),
                                           gn_sample_name(&games->samples[i], k)) < limit;
}
