/* Data: compressed files, folders, garbage, and the real games of ../shared/data.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gomokunet/data.h"
#include "gomokunet/numeric.h"
#include "support/records.h"

#define GAME "5 renju 0 1,1 2,2 3,3\n"
#define PSQ "Piskvorky 15x15, 11:11, 0\r\n8,8,0\r\n9,9,500\r\nA.zip\r\nB.zip\r\n-1\r\n"

/* --- Compressed files ----------------------------------------------------------------------- */

Test(data_gz, both_formats)
{
    const char *const names[] = {"a.gomoku.gz", "a.psq.gz"}, *const texts[] = {GAME GAME, PSQ};
    for (int i = 0; i < 2; i++) {
        fixture f;
        begin(&f);
        put_gz(&f, names[i], texts[i]);
        cr_assert_eq(gn_games_read(&f.games, f.path, &f.import, &f.err), GN_OK, "%s", f.err.text);
        cr_assert_eq(f.games.count, i == 0 ? 2 : 1);
        drop(&f, names[i]);
        end(&f);
    }
}

/* The bytes of a gz file of many games, so that some are decompressed before the damage. */
static size_t big_gz(fixture *f, unsigned char *bytes, size_t room)
{
    gn_games made = {0};
    for (uint64_t i = 0; i < 100; i++)
        cr_assert_eq(gn_player_game(&made, 1, i, 15, &f->err), GN_OK);
    snprintf(f->path, sizeof f->path, "%s/big.gomoku.gz", f->folder);
    cr_assert_eq(gn_games_write(&made, f->path, &f->err), GN_OK, "%s", f->err.text);
    gn_games_free(&made);
    FILE *file = fopen(f->path, "rb");
    const size_t count = fread(bytes, 1, room, file);
    fclose(file);
    cr_assert(count > 2000 && count < room);
    drop(f, "big.gomoku.gz");
    return count;
}

Test(data_gz, damage_names_the_file_and_keeps_no_game)
{
    static unsigned char bytes[65536];
    fixture f;
    begin(&f);
    const size_t count = big_gz(&f, bytes, sizeof bytes);
    cr_assert_eq(read_bytes(&f, "a.gomoku.gz", bytes, count), GN_OK);
    cr_assert_eq(f.games.count, 100);
    static const size_t cuts[] = {1, 2, 3, 9, 10, 11, 1000, 4, 8};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const size_t left = i < 7 ? cuts[i] : count - cuts[i];
        cr_expect_eq(read_bytes(&f, "a.gomoku.gz", bytes, left), GN_E_DATA, "%zu bytes", left);
        cr_expect(f.games.count == 0 && f.games.move_count == 0 && f.import.malformed == 1);
        cr_expect(strncmp(f.complaint, "a.gomoku.gz: ", 13) == 0, "%zu: %s", left, f.complaint);
    }
    cr_expect_str_eq(f.complaint,
                     "a.gomoku.gz: broken gzip data (it is cut off), its games are left out");
    bytes[count - 6] ^= 1; /* the checksum */
    cr_expect_eq(read_bytes(&f, "a.gomoku.gz", bytes, count), GN_E_DATA);
    cr_expect_str_eq(f.complaint, "a.gomoku.gz: broken gzip data (incorrect data check), its games "
                                  "are left out");
    f.import.strict = true;
    cr_expect_eq(read_bytes(&f, "a.gomoku.gz", bytes, count), GN_E_FORMAT);
    cr_expect(strstr(f.err.text, "incorrect data check") != NULL && f.games.count == 0);
    f.import.strict = false;
    bytes[count - 6] ^= 1;
    memset(bytes + count / 2, 0x55, 50); /* the middle */
    cr_expect_eq(read_bytes(&f, "a.gomoku.gz", bytes, count), GN_E_DATA);
    cr_expect_eq(f.games.count, 0);
    cr_expect_eq(read_text(&f, "a.gomoku.gz", GAME), GN_E_DATA);
    cr_expect_str_eq(f.complaint,
                     "a.gomoku.gz: not gzip data, expected them under this name");
    cr_expect_eq(read_text(&f, "a.psq.gz", ""), GN_E_DATA);
    cr_expect_str_eq(f.complaint, "a.psq.gz: not gzip data, expected them under this name");
    end(&f);
}

/* --- Folders -------------------------------------------------------------------------------- */

