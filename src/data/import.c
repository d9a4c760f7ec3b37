/* Records on their way into the list: board sizes, and a game of a larger board in a smaller box.
 *
 * A game on 20x20 whose stones all lie within 15x15 can teach a network of 15x15, with a grain of
 * salt: up to four edges of the box were no edges when it was played.  So the stones stand in the
 * middle of the box where the board lets them: far from the edges that are not real, and as far
 * from a real one, once the box touches it, as they were.  The box never leaves the board.
 * SPDX-License-Identifier: MIT */
#include "data/game.h"
#include "data/record.h"

/* The least column (or row) of the box; -1: no box of this size holds the stones.  Rounded towards
 * the first stone off the middle, so that mirror images of a game land on mirror images. */
static int box_start(const int *at, int count, int board, int size)
{
    int least = at[0], most = at[0];
    for (int i = 1; i < count; i++) {
        least = at[i] < least ? at[i] : least;
        most = at[i] > most ? at[i] : most;
    }
    if (most - least >= size)
        return -1;
    int twice = least + most - (size - 1); /* twice the start, for stones in the middle */
    for (int i = 0; i < count && twice % 2 != 0; i++)
        if (2 * at[i] != least + most)
            twice += 2 * at[i] > least + most ? 1 : -1;
    const int start = twice > 0 ? twice / 2 : 0;
    return start < board - size ? start : board - size;
}

/* A game that fills the box is left out: there it would end in a draw, on its own board not. */
static bool fit(gn_record *fitted, const gn_record *record, int size)
{
    int x[GN_MAX_CELLS], y[GN_MAX_CELLS];
    if (record->size <= size || record->count < 1 || record->count >= size * size)
        return false;
    for (int i = 0; i < record->count; i++) {
        if (record->moves[i] >= record->size * record->size)
            return false;
        x[i] = record->moves[i] % record->size;
        y[i] = record->moves[i] / record->size;
    }
    const int left = box_start(x, record->count, record->size, size);
    const int top = box_start(y, record->count, record->size, size);
    if (left < 0 || top < 0)
        return false;
    *fitted = *record;
    fitted->size = size;
    for (int i = 0; i < record->count; i++)
        fitted->moves[i] = (uint16_t)((y[i] - top) * size + x[i] - left);
    return true;
}

gn_status gn_import_reject(gn_import *import, const gn_err *err)
{
    import->malformed++;
    if (import->strict)
        return GN_E_FORMAT;
    if (import->complain != NULL)
        import->complain(import->user, err->text);
    return GN_OK;
}

bool gn_import_wants(const gn_import *import, int size)
{
    return import->board_size == 0 || size == import->board_size ||
           (import->fit_board && size > import->board_size);
}

gn_status gn_import_record(gn_games *games, const gn_lines *lines, gn_import *import,
                           const gn_record *record, gn_err *err)
{
    gn_record fitted;
    const bool moved = import->board_size != 0 && record->size != import->board_size;
    if (moved && !(import->fit_board && fit(&fitted, record, import->board_size))) {
        import->other_size++;
        return GN_OK;
    }
    const gn_record *r = moved ? &fitted : record;
    gn_err cause;
    gn_status st = gn_games_add(games, lines->path, r->size, r->rule, r->opening, r->moves,
                                r->count, &cause);
    if (st == GN_OK && r->claims)
        gn_games_claim(games, r->result);
    import->games += st == GN_OK;
    import->fitted += st == GN_OK && moved;
    if (st == GN_E_FORMAT)
        return gn_lines_fail(lines, err, "%s", cause.text);
    return st == GN_OK ? GN_OK : gn_fail(err, st, "%s", cause.text);
}
