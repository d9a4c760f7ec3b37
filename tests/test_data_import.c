/* Data: WinePy's JSON, boxes of larger boards, .rif, the cache, copies and shared positions.
 *
 * SPDX-License-Identifier: MIT */
#include "gomokunet/data.h"
#include "support/records.h"

/* Whether game i has these moves. */
static void expect_moves(const gn_games *games, size_t i, int count, const int *moves)
{
    const gn_game *g = &games->game[i];
    cr_assert_eq(g->count, count);
    for (int k = 0; k < count; k++)
        cr_expect_eq(games->moves[g->first + (size_t)k], moves[k], "ply %d", k + 1);
}

/* --- WinePy --------------------------------------------------------------------------------- */

Test(data_winepy, a_game_whose_corner_has_no_sign)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.json", "[{\"board_state\": [112], \"next_move\": 0},\r\n"
                           " {\"board_state\":[0,112] ,\"next_move\":84}, {\"board_state\": [112, "
                           "0, 84], \"next_move\": -224}]\n"), GN_OK, "%s", f.err.text);
    expect_moves(&f.games, 0, 4, (int[]){112, 0, 84, 224});
    cr_expect(f.games.game[0].opening == 1 && f.games.game[0].rule == GN_FREESTYLE &&
              f.games.game[0].size == 15 && f.games.game[0].result == GN_UNKNOWN);
    end(&f);
}

Test(data_winepy, what_is_no_game_is_named)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"", "position 0: expected ' [ { \"board_state\" : ['"},
        {"{}", "position 0: expected"},
        {"[{\"board_state\": [-5], \"next_move\": 6}]",
         "ply 1: cell 5 is not for the side to move"},
        {"[{\"board_state\": [5], \"next_move\": 6}]", "ply 2: cell 6 is not for the side to move"},
        {"[{\"board_state\": [225], \"next_move\": -6}]", "stone '225', expected -224 to 224"},
        {"[{\"board_state\": [1x], \"next_move\": -6}]",
         "position 1: expected ' ] , \"next_move\""},
        {"[{\"board_state\": [5], \"next_move\": -5}]", "ply 2: column 6, row 1 is taken"},
        {"[{\"board_state\": [5], \"next_move\": -6}, {\"board_state\": [5, 6], \"next_move\": 7}]",
         "position 2: cell 6 is not a stone of the moves so far"},
        {"[{\"board_state\": [5], \"next_move\": -6}, {\"board_state\": [5, 5], \"next_move\": 7}]",
         "position 2: cell 5 is not a stone"},
        {"[{\"board_state\": [5], \"next_move\": -6}, {\"board_state\": [5], \"next_move\": 7}]",
         "position 2: expected ' ,'"},
        {"[{\"board_state\": [5], \"next_move\": -6}", "expected '] '"},
        {"[{\"board_state\": [5], \"next_move\": -6}] x", "text after the last position"},
    };
    fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(read_text(&f, "a.json", cases[i].text), GN_E_DATA, "%s", cases[i].text);
        cr_expect(strstr(f.complaint, cases[i].complaint) != NULL, "%s: %s", cases[i].text,
                  f.complaint);
        cr_expect(f.import.malformed == 1 && f.games.count == 0);
    }
    end(&f);
}

/* --- Boxes ---------------------------------------------------------------------------------- */

static const gn_game *fitted(fixture *f, const char *text, int size)
{
    f->import.board_size = size;
    f->import.fit_board = true;
    f->import.fitted = 0;
    cr_assert_eq(read_text(f, "a.gomoku", text), GN_OK, "%s", f->err.text);
    cr_assert(f->import.fitted == 1 && f->games.game[0].size == size);
    return &f->games.game[0];
}