Test(data_folder, sorted_mixed_and_counted)
{
    fixture f;
    begin(&f);
    make_folder(&f, "b");
    make_folder(&f, "b/renju");
    put(&f, "c.gomoku", "5 freestyle 0 3,0\n", 18);
    put(&f, "B.gomoku", "5 freestyle 0 0,0\n19 freestyle 0 4,0\n", 37);
    put_gz(&f, "a.gomoku.gz", "5 freestyle 0 1,0\n");
    put(&f, "b/renju/x.psq", "Piskvorky 5x5, 1\n3,1,9\nA\nB\n-1\n", 30);
    put(&f, "b/bad.psq", "x", 1);
    put(&f, "readme.txt", "x", 1);
    put(&f, "._a.psq", "x", 1);
    f.import.board_size = 5;
    cr_assert_eq(gn_games_read(&f.games, f.folder, &f.import, &f.err), GN_OK, "%s", f.err.text);
    cr_expect(f.import.files == 5 && f.import.games == 4 && f.import.malformed == 1 &&
              f.import.other_size == 1);
    cr_assert_eq(f.games.count, 4);
    for (size_t i = 0; i < 4; i++) /* B, a, b/renju/x, c */
        cr_expect_eq(f.games.moves[i], i, "place %zu", i);
    cr_expect_eq(f.games.game[2].rule, GN_RENJU);
    cr_expect_eq(f.games.game[2].opening, 1);
    cr_expect_eq(f.games.source_count, 4);

    f.import.strict = true;
    cr_expect_eq(gn_games_read(&f.games, f.folder, &f.import, &f.err), GN_E_FORMAT);
    cr_expect(strstr(f.err.text, "/b/bad.psq:1: header 'x'") != NULL, "%s", f.err.text);
    drop(&f, "c.gomoku");
    drop(&f, "B.gomoku");
    drop(&f, "a.gomoku.gz");
    drop(&f, "b/renju/x.psq");
    drop(&f, "b/renju");
    drop(&f, "b/bad.psq");
    drop(&f, "b");
    drop(&f, "readme.txt");
    drop(&f, "._a.psq");
    end(&f);
}

Test(data_folder, faults_are_named)
{
    fixture f;
    begin(&f);
    cr_expect_eq(gn_games_read(&f.games, f.folder, &f.import, &f.err), GN_E_DATA);
    cr_expect(strstr(f.err.text, ": no usable game (0 files read, 0 games malformed, 0 of another "
                                 "board size)") != NULL, "%s", f.err.text);
    snprintf(f.path, sizeof f.path, "%s/none.psq", f.folder);
    cr_expect_eq(gn_games_read(&f.games, f.path, &f.import, &f.err), GN_E_IO);
    cr_expect(strstr(f.err.text, "/none.psq: No such file or directory") != NULL);
    cr_expect_eq(read_text(&f, "games.txt", GAME), GN_E_FORMAT);
    cr_expect(strstr(f.err.text, "/games.txt: unknown kind of file, expected .psq, .gomoku, .json "
                                 "or .rif, each also with .gz, .npz or .safetensors") != NULL);
    f.import.board_size = 15;
    cr_expect_eq(read_text(&f, "a.gomoku", GAME), GN_E_DATA);
    cr_expect(f.import.other_size == 1 && f.import.malformed == 0);
    cr_expect_eq(read_text(&f, "a.psq", PSQ), GN_OK);
    cr_expect_eq(symlink(f.folder, (snprintf(f.path, sizeof f.path, "%s/loop", f.folder), f.path)),
                 0);
    cr_expect_eq(gn_games_read(&f.games, f.folder, &f.import, &f.err), GN_E_IO);
    cr_expect(strstr(f.err.text, "more than 32 folders deep") != NULL, "%s", f.err.text);
    drop(&f, "loop");
    end(&f);
}

/* --- Garbage -------------------------------------------------------------------------------- */

/* Whatever the bytes, the answer is games or a message, never anything else. */
static void survives(fixture *f, const char *name, const void *bytes, size_t count, uint64_t trial)
{
    const gn_status st = read_bytes(f, name, bytes, count);
    cr_assert(st == GN_OK || st == GN_E_DATA, "%s, trial %d: %s", name, (int)trial, f->err.text);
    cr_assert(st == GN_OK || f->import.malformed > 0 || f->games.count == 0);
}

Test(data_garbage, random_bytes)
{
    const char *const names[] = {"a.psq", "a.gomoku", "a.psq.gz", "a.gomoku.gz"};
    static uint32_t words[8192];
    fixture f;
    begin(&f);
    for (uint64_t trial = 0; trial < 40; trial++) {
        for (uint64_t i = 0; i < 8192; i++)
            words[i] = gn_random_u32(9, trial, i);
        const size_t count = gn_random_below(9, 1000, trial, sizeof words + 1);
        for (int n = 0; n < 4; n++)
            survives(&f, names[n], words, count, trial);
        memcpy(words, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10); /* a gzip header */
        survives(&f, names[3], words, count, trial);
    }
    end(&f);
}

