/* Data: games of larger boards that fit, copies of games, games that two collections share.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/records.h"

/* Stones in columns 6 to 19, rows 3 to 5 of a 20x20 board: 14 wide, so they fit 15x15. */
#define WIDE "20 freestyle 1 6,3 19,3 7,4 18,5 8,5\n"

Test(copies, a_larger_board_fits)
{
    fixture f;
    begin(&f);
    f.import.board_size = 15;
    cr_expect_eq(read_text(&f, "a.gomoku", WIDE), GN_E_DATA);
    cr_expect(f.import.other_size == 1 && f.import.fitted == 0);
    f.import.fit_board = true;
    cr_assert_eq(read_text(&f, "a.gomoku", WIDE "15 freestyle 0 7,7\n"), GN_OK, "%s", f.err.text);
    cr_assert(f.games.count == 2 && f.import.fitted == 1);
    const gn_game *g = &f.games.game[0];
    /* Rows stay where they are: the upper edge is near and remains one.  Columns move by 5, so that
     * the right edge remains one too. */
    const uint16_t want[] = {3 * 15 + 1, 3 * 15 + 14, 4 * 15 + 2, 5 * 15 + 13, 5 * 15 + 3};
    cr_assert(g->size == 15 && g->opening == 1 && g->count == 5);
    cr_expect_eq(memcmp(f.games.moves + g->first, want, sizeof want), 0);
    cr_expect_eq(f.games.game[1].count, 1);
    end(&f);
}

Test(copies, a_larger_board_does_not_fit)
{
    static const char *const texts[] = {"20 freestyle 0 0,3 15,3\n", "20 freestyle 0 3,0 3,15\n",
                                        "9 freestyle 0 4,4\n" /* a smaller board never does */};
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        begin(&f);
        f.import.board_size = 15;
        f.import.fit_board = true;
        cr_expect_eq(read_text(&f, "a.gomoku", texts[i]), GN_E_DATA);
        cr_expect(f.import.other_size == 1 && f.import.fitted == 0, "%s", texts[i]);
        end(&f);
    }
}

/* The rules are those of the board that was played on: a broken game stays broken. */
Test(copies, a_larger_board_is_checked)
{
    fixture f;
    begin(&f);
    f.import.board_size = 15;
    f.import.fit_board = true;
    cr_expect_eq(read_text(&f, "a.gomoku", "20 freestyle 0 6,3 6,3\n"), GN_E_DATA);
    cr_expect(f.import.malformed == 1 && f.import.fitted == 0);
    end(&f);
}

static gn_games games_of(const char *text)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.gomoku", text), GN_OK, "%s", f.err.text);
    const gn_games games = f.games;
    f.games = (gn_games){0};
    end(&f);
    return games;
}

Test(copies, up_to_symmetry)
{
    /* The second is the first turned by 90 degrees, the third another order of the same stones. */
    gn_games a = games_of("9 freestyle 0 0,1 4,4 2,2\n9 freestyle 0 7,0 4,4 6,2\n"
                          "9 freestyle 0 2,2 4,4 0,1\n9 freestyle 0 0,1 4,4\n"
                          "9 freestyle 1 0,1 4,4 2,2\n");
    gn_games b = games_of("9 freestyle 0 1,0 4,4 2,2\n9 freestyle 0 8,8\n");
    uint32_t match[5];
    cr_assert_eq(gn_games_match(&a, &a, match, NULL), GN_OK);
    cr_expect(match[0] == 0 && match[1] == 0 && match[2] == 2 && match[3] == 3 && match[4] == 0);
    cr_assert_eq(gn_games_match(&b, &a, match, NULL), GN_OK);
    cr_expect(match[0] == 0 && match[1] == UINT32_MAX);
    cr_assert_eq(gn_games_match(&a, &b, match, NULL), GN_OK);
    cr_expect(match[0] == 0 && match[1] == 0 && match[2] == UINT32_MAX && match[3] == UINT32_MAX &&
              match[4] == 0);
    gn_games_free(&a);
    gn_games_free(&b);
}
