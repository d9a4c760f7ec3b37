/* games --stats: results, lengths, and where games open.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_GAMES_STATS_H
#define GN_CLI_GAMES_STATS_H

#include "gomokunet/data.h"

enum { STATS_OPENING = 8, STATS_BIN = 10 }; /* plies of the heat map; plies a bar of lengths */

typedef struct games_stats {
    size_t games;
    size_t results[4]; /* loss, draw, win of the first mover; unknown */
    int shortest, median, longest;
    double mean;
    size_t lengths[GN_MAX_BOARD * GN_MAX_BOARD + 1]; /* games of each number of plies */
    int size;          /* the board of most games: the heat map's */
    size_t size_games;
    size_t heat[GN_MAX_BOARD * GN_MAX_BOARD]; /* stones of the first plies, by cell */
} games_stats;

/* Without a game every number is 0. */
void stats_count(games_stats *s, const gn_games *games);

/* The picture, as SVG. */
gn_status stats_draw(const games_stats *s, const char *path, gn_err *err);

#endif
