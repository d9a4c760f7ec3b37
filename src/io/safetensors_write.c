/* safetensors, writing: declare every tensor, then stream the data.
 *
 * Why in that order: the header stands in front and holds every offset, so the shapes must be known
 * before the first byte, and the data never has to be in memory at once.  The same calls give the
 * same bytes: no date, no order of a hash table, one way to spell each value.
 * What it does not do: sort.  Python's library puts wide types first so that a map is aligned; ours
 * keep the order declared, and every reader (ours, theirs) takes any.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "file.h"
#include "header_parse.h"

typedef struct text {
    char *bytes;
    size_t used, room;
} text;

typedef struct label {
    char *name;
    uint64_t end; /* of a tensor's data; of nothing where it labels metadata */
    size_t element;
} label;

typedef struct labels {
    label *list;
    size_t used, room;
} labels;

struct gn_writer {
    gn_temp file;
    gn_err fault; /* the first failure; it dooms the file and comes back from every later call */
    text pairs, tensors;
    labels keys, names;
    uint64_t declared, written;
    bool begun;            /* the header is out */
    size_t current, held;  /* big-endian hosts: the tensor in hand, bytes of its element in hand */
    uint8_t element[8];
};

static gn_status report(const gn_writer *w, gn_err *err)
{
    if (err != NULL && w->fault.status != GN_OK)
        *err = w->fault;
    return w->fault.status;
}

static gn_status no_memory(gn_writer *w)
{
    return gn_fail(&w->fault, GN_E_NOMEM, "%s: no memory for the header", w->file.path);
}

/* --- Text ---------------------------------------------------------------------------------- */

static bool add(text *t, const char *bytes, size_t count)
{
    if (t->room - t->used < count) {
        size_t room = 2 * (t->used + count) + 256;
        char *larger = realloc(t->bytes, room);
        if (larger == NULL)
            return false;
        t->bytes = larger;
        t->room = room;
    }
    if (count > 0)
        memcpy(t->bytes + t->used, bytes, count);
    t->used += count;
    return true;
}

static bool add_words(text *t, const char *words)
{
    return add(t, words, strlen(words));
}

/* Quoted for JSON, with the escapes that serde_json writes, so that files compare with those of
 * the reference implementation. */
static bool add_string(text *t, const char *string)
{
    static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    bool ok = add_words(t, "\"");
    for (const char *c = string; *c != '\0' && ok; c++) {
        const char *found = strchr(special, *c);
        if (found != NULL) {
            ok = add(t, (char[]){'\\', letter[found - special]}, 2);
        } else if ((unsigned char)*c < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*c);
            ok = add_words(t, escape);
        } else {
            ok = add(t, c, 1);
        }
    }
    return ok && add_words(t, "\"");
}

static bool add_number(text *t, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    return add_words(t, digits);
}

/* --- Labels -------------------------------------------------------------------------------- */

/* A linear search: a few thousand names cost milliseconds beside the data they stand for. */
static bool known(const labels *set, const char *name)
{
    for (size_t i = 0; i < set->used; i++)
        if (strcmp(set->list[i].name, name) == 0)
            return true;
    return false;
}

static bool remember(labels *set, const char *name, uint64_t end, size_t element)
{
    if (set->used == set->room) {
        size_t room = 2 * set->room + 16;
        label *larger = realloc(set->list, room * sizeof *larger);
        if (larger == NULL)
            return false;
        set->list = larger;
        set->room = room;
    }
    size_t size = strlen(name) + 1;
    char *copy = malloc(size);
    if (copy == NULL)
        return false;
    memcpy(copy, name, size);
    set->list[set->used++] = (label){copy, end, element};
    return true;
}

static void forget(labels *set)
{
    for (size_t i = 0; i < set->used; i++)
        free(set->list[i].name);
    free(set->list);
}

/* --- Declaring ----------------------------------------------------------------------------- */

static void destroy(gn_writer *w)
{
    free(w->pairs.bytes);
    free(w->tensors.bytes);
    forget(&w->keys);
    forget(&w->names);
    free(w);
}

gn_status gn_writer_open(gn_writer **out, const char *path, gn_err *err)
{
    *out = NULL;
    gn_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the writer", path);
    gn_status st = gn_temp_open(&w->file, path, err);
    if (st != GN_OK) {
        destroy(w);
        return st;
    }
    *out = w;
    return GN_OK;
}

static gn_status refuse_late(gn_writer *w, const char *what)
{
    return gn_fail(&w->fault, GN_E_FORMAT, "%s: %s: expected before the first data", w->file.path,
                   what);
}

gn_status gn_writer_metadata(gn_writer *w, const char *key, const char *value, gn_err *err)
{
    const char *problem;
    if (w->fault.status != GN_OK) {
        /* Doomed already. */
    } else if (w->begun) {
        refuse_late(w, "metadata");
    } else if ((problem = gn_key_problem(key, strlen(key))) != NULL) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: key of metadata: %s", w->file.path, problem);
    } else if ((problem = gn_value_problem(value, strlen(value))) != NULL) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: metadata '%s': %s", w->file.path, key, problem);
    } else if (known(&w->keys, key)) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: metadata '%s': expected once", w->file.path, key);
    } else if (!remember(&w->keys, key, 0, 0) ||
               !add_words(&w->pairs, w->keys.used > 1 ? "," : "") ||
               !add_string(&w->pairs, key) || !add_words(&w->pairs, ":") ||
               !add_string(&w->pairs, value)) {
        no_memory(w);
    }
    return report(w, err);
}

