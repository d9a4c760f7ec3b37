/* Positions without a game: arrays of planes, policies and values, from .npz or .safetensors.
 *
 *     planes [N,5,S,S]   policy [N,S*S]   value [N]      each also as input/planes, ...
 *
 * Any element type is taken and becomes float32.  What the training relies on is checked once here:
 * finite planes, policies that are distributions (or all zero: no move to learn), values of -1 to 1
 * (or NaN: not known).  One wrong position makes the whole file malformed, since it says that
 * whoever wrote it meant something else.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/game.h"
#include "data/record.h"
#include "gomokunet/io.h"

/* A distribution written in float32 or float16 adds up to 1 only so well. */
static const double sum_tolerance = 1e-3;

static const gn_entry *find(const gn_reader *reader, const char *name)
{
    char full[32] = "input/";
    strcat(full, name);
    const gn_entry *entry = gn_reader_find(reader, full);
    return entry != NULL ? entry : gn_reader_find(reader, name);
}

static float element(const gn_entry *entry, size_t i)
{
    switch (entry->type) {
    case GN_F32: return ((const float *)entry->data)[i];
    case GN_F64: return (float)((const double *)entry->data)[i];
    case GN_I32: return (float)((const int32_t *)entry->data)[i];
    case GN_I64: return (float)((const int64_t *)entry->data)[i];
    default: return (float)((const uint8_t *)entry->data)[i];
    }
}

typedef struct arrays {
    const gn_entry *planes, *policy, *value;
    size_t count, cells;
    int size;
} arrays;

/* Finds the three arrays and compares their shapes. */
static gn_status find_arrays(arrays *a, const gn_reader *reader, const char *path, gn_err *err)
{
    a->planes = find(reader, "planes");
    a->policy = find(reader, "policy");
    a->value = find(reader, "value");
    if (a->planes == NULL || a->policy == NULL || a->value == NULL)
        return gn_fail(err, GN_E_FORMAT, "%s: no array '%s', expected planes, policy and value",
                       path, a->planes == NULL ? "planes" : a->policy == NULL ? "policy" : "value");
    const size_t *dim = a->planes->dim;
    if (a->planes->rank != 4 || dim[1] != GN_PLANES || dim[2] != dim[3] || dim[2] < GN_MIN_BOARD ||
        dim[2] > GN_MAX_BOARD)
        return gn_fail(err, GN_E_FORMAT, "%s: planes: expected the shape [N,%d,S,S] with S from %d "
                       "to %d", path, (int)GN_PLANES, (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    a->count = dim[0];
    a->size = (int)dim[2];
    a->cells = dim[2] * dim[2];
    if (a->policy->rank != 2 || a->policy->dim[0] != a->count || a->policy->dim[1] != a->cells)
        return gn_fail(err, GN_E_FORMAT, "%s: policy: expected the shape [%zu,%zu]", path, a->count,
                       a->cells);
    if (a->value->rank != 1 || a->value->dim[0] != a->count)
        return gn_fail(err, GN_E_FORMAT, "%s: value: expected the shape [%zu]", path, a->count);
    if (a->count == 0 || a->count > UINT32_MAX)
        return gn_fail(err, GN_E_FORMAT, "%s: %zu positions, expected at least one", path,
                       a->count);
    return GN_OK;
}

static gn_status copy(gn_samples *s, const arrays *a, const char *path, gn_err *err)
{
    const size_t planes = a->count * a->cells * GN_PLANES, policy = a->count * a->cells;
    s->planes = malloc(planes * sizeof *s->planes);
    s->policy = malloc(policy * sizeof *s->policy);
    s->value = malloc(a->count * sizeof *s->value);
    if (s->planes == NULL || s->policy == NULL || s->value == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu positions", path, a->count);
    for (size_t i = 0; i < planes; i++) {
        s->planes[i] = element(a->planes, i);
        if (!isfinite(s->planes[i]))
            return gn_fail(err, GN_E_FORMAT, "%s: planes: position %zu holds %g, expected finite "
                           "numbers", path, i / (a->cells * GN_PLANES), (double)s->planes[i]);
    }
    for (size_t i = 0; i < a->count; i++) {
        double sum = 0;
        bool sound = true;
        for (size_t cell = i * a->cells; cell < (i + 1) * a->cells; cell++) {
            s->policy[cell] = element(a->policy, cell);
            sound = sound && s->policy[cell] >= 0;
            sum += (double)s->policy[cell];
        }
        if (!sound || !(sum == 0 || fabs(sum - 1) <= sum_tolerance))
            return gn_fail(err, GN_E_FORMAT, "%s: policy: position %zu adds up to %g%s, expected a "
                           "distribution or zeros", path, i, sum, sound ? "" : " with a negative");
        s->value[i] = element(a->value, i);
        if (!isnan(s->value[i]) && !(fabsf(s->value[i]) <= 1))
            return gn_fail(err, GN_E_FORMAT, "%s: value: position %zu has %g, expected -1 to 1 or "
                           "NaN", path, i, (double)s->value[i]);
        s->value[i] += 0.0f; /* never -0 */
    }
    return GN_OK;
}

static void release(gn_samples *s)
{
    free(s->planes);
    free(s->policy);
    free(s->value);
    *s = (gn_samples){0};
}

/* Appends; *s then belongs to the list. */
static gn_status append(gn_games *games, gn_samples *s, const char *path, gn_err *err)
{
    gn_samples *larger = realloc(games->samples, (games->sample_sets + 1) * sizeof *larger);
    if (larger == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for its positions", path);
    games->samples = larger;
    games->samples[games->sample_sets++] = *s;
    *s = (gn_samples){0};
    return GN_OK;
}

gn_status gn_samples_read(gn_games *games, const char *path, gn_import *import, gn_err *err)
{
    gn_reader *reader;
    gn_samples s = {0};
    arrays a = {0};
    import->files++;
    gn_status st = gn_tensors_open(&reader, path, err);
    if (st == GN_OK) st = find_arrays(&a, reader, path, err);
    if (st == GN_OK && import->board_size != 0 && a.size != import->board_size) {
        import->other_size += a.count;
        gn_reader_close(reader);
        return GN_OK;
    }
    if (st == GN_OK) {
        s.size = a.size;
        s.count = a.count;
        st = copy(&s, &a, path, err);
    }
    gn_reader_close(reader);
    if (st == GN_OK) st = append(games, &s, path, err);
    if (st == GN_OK) import->positions += a.count;
    release(&s);
    return st == GN_E_FORMAT ? gn_import_reject(import, err) : st;
}

size_t gn_games_samples(const gn_games *games)
{
    size_t count = 0;
    for (size_t i = 0; i < games->sample_sets; i++)
        count += games->samples[i].count;
    return count;
}

void gn_samples_write(const gn_samples *s, size_t index, int symmetry, float *planes, float *policy,
                      float *value)
{
    const int cells = s->size * s->size;
    const float *from = s->planes + index * (size_t)(cells * GN_PLANES);
    for (int cell = 0; cell < cells; cell++) {
        const int to = gn_symmetry_cell(symmetry, cell, s->size);
        for (int p = 0; p < GN_PLANES; p++)
            planes[to * GN_PLANES + p] = from[p * cells + cell];
        policy[to] = s->policy[index * (size_t)cells + (size_t)cell];
    }
    *value = s->value[index];
}

void gn_samples_free(gn_games *games)
{
    for (size_t i = 0; i < games->sample_sets; i++)
        release(&games->samples[i]);
    free(games->samples);
}
