/* PSQ: one game a file, as Piskvork and Gomocup write it.
 *
 *     Piskvorky 15x15, 11:11, 0      board, then settings of the manager (ignored)
 *     9,2,2                          x,y,milliseconds: column and row from 1, first mover first
 *     ...
 *     FIRST.zip                      names of the players (ignored)
 *     SECOND.zip
 *     -1                             end mark: its absence means a file cut off
 *     0,Freestyle15_1                newer files: the group, hence the rule
 *
 * Format notes, read in 11,220 files of Gomocup 2016:
 * - One public README calls the coordinates 0-based; they run from 1 to 15.
 * - There is no result: gn_game_check derives it.
 * - The rule is in the tail, else in the nearest folder named after a rule, else freestyle.
 * - The stones of a forced opening are entered by the manager within 10 ms; no engine thinks that
 *   fast on a move that matters, so leading moves of 0 to 10 ms are taken as forced.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "data/game.h"
#include "data/record.h"

enum { FORCED_MS = 10 };

typedef struct record {
    gn_record game;
    bool thinking; /* a move of more than FORCED_MS was seen */
} record;

static gn_rule rule_of_path(const char *path)
{
    gn_rule rule = GN_FREESTYLE;
    const char *name = path;
    for (const char *slash; (slash = strchr(name, '/')) != NULL; name = slash + 1)
        gn_rule_find(name, (size_t)(slash - name), &rule);
    return rule;
}

static gn_status read_header(record *r, const gn_lines *lines, gn_err *err)
{
    static const char word[] = "Piskvorky ";
    const char *at = lines->text;
    int width, height;
    bool good = strncmp(at, word, sizeof word - 1) == 0;
    at += good ? sizeof word - 1 : 0;
    good = good && gn_take_int(&at, &width) && *at++ == 'x' && gn_take_int(&at, &height) &&
           (*at == ',' || *at == '\0');
    if (!good)
        return gn_lines_fail(lines, err, "header '%s', expected 'Piskvorky 15x15, ...'",
                             gn_quoted(lines->text).text);
    if (width != height || width < GN_MIN_BOARD || width > GN_MAX_BOARD)
        return gn_lines_fail(lines, err, "board %dx%d, expected a square one of %d to %d", width,
                             height, (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    r->game.size = width;
    return GN_OK;
}

/* A line that starts as "9," is meant as a move: then it must be one.  Anything else ends the
 * moves (the name of a player, or the end mark). */
static bool looks_like_move(const char *text)
{
    int number;
    return gn_take_int(&text, &number) && *text == ',';
}

static gn_status read_move(record *r, const gn_lines *lines, gn_err *err)
{
    const char *at = lines->text;
    int x, y, ms;
    if (!(gn_take_int(&at, &x) && *at++ == ',' && gn_take_int(&at, &y) && *at++ == ',' &&
          gn_take_int(&at, &ms) && *at == '\0'))
        return gn_lines_fail(lines, err, "move '%s', expected x,y,milliseconds",
                             gn_quoted(lines->text).text);
    if (x < 1 || y < 1 || x > r->game.size || y > r->game.size)
        return gn_lines_fail(lines, err, "move %d,%d is off the board, expected 1 to %d", x, y,
                             r->game.size);
    if (r->game.count == r->game.size * r->game.size)
        return gn_lines_fail(lines, err, "more moves than the %d cells of the board",
                             r->game.count);
    r->game.moves[r->game.count++] = (uint16_t)((y - 1) * r->game.size + x - 1);
    r->thinking = r->thinking || ms < 0 || ms > FORCED_MS;
    r->game.opening += !r->thinking;
    return GN_OK;
}

/* The lines after the moves: the end mark must come; a rule may follow. */
static gn_status read_tail(record *r, gn_lines *lines, bool more, gn_err *err)
{
    bool ended = false;
    gn_status st = GN_OK;
    for (; st == GN_OK && more; st = gn_lines_next(lines, &more, err)) {
        if (lines->fault != NULL)
            return gn_lines_fail(lines, err, "%s", lines->fault);
        const char *comma = strchr(lines->text, ',');
        if (ended && comma != NULL)
            gn_rule_find(comma + 1, strlen(comma + 1), &r->game.rule);
        else if (!ended && looks_like_move(lines->text))
            return gn_lines_fail(lines, err, "a move '%s' after the end of the moves, expected -1",
                                 gn_quoted(lines->text).text);
        ended = ended || strcmp(lines->text, "-1") == 0;
    }
    if (st == GN_OK && !ended)
        return gn_lines_fail(lines, err, "the file stops here, expected the end mark -1");
    return st;
}

static gn_status read_record(record *r, gn_lines *lines, const gn_import *import, gn_err *err)
{
    bool more;
    gn_status st = gn_lines_next(lines, &more, err);
    if (st != GN_OK)
        return st;
    if (!more)
        return gn_lines_fail(lines, err, "an empty file, expected 'Piskvorky 15x15, ...'");
    if (lines->fault != NULL)
        return gn_lines_fail(lines, err, "%s", lines->fault);
    st = read_header(r, lines, err);
    if (st != GN_OK || !gn_import_wants(import, r->game.size))
        return st;
    while ((st = gn_lines_next(lines, &more, err)) == GN_OK && more) {
        if (lines->fault != NULL)
            return gn_lines_fail(lines, err, "%s", lines->fault);
        if (!looks_like_move(lines->text))
            break;
        st = read_move(r, lines, err);
        if (st != GN_OK)
            return st;
    }
    return st == GN_OK ? read_tail(r, lines, more, err) : st;
}

/* Broken compression and memory come through as they are; the caller knows a malformed game by
 * GN_E_FORMAT. */
static gn_status read_game(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    record r = {.game.rule = rule_of_path(lines->path)};
    gn_status st = read_record(&r, lines, import, err);
    if (st != GN_OK)
        return st;
    const gn_record *g = &r.game;
    st = gn_import_record(games, lines, import, g, err);
    if (st != GN_E_FORMAT)
        return st;
    gn_result result; /* the game is not sound: which line says so? */
    gn_err cause;
    int ply;
    gn_game_check(g->size, g->rule, g->opening, g->moves, g->count, &result, &ply, &cause);
    lines->number = ply < 0 ? 1 : (size_t)ply + 2; /* the header, then a ply a line */
    return gn_lines_fail(lines, err, "%s", cause.text);
}

gn_status gn_psq_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    gn_status st = read_game(games, lines, import, err);
    return st == GN_E_FORMAT ? gn_import_reject(import, err) : st;
}