Test(data_box, stones_stand_in_the_middle_and_real_edges_stay)
{
    fixture f;
    begin(&f);
    /* columns 8 to 10 of 20: the box starts at (8 + 10 - 14) / 2 = 2; rows 0 and 2: at 0 */
    fitted(&f, "20 freestyle 0 8,0 10,2", 15);
    expect_moves(&f.games, 0, 2, (int[]){0 * 15 + 6, 2 * 15 + 8});
    /* the far edges: column 19 becomes 14, row 19 becomes 14 */
    fitted(&f, "20 freestyle 0 19,19 17,18", 15);
    expect_moves(&f.games, 0, 2, (int[]){14 * 15 + 14, 13 * 15 + 12});
    /* a game and its mirror image, with an odd width: mirror images again */
    fitted(&f, "20 freestyle 0 8,9 9,9 8,10", 15);
    const int x = f.games.moves[0] % 15;
    cr_expect_eq(f.games.moves[0], 7 * 15 + 7); /* rounded towards the first stone */
    fitted(&f, "20 freestyle 0 11,9 10,9 11,10", 15);
    cr_expect_eq(f.games.moves[0] % 15, 14 - x);
    end(&f);
}

Test(data_box, what_does_not_fit_is_of_another_size)
{
    fixture f;
    begin(&f);
    f.import.board_size = 15;
    f.import.fit_board = true;
    cr_expect_eq(read_text(&f, "a.gomoku", "20 freestyle 0 0,0 15,3"), GN_E_DATA);
    cr_expect(f.import.other_size == 1 && f.import.malformed == 0 && f.import.fitted == 0);
    cr_expect_eq(read_text(&f, "a.gomoku", "9 freestyle 0 0,0 1,1"), GN_E_DATA);
    f.import.fit_board = false;
    cr_expect_eq(read_text(&f, "a.gomoku", "20 freestyle 0 0,0 1,3"), GN_E_DATA);
    f.import.fit_board = true;
    cr_expect_eq(read_text(&f, "a.psq", "Piskvorky 20x20, 1:1, 0\n9,9,0\n10,9,50\nA\nB\n-1\n"),
                 GN_OK);
    cr_expect_eq(read_text(&f, "a.gomoku", "20 freestyle 0 3,3 3,3"), GN_E_DATA);
    cr_expect_eq(f.import.malformed, 1); /* still a malformed game */
    end(&f);
}

/* --- Results that the stones do not tell ------------------------------------------------------ */

Test(data_result, a_word_counts_where_no_five_stands)
{
    fixture f;
    begin(&f);
    cr_assert_eq(read_text(&f, "a.gomoku", "15 renju 0 7,7 8,8 9,9 win # resigned\n"
                           "15 renju 0 7,7 8,8 9,9\n15 freestyle 0 7,7 8,8 draw\n"
                           "5 freestyle 0 0,0 0,1 1,0 1,1 2,0 2,1 3,0 3,1 4,0 loss\n"), GN_OK);
    const int want[] = {GN_WIN, GN_LOSS, GN_DRAW, GN_WIN};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(f.games.game[i].result, want[i], "game %d", i);
    gn_games again = {0};
    snprintf(f.path, sizeof f.path, "%s/b.gomoku", f.folder);
    cr_assert_eq(gn_games_write(&f.games, f.path, &f.err), GN_OK);
    cr_assert_eq(gn_games_read(&again, f.path, &f.import, &f.err), GN_OK);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(again.game[i].result, want[i], "game %d after writing", i);
    gn_games_free(&again);
    drop(&f, "b.gomoku");
    end(&f);
}

/* --- .rif ------------------------------------------------------------------------------------ */

