/* Readers of game records: what they take can be written in our text format and read again.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz.h"
#include "gomokunet/data.h"

static void complain(void *user, const char *text)
{
    PROMISE(strlen(text) > 0);
    ++*(size_t *)user;
}

static void check_game(const gn_games *games, const gn_game *g)
{
    bool taken[25 * 25] = {false};
    PROMISE(g->size >= 5 && g->size <= 25 && g->rule <= GN_RENJU && g->opening <= g->count);
    PROMISE((size_t)g->first + g->count <= games->move_count && g->source < games->source_count);
    for (size_t i = 0; i < g->count; i++) {
        const unsigned cell = games->moves[g->first + i];
        PROMISE(cell < (unsigned)g->size * g->size && !taken[cell]);
        taken[cell] = true;
    }
}

static void read_again(const gn_games *games)
{
    gn_games again = {0};
    gn_import import = {.strict = true};
    gn_err err = {0};
    const char *path = fuzz_path(".gomoku");
    PROMISE(gn_games_write(games, path, &err) == GN_OK);
    PROMISE(gn_games_read(&again, path, &import, &err) == GN_OK);
    PROMISE(again.count == games->count && again.move_count == games->move_count);
    PROMISE(memcmp(again.moves, games->moves, games->move_count * sizeof *games->moves) == 0);
    for (size_t i = 0; i < games->count; i++)
        PROMISE(again.game[i].rule == games->game[i].rule &&
                again.game[i].result == games->game[i].result &&
                again.game[i].opening == games->game[i].opening);
    gn_games_free(&again);
}

static void fuzz_games(const char *ending, const uint8_t *bytes, size_t count)
{
    size_t told = 0;
    gn_games games = {0};
    gn_import import = {.complain = complain, .user = &told};
    gn_err err = {0};
    const char *path = fuzz_file(ending, bytes, count);
    const gn_status st = gn_games_read(&games, path, &import, &err);
    PROMISE((st == GN_OK) == (games.count > 0));
    PROMISE(games.count == import.games && told == import.malformed);
    PROMISE(st == GN_OK || (err.status == st && strstr(err.text, path) == err.text));
    for (size_t i = 0; i < games.count; i++)
        check_game(&games, &games.game[i]);
    if (games.count > 0)
        read_again(&games);
    gn_games_free(&games);
}

void fuzz_psq(const uint8_t *bytes, size_t count)
{
    fuzz_games(".psq", bytes, count);
}
void fuzz_gomoku(const uint8_t *bytes, size_t count)
{
    fuzz_games(".gomoku", bytes, count);
}
void fuzz_json(const uint8_t *bytes, size_t count)
{
    fuzz_games(".json", bytes, count);
}
void fuzz_rif(const uint8_t *bytes, size_t count)
{
    fuzz_games(".rif", bytes, count);
}
