/* Positions: what the network sees of a game, under one of the eight symmetries of the board.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "data/record.h"

int gn_symmetry_cell(int symmetry, int cell, int size)
{
    const int x = cell % size, y = cell / size, end = size - 1;
    int tx = x, ty = y;
    assert(symmetry >= 0 && symmetry < 8);
    switch (symmetry) {
    case 0: break;
    case 1: ty = x; tx = end - y; break;
    case 2: ty = end - y; tx = end - x; break;
    case 3: ty = end - x; tx = y; break;
    case 4: tx = end - x; break;
    case 5: ty = end - y; break;
    case 6: ty = x; tx = y; break;
    case 7: ty = end - x; tx = end - y; break;
    default: break;
    }
    return ty * size + tx;
}

int gn_symmetry_inverse(int symmetry)
{
    return symmetry == 1 ? 3 : symmetry == 3 ? 1 : symmetry; /* the others are involutions */
}

void gn_position_write(const gn_games *games, size_t game, int ply, int symmetry, float *planes,
                       float *policy, float *value)
{
    if (game >= games->count) {
        assert(game - games->count < games->sample_sets);
        gn_samples_write(&games->samples[game - games->count], (size_t)ply, symmetry, planes,
                         policy, value);
        return;
    }
    assert(ply >= 0 && ply <= games->game[game].count);
    enum { OWN, OPPONENT, LAST, ONES };
    const gn_game *g = &games->game[game];
    const uint16_t *moves = games->moves + g->first;
    const int size = g->size, cells = size * size;

    memset(planes, 0, (size_t)cells * GN_PLANES * sizeof *planes);
    for (int cell = 0; cell < cells; cell++)
        planes[cell * GN_PLANES + ONES] = 1.0f;
    for (int i = 0; i < ply; i++) {
        const int cell = gn_symmetry_cell(symmetry, moves[i], size);
        const int side = (ply - i) % 2 == 0 ? OWN : OPPONENT;
        planes[cell * GN_PLANES + side] = 1.0f;
        if (i == ply - 1)
            planes[cell * GN_PLANES + LAST] = 1.0f;
    }

    memset(policy, 0, (size_t)cells * sizeof *policy);
    if (ply >= g->opening && ply < g->count)
        policy[gn_symmetry_cell(symmetry, moves[ply], size)] = 1.0f;

    if (g->result == GN_UNKNOWN)
        *value = NAN;
    else if (g->result == GN_DRAW)
        *value = 0.0f; /* never -0: the target's bits are part of the contract */
    else
        *value = (g->result == GN_WIN) == (ply % 2 == 0) ? 1.0f : -1.0f;
}
