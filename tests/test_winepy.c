/* Data: WinePy's JSON, and what is wrong with a file that only looks like it.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gomokunet/data.h"
#include "support/records.h"

#define FIRST "{\"board_state\": [112], \"next_move\": -97}"

Test(winepy, a_game)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.json", "[" FIRST ", {\"board_state\": [-97, 112], \"next_move\": "
                           "0},\n {\"board_state\": [0, -97, 112], \"next_move\": -224}]\n"),
                 GN_OK, "%s", f.err.text);
    const gn_game g = f.games.game[0];
    cr_assert(g.size == 15 && g.rule == GN_FREESTYLE && g.opening == 1 && g.count == 4);
    const uint16_t want[] = {112, 97, 0, 224};
    cr_assert_eq(memcmp(f.games.moves, want, sizeof want), 0);
    end(&f);
}

Test(winepy, malformed)
{
    static const char *const texts[] = {
        "", "[]", "{}", "[" FIRST, "[" FIRST "] x", "[" FIRST ",]",
        "[{\"board_state\": [112], \"next_move\": 97}]",    /* the wrong side */
        "[{\"board_state\": [-112], \"next_move\": -97}]",  /* the second mover begins */
        "[{\"board_state\": [112, 5], \"next_move\": -97}]", /* a stone that nobody put */
        "[" FIRST ",{\"board_state\": [112], \"next_move\": 96}]", /* one is missing */
        "[" FIRST ",{\"board_state\": [97, 112], \"next_move\": 96}]", /* of the other side */
        "[{\"board_state\": [225], \"next_move\": -97}]", "[{\"board_state\": [1e1], \"next_move\": 2}]",
        "[{\"board_state\": [112], \"next_move\": -112}]", /* taken: the rules say so */
        "[{\"next_move\": -97, \"board_state\": [112]}]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fixture f;
        begin(&f);
        cr_expect_eq(read_text(&f, "a.json", texts[i]), GN_E_DATA, "%s", texts[i]);
        cr_expect(f.import.malformed == 1 && f.games.count == 0, "%s", texts[i]);
        end(&f);
    }
}
