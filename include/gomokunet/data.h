/* Data: game records, positions, symmetries, batches, and a player that makes games.
 *
 * A cell is y * size + x, both from 0; the first mover plays the plies 0, 2, 4, ...
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DATA_H
#define GOMOKUNET_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "gomokunet/status.h"
#include "gomokunet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Games --------------------------------------------------------------------------------- */

/* Which row wins: five or more; exactly five; renju (first mover exactly five, second five or
 * more; a game that stops after a first mover's stone without a five: a forbidden point). */
typedef enum gn_rule { GN_FREESTYLE, GN_STANDARD, GN_RENJU } gn_rule;
const char *gn_rule_name(gn_rule rule); /* "freestyle", "standard", "renju" */

/* The value of a game for its first mover; GN_UNKNOWN where the record stops too early to tell.
 * A full board, or Gomocup's limit of 200 plies, is a draw. */
typedef enum gn_result { GN_LOSS = -1, GN_DRAW = 0, GN_WIN = 1, GN_UNKNOWN = 2 } gn_result;

typedef struct gn_game {
    uint8_t size;
    uint8_t rule;     /* gn_rule */
    int8_t result;    /* gn_result, derived from the rule where that can be (gn_games_claim) */
    uint16_t opening; /* leading plies that were forced: no position to learn from */
    uint16_t count;   /* plies */
    uint32_t first;   /* index of its first move in gn_games.moves */
    uint32_t source;  /* index into gn_games.sources */
} gn_game;

/* Positions without a game, from arrays: planes [N,5,S,S] (the network's input), policy [N,S*S] a
 * distribution or all zero, value [N] for the side to move, NaN where unknown. */
typedef struct gn_samples {
    int size;
    size_t count;
    float *planes, *policy, *value;
} gn_samples;

/* A growing list of games; zero-initialise, release with gn_games_free. */
typedef struct gn_games {
    gn_game *game;
    size_t count, room;
    uint16_t *moves;
    size_t move_count, move_room;
    char **sources; /* the paths that games came from */
    size_t source_count, source_room;
    gn_samples *samples; /* positions without a game, a set a file */
    size_t sample_sets;
} gn_games;

void gn_games_free(gn_games *games);
size_t gn_games_samples(const gn_games *games); /* positions without a game, of all sets */

/* Appends a game after checking it: board 5 to 25, moves on the board, no cell twice, nothing after
 * a win; derives the result.  GN_E_FORMAT names the ply and what is wrong. */
gn_status gn_games_add(gn_games *games, const char *source, int size, gn_rule rule, int opening,
                       const uint16_t *moves, int count, gn_err *err);

/* The record's word on the result of the last game added.  Taken only where neither a five nor a
 * full board decides: a game that was resigned, or lost on time.  false: not taken. */
bool gn_games_claim(gn_games *games, gn_result result);

/* What reading found besides the games; `complain` (may be NULL) is told each malformed game, as
 * "path:line: what is wrong, what was expected".  Broken gz data count as one malformed game, and
 * none of that file's games is kept.  The counters are added to, so one struct may serve several
 * paths. */
typedef struct gn_import {
    bool strict;    /* the first malformed game ends the import with GN_E_FORMAT */
    int board_size; /* games of another size are counted and left out; 0 takes all */
    bool fit_board; /* but a game of a larger board whose stones fit is moved into a box of it */
    void (*complain)(void *user, const char *text);
    void *user;
    size_t files, games, malformed, other_size, fitted; /* counted */
    size_t positions; /* counted: of arrays, without a game */
    bool cached; /* gn_games_read_cached found the games in its cache */
} gn_import;

/* Reads a file or, recursively and in byte order of the names, a folder.  Files are told by their
 * names: .psq, .gomoku (our text format, docs/data.md), .json (WinePy's), .rif (RenjuNet's, in a
 * build with expat), each also with .gz; and arrays of positions: .npz (in a build with libzip),
 * .safetensors.  Others and hidden ones in a folder are passed over, one named outright is
 * GN_E_FORMAT.  GN_E_DATA where nothing usable is under this path, GN_E_IO, GN_E_NOMEM.  On failure
 * `games` keeps what was read before. */
gn_status gn_games_read(gn_games *games, const char *path, gn_import *import, gn_err *err);

/* The same for several paths, through a file that keeps their games: where it was written for the
 * same files (paths, sizes, times of change) and options, they are not opened.  Otherwise they are
 * read and the file is written.  Malformed games are counted from the cache, not told again.
 * GN_E_FORMAT also where `cache` is a file, but no cache. */
gn_status gn_games_read_cached(gn_games *games, const char *const *paths, size_t count,
                               const char *cache, gn_import *import, gn_err *err);

/* Writes all games in our text format (gz-compressed where path ends in .gz) to `path` + ".tmp",
 * then renames it. */
