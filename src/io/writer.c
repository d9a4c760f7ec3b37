/* Writing files of tensors: declare every tensor, then stream the data.
 *
 * Why in that order: a header may stand in front and hold every offset, so the shapes must be known
 * before the first byte, and the data never has to be in memory at once.  The same calls give the
 * same bytes: no date, no order of a hash table, one way to spell each value.
 * What is here is what the formats share: the rules for names and sizes, the one failure that
 * dooms a file, byte order, and which tensor a byte belongs to.
 * SPDX-License-Identifier: MIT */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "codec.h"

static gn_status report(const gn_writer *w, gn_err *err)
{
    if (err != NULL && w->fault.status != GN_OK)
        *err = w->fault;
    return w->fault.status;
}

gn_status gn_writer_no_memory(gn_writer *w)
{
    return gn_fail(&w->fault, GN_E_NOMEM, "%s: no memory for the header", w->file.path);
}

static void destroy(gn_writer *w)
{
    for (size_t i = 0; i < w->header.pairs; i++) {
        free((char *)w->header.pair[i].key);
        free((char *)w->header.pair[i].value);
    }
    for (size_t i = 0; i < w->header.items; i++)
        free((char *)w->header.item[i].entry.name);
    gn_header_release(&w->header);
    if (w->format->release != NULL)
        w->format->release(w);
    free(w);
}

gn_status gn_writer_create(gn_writer **out, const char *path, const gn_writer_format *format,
                           uint64_t wide, gn_err *err)
{
    *out = NULL;
    gn_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the writer", path);
    w->format = format;
    w->wide = wide;
    gn_status st = gn_temp_open(&w->file, path, err);
    if (st != GN_OK)
        destroy(w);
    else
        *out = w;
    return st;
}

gn_status gn_writer_open(gn_writer **out, const char *path, gn_err *err)
{
    const size_t length = strlen(path);
    const bool npz = length > 4 && strcmp(path + length - 4, ".npz") == 0;
    return gn_writer_create(out, path, npz ? &gn_npz_format : &gn_safetensors_format, UINT32_MAX,
                            err);
}

/* --- Declaring ----------------------------------------------------------------------------- */

/* A name that breaks the rules might break a terminal too: it is not shown. */
static void refuse(gn_writer *w, const char *kind, const char *name, const char *problem)
{
    gn_fail(&w->fault, GN_E_FORMAT, "%s: %s '%s': %s", w->file.path, kind,
            gn_key_problem(name) == NULL ? name : "?", problem);
}

static const char *pair_problem(const gn_writer *w, const char *key, const char *value)
{
    if (w->begun)
        return "expected before the first data";
    const char *problem = gn_key_problem(key);
    if (problem == NULL)
        problem = gn_text_problem(value, strlen(value), false);
    if (problem == NULL && gn_header_value(&w->header, key) != NULL)
        problem = "expected once";
    return problem;
}

gn_status gn_writer_metadata(gn_writer *w, const char *key, const char *value, gn_err *err)
{
    if (w->fault.status != GN_OK)
        return report(w, err);
    const char *problem = pair_problem(w, key, value);
    if (problem != NULL) {
        refuse(w, "metadata", key, problem);
        return report(w, err);
    }
    gn_header_pair pair = {strdup(key), strdup(value)};
    if (pair.key == NULL || pair.value == NULL || !gn_header_add_pair(&w->header, pair)) {
        free((char *)pair.key);
        free((char *)pair.value);
        gn_writer_no_memory(w);
    }
    return report(w, err);
}

/* Where there is none, *bytes is the size of the tensor. */
static const char *item_problem(const gn_writer *w, size_t *bytes, const char *name, gn_dtype type,
                                int rank, const size_t *dim)
{
    if (w->begun)
        return "expected before the first data";
    const char *problem = gn_name_problem(name);
    if (problem != NULL)
        return problem;
    if (strcmp(name, GN_METADATA_KEY) == 0 || gn_header_find(&w->header, name) != NULL)
        return "expected a name not taken";
    if (rank < 0 || rank > GN_RANK_CAP)
        return "expected 0 to 8 dimensions";
    if (!gn_extent_bytes(bytes, type, rank, dim) || *bytes > SIZE_MAX - w->declared)
        return "expected a size that does not overflow";
    return NULL;
}

