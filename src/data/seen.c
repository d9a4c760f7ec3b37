/* Positions that another data set holds too, as the network sees them: the stones of both sides and
 * the last move, up to symmetry, however the game came there.
 *
 * A position is known by a hash: for each symmetry the sum over its own stones of a mixed (cell,
 * plane), the same for the other planes, and of the eight sums the least after a last mixing.  Two
 * of 100 million positions share one by chance with a probability of about 0.0003.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "data/record.h"

/* --- Names --------------------------------------------------------------------------------- */

/* The finaliser of splitmix64: every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

enum { OWN, OPPONENT, LAST };

static uint64_t mark(int plane, int cell)
{
    return mix(0x9e3779b97f4a7c15u * (uint64_t)(1 + plane * 1024 + cell));
}

uint64_t gn_sample_name(const gn_samples *s, size_t index)
{
    const int cells = s->size * s->size;
    const float *planes = s->planes + index * (size_t)(cells * GN_PLANES);
    uint64_t least = UINT64_MAX;
    for (int symmetry = 0; symmetry < 8; symmetry++) {
        uint64_t sum = 0;
        for (int plane = OWN; plane <= LAST; plane++)
            for (int cell = 0; cell < cells; cell++)
                if (planes[plane * cells + cell] != 0)
                    sum += mark(plane, gn_symmetry_cell(symmetry, cell, s->size));
        sum = mix(sum + (uint64_t)s->size);
        least = sum < least ? sum : least;
    }
    return least;
}

/* Walks through the positions of a dataset; quick where they come in order. */
typedef struct walk {
    const gn_dataset *dataset;
    uint32_t game;
    int plies;          /* of `game`, that the sums hold */
    uint64_t side[8][2]; /* the sums of the first and the second mover's stones, as OWN */
    uint64_t other[8][2]; /* as OPPONENT */
} walk;

static walk walk_begin(const gn_dataset *dataset)
{
    return (walk){.dataset = dataset, .game = UINT32_MAX};
}

/* The hash of position number `index`. */
static uint64_t walk_to(walk *w, size_t index)
{
    const gn_dataset *d = w->dataset;
    const gn_position at = d->position[index];
    if (at.game >= d->games->count)
        return gn_sample_name(&d->games->samples[at.game - d->games->count], at.ply);
    const gn_game *g = &d->games->game[at.game];
    const uint16_t *moves = d->games->moves + g->first;
    const int ply = (int)at.ply;
    if (at.game != w->game || ply < w->plies)
        *w = (walk){.dataset = d, .game = at.game};
    for (; w->plies < ply; w->plies++)
        for (int s = 0; s < 8; s++) {
            const int cell = gn_symmetry_cell(s, moves[w->plies], d->size);
            w->side[s][w->plies % 2] += mark(OWN, cell);
            w->other[s][w->plies % 2] += mark(OPPONENT, cell);
        }
    const int mover = ply % 2;
    uint64_t least = UINT64_MAX;
    for (int s = 0; s < 8; s++) {
        uint64_t sum = w->side[s][mover] + w->other[s][1 - mover];
        if (ply > 0)
            sum += mark(LAST, gn_symmetry_cell(s, moves[ply - 1], d->size));
        sum = mix(sum + (uint64_t)d->size);
        least = sum < least ? sum : least;
    }
    return least;
}

/* --- A set of names ------------------------------------------------------------------------ */

typedef struct set {
    uint64_t *name; /* 0: an empty place */
    uint8_t *found;
    size_t mask;
} set;

/* The place of a name, or the empty one where it would stand. */
static size_t place(const set *t, uint64_t name)
{
    size_t at = (size_t)name & t->mask;
    while (t->name[at] != 0 && t->name[at] != name)
        at = (at + 1) & t->mask;
    return at;
}

static uint64_t not_empty(uint64_t name)
{
    return name != 0 ? name : 1;
}

gn_status gn_dataset_mark_seen(const gn_dataset *dataset, const gn_dataset *seen, uint8_t *marks,
                               size_t *count, gn_err *err)
{
    set t = {.mask = 15};
    while (t.mask < 2 * dataset->count)
        t.mask = 2 * t.mask + 1;
    t.name = calloc(t.mask + 1, sizeof *t.name);
    t.found = calloc(t.mask + 1, 1);
    gn_status st = GN_OK;
    *count = 0;
    if (t.name == NULL || t.found == NULL)
        st = gn_fail(err, GN_E_NOMEM, "no memory to compare %zu positions", dataset->count);
    walk w = walk_begin(dataset);
    for (size_t i = 0; i < dataset->count && st == GN_OK; i++) {
        const uint64_t name = not_empty(walk_to(&w, i));
        t.name[place(&t, name)] = name;
    }
    walk other = walk_begin(seen);
    for (size_t i = 0; i < seen->count && st == GN_OK; i++)
        t.found[place(&t, not_empty(walk_to(&other, i)))] = 1;
    w = walk_begin(dataset);
    for (size_t i = 0; i < dataset->count && st == GN_OK; i++) {
        marks[i] = t.found[place(&t, not_empty(walk_to(&w, i)))];
        *count += marks[i];
    }
    free(t.name);
    free(t.found);
    return st;
}

gn_status gn_dataset_remove_seen(gn_dataset *dataset, const gn_dataset *seen, gn_err *err)
{
    size_t count, kept = 0;
    uint8_t *marks = malloc(dataset->count + 1);
    if (marks == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory to compare %zu positions", dataset->count);
    const gn_status st = gn_dataset_mark_seen(dataset, seen, marks, &count, err);
    for (size_t i = 0; i < dataset->count && st == GN_OK; i++)
        if (!marks[i])
            dataset->position[kept++] = dataset->position[i];
    if (st == GN_OK)
        dataset->count = kept;
    free(marks);
    return st;
}
