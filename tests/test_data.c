/* Data: the rules of the game, symmetries, positions.  Batches, the player and the file formats are
 * in test_data_batch.c, test_data_player.c, test_data_read.c.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "gomokunet/data.h"

enum { S = 15, CELLS = S * S };

#define CELL(x, y) ((uint16_t)((y) * S + (x)))

static void add(gn_games *games, gn_rule rule, int opening, const uint16_t *moves, int count)
{
    gn_err err;
    cr_assert_eq(gn_games_add(games, "test", S, rule, opening, moves, count, &err), GN_OK, "%s",
                 err.text);
}

/* The first mover takes x of row 0 in the order given, the second scatters over row 14. */
static gn_result result_of(gn_rule rule, const int *x, int stones, bool one_more)
{
    uint16_t moves[32];
    int count = 0;
    for (int i = 0; i < stones; i++) {
        moves[count++] = CELL(x[i], 0);
        if (i + 1 < stones || one_more)
            moves[count++] = CELL(2 * i, 14);
    }
    gn_games games = {0};
    add(&games, rule, 0, moves, count);
    const gn_result result = (gn_result)games.game[0].result;
    gn_games_free(&games);
    return result;
}

/* --- Rules --------------------------------------------------------------------------------- */

Test(data_rules, five_and_overline_of_the_first_mover)
{
    const int five[] = {0, 1, 2, 4, 3}, six[] = {0, 1, 2, 4, 5, 3}, four[] = {0, 1, 2, 3};

    cr_assert_eq(result_of(GN_FREESTYLE, five, 5, false), GN_WIN);
    cr_assert_eq(result_of(GN_STANDARD, five, 5, false), GN_WIN);
    cr_assert_eq(result_of(GN_RENJU, five, 5, false), GN_WIN);
    cr_assert_eq(result_of(GN_FREESTYLE, six, 6, false), GN_WIN);
    cr_assert_eq(result_of(GN_STANDARD, six, 6, false), GN_UNKNOWN, "six do not win");
    cr_assert_eq(result_of(GN_STANDARD, six, 6, true), GN_UNKNOWN, "and the game goes on");
    cr_assert_eq(result_of(GN_RENJU, six, 6, false), GN_LOSS, "an overline is forbidden");
    cr_assert_eq(result_of(GN_FREESTYLE, four, 4, false), GN_UNKNOWN);
    cr_assert_eq(result_of(GN_STANDARD, four, 4, false), GN_UNKNOWN);
    cr_assert_eq(result_of(GN_RENJU, four, 4, false), GN_LOSS, "stopped on a forbidden point");
    cr_assert_eq(result_of(GN_RENJU, four, 4, true), GN_UNKNOWN, "the second mover stopped");
}

Test(data_rules, five_and_overline_of_the_second_mover)
{
    uint16_t moves[12];
    for (int i = 0; i < 6; i++) {
        static const int x[] = {0, 1, 2, 4, 5, 3};
        moves[2 * i] = CELL(2 * i, 14);
        moves[2 * i + 1] = CELL(x[i], 0);
    }
    gn_games games = {0};
    for (int rule = GN_FREESTYLE; rule <= GN_RENJU; rule++)
        add(&games, (gn_rule)rule, 0, moves, 12);
    cr_assert_eq(games.game[GN_FREESTYLE].result, GN_LOSS);
    cr_assert_eq(games.game[GN_STANDARD].result, GN_UNKNOWN);
    cr_assert_eq(games.game[GN_RENJU].result, GN_LOSS, "an overline of the second mover wins");
    gn_games_free(&games);
}

