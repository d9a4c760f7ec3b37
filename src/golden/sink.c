/* Where golden tensors go; see sink.h.  SPDX-License-Identifier: MIT */
#include "golden/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    char *name;
    gn_dtype type;
} item;

struct gn_sink {
    char *path;
    gn_writer *writer; /* NULL: digests only */
    item *items;
    size_t count, room, next;
    gn_sha256 hash;
    char *text; /* the lines of a digest file */
    size_t length, text_room;
};

static gn_status no_memory(const gn_sink *s, gn_err *err)
{
    return gn_fail(err, GN_E_NOMEM, "%s: no memory for the list of tensors", s->path);
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

gn_status gn_sink_open(gn_sink **out, const char *path, gn_err *err)
{
    *out = NULL;
    const bool nowhere = path == NULL;
    path = nowhere ? "golden" : path;
    const bool whole = ends_in(path, ".safetensors") || ends_in(path, ".npz");
    if (!whole && !nowhere && !ends_in(path, ".sha256"))
        return gn_fail(err, GN_E_CONFIG, "%s: expected a name that ends in .safetensors, .npz or "
                       ".sha256", path);
    gn_sink *s = calloc(1, sizeof *s);
    if (s == NULL || (s->path = strdup(path)) == NULL) {
        free(s);
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the writer", path);
    }
    const gn_status st = whole ? gn_writer_open(&s->writer, path, err) : GN_OK;
    if (st != GN_OK)
        gn_sink_abandon(s);
    else
        *out = s;
    return st;
}

static gn_status add_text(gn_sink *s, const char *text, gn_err *err)
{
    const size_t n = strlen(text);
    if (s->length + n > s->text_room) {
        const size_t room = 2 * (s->length + n) + 4096;
        char *more = realloc(s->text, room);
        if (more == NULL)
            return no_memory(s, err);
        s->text = more;
        s->text_room = room;
    }
    memcpy(s->text + s->length, text, n);
    s->length += n;
    return GN_OK;
}

gn_status gn_sink_metadata(gn_sink *s, const char *key, const char *value, gn_err *err)
{
    if (s->writer != NULL)
        return gn_writer_metadata(s->writer, key, value, err);
    gn_status st = add_text(s, "# ", err);
    if (st == GN_OK) st = add_text(s, key, err);
    if (st == GN_OK) st = add_text(s, ": ", err);
    if (st == GN_OK) st = add_text(s, value, err);
    return st == GN_OK ? add_text(s, "\n", err) : st;
}

gn_status gn_sink_declare(gn_sink *s, const char *name, gn_dtype type, int rank,
                          const size_t *dim, gn_err *err)
{
    if (s->count == s->room) {
        const size_t room = 2 * s->room + 64;
        item *more = realloc(s->items, room * sizeof *more);
        if (more == NULL)
            return no_memory(s, err);
        s->items = more;
        s->room = room;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return no_memory(s, err);
    s->items[s->count++] = (item){copy, type};
    return s->writer == NULL ? GN_OK : gn_writer_declare(s->writer, name, type, rank, dim, err);
}

/* The line of the tensor that just ended. */
static gn_status end_tensor(gn_sink *s, gn_err *err)
{
    char hex[65];
    if (s->next == 0 || s->writer != NULL)
        return GN_OK;
    gn_sha256_hex(&s->hash, hex);
    gn_status st = add_text(s, hex, err);
    if (st == GN_OK) st = add_text(s, "  ", err);
    if (st == GN_OK) st = add_text(s, s->items[s->next - 1].name, err);
    return st == GN_OK ? add_text(s, "\n", err) : st;
}

gn_status gn_sink_begin(gn_sink *s, const char *name, gn_err *err)
{
    const gn_status st = end_tensor(s, err);
    if (st != GN_OK)
        return st;
    if (s->next >= s->count || strcmp(s->items[s->next].name, name) != 0)
        return gn_fail(err, GN_E_CONFIG, "%s: tensor %s came where %s was declared", s->path, name,
                       s->next < s->count ? s->items[s->next].name : "none");
    s->next++;
    gn_sha256_begin(&s->hash);
    return GN_OK;
}

gn_status gn_sink_put(gn_sink *s, const void *elements, size_t bytes, gn_err *err)
{
    if (s->writer != NULL)
        return gn_writer_put(s->writer, elements, bytes, err);
    gn_sha256_add_elements(&s->hash, elements, bytes,
                           gn_dtype_size(s->items[s->next - 1].type));
    return GN_OK;
}

size_t gn_sink_tensors(const gn_sink *s) { return s->count; }

static void release(gn_sink *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].name);
    free(s->items);
    free(s->text);
    free(s->path);
    free(s);
}

/* The last tensor's line; all that were declared must have come. */
static gn_status complete(gn_sink *s, gn_err *err)
{
    const gn_status st = end_tensor(s, err);
    return st != GN_OK || s->next == s->count
               ? st
               : gn_fail(err, GN_E_CONFIG, "%s: tensor %s was declared and never came", s->path,
                         s->items[s->next].name);
}

gn_status gn_sink_digest(gn_sink *s, char hex[65], gn_err *err)
{
    const gn_status st = complete(s, err);
    gn_sha256_begin(&s->hash);
    gn_sha256_add(&s->hash, s->text, s->length);
    gn_sha256_hex(&s->hash, hex);
    release(s);
    return st;
}

gn_status gn_sink_close(gn_sink *s, gn_err *err)
{
    gn_status st = complete(s, err);
    if (st != GN_OK) {
        gn_sink_abandon(s);
        return st;
    }
    st = s->writer != NULL ? gn_writer_close(s->writer, err)
                           : gn_file_write(s->path, s->text, s->length, err);
    release(s);
    return st;
}

void gn_sink_abandon(gn_sink *s)
{
    if (s == NULL)
        return;
    if (s->writer != NULL)
        gn_writer_abandon(s->writer);
    release(s);
}
