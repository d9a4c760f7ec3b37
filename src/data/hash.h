/* The hash of a sequence of moves: FNV-1a, 64 bits, over the board size and the cells, low byte
 * first.  Part of the contract, since the split is drawn by it.  SPDX-License-Identifier: MIT */
#ifndef GN_DATA_HASH_H
#define GN_DATA_HASH_H

#include "gomokunet/data.h"

static inline uint64_t gn_hash_byte(uint64_t hash, unsigned byte)
{
    return (hash ^ byte) * 0x100000001b3u;
}

static inline uint64_t gn_hash_begin(int size)
{
    return gn_hash_byte(0xcbf29ce484222325u, (unsigned)size);
}

static inline uint64_t gn_hash_move(uint64_t hash, int cell)
{
    return gn_hash_byte(gn_hash_byte(hash, (unsigned)cell & 255), (unsigned)cell >> 8);
}

/* One hash for a game and its seven images: the least of the eight.  moves: of the whole list. */
uint64_t gn_hash_game(const gn_game *game, const uint16_t *moves);

#endif
