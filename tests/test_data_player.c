/* Data: the built-in player makes the same legal games everywhere, and good ones.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <zlib.h>

#include "gomokunet/data.h"

enum { S = 15, CELLS = S * S };

static void play(gn_games *games, uint64_t seed, uint64_t count, int size)
{
    gn_err err;
    for (uint64_t i = 0; i < count; i++)
        cr_assert_eq(gn_player_game(games, seed, i, size, &err), GN_OK, "%s", err.text);
}

static unsigned long checksum(const gn_games *games)
{
    unsigned long sum = crc32(0, NULL, 0);
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        const uint8_t head[] = {g->size, (uint8_t)g->opening, (uint8_t)(g->result + 1)};
        sum = crc32(sum, head, sizeof head);
        for (int ply = 0; ply < g->count; ply++) {
            const uint16_t cell = games->moves[g->first + (size_t)ply];
            const uint8_t bytes[] = {(uint8_t)cell, (uint8_t)(cell >> 8)};
            sum = crc32(sum, bytes, sizeof bytes);
        }
    }
    return sum;
}

/* gn_games_add checks that the games are legal. */
Test(data_player, stored_games)
{
    static const struct {
        int size;
        unsigned long sum;
    } stored[] = {{5, 0xd941cd5d}, {9, 0xe8d1bd17}, {15, 0xa40776ee}, {25, 0x49a7dd64}};
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        gn_games games = {0};
        play(&games, 1, 20, stored[i].size);
        cr_expect_eq(checksum(&games), stored[i].sum, "size %d: 0x%08lx", stored[i].size,
                     checksum(&games));
        gn_games_free(&games);
    }
}

Test(data_player, a_game_is_a_function_of_seed_and_index)
{
    gn_games row = {0}, alone = {0}, other = {0};
    gn_err err;
    play(&row, 1, 6, S);
    cr_assert_eq(gn_player_game(&alone, 1, 5, S, &err), GN_OK);
    cr_assert_eq(alone.game[0].count, row.game[5].count);
    cr_assert_eq(memcmp(alone.moves, row.moves + row.game[5].first,
                        alone.move_count * sizeof *alone.moves), 0);
    play(&other, 2, 6, S);
    cr_assert_neq(checksum(&row), checksum(&other));
    cr_assert_eq(gn_player_game(&other, 1, 0, 4, &err), GN_E_CONFIG);
    gn_games_free(&row);
    gn_games_free(&alone);
    gn_games_free(&other);
}

/* Most games end with a five in 20 to 60 plies, no two are alike, both sides win. */
Test(data_player, games_are_worth_learning_from)
{
    enum { GAMES = 300 };
    gn_games games = {0};
    int usual = 0, draws = 0, won = 0;
    play(&games, 3, GAMES, S);
    for (size_t i = 0; i < GAMES; i++) {
        const gn_game *g = &games.game[i];
        cr_assert(g->opening >= 3 && g->opening <= 6);
        usual += g->count >= 15 && g->count <= 60;
        draws += g->result == GN_DRAW;
        won += g->result == GN_WIN;
        for (size_t k = 0; k < i; k++)
            cr_assert(g->count != games.game[k].count ||
                          memcmp(games.moves + g->first, games.moves + games.game[k].first,
                                 g->count * sizeof *games.moves) != 0,
                      "games %zu and %zu are the same", k, i);
    }
    cr_assert(usual > GAMES * 7 / 10, "%d games of 15 to 60 plies", usual);
    cr_assert(draws < GAMES / 20, "%d draws", draws);
    cr_assert(won > GAMES / 3 && won < GAMES * 2 / 3, "%d of 300 won by the first mover", won);
    gn_games_free(&games);
}

/* Whether a stone of `side` on an empty `cell` makes five or more, by counting; no code shared. */
static bool makes_five(const uint16_t *moves, int ply, int cell, int side)
{
    int board[CELLS] = {0};
    for (int i = 0; i < ply; i++)
        board[moves[i]] = 1 + i % 2;
    if (board[cell] != 0)
        return false;
    board[cell] = 1 + side;
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++)
            for (int d = 0; d < 4; d++) {
                const int dx = d != 1, dy = d == 0 ? 0 : d == 3 ? -1 : 1;
                int row = 0, holds = 0;
                for (int i = 0; i < 5; i++) {
                    const int px = x + i * dx, py = y + i * dy;
                    if (px >= S || py >= S || py < 0 || board[py * S + px] != 1 + side)
                        break;
                    row++;
                    holds |= py * S + px == cell;
                }
                if (row == 5 && holds)
                    return true;
            }
    return false;
}

/* Never leaves out a five; where it has none, blocks the opponent's. */
Test(data_player, takes_and_blocks_fives)
{
    gn_games games = {0};
    int taken = 0, blocked = 0;
    play(&games, 4, 100, S);
    for (size_t i = 0; i < 100; i++) {
        const gn_game *g = &games.game[i];
        const uint16_t *moves = games.moves + g->first;
        for (int ply = g->opening; ply < g->count; ply++) {
            bool fives[2][CELLS], any[2] = {false, false};
            for (int cell = 0; cell < CELLS; cell++)
                for (int side = 0; side < 2; side++) {
                    fives[side][cell] = makes_five(moves, ply, cell, (ply + side) % 2);
                    any[side] = any[side] || fives[side][cell];
                }
            if (any[0])
                cr_assert(fives[0][moves[ply]], "game %zu ply %d: a five left out", i, ply);
            else if (any[1])
                cr_assert(fives[1][moves[ply]], "game %zu ply %d: a five not blocked", i, ply);
            taken += any[0];
            blocked += !any[0] && any[1];
        }
    }
    cr_assert(taken > 90 && blocked > 100, "%d fives, %d blocks", taken, blocked);
    gn_games_free(&games);
}
