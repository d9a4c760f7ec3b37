/* The store: one block of memory for parameters and buffers, one for gradients.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"
#include "base/streams.h"
#include "gomokunet/numeric.h"
#include "gomokunet/program.h"

struct gn_store {
    const gn_tape *tape;
    size_t elem;
    char *data, *grad;
    size_t *offset; /* by value; SIZE_MAX: not in the store */
    size_t data_bytes, grad_bytes;
};

static bool stored(const gn_value_info *info)
{
    return info->kind == GN_PARAM || info->kind == GN_BUFFER;
}

/* Parameters first, so that a parameter's gradient has the parameter's offset.  Returns the bytes
 * of all values of a kind from `at` on; offset NULL: only counts. */
static size_t lay_out(const gn_tape *tape, size_t elem, gn_kind kind, size_t at, size_t *offset)
{
    for (int v = 0; v < gn_tape_values(tape); v++) {
        const gn_value_info *info = gn_tape_value(tape, v);
        if (info->kind != kind)
            continue;
        if (offset != NULL)
            offset[v] = at;
        at += gn_align(gn_shape_count(info->shape) * elem);
    }
    return at;
}

void gn_store_sizes(const gn_tape *tape, const gn_table *table, size_t *data, size_t *grad)
{
    *grad = lay_out(tape, table->elem, GN_PARAM, 0, NULL);
    *data = lay_out(tape, table->elem, GN_BUFFER, *grad, NULL);
}

gn_status gn_store_create(gn_store **out, const gn_tape *tape, const gn_table *table,
                          bool gradients, gn_err *err)
{
    gn_store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return gn_fail(err, GN_E_NOMEM, "store: no memory for the handle");
    s->tape = tape;
    s->elem = table->elem;
    s->offset = malloc(((size_t)gn_tape_values(tape) + 1) * sizeof *s->offset);
    if (s->offset != NULL) {
        for (int v = 0; v < gn_tape_values(tape); v++)
            s->offset[v] = SIZE_MAX;
        s->grad_bytes = lay_out(tape, s->elem, GN_PARAM, 0, s->offset);
        s->data_bytes = lay_out(tape, s->elem, GN_BUFFER, s->grad_bytes, s->offset);
        s->data = gn_aligned_zeros(s->data_bytes);
        if (gradients)
            s->grad = gn_aligned_zeros(s->grad_bytes);
        else
            s->grad_bytes = 0;
    }
    if (s->offset == NULL || s->data == NULL || (gradients && s->grad == NULL)) {
        const size_t wanted = s->data_bytes + s->grad_bytes;
        gn_store_destroy(s);
        return gn_fail(err, GN_E_NOMEM, "store: no memory for parameters (%zu bytes)", wanted);
    }
    *out = s;
    return GN_OK;
}

void gn_store_destroy(gn_store *s)
{
    if (s == NULL)
        return;
    free(s->offset);
    free(s->data);
    free(s->grad);
    free(s);
}

/* Float32 values in both tables, so that the double table starts from the same numbers. */
static void fill(void *data, size_t elem, size_t index, float value)
{
    if (elem == sizeof(float))
        ((float *)data)[index] = value;
    else
        ((double *)data)[index] = (double)value;
}

void gn_store_init(gn_store *s, uint64_t seed)
{
    uint64_t ordinal = 0;
    const gn_guard guard = gn_guard_enter(1);
    for (int v = 0; v < gn_tape_values(s->tape); v++) {
        const gn_value_info *info = gn_tape_value(s->tape, v);
        if (!stored(info))
            continue;
        const size_t count = gn_shape_count(info->shape);
        const uint64_t stream = gn_stream(GN_STREAM_INIT, ordinal);
        const float bound = info->init == GN_UNIFORM
                                ? (float)(1.0 / __builtin_sqrt((double)info->fan_in))
                                : 0.0f;
        for (size_t i = 0; i < count; i++) {
            const float value = info->init == GN_ZEROS  ? 0.0f
                                : info->init == GN_ONES ? 1.0f
                                : gn_random_symmetric(seed, stream, i) * bound;
            fill(s->data + s->offset[v], s->elem, i, value);
        }
        if (info->kind == GN_PARAM)
            ordinal++;
    }
    gn_guard_leave(&guard);
}

void *gn_store_data(const gn_store *s, gn_value v)
{
    return s->offset[v] == SIZE_MAX ? NULL : s->data + s->offset[v];
}

void *gn_store_grad(const gn_store *s, gn_value v)
{
    const bool held = s->grad != NULL && gn_tape_value(s->tape, v)->kind == GN_PARAM;
    return held ? s->grad + s->offset[v] : NULL;
}

size_t gn_store_data_bytes(const gn_store *s) { return s->data_bytes; }
size_t gn_store_grad_bytes(const gn_store *s) { return s->grad_bytes; }
size_t gn_store_elem(const gn_store *s) { return s->elem; }
