/* Our text format, .gomoku: a game a line, made to be written by hand or by ten lines of script.
 *
 *     # comment, also after a game
 *     15 freestyle 3 7,7 8,8 7,6 6,6 ...
 *
 * size, rule, plies of the forced opening, then the moves x,y (column, row, from 0), the first
 * mover's first; behind them, where the stones do not tell it, the result for the first mover: win,
 * loss, draw or unknown.  docs/data.md is the description for users.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/game.h"
#include "data/record.h"
#include "io/file.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(const char **at)
{
    while (is_blank(**at))
        ++*at;
}

/* A number that ends at a blank or at the end of the line. */
static bool take_field(const char **at, int *value)
{
    const char *p = *at;
    if (!gn_take_int(&p, value) || !(is_blank(*p) || *p == '\0'))
        return false;
    *at = p;
    skip_blanks(at);
    return true;
}

static bool take_rule(const char **at, gn_rule *rule)
{
    const size_t length = strcspn(*at, " \t");
    for (int r = GN_FREESTYLE; r <= GN_RENJU; r++) {
        const char *name = gn_rule_name((gn_rule)r);
        if (strlen(name) == length && memcmp(name, *at, length) == 0) {
            *rule = (gn_rule)r;
            *at += length;
            skip_blanks(at);
            return true;
        }
    }
    return false;
}

static const char *const result_names[] = {"loss", "draw", "win", "unknown"}; /* from GN_LOSS on */

/* A word at the end of the line that names a result. */
static bool take_result(const char *at, gn_result *result)
{
    for (int i = 0; i < 4; i++) {
        const size_t length = strlen(result_names[i]);
        if (strncmp(at, result_names[i], length) == 0 &&
            at[length + strspn(at + length, " \t")] == '\0') {
            *result = (gn_result)(i + GN_LOSS);
            return true;
        }
    }
    return false;
}

static gn_status take_moves(const gn_lines *lines, const char *at, gn_record *record, gn_err *err)
{
    const int size = record->size;
    uint16_t *moves = record->moves;
    int *count = &record->count;
    record->claims = false;
    for (*count = 0; *at != '\0'; ++*count) {
        const char *start = at;
        int x, y;
        record->claims = take_result(at, &record->result);
        if (record->claims)
            break;
        if (!(gn_take_int(&at, &x) && *at++ == ',' && take_field(&at, &y)))
            return gn_lines_fail(lines, err, "ply %d: move '%s', expected x,y", *count + 1,
                                 gn_quoted(start).text);
        if (x < 0 || y < 0 || x >= size || y >= size)
            return gn_lines_fail(lines, err,
                                 "ply %d: move %d,%d is off the board, expected 0 to %d",
                                 *count + 1, x, y, size - 1);
        if (*count == size * size)
            return gn_lines_fail(lines, err, "more moves than the %d cells of the board", *count);
        moves[*count] = (uint16_t)(y * size + x);
    }
    return GN_OK;
}

static gn_status read_game(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    const char *at = lines->text;
    int size;
    gn_record record;
    skip_blanks(&at);
    if (!take_field(&at, &size))
        return gn_lines_fail(lines, err, "'%s', expected a board size of %d to %d",
                             gn_quoted(at).text, (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    if (size < GN_MIN_BOARD || size > GN_MAX_BOARD)
        return gn_lines_fail(lines, err, "board size %d, expected %d to %d", size,
                             (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    record.size = size;
    if (!take_rule(&at, &record.rule))
        return gn_lines_fail(lines, err, "rule '%s', expected freestyle, standard or renju",
                             gn_quoted(at).text);
    if (!take_field(&at, &record.opening))
        return gn_lines_fail(lines, err, "'%s', expected the plies of the forced opening",
                             gn_quoted(at).text);
    gn_status st = take_moves(lines, at, &record, err);
    if (st != GN_OK)
        return st;
    return gn_import_record(games, lines, import, &record, err);
}

gn_status gn_text_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    const size_t old_count = games->count, old_moves = games->move_count;
    const gn_import old = *import;
    for (;;) {
        bool more;
        gn_status st = gn_lines_next(lines, &more, err);
        if (st == GN_E_FORMAT) { /* broken compression: what was read of this file is not safe */
            games->count = old_count;
            games->move_count = old_moves;
            *import = old;
            return gn_import_reject(import, err);
        }
        if (st != GN_OK || !more)
            return st;
        lines->text[strcspn(lines->text, "#")] = '\0';
        if (lines->fault != NULL)
            st = gn_lines_fail(lines, err, "%s", lines->fault);
        else if (lines->text[strspn(lines->text, " \t")] != '\0')
            st = read_game(games, lines, import, err);
        if (st == GN_E_FORMAT)
            st = gn_import_reject(import, err);
        if (st != GN_OK)
            return st;
    }
}

static bool write_games(const gn_games *games, gzFile file)
{
    bool good = gzputs(file, "# GomokuNet games: size rule opening x,y ... (docs/data.md)\n") > 0;
    for (size_t i = 0; good && i < games->count; i++) {
        const gn_game *game = &games->game[i];
        const uint16_t *moves = games->moves + game->first;
        good = gzprintf(file, "%d %s %d", game->size, gn_rule_name((gn_rule)game->rule),
                        game->opening) > 0;
        for (int ply = 0; good && ply < game->count; ply++)
            good = gzprintf(file, " %d,%d", moves[ply] % game->size, moves[ply] / game->size) > 0;
        gn_result told; /* by the stones */
        int at;
        good = good && gn_game_check(game->size, (gn_rule)game->rule, game->opening, moves,
                                     game->count, &told, &at, NULL) == GN_OK;
        if (good && told != (gn_result)game->result)
            good = gzprintf(file, " %s", result_names[game->result - GN_LOSS]) > 0;
        good = good && gzputc(file, '\n') == '\n';
    }
    return good;
}

/* Through a second descriptor of the temporary file, since zlib closes the one that it is given. */
static gn_status write_file(gn_temp *temp, const gn_games *games, const char *path, gn_err *err)
{
    errno = 0;
    const int descriptor = dup(fileno(temp->file));
    gzFile file = descriptor < 0 ? NULL
                                 : gzdopen(descriptor, gn_text_ends(path, ".gz") ? "wb9" : "wbT");
    bool good = file != NULL && write_games(games, file);
    if (file != NULL)
        good = gzclose(file) == Z_OK && good; /* the last bytes go out here */
    else if (descriptor >= 0)
        close(descriptor);
    if (good)
        return GN_OK;
    return gn_fail(err, errno == 0 || errno == ENOMEM ? GN_E_NOMEM : GN_E_IO,
                   "%s: cannot write it: %s", path, errno != 0 ? strerror(errno) : "no memory");
}

gn_status gn_games_write(const gn_games *games, const char *path, gn_err *err)
{
    gn_temp temp;
    gn_status st = gn_temp_open(&temp, path, err);
    if (st == GN_OK)
        st = write_file(&temp, games, path, err);
    if (st == GN_OK)
        return gn_temp_commit(&temp, err);
    gn_temp_abandon(&temp);
    return st;
}
