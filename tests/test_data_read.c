/* Data: the two formats of game records.  Each kind of malformed game has its message.
 * Compression, folders, garbage and the real games are in test_data_files.c.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gomokunet/data.h"
#include "support/records.h"

/* --- PSQ ------------------------------------------------------------------------------------ */

#define HEAD "Piskvorky 15x15, 11:11, 0\r\n"
#define TAIL "A.zip\r\nB.zip\r\n-1\r\n"

Test(data_psq, a_game)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.psq", HEAD "1,1,0\r\n15,2,10\r\n3,15,11\r\n4,4,0\r\n" TAIL),
                 GN_OK, "%s", f.err.text);
    cr_assert_eq(f.games.count, 1);
    const gn_game g = f.games.game[0];
    cr_assert(g.size == 15 && g.count == 4 && g.opening == 2 && g.rule == GN_FREESTYLE);
    const uint16_t want[] = {0, 15 + 14, 14 * 15 + 2, 3 * 15 + 3}; /* y * 15 + x */
    cr_assert_eq(memcmp(f.games.moves, want, sizeof want), 0);
    cr_assert_eq(g.result, GN_UNKNOWN);
    cr_assert(strstr(f.games.sources[g.source], "/a.psq") != NULL);

    cr_assert_eq(read_text(&f, "lf.PSQ", "Piskvorky 9x9, 1:1, 0\n9,9,500\nA\nB\n-1"), GN_OK);
    cr_assert(f.games.game[0].size == 9 && f.games.moves[0] == 80 && f.games.game[0].opening == 0);
    end(&f);
}

/* The nearest folder names the rule; the tail of newer files goes before it. */
Test(data_psq, rule)
{
    static const struct {
        const char *folder, *tail;
        gn_rule rule;
    } cases[] = {{"renju", "", GN_RENJU},
                 {"Standard2", "", GN_STANDARD},
                 {"freestyle", "", GN_FREESTYLE},
                 {"renjus", "", GN_FREESTYLE},
                 {"games", "", GN_FREESTYLE},
                 {"games", "0,Renju\r\n", GN_RENJU},
                 {"renju", "0,Freestyle15_1\r\n", GN_FREESTYLE},
                 {"renju", "0,Fastgame\r\n", GN_RENJU}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        char name[64], text[256];
        begin(&f);
        make_folder(&f, cases[i].folder);
        snprintf(name, sizeof name, "%s/a.psq", cases[i].folder);
        snprintf(text, sizeof text, HEAD "8,8,99\r\n" TAIL "%s", cases[i].tail);
        cr_assert_eq(read_text(&f, name, text), GN_OK, "%s", f.err.text);
        cr_assert_eq(f.games.game[0].rule, cases[i].rule, "case %zu", i);
        drop(&f, cases[i].folder);
        end(&f);
    }
}

typedef struct fault {
    const char *text, *message;
} fault;

static void check_faults(const char *name, const fault *faults, size_t count)
{
    fixture f;
    begin(&f);
    for (size_t i = 0; i < count; i++) {
        char want[256];
        snprintf(want, sizeof want, "%s:%s", name, faults[i].message);
        cr_expect_eq(read_text(&f, name, faults[i].text), GN_E_DATA, "case %zu", i);
        cr_expect_str_eq(f.complaint, want, "case %zu:\n got '%s'\nwant '%s'", i, f.complaint,
                         want);
        cr_expect_eq(f.import.malformed, 1, "case %zu", i);
        f.import.strict = true;
        f.complaint[0] = '\0';
        cr_expect_eq(read_text(&f, name, faults[i].text), GN_E_FORMAT, "strict, case %zu", i);
        cr_expect_str_eq(f.err.text + strlen(f.folder) + 1, want, "strict, case %zu", i);
        f.import.strict = false;
    }
    end(&f);
}

