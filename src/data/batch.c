/* Batches: the positions of a list of games, in the order in which training sees them.
 *
 * Everything is a function of (seed, step).  There is no generator state to save, so a resumed run,
 * and a run on more ranks, sees the same data.
 *
 * Order: epoch e = step / (positions / batch); within it the permutation of Fisher and Yates:
 * start from the identity, for i from positions - 1 down to 1 swap i with
 * below(seed, stream (order, e), i, i + 1).  Slot k of step s holds the position
 * order[(s % per_epoch) * batch + k] under symmetry below(seed, stream (symmetry, s), k, 8).
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "base/streams.h"
#include "gomokunet/data.h"
#include "gomokunet/numeric.h"

/* --- The data set -------------------------------------------------------------------------- */

gn_status gn_dataset_create(gn_dataset *out, const gn_games *games, int size, const uint8_t *use,
                            uint8_t wanted, gn_err *err)
{
    *out = (gn_dataset){.games = games, .size = size};
    size_t count = 0;
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *game = &games->game[i];
        if (use != NULL && use[i] != wanted)
            continue;
        if (game->size != size)
            return gn_fail(err, GN_E_DATA, "%s: a game on a board of %d, expected only %d",
                           games->sources[game->source], game->size, size);
        count += (size_t)(game->count - game->opening);
    }
    size_t number = games->count; /* into `use` */
    for (size_t i = 0; i < games->sample_sets; number += games->samples[i++].count) {
        const gn_samples *s = &games->samples[i];
        size_t taken = 0;
        for (size_t k = 0; k < s->count; k++)
            taken += use == NULL || use[number + k] == wanted;
        if (taken > 0 && s->size != size)
            return gn_fail(err, GN_E_DATA, "positions on a board of %d, expected only %d", s->size,
                           size);
        count += taken;
    }
    if (count > UINT32_MAX || games->count > UINT32_MAX) /* the sampler's order is 32 bits wide */
        return gn_fail(err, GN_E_DATA, "%zu positions, expected at most %u", count, UINT32_MAX);

    out->position = malloc((count > 0 ? count : 1) * sizeof *out->position);
    if (out->position == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for %zu positions", count);
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *game = &games->game[i];
        if (use != NULL && use[i] != wanted)
            continue;
        for (uint16_t ply = game->opening; ply < game->count; ply++)
            out->position[out->count++] = (gn_position){.game = (uint32_t)i, .ply = ply};
    }
    number = games->count;
    for (size_t i = 0; i < games->sample_sets; number += games->samples[i++].count)
        for (size_t k = 0; k < games->samples[i].count; k++)
            if (use == NULL || use[number + k] == wanted)
                out->position[out->count++] = (gn_position){(uint32_t)(games->count + i),
                                                            (uint32_t)k};
    assert(out->count == count);
    return GN_OK;
}

void gn_dataset_free(gn_dataset *dataset)
{
    if (dataset == NULL)
        return;
    free(dataset->position);
    *dataset = (gn_dataset){0};
}

/* Writes one position into slot k of a batch. */
static void write_slot(const gn_dataset *dataset, size_t index, int symmetry, size_t k,
                       float *planes, float *policy, float *value)
{
    const size_t cells = (size_t)dataset->size * (size_t)dataset->size;
    const gn_position position = dataset->position[index];
    gn_position_write(dataset->games, position.game, (int)position.ply, symmetry,
                      planes + k * cells * GN_PLANES, policy + k * cells, value + k);
}

void gn_dataset_batch(const gn_dataset *dataset, size_t first, size_t count, float *planes,
                      float *policy, float *value)
{
    assert(first <= dataset->count && count <= dataset->count - first);
    for (size_t k = 0; k < count; k++)
        write_slot(dataset, first + k, 0, k, planes, policy, value);
}

/* --- The sampler --------------------------------------------------------------------------- */

static void shuffle(gn_sampler *sampler, uint64_t epoch)
{
    const uint64_t stream = gn_stream(GN_STREAM_ORDER, epoch);
    const size_t count = sampler->dataset->count;
    uint32_t *order = sampler->order;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count - 1; i > 0; i--) {
        const uint32_t j = gn_random_below(sampler->seed, stream, i, (uint32_t)i + 1);
        const uint32_t held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
    sampler->epoch = epoch;
}

gn_status gn_sampler_create(gn_sampler *out, const gn_dataset *dataset, uint64_t seed, size_t batch,
                            gn_err *err)
{
    *out = (gn_sampler){.dataset = dataset, .seed = seed, .batch = batch};
    if (batch == 0)
        return gn_fail(err, GN_E_CONFIG, "batch size 0, expected at least 1");
    if (dataset->count < batch)
        return gn_fail(err, GN_E_DATA,
                       "%zu positions to train on, expected at least one batch of %zu",
                       dataset->count, batch);
    out->per_epoch = dataset->count / batch;
    out->order = malloc(dataset->count * sizeof *out->order);
    if (out->order == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory to shuffle %zu positions", dataset->count);
    shuffle(out, 0);
    return GN_OK;
}

void gn_sampler_free(gn_sampler *sampler)
{
    if (sampler == NULL)
        return;
    free(sampler->order);
    *sampler = (gn_sampler){0};
}

void gn_sampler_batch(gn_sampler *sampler, uint64_t step, float *planes, float *policy,
                      float *value)
{
    const uint64_t epoch = step / sampler->per_epoch;
    if (epoch != sampler->epoch)
        shuffle(sampler, epoch);
    const size_t first = (size_t)(step % sampler->per_epoch) * sampler->batch;
    const uint64_t stream = gn_stream(GN_STREAM_SYMMETRY, step);
    for (size_t k = 0; k < sampler->batch; k++) {
        const int symmetry = (int)gn_random_below(sampler->seed, stream, k, 8);
        write_slot(sampler->dataset, sampler->order[first + k], symmetry, k, planes, policy, value);
    }
}
