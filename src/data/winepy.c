/* WinePy JSON: one self-play game a file, 15x15 freestyle, the position before each move.
 *
 *     [{"board_state": [112], "next_move": -97}, {"board_state": [-97, 112], "next_move": 84}, ...]
 *
 * A cell is y*15 + x, positive for the first mover's stone and negative for the second's; cell 0 has
 * no sign, so the side is taken from the ply.  The first element's single stone is move 1, given
 * and not chosen: an opening of one ply.  The stones of each position must be those that
 * the moves so far have put there.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "data/game.h"
#include "data/record.h"

enum { SIZE = 15, CELLS = SIZE * SIZE };

typedef struct scan {
    gzFile file;
    long at;  /* bytes read */
    int next; /* the character in hand, -1 at the end */
} scan;

static void step(scan *s)
{
    do {
        s->next = gzgetc(s->file);
        s->at++;
    } while (s->next == ' ' || s->next == '\n' || s->next == '\r' || s->next == '\t');
}

static bool take(scan *s, const char *text)
{
    for (; *text != '\0' && s->next == *text; text++)
        step(s);
    return *text == '\0';
}

/* A signed cell; 0 to 224 without its sign. */
static bool take_cell(scan *s, int *cell)
{
    const bool negative = s->next == '-';
    int n = 0, digits = 0;
    if (negative)
        step(s);
    for (; s->next >= '0' && s->next <= '9' && digits < 4; digits++, step(s))
        n = 10 * n + s->next - '0';
    *cell = negative ? -n : n;
    return digits > 0 && n < CELLS;
}

/* One element: the stones on the board, then the move. */
static bool take_element(scan *s, uint16_t *moves, int *count)
{
    int8_t board[CELLS] = {0}; /* the ply's side, as signs */
    int stones = 0, cell;
    for (int i = 0; i < *count; i++)
        board[moves[i]] = i % 2 == 0 ? 1 : -1;
    if (!take(s, "{\"board_state\":["))
        return false;
    do {
        if (!take_cell(s, &cell))
            return false;
        if (*count == 0) { /* the first stone is the first move */
            moves[(*count)++] = (uint16_t)abs(cell);
            board[abs(cell)] = 1;
        }
        if (board[abs(cell)] == 0 || (cell != 0 && board[abs(cell)] != (cell > 0 ? 1 : -1)))
            return false;
        stones++;
    } while (s->next == ',' && take(s, ","));
    if (stones != *count || !take(s, "],\"next_move\":") || !take_cell(s, &cell) || *count == CELLS)
        return false;
    moves[(*count)++] = (uint16_t)abs(cell);
    return (cell == 0 || (cell > 0) == (*count % 2 == 1)) && take(s, "}");
}

gn_status gn_winepy_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    scan s = {.file = lines->file};
    uint16_t moves[CELLS];
    int count = 0;
    step(&s);
    bool good = take(&s, "[") && take_element(&s, moves, &count);
    while (good && s.next == ',')
        good = take(&s, ",") && take_element(&s, moves, &count);
    good = good && take(&s, "]") && s.next == -1;
    gn_status st = good ? GN_OK
                        : gn_fail(err, GN_E_FORMAT, "%s: byte %ld: expected WinePy's {\"board_state\""
                                  ": [cells], \"next_move\": cell}, each position being the one "
                                  "before and its move", lines->path, s.at);
    int ply;
    if (good)
        st = gn_import_add(games, import, lines->path, SIZE, GN_FREESTYLE, 1, moves, count, &ply,
                           err);
    return st == GN_E_FORMAT ? gn_import_reject(import, err) : st;
}
