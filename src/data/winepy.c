/* WinePy's JSON: one game a file, written as its positions, on 15x15, freestyle.
 *
 *     [{"board_state": [112], "next_move": -97}, {"board_state": [-97, 112], "next_move": 84}, ...]
 *
 * A stone is its cell, y * 15 + x, the first mover's with the sign +, the second's with -; cell 0
 * can have none.  The first position is the first move, which nobody chose: a forced opening of one
 * ply.  Each position must be the one before it and its next move, in any order of the stones.
 * SPDX-License-Identifier: MIT */
#include "data/game.h"
#include "data/record.h"

enum { SIZE = 15, CELLS = SIZE * SIZE };

typedef struct scan {
    gn_lines *lines;
    int c; /* the byte to look at; -1: the end of the file */
    gn_record game;
} scan;

/* Takes these characters; where `text` has a blank, any number of blanks may stand. */
static gn_status expect(scan *s, const char *text, gn_err *err)
{
    gn_status st = GN_OK;
    for (const char *p = text; st == GN_OK && *p != '\0'; p += *p != ' ' || !gn_is_blank(s->c)) {
        if (*p != ' ' && s->c != *p)
            return gn_lines_fail(s->lines, err, "position %d: expected '%s'", s->game.count, text);
        if (*p != ' ' || gn_is_blank(s->c))
            st = gn_lines_byte(s->lines, &s->c, err);
    }
    return st;
}

/* Takes a stone; `side` is 1 the first mover's, -1 the second's, 0 not known. */
static gn_status take_stone(scan *s, int *cell, int *side, gn_err *err)
{
    char digits[6] = {0};
    const char *at = digits;
    int number = CELLS;
    gn_status st = expect(s, " ", err);
    for (int n = 0; st == GN_OK && n < 5 && ((s->c >= '0' && s->c <= '9') || s->c == '-'); n++) {
        digits[n] = (char)s->c;
        st = gn_lines_byte(s->lines, &s->c, err);
    }
    if (st == GN_OK && !(gn_take_int(&at, &number) && *at == '\0' && number > -CELLS &&
                         number < CELLS))
        return gn_lines_fail(s->lines, err, "position %d: stone '%s', expected -224 to 224",
                             s->game.count, digits);
    *cell = number < 0 ? -number : number;
    *side = (number > 0) - (number < 0);
    return st;
}

static gn_status take_move(scan *s, gn_err *err)
{
    int cell, side;
    const int ply = s->game.count;
    gn_status st = take_stone(s, &cell, &side, err);
    if (st != GN_OK)
        return st;
    if (ply == CELLS || side == (ply % 2 == 0 ? -1 : 1))
        return gn_lines_fail(s->lines, err, "ply %d: cell %d is not for the side to move", ply + 1,
                             cell);
    s->game.moves[s->game.count++] = (uint16_t)cell;
    return GN_OK;
}

/* Takes the stones of a position: those of all moves so far, each once. */
static gn_status take_position(scan *s, gn_err *err)
{
    int owner[CELLS] = {0}, cell, side;
    gn_status st = GN_OK;
    for (int i = 0; i < s->game.count; i++)
        owner[s->game.moves[i]] = i % 2 == 0 ? 1 : -1;
    for (int i = 0; st == GN_OK && i < s->game.count; i++) {
        st = expect(s, i == 0 ? "" : " ,", err);
        if (st == GN_OK)
            st = take_stone(s, &cell, &side, err);
        if (st == GN_OK && (owner[cell] == 0 || owner[cell] == -side))
            st = gn_lines_fail(s->lines, err, "position %d: cell %d is not a stone of the moves so "
                               "far", s->game.count, cell);
        if (st == GN_OK)
            owner[cell] = 0; /* not a second time */
    }
    return st;
}

static gn_status take_game(scan *s, gn_err *err)
{
    gn_status st = gn_lines_byte(s->lines, &s->c, err);
    const char *before = " [ { \"board_state\" : [";
    while (st == GN_OK && before != NULL) {
        st = expect(s, before, err);
        if (st == GN_OK) st = s->game.count == 0 ? take_move(s, err) : take_position(s, err);
        if (st == GN_OK) st = expect(s, " ] , \"next_move\" :", err);
        if (st == GN_OK) st = take_move(s, err);
        if (st == GN_OK) st = expect(s, " } ", err);
        before = s->c == ',' ? ", { \"board_state\" : [" : NULL;
    }
    if (st == GN_OK) st = expect(s, "] ", err);
    if (st == GN_OK && s->c != -1)
        st = gn_lines_fail(s->lines, err, "text after the last position, expected the end");
    return st;
}

gn_status gn_winepy_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    scan s = {.lines = lines, .game = {.size = SIZE, .rule = GN_FREESTYLE, .opening = 1}};
    gn_status st = take_game(&s, err);
    if (st == GN_OK)
        st = gn_import_record(games, lines, import, &s.game, err);
    return st == GN_E_FORMAT ? gn_import_reject(import, err) : st;
}
