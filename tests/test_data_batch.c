/* Data: the data set, the split by game, the batches of training and evaluation.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/data.h"

enum { S = 15, CELLS = S * S };

static void add(gn_games *games, gn_rule rule, int opening, const uint16_t *moves, int count)
{
    gn_err err;
    cr_assert_eq(gn_games_add(games, "test", S, rule, opening, moves, count, &err), GN_OK, "%s",
                 err.text);
}

static void play(gn_games *games, uint64_t seed, uint64_t count, int size)
{
    gn_err err;
    for (uint64_t i = 0; i < count; i++)
        cr_assert_eq(gn_player_game(games, seed, i, size, &err), GN_OK, "%s", err.text);
}

Test(data_dataset, positions_after_the_opening)
{
    const uint16_t moves[] = {0, 30, 1, 31, 2};
    const uint8_t use[] = {1, 0, 1};
    gn_games games = {0};
    gn_dataset set;
    gn_err err;
    add(&games, GN_FREESTYLE, 3, moves, 5);
    add(&games, GN_FREESTYLE, 0, moves, 5);
    add(&games, GN_FREESTYLE, 5, moves, 5); /* forced to the end: nothing to learn */
    cr_assert_eq(gn_dataset_create(&set, &games, S, NULL, 0, &err), GN_OK);
    cr_assert_eq(set.count, 7);
    gn_dataset_free(&set);
    cr_assert_eq(gn_dataset_create(&set, &games, S, use, 1, &err), GN_OK);
    cr_assert_eq(set.count, 2);
    cr_assert(set.position[0].game == 0 && set.position[0].ply == 3 && set.position[1].ply == 4);
    gn_dataset_free(&set);
    cr_assert_eq(gn_dataset_create(&set, &games, 19, NULL, 0, &err), GN_E_DATA);
    cr_assert_str_eq(err.text, "test: a game on a board of 15, expected only 19");
    gn_dataset_free(&set);
    gn_games_free(&games);
}

Test(data_split, goes_by_game_and_is_stable)
{
    enum { GAMES = 400 };
    uint8_t use[9 * GAMES], again[GAMES], other[9 * GAMES];
    gn_games games = {0};
    play(&games, 1, GAMES, S);
    gn_split(&games, 5, 0.25, again);
    for (int s = 0; s < 8; s++) /* every game again, turned */
        for (size_t i = 0; i < GAMES; i++) {
            const gn_game g = games.game[i];
            uint16_t moves[CELLS];
            for (int k = 0; k < g.count; k++)
                moves[k] = (uint16_t)gn_symmetry_cell(s, games.moves[g.first + (size_t)k], S);
            add(&games, GN_FREESTYLE, g.opening, moves, g.count);
        }
    gn_split(&games, 5, 0.25, use);
    int used = 0, differ = 0;
    for (size_t i = 0; i < 9 * GAMES; i++)
        cr_assert_eq(use[i], again[i % GAMES], "game %zu changed its side", i);
    gn_split(&games, 6, 0.25, use);
    memcpy(other, use, GAMES);
    for (size_t i = 0; i < GAMES; i++) {
        used += again[i];
        differ += again[i] != other[i];
    }
    cr_assert(used > 70 && used < 130, "%d of 400 at a fraction of 1/4", used);
    cr_assert(differ > 80, "another seed gives another split");
    gn_split(&games, 5, 0.0, use);
    gn_split(&games, 5, 1.0, other);
    for (size_t i = 0; i < GAMES; i++)
        cr_assert(use[i] == 0 && other[i] == 1);
    gn_games_free(&games);
}

enum { SMALL = 9, SMALL_CELLS = SMALL * SMALL, BATCH = 8 };

typedef struct sample {
    float planes[BATCH][SMALL_CELLS * 5], policy[BATCH][SMALL_CELLS], value[BATCH];
} sample;

static void draw(gn_sampler *sampler, uint64_t step, sample *s)
{
    memset(s, 0xff, sizeof *s);
    gn_sampler_batch(sampler, step, s->planes[0], s->policy[0], s->value);
}

Test(data_sampler, an_epoch_visits_each_position_once)
{
    gn_games games = {0};
    gn_dataset set;
    gn_sampler sampler;
    gn_err err;
    static sample s;
    play(&games, 2, 5, SMALL);
    cr_assert_eq(gn_dataset_create(&set, &games, SMALL, NULL, 0, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&sampler, &set, 3, BATCH, &err), GN_OK);
    cr_assert_eq(sampler.per_epoch, set.count / BATCH);
    int symmetries[8] = {0};
    int *seen = calloc(set.count, sizeof *seen);
    for (uint64_t step = sampler.per_epoch; step < 2 * sampler.per_epoch; step++) {
        draw(&sampler, step, &s);
        for (int k = 0; k < BATCH; k++) {
            int matches = 0;
            for (size_t i = 0; i < set.count; i++)
                for (int symmetry = 0; symmetry < 8; symmetry++) {
                    float planes[SMALL_CELLS * 5], policy[SMALL_CELLS], value;
                    gn_position_write(&games, set.position[i].game, (int)set.position[i].ply, symmetry,
                                      planes, policy, &value);
                    if (memcmp(planes, s.planes[k], sizeof planes) != 0 ||
                        memcmp(policy, s.policy[k], sizeof policy) != 0 || value != s.value[k])
                        continue;
                    matches++;
                    seen[i]++;
                    symmetries[symmetry]++;
                }
            cr_assert_eq(matches, 1, "step %d slot %d is one position", (int)step, k);
        }
    }
    size_t visited = 0;
    for (size_t i = 0; i < set.count; i++) {
        cr_assert(seen[i] <= 1, "position %zu visited %d times", i, seen[i]);
        visited += (size_t)seen[i];
    }
    cr_assert_eq(visited, sampler.per_epoch * BATCH);
    for (int i = 0; i < 8; i++)
        cr_assert(symmetries[i] > 0, "symmetry %d is never drawn", i);
    free(seen);
    gn_sampler_free(&sampler);
    gn_dataset_free(&set);
    gn_games_free(&games);
}

