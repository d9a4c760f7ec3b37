/* Debug mode: is a recomputed value the value that was dropped?
 *
 * 8 bytes an image instead of the map itself, so it can stay on in long runs.
 * SPDX-License-Identifier: MIT */
#include "checkpoint/debug.h"

#include <stdlib.h>
#include <string.h>

struct gn_debug {
    const gn_program *program;
    uint64_t **hash; /* by value: one an image; NULL until the value's first forward */
};

gn_debug *gn_debug_create(const gn_program *program)
{
    gn_debug *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->program = program;
    d->hash = calloc((size_t)gn_tape_values(gn_program_tape(program)), sizeof *d->hash);
    if (d->hash == NULL) {
        free(d);
        return NULL;
    }
    return d;
}

void gn_debug_destroy(gn_debug *d)
{
    if (d == NULL)
        return;
    for (int v = 0; v < gn_tape_values(gn_program_tape(d->program)); v++)
        free(d->hash[v]);
    free(d->hash);
    free(d);
}

void gn_debug_poison(void *memory, size_t bytes)
{
    memset(memory, 0xff, bytes);
}

/* FNV-1a, a 32-bit word at a time. */
static uint64_t hash_bytes(const void *data, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)data + i, 4);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

static gn_status check_value(gn_debug *d, const gn_event *event, gn_value v, gn_err *err)
{
    const gn_tape *tape = gn_program_tape(d->program);
    const gn_shape shape = gn_program_shape(d->program, v);
    const size_t images = shape.rank > 0 ? shape.dim[0] : 1;
    const size_t bytes = gn_program_bytes(d->program, v) / images;
    if (d->hash[v] == NULL)
        d->hash[v] = calloc(images, sizeof *d->hash[v]);
    if (d->hash[v] == NULL)
        return gn_fail(err, GN_E_NOMEM, "debug: no memory for %zu hashes", images);
    for (size_t n = 0; n < images; n++) {
        const uint64_t hash = hash_bytes((const char *)event->places.data[v] + n * bytes, bytes);
        if (event->pass == GN_RECOMPUTE && hash != d->hash[v][n]) {
            const gn_record *r = gn_tape_record_at(tape, event->record);
            return gn_fail(err, GN_E_NUMERIC,
                           "recompute of stage %s: op %s, value %s, image %zu differs from the "
                           "forward pass (hash %016llx, expected %016llx)",
                           gn_tape_stage_name(tape, r->stage), r->op->name,
                           gn_tape_value(tape, v)->name, n, (unsigned long long)hash,
                           (unsigned long long)d->hash[v][n]);
        }
        d->hash[v][n] = hash;
    }
    return GN_OK;
}

gn_status gn_debug_check(gn_debug *d, const gn_event *event, gn_err *err)
{
    const gn_record *r = gn_tape_record_at(gn_program_tape(d->program), event->record);
    gn_status status = GN_OK;
    for (int j = 0; j < r->nout && status == GN_OK && event->pass != GN_BACKWARD; j++)
        if (event->places.data[r->out[j]] != NULL)
            status = check_value(d, event, r->out[j], err);
    return status;
}