/* Every five on the board, in the four directions, wins; with a gap it does not. */
Test(data_rules, all_lines)
{
    static const int direction[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
    int lines = 0;
    for (int cell = 0; cell < CELLS; cell++)
        for (int d = 0; d < 4; d++) {
            const int dx = direction[d][0], dy = direction[d][1];
            const int x = cell % S, y = cell / S, ex = x + 4 * dx, ey = y + 4 * dy;
            if (ex >= S || ey >= S || ey < 0)
                continue;
            lines++;
            uint16_t moves[9];
            bool taken[CELLS] = {false};
            for (int i = 0; i < 5; i++) {
                moves[2 * i] = CELL(x + i * dx, y + i * dy);
                taken[moves[2 * i]] = true;
            }
            for (int i = 0, other = 0; i < 4; other += 2)
                if (!taken[other]) {
                    moves[2 * i + 1] = (uint16_t)other;
                    i++;
                }
            gn_games games = {0};
            add(&games, GN_STANDARD, 0, moves, 9);
            add(&games, GN_STANDARD, 0, moves, 8);
            cr_assert_eq(games.game[0].result, GN_WIN, "cell %d direction %d", cell, d);
            cr_assert_eq(games.game[1].result, GN_UNKNOWN, "cell %d direction %d", cell, d);
            gn_games_free(&games);
        }
    cr_assert_eq(lines, 572);
}

/* Rows of two and two, shifted by two every other row: a full board without a five. */
Test(data_rules, full_board_and_limit_of_plies_are_draws)
{
    uint16_t half[2][CELLS], moves[CELLS];
    int count[2] = {0, 0};
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++) {
            const int side = (x / 2 + y) % 2;
            half[side][count[side]++] = CELL(x, y);
        }
    cr_assert_eq(count[0], 113);
    for (int i = 0; i < CELLS; i++)
        moves[i] = half[i % 2][i / 2];
    gn_games games = {0};
    add(&games, GN_RENJU, 0, moves, CELLS);
    add(&games, GN_FREESTYLE, 0, moves, 200);
    add(&games, GN_FREESTYLE, 0, moves, 201);
    cr_assert_eq(games.game[0].result, GN_DRAW);
    cr_assert_eq(games.game[1].result, GN_DRAW);
    cr_assert_eq(games.game[2].result, GN_UNKNOWN);
    gn_games_free(&games);
}

static gn_status add_status(int size, int opening, const uint16_t *moves, int count, gn_err *err)
{
    gn_games games = {0};
    const gn_status st = gn_games_add(&games, "t", size, GN_FREESTYLE, opening, moves, count, err);
    cr_assert_eq(games.count, st == GN_OK ? 1 : 0);
    gn_games_free(&games);
    return st;
}