Test(data_rif, games_results_and_faults)
{
    fixture f;
    begin(&f);
    const gn_status st = read_text(&f, "a.rif", "\xef\xbb\xbf<?xml version='1.0'?><database><game "
        "bresult='1'><move>h8 i9 \n a1 o15</move><info>h1</info></game><game bresult='0'><move/>"
        "</game><game><move>h8</move></game><game><move>h8 p1</move></game></database>");
    if (st != GN_OK) { /* a build without expat says what is missing */
        cr_expect(strstr(f.complaint, "this build reads no .rif, expected one with expat") != NULL);
        end(&f);
        return;
    }
    cr_assert_eq(f.games.count, 2);
    expect_moves(&f.games, 0, 4, (int[]){7 * 15 + 7, 6 * 15 + 8, 14 * 15, 14});
    cr_expect(f.games.game[0].result == GN_WIN && f.games.game[0].opening == 3);
    cr_expect(f.games.game[1].result == GN_UNKNOWN && f.games.game[1].opening == 1);
    cr_expect_str_eq(f.complaint, "a.rif:2: ply 2: move 'p1', expected a1 to o15");
    static const char *const broken[] = {"<d>", "<d></e>", "", "<game><move>h8",
                                         "<!DOCTYPE d [<!ENTITY a 'b'>]><d>&a;</d>"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        cr_expect_eq(read_text(&f, "a.rif", broken[i]), GN_E_DATA, "%s", broken[i]);
        cr_expect_eq(f.import.malformed, 1, "%s", broken[i]);
    }
    end(&f);
}

/* --- The cache ------------------------------------------------------------------------------- */

typedef struct cached {
    fixture f;
    char cache[ROOM];
    const char *paths[1];
} cached;

static gn_status read_cached(cached *c)
{
    gn_games_free(&c->f.games);
    c->f.import.games = c->f.import.malformed = c->f.import.files = 0;
    return gn_games_read_cached(&c->f.games, c->paths, 1, c->cache, &c->f.import, &c->f.err);
}

static void begin_cached(cached *c)
{
    begin(&c->f);
    make_folder(&c->f, "d");
    put(&c->f, "d/a.gomoku", "15 renju 1 7,7 8,8 9,9 win\nx\n15 freestyle 0 7,7 8,8\n", 51);
    put(&c->f, "d/b.gomoku", "9 standard 0 1,1\n", 17);
    c->paths[0] = c->f.folder;
    snprintf(c->cache, sizeof c->cache, "%s/.cache", c->f.folder);
}

static void end_cached(cached *c)
{
    drop(&c->f, "d/a.gomoku");
    drop(&c->f, "d/b.gomoku");
    drop(&c->f, ".cache");
    drop(&c->f, "d");
    end(&c->f);
}

Test(data_cache, the_second_start_gives_the_same_games)
{
    cached c;
    begin_cached(&c);
    for (int start = 0; start < 2; start++) {
        cr_assert_eq(read_cached(&c), GN_OK, "%s", c.f.err.text);
        cr_assert_eq(c.f.import.cached, start == 1);
        const gn_games *g = &c.f.games;
        cr_assert(g->count == 3 && c.f.import.games == 3 && c.f.import.malformed == 1 &&
                  c.f.import.files == 2);
        expect_moves(g, 0, 3, (int[]){112, 128, 144});
        cr_expect(g->game[0].result == GN_WIN && g->game[0].opening == 1 && g->game[2].size == 9);
        cr_expect(strstr(g->sources[g->game[2].source], "/d/b.gomoku") != NULL);
    }
    c.f.import.strict = true; /* the cache knows of a malformed game, the file names it */
    cr_expect_eq(read_cached(&c), GN_E_FORMAT);
    c.f.import.strict = false;
    c.f.import.board_size = 9;
    cr_expect(read_cached(&c) == GN_OK && !c.f.import.cached && c.f.games.count == 1);
    end_cached(&c);
}

