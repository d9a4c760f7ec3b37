/* Copies among games, and what a held-out set shares with the games trained on.
 * SPDX-License-Identifier: MIT */
#include "cli/copies.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"

enum { SHOWN = 3 };

/* A game's number among those of its source, from 1. */
static size_t number_in_source(const gn_games *games, size_t game)
{
    size_t number = 1;
    while (number <= game && games->game[game - number].source == games->game[game].source)
        number++;
    return number;
}

static void tell_copy(const gn_games *games, size_t i, const gn_games *in, size_t j,
                      const char *command_name)
{
    fprintf(stderr, "gomokunet %s: game %zu of %s is a copy of game %zu of %s\n", command_name,
            number_in_source(games, i), games->sources[games->game[i].source],
            number_in_source(in, j), in->sources[in->game[j].source]);
}

/* match[i] of gn_games_match; NULL: told on stderr. */
static uint32_t *match_games(const gn_games *games, const gn_games *in, const char *command_name)
{
    gn_err err;
    uint32_t *match = malloc((games->count + 1) * sizeof *match);
    if (match == NULL)
        gn_fail(&err, GN_E_NOMEM, "no memory to compare %zu games", games->count);
    else if (gn_games_match(games, in, match, &err) == GN_OK)
        return match;
    free(match);
    tell(command_name, &err);
    return NULL;
}

int copies_within(gn_games *games, bool drop, size_t *count, const char *command_name)
{
    size_t kept = 0;
    *count = 0;
    uint32_t *match = match_games(games, games, command_name);
    if (match == NULL)
        return EXIT_RUNTIME;
    for (size_t i = 0; i < games->count; i++)
        if (match[i] < i && ++*count <= SHOWN)
            tell_copy(games, i, games, match[i], command_name);
    for (size_t i = 0; i < games->count && drop; i++)
        if (match[i] == i)
            games->game[kept++] = games->game[i];
    if (drop)
        games->count = kept;
    free(match);
    return EXIT_GOOD;
}

int copies_positions(const gn_dataset *dataset, const gn_dataset *seen, size_t *count,
                     const char *command_name)
{
    gn_err err;
    uint8_t *marks = malloc(dataset->count + 1);
    gn_status st = marks == NULL
        ? gn_fail(&err, GN_E_NOMEM, "no memory to compare %zu positions", dataset->count)
        : gn_dataset_mark_seen(dataset, seen, marks, count, &err);
    free(marks);
    return st == GN_OK ? EXIT_GOOD : tell(command_name, &err);
}

/* The positions of one board size; use marks those games. */
static gn_status of_size(gn_dataset *out, const gn_games *games, int size, gn_err *err)
{
    const size_t samples = gn_games_samples(games);
    uint8_t *use = malloc(games->count + samples + 1), *next = use;
    if (use == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory to compare %zu games", games->count);
    for (size_t i = 0; i < games->count; i++)
        *next++ = games->game[i].size == size;
    for (size_t i = 0; i < games->sample_sets; i++)
        for (size_t k = 0; k < games->samples[i].count; k++)
            *next++ = games->samples[i].size == size;
    const gn_status st = gn_dataset_create(out, games, size, use, 1, err);
    free(use);
    return st;
}

int copies_seen(const gn_games *games, const gn_games *seen, shared *both,
                const char *command_name)
{
    *both = (shared){0};
    uint32_t *match = match_games(games, seen, command_name);
    if (match == NULL)
        return EXIT_RUNTIME;
    for (size_t i = 0; i < games->count; i++)
        if (match[i] != UINT32_MAX && ++both->games <= SHOWN)
            tell_copy(games, i, seen, match[i], command_name);
    free(match);
    int status = EXIT_GOOD;
    for (int size = GN_MIN_BOARD; size <= GN_MAX_BOARD && status == EXIT_GOOD; size++) {
        gn_err err;
        gn_dataset ours = {0}, theirs = {0};
        size_t count = 0;
        gn_status st = of_size(&ours, games, size, &err);
        if (st == GN_OK)
            st = of_size(&theirs, seen, size, &err);
        status = st == GN_OK ? copies_positions(&ours, &theirs, &count, command_name)
                             : tell(command_name, &err);
        both->positions += count;
        gn_dataset_free(&ours);
        gn_dataset_free(&theirs);
    }
    return status;
}