Test(data_rules, faults_are_named)
{
    const uint16_t twice[] = {0, 1, 0}, outside[] = {0, CELLS};
    uint16_t late[10] = {0, 30, 1, 31, 2, 32, 3, 33, 4, 34};
    gn_err err;
    cr_assert_eq(add_status(S, 0, twice, 3, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text, "ply 3: column 1, row 1 is taken, expected an empty cell");
    cr_assert_eq(add_status(S, 0, outside, 2, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text, "ply 2: cell 225 is off the board, expected 0 to 224");
    cr_assert_eq(add_status(S, 0, late, 10, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text,
                     "ply 10: a move after the win of ply 9 (rule freestyle), expected the end");
    cr_assert_eq(add_status(S, 0, late, 9, &err), GN_OK);
    cr_assert_eq(add_status(S, 0, late, 0, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text, "a game without moves, expected at least one");
    cr_assert_eq(add_status(S, 4, late, 3, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text, "a forced opening of 4 plies, expected 0 to the 3 moves");
    cr_assert_eq(add_status(S, -1, late, 3, &err), GN_E_FORMAT);
    cr_assert_eq(add_status(4, 0, late, 3, &err), GN_E_FORMAT);
    cr_assert_str_eq(err.text, "board size 4, expected 5 to 25");
    cr_assert_eq(add_status(26, 0, late, 3, &err), GN_E_FORMAT);
}

/* --- Symmetries and positions -------------------------------------------------------------- */

/* Where the eight symmetries take column 1, row 0 of a 5x5 board, worked by hand. */
Test(data_symmetry, by_hand)
{
    static const int image[8][2] = {{1, 0}, {4, 1}, {3, 4}, {0, 3}, {3, 0}, {1, 4}, {0, 1}, {4, 3}};
    for (int s = 0; s < 8; s++)
        cr_assert_eq(gn_symmetry_cell(s, 1, 5), image[s][1] * 5 + image[s][0], "symmetry %d", s);
}

Test(data_symmetry, group_action)
{
    const int sizes[] = {5, 6, 15};
    for (int k = 0; k < 3; k++) {
        const int n = sizes[k], cells = n * n;
        for (int a = 0; a < 8; a++) {
            for (int cell = 0; cell < cells; cell++) {
                const int image = gn_symmetry_cell(a, cell, n);
                cr_assert(image >= 0 && image < cells);
                cr_assert_eq(gn_symmetry_cell(gn_symmetry_inverse(a), image, n), cell);
            }
            for (int b = 0; b < 8; b++) { /* the product of two is one of the eight, everywhere */
                int products = 0;
                for (int c = 0; c < 8; c++) {
                    int same = 0;
                    for (int cell = 0; cell < cells; cell++)
                        same += gn_symmetry_cell(a, gn_symmetry_cell(b, cell, n), n) ==
                                gn_symmetry_cell(c, cell, n);
                    products += same == cells;
                }
                cr_assert_eq(products, 1, "symmetries %d, %d on size %d", a, b, n);
            }
        }
    }
}

Test(data_position, planes_policy_value_by_hand)
{
    const uint16_t moves[] = {CELL(7, 7), CELL(8, 7), CELL(3, 2)};
    float planes[CELLS * 5], policy[CELLS], value;
    gn_games games = {0};
    add(&games, GN_FREESTYLE, 1, moves, 3);

    gn_position_write(&games, 0, 2, 0, planes, policy, &value); /* the first mover is to move */
    for (int cell = 0; cell < CELLS; cell++) {
        const float *p = planes + cell * 5;
        cr_assert(p[0] == (cell == CELL(7, 7)), "own, cell %d", cell);
        cr_assert(p[1] == (cell == CELL(8, 7)), "opponent, cell %d", cell);
        cr_assert(p[2] == (cell == CELL(8, 7)), "last move, cell %d", cell);
        cr_assert(p[3] == 1.0f && p[4] == 0.0f && !signbit(p[4]), "constants, cell %d", cell);
        cr_assert(policy[cell] == (cell == CELL(3, 2)), "policy, cell %d", cell);
    }
    cr_assert(isnan(value), "the game stops too early");

    gn_position_write(&games, 0, 1, 0, planes, policy, &value); /* the second mover is to move */
    cr_assert(planes[CELL(7, 7) * 5 + 0] == 0 && planes[CELL(7, 7) * 5 + 1] == 1);
    cr_assert(planes[CELL(7, 7) * 5 + 2] == 1 && policy[CELL(8, 7)] == 1);

    for (int ply = 0; ply <= 3; ply += 3) { /* a forced stone, and no move at all */
        gn_position_write(&games, 0, ply, 0, planes, policy, &value);
        for (int cell = 0; cell < CELLS; cell++)
            cr_assert(policy[cell] == 0, "ply %d has no policy", ply);
    }
    cr_assert(planes[CELL(3, 2) * 5 + 2] == 1 && planes[CELL(3, 2) * 5 + 1] == 1);
    gn_games_free(&games);
}

/* One ply before a five the mover's value is +1, whoever moves; a ply earlier it is -1. */
Test(data_position, sign_of_the_value)
{
    const uint16_t first[] = {0, 30, 1, 31, 2, 32, 3, 33, 4}; /* the first mover wins by ply 8 */
    const uint16_t second[] = {100, 0, 130, 1, 160, 2, 190, 3, 60, 4};
    float planes[CELLS * 5], policy[CELLS], value;
    gn_games games = {0};
    add(&games, GN_FREESTYLE, 0, first, 9);
    add(&games, GN_FREESTYLE, 0, second, 10);
    for (size_t game = 0; game < 2; game++) {
        const int last = games.game[game].count - 1;
        gn_position_write(&games, game, last, 3, planes, policy, &value);
        cr_assert(value == 1.0f, "game %zu, one ply before the five", game);
        gn_position_write(&games, game, last - 1, 3, planes, policy, &value);
        cr_assert(value == -1.0f, "game %zu, two plies before the five", game);
    }
    games.game[0].result = GN_DRAW;
    gn_position_write(&games, 0, 3, 0, planes, policy, &value);
    cr_assert(value == 0.0f && !signbit(value));
    gn_games_free(&games);
}

Test(data_position, planes_and_policy_turn_together)
{
    float plain[CELLS * 5], turned[CELLS * 5], policy[CELLS], policy_turned[CELLS], value, same;
    gn_err err;
    gn_games games = {0};
    cr_assert_eq(gn_player_game(&games, 7, 0, S, &err), GN_OK);
    for (int ply = 0; ply < games.game[0].count; ply++)
        for (int s = 0; s < 8; s++) {
            gn_position_write(&games, 0, ply, 0, plain, policy, &value);
            gn_position_write(&games, 0, ply, s, turned, policy_turned, &same);
            cr_assert_eq(memcmp(&value, &same, sizeof value), 0);
            for (int cell = 0; cell < CELLS; cell++) {
                const int image = gn_symmetry_cell(s, cell, S);
                cr_assert(policy[cell] == policy_turned[image]);
                cr_assert_eq(memcmp(plain + cell * 5, turned + image * 5, 5 * sizeof *plain), 0);
            }
        }
    gn_games_free(&games);
}