static bool add_tensor(gn_writer *w, const char *name, gn_dtype type, int rank,
                       const size_t *dim, uint64_t end)
{
    text *t = &w->tensors;
    bool ok = add_words(t, w->names.used > 1 ? "," : "") && add_string(t, name) &&
              add_words(t, ":{\"dtype\":\"") && add_words(t, gn_dtype_name(type)) &&
              add_words(t, "\",\"shape\":[");
    for (int i = 0; i < rank && ok; i++)
        ok = add_words(t, i > 0 ? "," : "") && add_number(t, dim[i]);
    return ok && add_words(t, "],\"data_offsets\":[") && add_number(t, w->declared) &&
           add_words(t, ",") && add_number(t, end) && add_words(t, "]}");
}

gn_status gn_writer_declare(gn_writer *w, const char *name, gn_dtype type, int rank,
                            const size_t *dim, gn_err *err)
{
    const char *path = w->file.path, *problem;
    size_t bytes = 0;
    if (w->fault.status != GN_OK) {
        /* Doomed already. */
    } else if (w->begun) {
        refuse_late(w, "a tensor's declaration");
    } else if ((problem = gn_name_problem(name, strlen(name))) != NULL) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: tensor %zu: its name: %s", path, w->names.used,
                problem);
    } else if (strcmp(name, GN_METADATA_KEY) == 0 || known(&w->names, name)) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: tensor '%s': expected a name not taken", path, name);
    } else if (rank < 0 || rank > GN_RANK_CAP) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: tensor '%s': expected 0 to 8 dimensions, found %d",
                path, name, rank);
    } else if (!gn_extent_bytes(&bytes, type, rank, dim) || bytes > UINT64_MAX - w->declared) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: tensor '%s': expected a size that does not overflow",
                path, name);
    } else if (!remember(&w->names, name, w->declared + bytes, gn_dtype_size(type)) ||
               !add_tensor(w, name, type, rank, dim, w->declared + bytes)) {
        no_memory(w);
    } else {
        w->declared += bytes;
    }
    return report(w, err);
}

/* --- Data ---------------------------------------------------------------------------------- */

/* Length, header and spaces, so that the data begins at a multiple of 8. */
static gn_status begin(gn_writer *w)
{
    w->begun = true;
    text t = {0};
    uint8_t length[GN_LENGTH_FIELD] = {0};
    bool ok = add(&t, (const char *)length, sizeof length) && add_words(&t, "{");
    if (w->keys.used > 0)
        ok = ok && add_words(&t, "\"" GN_METADATA_KEY "\":{") &&
             add(&t, w->pairs.bytes, w->pairs.used) &&
             add_words(&t, w->names.used > 0 ? "}," : "}");
    ok = ok && add(&t, w->tensors.bytes, w->tensors.used) && add_words(&t, "}");
    while (ok && t.used % 8 != 0)
        ok = add_words(&t, " ");

    if (!ok) {
        no_memory(w);
    } else if (t.used - sizeof length > GN_HEADER_CAP) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: expected a header of at most %d bytes, found %zu",
                w->file.path, GN_HEADER_CAP, t.used - sizeof length);
    } else {
        gn_store_le64(length, t.used - sizeof length);
        memcpy(t.bytes, length, sizeof length);
        gn_temp_write(&w->file, t.bytes, t.used, &w->fault);
    }
    free(t.bytes);
    return w->fault.status;
}

/* The bytes of a big-endian host, turned around element by element; a piece may end inside one. */
static gn_status put_reversed(gn_writer *w, const uint8_t *bytes, size_t count)
{
    gn_status st = GN_OK;
    uint64_t written = w->written;
    for (size_t i = 0; i < count && st == GN_OK; i++) {
        while (w->names.list[w->current].end <= written)
            w->current++;
        size_t size = w->names.list[w->current].element;
        w->element[w->held++] = bytes[i];
        written++;
        if (w->held == size) {
            gn_reverse_elements(w->element, size, size);
            st = gn_temp_write(&w->file, w->element, size, &w->fault);
            w->held = 0;
        }
    }
    return st;
}

gn_status gn_writer_put(gn_writer *w, const void *bytes, size_t count, gn_err *err)
{
    gn_status st = w->fault.status;
    if (st == GN_OK && !w->begun)
        st = begin(w);
    if (st == GN_OK && count > w->declared - w->written)
        st = gn_fail(&w->fault, GN_E_FORMAT,
                     "%s: expected the %" PRIu64 " bytes declared, found %zu more after %" PRIu64,
                     w->file.path, w->declared, count, w->written);
    if (st == GN_OK)
        st = GN_HOST_BIG_ENDIAN ? put_reversed(w, bytes, count)
                                : gn_temp_write(&w->file, bytes, count, &w->fault);
    if (st == GN_OK)
        w->written += count;
    return report(w, err);
}

/* The tensor whose bytes are missing; there is one where written < declared. */
static const char *unfinished(const gn_writer *w)
{
    size_t i = 0;
    while (w->names.list[i].end <= w->written)
        i++;
    return w->names.list[i].name;
}

gn_status gn_writer_close(gn_writer *w, gn_err *err)
{
    gn_status st = w->fault.status;
    if (st == GN_OK && !w->begun)
        st = begin(w);
    if (st == GN_OK && w->written != w->declared)
        st = gn_fail(&w->fault, GN_E_FORMAT,
                     "%s: tensor '%s': expected %" PRIu64 " bytes in all, only %" PRIu64 " came",
                     w->file.path, unfinished(w), w->declared, w->written);
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