Test(data_psq, malformed)
{
    static const fault faults[] = {
        {"", "1: an empty file, expected 'Piskvorky 15x15, ...'"},
        {"8,8,2\n" TAIL, "1: header '8,8,2', expected 'Piskvorky 15x15, ...'"},
        {"Piskvorky 15y15\n" TAIL, "1: header 'Piskvorky 15y15', expected 'Piskvorky 15x15, ...'"},
        {"Piskvorky 15x19, 1\n" TAIL, "1: board 15x19, expected a square one of 5 to 25"},
        {"Piskvorky 99999999999999999999x5, 1\n" TAIL,
         "1: board 999999999x5, expected a square one of 5 to 25"},
        {"Piskvorky 26x26, 1\n" TAIL, "1: board 26x26, expected a square one of 5 to 25"},
        {HEAD TAIL, "1: a game without moves, expected at least one"},
        {HEAD "8,8,2\n8,x,3\n" TAIL, "3: move '8,x,3', expected x,y,milliseconds"},
        {HEAD "8,8,2\n8,9\n" TAIL, "3: move '8,9', expected x,y,milliseconds"},
        {HEAD "8,8,2\n8,9,1,1\n" TAIL, "3: move '8,9,1,1', expected x,y,milliseconds"},
        {HEAD "8,8,2\n0,9,1\n" TAIL, "3: move 0,9 is off the board, expected 1 to 15"},
        {HEAD "8,8,2\n8,16,1\n" TAIL, "3: move 8,16 is off the board, expected 1 to 15"},
        {HEAD "8,8,2\n-8,1,1\n" TAIL, "3: move -8,1 is off the board, expected 1 to 15"},
        {HEAD "8,777777777777777,1\n" TAIL,
         "2: move 8,999999999 is off the board, expected 1 to 15"},
        {HEAD "8,8,2\n8,9,2\n8,8,2\n" TAIL,
         "4: ply 3: column 8, row 8 is taken, expected an empty cell"},
        {HEAD "1,1,2\n1,2,2\n2,1,2\n2,2,2\n3,1,2\n3,2,2\n4,1,2\n4,2,2\n5,1,2\n5,2,2\n" TAIL,
         "11: ply 10: a move after the win of ply 9 (rule freestyle), expected the end"},
        {HEAD "8,8,2\n", "2: the file stops here, expected the end mark -1"},
        {HEAD "8,8,2\nA.zip\nB.zip\n", "4: the file stops here, expected the end mark -1"},
        {HEAD "8,8,2\nA.zip\n8,9,2\n" TAIL,
         "4: a move '8,9,2' after the end of the moves, expected -1"},
        {HEAD "8,8,2\n8,\x01,2\n" TAIL, "3: a control character, expected a text file"},
    };
    check_faults("a.psq", faults, sizeof faults / sizeof *faults);
}

Test(data_psq, more_moves_than_cells)
{
    static char text[1000];
    int length = snprintf(text, sizeof text, "Piskvorky 5x5, 1\n");
    for (int i = 0; i < 26; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "1,1,0\n");
    snprintf(text + length, sizeof text - (size_t)length, TAIL);
    const fault faults[] = {{text, "27: more moves than the 25 cells of the board"}};
    check_faults("a.psq", faults, 1);
}

/* --- Our text format ------------------------------------------------------------------------ */

Test(data_text, games_and_comments)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.gomoku",
                           "# games\n\n15 freestyle 1 7,8 14,0 # end\r\n \t \n"
                           "\t5 renju 0  4,4\t0,0 "),
                 GN_OK, "%s %s", f.err.text, f.complaint);
    cr_assert_eq(f.games.count, 2);
    const gn_game *g = f.games.game;
    cr_assert(g[0].size == 15 && g[0].rule == GN_FREESTYLE && g[0].opening == 1 && g[0].count == 2);
    cr_assert(g[1].size == 5 && g[1].rule == GN_RENJU && g[1].opening == 0 && g[1].count == 2);
    const uint16_t want[] = {8 * 15 + 7, 14, 24, 0};
    cr_assert_eq(f.games.move_count, 4);
    cr_assert_eq(memcmp(f.games.moves, want, sizeof want), 0);
    end(&f);
}