gn_status gn_writer_declare(gn_writer *w, const char *name, gn_dtype type, int rank,
                            const size_t *dim, gn_err *err)
{
    if (w->fault.status != GN_OK)
        return report(w, err);
    gn_header_item item = {.entry = {.type = type, .rank = rank}, .begin = w->declared};
    const char *problem = item_problem(w, &item.entry.bytes, name, type, rank, dim);
    if (problem != NULL) {
        refuse(w, "tensor", name, problem);
        return report(w, err);
    }
    char *copy = strdup(name);
    item.entry.name = copy;
    for (int i = 0; i < rank; i++)
        item.entry.dim[i] = dim[i];
    item.end = w->declared += item.entry.bytes;
    if (copy == NULL || !gn_header_add_item(&w->header, item)) {
        free(copy);
        gn_writer_no_memory(w);
    }
    return report(w, err);
}

/* --- Data ---------------------------------------------------------------------------------- */

static gn_status enter_next(gn_writer *w)
{
    const gn_entry *entry = &w->header.item[w->entered++].entry;
    return w->format->tensor == NULL ? GN_OK : w->format->tensor(w, entry);
}

/* Enters the tensor that the next byte belongs to, and those without bytes before it; there is one
 * where written < declared. */
static gn_status enter(gn_writer *w)
{
    gn_status st = GN_OK;
    while (st == GN_OK && (w->entered == 0 || w->header.item[w->entered - 1].end <= w->written))
        st = enter_next(w);
    return st;
}

/* The bytes of a big-endian host, turned around element by element; a piece may end inside one. */
static gn_status put_reversed(gn_writer *w, const gn_header_item *item, const uint8_t *bytes,
                              size_t count)
{
    const size_t size = gn_dtype_size(item->entry.type);
    gn_status st = GN_OK;
    for (size_t i = 0; i < count && st == GN_OK; i++) {
        const size_t left = size - 1 - (w->written + i - item->begin) % size;
        w->element[left] = bytes[i];
        if (left == 0)
            st = w->format->put(w, w->element, size);
    }
    return st;
}

gn_status gn_writer_put(gn_writer *w, const void *bytes, size_t count, gn_err *err)
{
    const uint8_t *from = bytes;
    gn_status st = w->fault.status;
    if (st == GN_OK && !w->begun) {
        w->begun = true;
        st = w->format->begin(w);
    }
    if (st == GN_OK && count > w->declared - w->written)
        st = gn_fail(&w->fault, GN_E_FORMAT,
                     "%s: expected the %zu bytes declared, found %zu more after %zu", w->file.path,
                     w->declared, count, w->written);
    while (st == GN_OK && count > 0 && (st = enter(w)) == GN_OK) {
        const gn_header_item *item = &w->header.item[w->entered - 1];
        const size_t left = item->end - w->written, piece = count < left ? count : left;
        st = GN_HOST_BIG_ENDIAN ? put_reversed(w, item, from, piece)
                                : w->format->put(w, from, piece);
        w->written += piece;
        from += piece;
        count -= piece;
    }
    return report(w, err);
}

/* The tensor whose bytes did not all come. */
static const char *unfinished(const gn_writer *w)
{
    const gn_header_item *item = w->header.item;
    while (item->end <= w->written)
        item++;
    return item->entry.name;
}

static gn_status finish(gn_writer *w)
{
    gn_status st = w->fault.status;
    if (st == GN_OK && !w->begun)
        st = w->format->begin(w);
    if (st == GN_OK && w->written != w->declared)
        st = gn_fail(&w->fault, GN_E_FORMAT,
                     "%s: tensor '%s': expected %zu bytes in all, only %zu came", w->file.path,
                     unfinished(w), w->declared, w->written);
    while (st == GN_OK && w->entered < w->header.items) /* those without bytes at the end */
        st = enter_next(w);
    return st == GN_OK && w->format->end != NULL ? w->format->end(w) : st;
}

gn_status gn_writer_close(gn_writer *w, gn_err *err)
{
    gn_status st = finish(w);
    if (st != GN_OK) {
        report(w, err);
        gn_writer_abandon(w);
        return st;
    }
    st = gn_temp_commit(&w->file, err);
    destroy(w);
    return st;
}

void gn_writer_abandon(gn_writer *w)
{
    if (w == NULL)
        return;
    gn_temp_abandon(&w->file);
    destroy(w);
}
