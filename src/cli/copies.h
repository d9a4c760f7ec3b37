/* Copies among games, and what a held-out set shares with the games trained on; all up to symmetry.
 * The first few copies are told on stderr by name.  Each function returns an exit status.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CLI_COPIES_H
#define GN_CLI_COPIES_H

#include "gomokunet/data.h"

/* How many games have the moves of an earlier one; `drop` leaves them out. */
int copies_within(gn_games *games, bool drop, size_t *count, const char *command_name);

/* How many games, and positions to learn from, stand in `seen` too. */
typedef struct shared {
    size_t games, positions;
} shared;
int copies_seen(const gn_games *games, const gn_games *seen, shared *both,
                const char *command_name);

/* The same for positions alone. */
int copies_positions(const gn_dataset *dataset, const gn_dataset *seen, size_t *count,
                     const char *command_name);

#endif
