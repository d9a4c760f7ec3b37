/* The rules of the game, for the other files of this folder.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DATA_GAME_H
#define GOMOKUNET_DATA_GAME_H

#include "gomokunet/data.h"

enum { GN_MAX_CELLS = GN_MAX_BOARD * GN_MAX_BOARD };

/* Gomocup ends a game after this many plies. */
enum { GN_DRAW_PLIES = 200 };

/* Whether the stone on `cell` completes a winning row for its owner.  board: 0 empty, 1 the first
 * mover's, 2 the second's. */
bool gn_board_wins(const uint8_t *board, int size, int cell, gn_rule rule);

/* Checks a game and derives its result.  GN_E_FORMAT: *ply is the offending ply, or -1 where the
 * game as a whole is wrong. */
gn_status gn_game_check(int size, gn_rule rule, int opening, const uint16_t *moves, int count,
                        gn_result *result, int *ply, gn_err *err);

#endif