Test(data_sampler, a_batch_is_a_function_of_seed_and_step)
{
    enum { STEPS = 70 };
    gn_games games = {0};
    gn_dataset set;
    gn_sampler up, down, other;
    gn_err err;
    static sample forward[STEPS], s;
    play(&games, 2, 4, SMALL);
    cr_assert_eq(gn_dataset_create(&set, &games, SMALL, NULL, 0, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&up, &set, 3, BATCH, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&down, &set, 3, BATCH, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&other, &set, 4, BATCH, &err), GN_OK);
    cr_assert(2 * up.per_epoch < STEPS, "the steps cover three epochs");
    for (int step = 0; step < STEPS; step++)
        draw(&up, (uint64_t)step, &forward[step]);
    for (int step = STEPS; step-- > 0;) {
        draw(&down, (uint64_t)step, &s);
        cr_assert_eq(memcmp(&s, &forward[step], sizeof s), 0, "step %d", step);
        draw(&other, (uint64_t)step, &s);
        cr_assert_neq(memcmp(&s, &forward[step], sizeof s), 0, "seed 4, step %d", step);
    }
    cr_assert_neq(memcmp(&forward[0], &forward[up.per_epoch], sizeof s), 0, "epochs differ");
    gn_sampler_free(&up);
    gn_sampler_free(&down);
    gn_sampler_free(&other);
    gn_dataset_free(&set);
    gn_games_free(&games);
}

/* The contract's data order as numbers (docs/numerics.md, "Data order"): a change breaks every
 * stored run.  The figures come from a Python program of its own. */
Test(data_sampler, stored_order)
{
    static const uint32_t epoch0[10] = {0, 9, 6, 8, 2, 3, 5, 4, 1, 7};
    static const uint32_t epoch1[10] = {7, 5, 6, 3, 1, 8, 0, 9, 2, 4};
    uint16_t moves[10];
    for (int i = 0; i < 10; i++)
        moves[i] = (uint16_t)(i * 17);
    gn_games games = {0};
    gn_dataset set;
    gn_sampler sampler;
    gn_err err;
    static float planes[CELLS * 5], policy[CELLS], value;
    add(&games, GN_FREESTYLE, 0, moves, 10);
    cr_assert_eq(gn_dataset_create(&set, &games, S, NULL, 0, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&sampler, &set, 1, 1, &err), GN_OK);
    cr_assert_eq(memcmp(sampler.order, epoch0, sizeof epoch0), 0);
    gn_sampler_batch(&sampler, 10, planes, policy, &value);
    cr_assert_eq(memcmp(sampler.order, epoch1, sizeof epoch1), 0);
    gn_sampler_free(&sampler);
    gn_dataset_free(&set);
    gn_games_free(&games);
}

Test(data_sampler, too_little_data)
{
    const uint16_t moves[] = {0, 30, 1};
    gn_games games = {0};
    gn_dataset set;
    gn_sampler sampler;
    gn_err err;
    add(&games, GN_FREESTYLE, 0, moves, 3);
    cr_assert_eq(gn_dataset_create(&set, &games, S, NULL, 0, &err), GN_OK);
    cr_assert_eq(gn_sampler_create(&sampler, &set, 1, 4, &err), GN_E_DATA);
    cr_assert_str_eq(err.text, "3 positions to train on, expected at least one batch of 4");
    gn_sampler_free(&sampler);
    cr_assert_eq(gn_sampler_create(&sampler, &set, 1, 0, &err), GN_E_CONFIG);
    gn_sampler_free(&sampler);
    cr_assert_eq(gn_sampler_create(&sampler, &set, 1, 3, &err), GN_OK);
    gn_sampler_free(&sampler);
    gn_dataset_free(&set);
    gn_games_free(&games);
}

Test(data_dataset, evaluation_batch)
{
    gn_games games = {0};
    gn_dataset set;
    gn_err err;
    static float planes[3][CELLS * 5], policy[3][CELLS], value[3];
    static float want_planes[CELLS * 5], want_policy[CELLS], want_value;
    play(&games, 1, 2, S);
    cr_assert_eq(gn_dataset_create(&set, &games, S, NULL, 0, &err), GN_OK);
    gn_dataset_batch(&set, set.count - 3, 3, planes[0], policy[0], value);
    for (size_t k = 0; k < 3; k++) {
        const gn_position p = set.position[set.count - 3 + k];
        gn_position_write(&games, p.game, (int)p.ply, 0, want_planes, want_policy, &want_value);
        cr_assert_eq(memcmp(planes[k], want_planes, sizeof want_planes), 0);
        cr_assert_eq(memcmp(policy[k], want_policy, sizeof want_policy), 0);
        cr_assert_eq(value[k], want_value);
    }
    gn_dataset_free(&set);
    gn_games_free(&games);
}