Test(data_text, malformed)
{
    static const fault faults[] = {
        {"# none\nx\n", "2: 'x', expected a board size of 5 to 25"},
        {"15x freestyle 0 1,1\n", "1: '15x freestyle 0 1,1', expected a board size of 5 to 25"},
        {"4 freestyle 0 1,1\n", "1: board size 4, expected 5 to 25"},
        {"99999999999 freestyle 0 1,1\n", "1: board size 999999999, expected 5 to 25"},
        {"15 gomoku 0 1,1\n", "1: rule 'gomoku 0 1,1', expected freestyle, standard or renju"},
        {"15 Renju 0 1,1\n", "1: rule 'Renju 0 1,1', expected freestyle, standard or renju"},
        {"15\n", "1: rule '', expected freestyle, standard or renju"},
        {"15 renju 1,1 2,2\n", "1: '1,1 2,2', expected the plies of the forced opening"},
        {"15 renju -1 1,1\n", "1: a forced opening of -1 plies, expected 0 to the 1 moves"},
        {"15 renju 2 1,1\n", "1: a forced opening of 2 plies, expected 0 to the 1 moves"},
        {"15 renju 0\n", "1: a game without moves, expected at least one"},
        {"15 renju 0 1,1 h8\n", "1: ply 2: move 'h8', expected x,y"},
        {"15 renju 0 1,1 2,\n", "1: ply 2: move '2,', expected x,y"},
        {"15 renju 0 1,1 2,3,4\n", "1: ply 2: move '2,3,4', expected x,y"},
        {"15 renju 0 1,1 2,15\n", "1: ply 2: move 2,15 is off the board, expected 0 to 14"},
        {"15 renju 0 1,1 -1,0\n", "1: ply 2: move -1,0 is off the board, expected 0 to 14"},
        {"15 renju 0 1,1 2,2 1,1\n",
         "1: ply 3: column 2, row 2 is taken, expected an empty cell"},
        {"5 renju 0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 0,0 "
         "0,0 0,0 0,0 0,0 0,0 0,0 0,0\n",
         "1: more moves than the 25 cells of the board"},
    };
    check_faults("a.gomoku", faults, sizeof faults / sizeof *faults);
}

/* A bad line is skipped and counted, its neighbours are read; a line without end does no harm. */
Test(data_text, bad_lines_among_good_ones)
{
    enum { LONG = 100000 };
    fixture f;
    begin(&f);
    char *text = malloc(LONG + 100);
    strcpy(text, "5 renju 0 1,1\n");
    memset(text + 14, '7', LONG);
    strcpy(text + 14 + LONG, "\n5 renju 0 9,9\n5 renju 0 2,2\n");
    cr_assert_eq(read_bytes(&f, "a.gomoku", text, 14 + LONG), GN_OK);
    cr_assert_eq(f.games.count, 1);
    cr_assert_str_eq(f.complaint,
                     "a.gomoku:2: a line of more than 8191 characters, expected a game record");
    cr_assert_eq(read_text(&f, "a.gomoku", text), GN_OK);
    cr_assert(f.import.games == 2 && f.import.malformed == 2);
    cr_assert_str_eq(f.complaint,
                     "a.gomoku:3: ply 1: move 9,9 is off the board, expected 0 to 4");
    cr_assert_eq(f.games.moves[1], 12);
    f.import.strict = true;
    cr_assert_eq(read_text(&f, "a.gomoku", text), GN_E_FORMAT);
    free(text);
    end(&f);
}

static void same_games(const gn_games *a, const gn_games *b)
{
    cr_assert(a->count == b->count && a->move_count == b->move_count);
    for (size_t i = 0; i < a->count; i++) {
        const gn_game x = a->game[i], y = b->game[i];
        cr_assert(x.size == y.size && x.rule == y.rule && x.result == y.result &&
                  x.opening == y.opening && x.count == y.count && x.first == y.first);
    }
    cr_assert_eq(memcmp(a->moves, b->moves, a->move_count * sizeof *a->moves), 0);
}

Test(data_text, round_trip)
{
    const char *const names[] = {"a.gomoku", "a.gomoku.gz"};
    fixture f;
    gn_games made = {0};
    const uint16_t stopped[] = {3, 4, 5};
    long size[2];
    begin(&f);
    for (uint64_t i = 0; i < 30; i++)
        cr_assert_eq(gn_player_game(&made, 1, i, i % 2 ? 15 : 25, &f.err), GN_OK);
    cr_assert_eq(gn_games_add(&made, "x", 9, GN_RENJU, 3, stopped, 3, &f.err), GN_OK);
    for (int i = 0; i < 2; i++) {
        snprintf(f.path, sizeof f.path, "%s/%s", f.folder, names[i]);
        cr_assert_eq(gn_games_write(&made, f.path, &f.err), GN_OK, "%s", f.err.text);
        cr_assert_eq(gn_games_read(&f.games, f.path, &f.import, &f.err), GN_OK, "%s", f.err.text);
        same_games(&f.games, &made);
        struct stat about;
        cr_assert_eq(stat(f.path, &about), 0);
        size[i] = (long)about.st_size;
        drop(&f, names[i]);
        gn_games_free(&f.games);
    }
    cr_assert(size[1] < size[0] / 2, "the second is compressed");
    snprintf(f.path, sizeof f.path, "%s/none/a.gomoku", f.folder);
    cr_assert_eq(gn_games_write(&made, f.path, &f.err), GN_E_IO);
    cr_assert(strstr(f.err.text, "none/a.gomoku.tmp: cannot create: No such file") != NULL);
    gn_games_free(&made);
    end(&f);
}
