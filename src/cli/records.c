/* Loading game records for a command.  SPDX-License-Identifier: MIT */
#include "cli/records.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/machine.h"

enum { COMPLAINTS_SHOWN = 10, SLOW_SECONDS = 2 };

typedef struct complaints {
    const char *command_name;
    size_t count;
} complaints;

static void complain(void *user, const char *text)
{
    complaints *c = user;
    if (c->count++ < COMPLAINTS_SHOWN)
        fprintf(stderr, "gomokunet %s: skipped %s\n", c->command_name, text);
}

static gn_status read_paths(gn_games *games, const text_list *paths, const records_options *o,
                            gn_import *total, gn_err *err)
{
    if (o->cache != NULL)
        return gn_games_read_cached(games, paths->item, (size_t)paths->count, o->cache, total, err);
    gn_status st = GN_OK;
    for (int i = 0; i < paths->count && st == GN_OK; i++)
        st = gn_games_read(games, paths->item[i], total, err);
    return st;
}

int records_read(gn_games *games, const text_list *paths, const records_options *o,
                 const char *command_name)
{
    complaints c = {.command_name = command_name};
    gn_import total = {.strict = o->strict, .board_size = o->board_size, .fit_board = o->fit_board,
                       .complain = complain, .user = &c};
    gn_err err;
    const double started = machine_seconds();
    if (read_paths(games, paths, o, &total, &err) != GN_OK) {
        int missing = 0; /* the path that is not there, else any */
        while (missing + 1 < paths->count && access(paths->item[missing], F_OK) == 0)
            missing++;
        return tell_input(command_name, paths->item[missing], &err);
    }
    const double seconds = machine_seconds() - started;
    if (c.count > COMPLAINTS_SHOWN)
        fprintf(stderr, "gomokunet %s: and %zu more\n", command_name, c.count - COMPLAINTS_SHOWN);
    if (total.malformed > 0 || total.other_size > 0)
        fprintf(stderr,
                "gomokunet %s: %zu files, %zu games; left out: %zu malformed, %zu of another "
                "board size\n", command_name, total.files, total.games, total.malformed,
                total.other_size);
    if (total.fitted > 0)
        fprintf(stderr, "gomokunet %s: %zu of the games moved from a larger board\n", command_name,
                total.fitted);
    if (seconds > SLOW_SECONDS && o->cache == NULL)
        fprintf(stderr, "gomokunet %s: reading %zu files took %.1f s; --cache FILE would keep "
                "their games for the next time\n", command_name, total.files, seconds);
    return EXIT_GOOD;
}

int records_embedded(gn_games *games, int board_size, const char *cache, const char *command_name)
{
    gn_err err;
    gn_import import = {.strict = true, .board_size = board_size};
    if (cache != NULL && gn_games_read(games, cache, &import, NULL) == GN_OK &&
        games->count == PLAYER_GAMES)
        return EXIT_GOOD;
    gn_games_free(games);
    for (uint64_t i = 0; i < PLAYER_GAMES; i++)
        if (gn_player_game(games, PLAYER_SEED, i, board_size, &err) != GN_OK)
            return tell(command_name, &err);
    if (cache != NULL && gn_games_write(games, cache, &err) != GN_OK)
        return tell(command_name, &err);
    return EXIT_GOOD;
}