gn_status gn_games_write(const gn_games *games, const char *path, gn_err *err);

/* The built-in player: game number `index` of `seed`, freestyle, the same everywhere.  One ply plus
 * threats, a random opening.  GN_E_CONFIG, GN_E_NOMEM. */
gn_status gn_player_game(gn_games *games, uint64_t seed, uint64_t index, int size, gn_err *err);

/* --- Positions ----------------------------------------------------------------------------- */

/* The eight symmetries: 0 identity, 1 to 3 rotations clockwise by 90, 180, 270 degrees, 4 mirror
 * left-right, 5 mirror up-down, 6 transpose, 7 anti-transpose. */
int gn_symmetry_cell(int symmetry, int cell, int size);
int gn_symmetry_inverse(int symmetry);

/* The position before `ply` of a game, seen by the side to move, under a symmetry:
 * planes [S, S, 5] channel last (own, opponent's, last move, ones, zeros); policy [S*S] one-hot, or
 * all zero where the game holds no move to learn; value +1, 0, -1 for the side to move, NaN where
 * the result is unknown.  A `game` from games->count on is a set of samples, `ply` the index in
 * it. */
void gn_position_write(const gn_games *games, size_t game, int ply, int symmetry, float *planes,
                       float *policy, float *value);

/* The positions to learn from: every ply of every game from its opening on, then all samples. */
typedef struct gn_position {
    uint32_t game; /* from games.count on: a set of samples */
    uint32_t ply;  /* of a set: the index in it */
} gn_position;

typedef struct gn_dataset {
    const gn_games *games; /* borrowed */
    int size;              /* the board of all of them */
    gn_position *position;
    size_t count;
} gn_dataset;

/* Positions of the games, and of the samples counted on behind them, whose `use` byte equals
 * `wanted` (use NULL: all).  Games of another board
 * size are an error.  Release with gn_dataset_free.  GN_E_DATA, GN_E_NOMEM. */
gn_status gn_dataset_create(gn_dataset *out, const gn_games *games, int size, const uint8_t *use,
                            uint8_t wanted, gn_err *err);
void gn_dataset_free(gn_dataset *dataset);

/* Positions that occur in `seen` too, as the network sees them (the stones of both sides and the
 * last move) up to symmetry: marks[i] is 1 or 0, *count their number.  Games of one source share
 * openings, so a held-out score is also wanted on the rest: gn_dataset_remove_seen leaves it.
 * GN_E_NOMEM. */
gn_status gn_dataset_mark_seen(const gn_dataset *dataset, const gn_dataset *seen, uint8_t *marks,
                               size_t *count, gn_err *err);
gn_status gn_dataset_remove_seen(gn_dataset *dataset, const gn_dataset *seen, gn_err *err);

/* match[i] is the first game of `in` with the moves of game i in the same order, up to symmetry;
 * UINT32_MAX: none.  With `in` = games, a game with match[i] < i is a copy.  GN_E_NOMEM. */
gn_status gn_games_match(const gn_games *games, const gn_games *in, uint32_t *match, gn_err *err);

/* Splits by game: use[i] = 1 for about `fraction` of the games, else 0, drawn by (seed, what the
 * game is up to symmetry): copies fall on the same side, and a game's side does not depend on the
 * other games.  Samples are counted on behind the games and drawn one by one, by position: nothing
 * tells which of them are of one game. */
void gn_split(const gn_games *games, uint64_t seed, double fraction, uint8_t *use);

/* --- Batches ------------------------------------------------------------------------------- */

/* Draws training batches: epoch e visits every position once, in a permutation made from
 * (seed, e), and leaves the short rest of an epoch out; each sample gets a symmetry from
 * (seed, step, slot).  A batch is a function of (seed, step) alone, so a resumed run needs only the
 * step.  docs/numerics.md, "Data order". */
typedef struct gn_sampler {
    const gn_dataset *dataset; /* borrowed */
    uint64_t seed, epoch;      /* the epoch that `order` holds */
    size_t batch, per_epoch;   /* samples a batch, batches an epoch */
    uint32_t *order;
} gn_sampler;

/* GN_E_DATA where the dataset has fewer positions than one batch. */
gn_status gn_sampler_create(gn_sampler *out, const gn_dataset *dataset, uint64_t seed, size_t batch,
                            gn_err *err);
void gn_sampler_free(gn_sampler *sampler);

/* Batch number `step` (from 0): planes [N,S,S,5], policy [N,S*S], value [N]. */
void gn_sampler_batch(gn_sampler *sampler, uint64_t step, float *planes, float *policy,
                      float *value);

/* The positions first .. first + count of the dataset, without symmetry, for evaluation. */
void gn_dataset_batch(const gn_dataset *dataset, size_t first, size_t count, float *planes,
                      float *policy, float *value);

#ifdef __cplusplus
}
#endif
#endif
