/* gomokunet games.  SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/copies.h"
#include "cli/games_stats.h"
#include "cli/machine.h"
#include "cli/progress.h"
#include "cli/records.h"

typedef struct games_options {
    text_list data, seen;
    int make, board_size;
    uint64_t seed;
    const char *out, *stats;
    records_options records;
    bool json, unique;
} games_options;

static int make_games(gn_games *games, const games_options *o)
{
    gn_err err;
    progress bar = progress_begin((uint64_t)o->make);
    for (int i = 0; i < o->make; i++) {
        if (gn_player_game(games, o->seed, (uint64_t)i, o->board_size, &err) != GN_OK)
            return tell("games", &err);
        progress_show(&bar, (uint64_t)i + 1, "games made");
        if (machine_interrupted())
            return EXIT_SIGINT;
    }
    progress_break(&bar);
    return EXIT_GOOD;
}

/* What the command prints. */
typedef struct counts {
    size_t copies;
    bool seen; /* whether --seen was given */
    shared both;
} counts;

static void print_counts(const gn_games *games, const counts *c, bool json)
{
    games_stats s;
    size_t positions = 0, rules[3] = {0};
    stats_count(&s, games);
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        rules[g->rule]++;
        positions += (size_t)(g->count - g->opening);
    }
    const char *text = json ? "{\"games\":%zu,\"positions\":%zu,\"samples\":%zu,\"first_wins\":%zu,"
                              "\"second_wins\":%zu,\"draws\":%zu,\"unknown\":%zu,"
                              "\"freestyle\":%zu,\"standard\":%zu,\"renju\":%zu,"
                              "\"shortest\":%d,\"longest\":%d,\"median\":%d,\"mean\":%.2f,"
                              "\"copies\":%zu"
                            : "%zu games, %zu positions after the openings (%zu of them without a "
                              "game)\n"
                              "first mover wins %zu, second %zu, draws %zu, unknown %zu\n"
                              "freestyle %zu, standard %zu, renju %zu\n"
                              "plies %d to %d, median %d, mean %.1f\n"
                              "copies of other games, up to symmetry: %zu\n";
    const size_t samples = gn_games_samples(games);
    printf(text, games->count, positions + samples, samples, s.results[2], s.results[0],
           s.results[1], s.results[3], rules[GN_FREESTYLE], rules[GN_STANDARD], rules[GN_RENJU],
           s.shortest, s.longest, s.median, s.mean, c->copies);
    if (c->seen)
        printf(json ? ",\"seen_games\":%zu,\"seen_positions\":%zu"
                    : "in the games of --seen too: %zu games, %zu positions\n", c->both.games,
               c->both.positions);
    if (json)
        puts("}");
}

/* Finds copies, and what --seen holds too. */
static int compare(gn_games *games, const games_options *o, counts *c)
{
    *c = (counts){.seen = o->seen.count > 0};
    int status = copies_within(games, o->unique, &c->copies, "games");
    if (status != EXIT_GOOD || !c->seen)
        return status;
    gn_games seen = {0};
    records_options records = o->records;
    records.cache = NULL; /* it is for --data */
    status = records_read(&seen, &o->seen, &records, "games");
    if (status == EXIT_GOOD)
        status = copies_seen(games, &seen, &c->both, "games");
    gn_games_free(&seen);
    return status;
}

static int draw_stats(const gn_games *games, const char *path)
{
    games_stats s;
    gn_err err;
    stats_count(&s, games);
    return stats_draw(&s, path, &err) == GN_OK ? EXIT_GOOD : tell("games", &err);
}

static int run(const games_options *o)
{
    gn_games games = {0};
    gn_err err;
    counts c;
    machine_catch_interrupts();
    int status = o->make > 0 ? make_games(&games, o)
                             : records_read(&games, &o->data, &o->records, "games");
    if (status == EXIT_GOOD) status = compare(&games, o, &c);
    if (status == EXIT_GOOD && games.count == 0 && (o->out != NULL || o->stats != NULL)) {
        gn_fail(&err, GN_E_DATA, "only positions without a game, expected games for --out "
                "or --stats");
        status = tell("games", &err);
    }
    if (status == EXIT_GOOD && o->out != NULL && gn_games_write(&games, o->out, &err) != GN_OK)
        status = tell("games", &err);
    if (status == EXIT_GOOD && o->stats != NULL)
        status = draw_stats(&games, o->stats);
    if (status == EXIT_GOOD)
        print_counts(&games, &c, o->json);
    if (status == EXIT_GOOD && o->out != NULL && !o->json)
        printf("written: %s\n", o->out);
    if (status == EXIT_GOOD && o->stats != NULL && !o->json)
        printf("written: %s\n", o->stats);
    gn_games_free(&games);
    return status;
}

int command_games(int argc, char **argv)
{
    games_options o = {.board_size = 15, .seed = 1};
    const option list[] = {
        {"data", OPT_LIST, &o.data, 0, 0, "PATH", "records to check, file or folder; repeatable"},
        {"make", OPT_INT, &o.make, 0, 1e7, "N", "make N games with the built-in player"},
        {"board-size", OPT_INT, &o.board_size, GN_MIN_BOARD, GN_MAX_BOARD, "N",
         "squares a side of the games made, or of the box of --fit-board"},
        {"seed", OPT_SEED, &o.seed, 0, 0, "N", "of the games made"},
        {"out", OPT_TEXT, &o.out, 0, 0, "FILE", "write all games as .gomoku or .gomoku.gz"},
        {"stats", OPT_TEXT, &o.stats, 0, 0, "FILE",
         "draw results, lengths and openings as SVG"},
        {"unique", OPT_FLAG, &o.unique, 0, 0, NULL, "leave copies of other games out"},
        {"seen", OPT_LIST, &o.seen, 0, 0, "PATH",
         "other records: count what both hold; repeatable"},
        RECORDS_OPTIONS(&o.records),
        {"json", OPT_FLAG, &o.json, 0, 0, NULL, "counts as JSON"},
    };
    const command c = {"games", "make, import, check and count games", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if ((o.make > 0) == (o.data.count > 0)) {
        fprintf(stderr, "gomokunet games: expected either --data PATH or --make N\n");
        return EXIT_USAGE;
    }
    if (o.records.fit_board)
        o.records.board_size = o.board_size;
    return run(&o);
}
