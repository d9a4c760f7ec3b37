/* Games: the growing list, the check of a game, its result from the rule.
 *
 * A record's own word about who won is used only where the stones do not tell: a wrong one would
 * teach the value head a lie.  Forbidden points of renju are not computed; a record that
 * stops on one is recognised by its end (gn_game_check).
 * SPDX-License-Identifier: MIT */
#include "data/game.h"

#include <stdlib.h>
#include <string.h>

#include "data/record.h"

const char *gn_rule_name(gn_rule rule)
{
    static const char *const names[] = {"freestyle", "standard", "renju"};
    return (size_t)rule < sizeof names / sizeof *names ? names[rule] : "unknown";
}

/* Stones of `owner` from (x, y), exclusive, in the direction (dx, dy). */
static int run_length(const uint8_t *board, int size, int x, int y, int dx, int dy, uint8_t owner)
{
    int length = 0;
    for (;;) {
        x += dx;
        y += dy;
        if (x < 0 || y < 0 || x >= size || y >= size || board[y * size + x] != owner)
            return length;
        length++;
    }
}

bool gn_board_wins(const uint8_t *board, int size, int cell, gn_rule rule)
{
    static const int direction[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
    const uint8_t owner = board[cell];
    const bool exactly = rule == GN_STANDARD || (rule == GN_RENJU && owner == 1);
    const int x = cell % size, y = cell / size;
    for (int d = 0; d < 4; d++) {
        const int dx = direction[d][0], dy = direction[d][1];
        const int row = 1 + run_length(board, size, x, y, dx, dy, owner) +
                        run_length(board, size, x, y, -dx, -dy, owner);
        if (exactly ? row == 5 : row >= 5)
            return true;
    }
    return false;
}

/* The result of a game that stopped without a five. */
static gn_result end_without_five(int size, gn_rule rule, int count)
{
    if (count == size * size || count == GN_DRAW_PLIES)
        return GN_DRAW;
    if (rule == GN_RENJU && count % 2 == 1)
        return GN_LOSS; /* the first mover's last stone stands on a forbidden point */
    return GN_UNKNOWN;
}

gn_status gn_game_check(int size, gn_rule rule, int opening, const uint16_t *moves, int count,
                        gn_result *result, int *ply, gn_err *err)
{
    uint8_t board[GN_MAX_CELLS] = {0};
    *ply = -1;
    if (size < GN_MIN_BOARD || size > GN_MAX_BOARD)
        return gn_fail(err, GN_E_FORMAT, "board size %d, expected %d to %d", size,
                       (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    if ((unsigned)rule > GN_RENJU)
        return gn_fail(err, GN_E_FORMAT, "unknown rule %d", (int)rule);
    if (count < 1)
        return gn_fail(err, GN_E_FORMAT, "a game without moves, expected at least one");
    if (opening < 0 || opening > count)
        return gn_fail(err, GN_E_FORMAT, "a forced opening of %d plies, expected 0 to the %d moves",
                       opening, count);

    bool won = false;
    for (int i = 0; i < count; i++) {
        *ply = i;
        const int cell = moves[i], x = cell % size, y = cell / size;
        if (cell >= size * size)
            return gn_fail(err, GN_E_FORMAT, "ply %d: cell %d is off the board, expected 0 to %d",
                           i + 1, cell, size * size - 1);
        if (won)
            return gn_fail(err, GN_E_FORMAT,
                           "ply %d: a move after the win of ply %d (rule %s), expected the end",
                           i + 1, i, gn_rule_name(rule));
        if (board[cell] != 0)
            return gn_fail(err, GN_E_FORMAT,
                           "ply %d: column %d, row %d is taken, expected an empty cell", i + 1,
                           x + 1, y + 1);
        board[cell] = (uint8_t)(1 + i % 2);
        won = gn_board_wins(board, size, cell, rule);
    }
    if (won)
        *result = count % 2 == 1 ? GN_WIN : GN_LOSS;
    else
        *result = end_without_five(size, rule, count);
    return GN_OK;
}

/* Makes room for `more` elements of `width` bytes; the array stays as it was on failure. */
static bool reserve(void **array, size_t *room, size_t count, size_t more, size_t width)
{
    if (more <= *room - count)
        return true;
    size_t wanted = *room < 64 ? 64 : *room * 2;
    if (wanted < count + more)
        wanted = count + more;
    if (wanted > SIZE_MAX / width)
        return false;
    void *larger = realloc(*array, wanted * width);
    if (larger == NULL)
        return false;
    *array = larger;
    *room = wanted;
    return true;
}

/* The index of a source.  Games come file by file, so only the last one is compared. */
static gn_status find_source(gn_games *games, const char *source, uint32_t *index, gn_err *err)
{
    if (games->source_count > 0 && strcmp(games->sources[games->source_count - 1], source) == 0) {
        *index = (uint32_t)(games->source_count - 1);
        return GN_OK;
    }
    void *array = games->sources;
    const size_t length = strlen(source) + 1;
    char *copy = malloc(length);
    if (copy == NULL || games->source_count >= UINT32_MAX ||
        !reserve(&array, &games->source_room, games->source_count, 1, sizeof *games->sources)) {
        free(copy);
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for its name", source);
    }
    memcpy(copy, source, length);
    games->sources = array;
    games->sources[games->source_count] = copy;
    *index = (uint32_t)games->source_count++;
    return GN_OK;
}

gn_status gn_games_add(gn_games *games, const char *source, int size, gn_rule rule, int opening,
                       const uint16_t *moves, int count, gn_err *err)
{
    gn_result result;
    int ply;
    gn_status st = gn_game_check(size, rule, opening, moves, count, &result, &ply, err);
    uint32_t origin = 0;
    if (st == GN_OK)
        st = find_source(games, source, &origin, err);
    if (st != GN_OK)
        return st;

    void *game = games->game, *list = games->moves;
    const bool fits = games->move_count + (size_t)count <= UINT32_MAX &&
                      reserve(&game, &games->room, games->count, 1, sizeof *games->game);
    games->game = game;
    if (!fits || !reserve(&list, &games->move_room, games->move_count, (size_t)count,
                          sizeof *games->moves))
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for game %zu", source, games->count + 1);
    games->moves = list;
    games->game[games->count++] = (gn_game){.size = (uint8_t)size,
                                            .rule = (uint8_t)rule,
                                            .result = (int8_t)result,
                                            .opening = (uint16_t)opening,
                                            .count = (uint16_t)count,
                                            .first = (uint32_t)games->move_count,
                                            .source = origin};
    memcpy(games->moves + games->move_count, moves, (size_t)count * sizeof *moves);
    games->move_count += (size_t)count;
    return GN_OK;
}

bool gn_games_claim(gn_games *games, gn_result result)
{
    gn_game *g = &games->game[games->count - 1];
    const uint16_t *moves = games->moves + g->first;
    uint8_t board[GN_MAX_CELLS] = {0};
    for (int i = 0; i < g->count; i++)
        board[moves[i]] = (uint8_t)(1 + i % 2);
    const bool decided = g->count == g->size * g->size ||
                         gn_board_wins(board, g->size, moves[g->count - 1], (gn_rule)g->rule);
    if (!decided)
        g->result = (int8_t)result;
    return !decided;
}

void gn_games_free(gn_games *games)
{
    if (games == NULL)
        return;
    for (size_t i = 0; i < games->source_count; i++)
        free(games->sources[i]);
    free(games->sources);
    free(games->game);
    free(games->moves);
    gn_samples_free(games);
    *games = (gn_games){0};
}
