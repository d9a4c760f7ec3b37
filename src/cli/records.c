/* Loading game records for a command.  SPDX-License-Identifier: MIT */
#include "cli/records.h"

#include <stdio.h>
#include <unistd.h>

enum { COMPLAINTS_SHOWN = 10 };

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

int records_read(gn_games *games, const text_list *paths, int board_size,
                 const record_options *how, const char *command_name)
{
    complaints c = {.command_name = command_name};
    gn_import total = {.strict = how->strict, .board_size = board_size, .fit = how->fit,
                       .complain = complain, .user = &c};
    gn_err err;
    for (int i = 0; i < paths->count; i++)
        if (gn_games_read(games, paths->item[i], &total, &err) != GN_OK)
            return tell_input(command_name, paths->item[i], &err);
    if (c.count > COMPLAINTS_SHOWN)
        fprintf(stderr, "gomokunet %s: and %zu more\n", command_name, c.count - COMPLAINTS_SHOWN);
    if (total.fitted > 0)
        fprintf(stderr, "gomokunet %s: %zu games of larger boards moved onto %dx%d\n", command_name,
                total.fitted, board_size, board_size);
    if (total.malformed > 0 || total.other_size > 0)
        fprintf(stderr,
                "gomokunet %s: %zu files, %zu games; left out: %zu malformed, %zu of another "
                "board size\n", command_name, total.files, total.games, total.malformed,
                total.other_size);
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