Test(data_cache, changed_files_and_damage_are_seen)
{
    cached c;
    begin_cached(&c);
    cr_assert_eq(read_cached(&c), GN_OK);
    put(&c.f, "d/b.gomoku", "9 standard 0 2,1\n", 17); /* the same size */
    cr_assert_eq(read_cached(&c), GN_OK);
    cr_expect(!c.f.import.cached);
    cr_expect_eq(c.f.games.moves[c.f.games.game[2].first], 9 + 2);
    unsigned char bytes[4096];
    FILE *file = fopen(c.cache, "rb");
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 8; i < count; i++) { /* any byte behind the name of the format */
        bytes[i] ^= 1;
        put(&c.f, ".cache", bytes, count);
        cr_expect(read_cached(&c) == GN_OK && !c.f.import.cached && c.f.games.count == 3, "%zu", i);
        bytes[i] ^= 1;
    }
    put(&c.f, ".cache", bytes, count / 2);
    cr_expect(read_cached(&c) == GN_OK && !c.f.import.cached);
    cr_expect(read_cached(&c) == GN_OK && c.f.import.cached); /* written anew */
    put(&c.f, ".cache", "precious", 8);
    cr_expect_eq(read_cached(&c), GN_E_FORMAT);
    cr_expect(strstr(c.f.err.text, "no cache of games, expected one or no file") != NULL);
    end_cached(&c);
}

/* --- Copies ---------------------------------------------------------------------------------- */

Test(data_copies, the_eight_images_of_a_game_are_copies)
{
    fixture f;
    begin(&f);
    static const int moves[] = {0, 17, 3, 100, 222};
    for (int s = 0; s < 9; s++) {
        uint16_t image[5];
        for (int i = 0; i < 5; i++)
            image[i] = (uint16_t)gn_symmetry_cell(s % 8, moves[s < 8 ? i : 4 - i], 15);
        cr_assert_eq(gn_games_add(&f.games, "x", 15, GN_FREESTYLE, 0, image, 5, &f.err), GN_OK);
    }
    uint32_t match[9];
    cr_assert_eq(gn_games_match(&f.games, &f.games, match, &f.err), GN_OK);
    for (uint32_t i = 0; i < 9; i++)
        cr_expect_eq(match[i], i < 8 ? 0 : 8, "game %u", (unsigned)i);
    gn_games none = {0};
    cr_assert_eq(gn_games_match(&f.games, &none, match, &f.err), GN_OK);
    cr_expect_eq(match[3], UINT32_MAX);
    end(&f);
}

Test(data_copies, positions_are_shared_as_the_network_sees_them)
{
    fixture f;
    begin(&f);
    gn_games other = {0};
    /* The same stones in another order, turned; the last move differs at first, then it is one. */
    const uint16_t ours[] = {112, 97, 84, 50, 3}, theirs[] = {84, 50, 112, 97, 3, 7};
    uint16_t turned[6];
    for (int i = 0; i < 6; i++)
        turned[i] = (uint16_t)gn_symmetry_cell(3, theirs[i], 15);
    cr_assert_eq(gn_games_add(&f.games, "x", 15, GN_FREESTYLE, 0, ours, 5, &f.err), GN_OK);
    cr_assert_eq(gn_games_add(&other, "y", 15, GN_FREESTYLE, 3, turned, 6, &f.err), GN_OK);
    gn_dataset mine = {0}, seen = {0};
    cr_assert_eq(gn_dataset_create(&mine, &f.games, 15, NULL, 0, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_create(&seen, &other, 15, NULL, 0, &f.err), GN_OK);
    uint8_t marks[5];
    size_t count;
    cr_assert_eq(gn_dataset_mark_seen(&mine, &seen, marks, &count, &f.err), GN_OK);
    cr_expect_eq(count, 0); /* after four stones: last moves 50 and 97 */
    const uint16_t same[] = {84, 97, 112, 50, 3, 7};
    gn_games_free(&other);
    gn_dataset_free(&seen);
    cr_assert_eq(gn_games_add(&other, "y", 15, GN_FREESTYLE, 4, same, 6, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_create(&seen, &other, 15, NULL, 0, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_mark_seen(&mine, &seen, marks, &count, &f.err), GN_OK);
    cr_expect(count == 1 && marks[4] == 1, "%zu", count);
    cr_assert_eq(gn_dataset_remove_seen(&mine, &seen, &f.err), GN_OK);
    cr_expect(mine.count == 4 && mine.position[3].ply == 3);
    gn_dataset_free(&mine);
    gn_dataset_free(&seen);
    gn_games_free(&other);
    end(&f);
}
