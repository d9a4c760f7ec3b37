/* Loading game records for a command: reads the paths, tells what was malformed.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CLI_RECORDS_H
#define GN_CLI_RECORDS_H

#include "cli/options.h"
#include "gomokunet/data.h"

enum { PLAYER_GAMES = 400, PLAYER_SEED = 1 }; /* the embedded data */

/* What reading records depends on, beside the paths. */
typedef struct records_options {
    int board_size; /* games of another size are left out; 0 takes all */
    bool strict, fit_board;
    const char *cache; /* NULL: none */
} records_options;

#define RECORDS_OPTIONS(r)                                                                        \
    {"fit-board", OPT_FLAG, &(r)->fit_board, 0, 0, NULL,                                          \
     "take games of larger boards whose stones fit"},                                             \
    {"cache", OPT_TEXT, &(r)->cache, 0, 0, "FILE",                                                \
     "keep the games of --data here: unchanged files are not read again"},                        \
    {"strict", OPT_FLAG, &(r)->strict, 0, 0, NULL, "stop at the first malformed game"}

/* Reads every path into *games.  Malformed games are told on stderr (the first few by name, the
 * rest by number).  Returns an exit status, EXIT_GOOD where games were read. */
int records_read(gn_games *games, const text_list *paths, const records_options *o,
                 const char *command_name);

/* The games of the built-in player, from `cache` if it holds them, else made and written there.
 * cache NULL: only made. */
int records_embedded(gn_games *games, int board_size, const char *cache, const char *command_name);

#endif