/* Good files with bytes replaced by ones that matter, cut at any place. */
Test(data_garbage, damaged_files)
{
    static const char spice[] = "0123456789-,#x \t\r\n\0\xff";
    const char *const names[] = {"renju.psq", "a.gomoku"};
    const char *const good[] = {PSQ, "# g\n" GAME "15 freestyle 2 1,1 2,2 3,3 14,14 # e\n"};
    fixture f;
    begin(&f);
    for (uint64_t trial = 0; trial < 1500; trial++) {
        const int n = trial % 2;
        char bytes[256];
        size_t count = strlen(good[n]);
        memcpy(bytes, good[n], count);
        const uint32_t edits = gn_random_below(11, trial, 0, 4);
        for (uint32_t i = 0; i < edits; i++)
            bytes[gn_random_below(11, trial, 2 * i + 1, (uint32_t)count)] =
                spice[gn_random_below(11, trial, 2 * i + 2, sizeof spice - 1)];
        if (trial % 3 == 0)
            count = gn_random_below(11, trial, 100, (uint32_t)count + 1);
        survives(&f, names[n], bytes, count, trial);
    }
    end(&f);
}

/* --- Real games ----------------------------------------------------------------------------- */

typedef struct peer_list {
    char *line[1024];
    size_t count;
} peer_list;

/* The PSQ games of ../peers/games.txt: "rule size winner status opening x,y ...". */
static void read_peers(peer_list *peers, const char *data)
{
    static char path[ROOM], line[8192];
    snprintf(path, sizeof path, "%s/../peers/games.txt", data);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    while (peers->count < 1024 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "freestyle", 9) != 0) {
            size_t length = strcspn(line, "\t\n");
            while (length > 0 && line[length - 1] == ' ')
                length--;
            line[length] = '\0';
            peers->line[peers->count] = strcpy(malloc(length + 1), line);
            peers->count++;
        }
    fclose(file);
}

/* Our game in the peer's words. */
static void write_peer_line(const gn_games *games, const gn_game *g, char *text, size_t room)
{
    static const char *const status[4] = {"", "draw200", "ok", "unknown_end"};
    const char *word = status[g->result + 1];
    const uint16_t *moves = games->moves + g->first;
    if (g->result == GN_LOSS)
        word = g->count % 2 == 1 ? "forbidden_loss" : "ok";
    size_t n = (size_t)snprintf(text, room, "%s %d %d %s %d", gn_rule_name((gn_rule)g->rule),
                                g->size, g->result == GN_WIN ? 1 : g->result == GN_LOSS ? 2 : 0,
                                word, g->opening);
    for (int i = 0; i < g->count && n < room; i++)
        n += (size_t)snprintf(text + n, room - n, " %d,%d", moves[i] % g->size, moves[i] / g->size);
}

Test(data_real, gomocup_games_agree_with_another_reader)
{
    const char *const given = getenv("GN_SHARED_DATA");
    const char *const data = given != NULL ? given : "../shared/data";
    static char text[8192];
    static peer_list peers;
    fixture f;
    struct stat about;
    begin(&f);
    snprintf(f.path, sizeof f.path, "%s/gomocup2016", data);
    if (stat(f.path, &about) != 0) {
        end(&f);
        fprintf(stderr, "SKIPPED: no real games at %s (set GN_SHARED_DATA)\n", data);
        cr_skip("no real games at %s", data); /* Criterion tells it only with --verbose */
    }
    f.import.strict = true;
    cr_assert_eq(gn_games_read(&f.games, f.path, &f.import, &f.err), GN_OK, "%s", f.err.text);
    cr_assert(f.games.count == 619 && f.import.files == 619);
    size_t positions = 0, agree = 0;
    read_peers(&peers, data);
    for (size_t i = 0; i < f.games.count; i++) {
        const gn_game *g = &f.games.game[i];
        positions += (size_t)(g->count - g->opening);
        write_peer_line(&f.games, g, text, sizeof text);
        for (size_t k = 0; k < peers.count; k++)
            if (peers.line[k] != NULL && strcmp(peers.line[k], text) == 0) {
                free(peers.line[k]);
                peers.line[k] = NULL; /* each line once */
                agree++;
                break;
            }
    }
    cr_expect_eq(positions, 26249);
    if (peers.count == 0)
        fprintf(stderr, "SKIPPED: the comparison, no %s/../peers/games.txt\n", data);
    else
        cr_expect(peers.count == 619 && agree == 619, "%zu of %zu lines agree", agree, peers.count);
    end(&f);
}
