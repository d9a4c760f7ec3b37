/* safetensors, writing: declare every tensor, then stream the data.
 *
 * Why in that order: the header stands in front and holds every offset, so the shapes must be known
 * before the first byte, and the data never has to be in memory at once.  The same calls give the
 * same bytes: no date, no order of a hash table, one way to spell each value.
 * What it does not do: sort.  Python's library puts wide types first so that a map is aligned; ours
 * keep the order declared, and every reader (ours, theirs) takes any.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "file.h"
#include "header.h"

struct gn_writer {
    gn_temp file;
    gn_err fault; /* the first failure; it dooms the file and comes back from every later call */
    gn_header header; /* its strings are copies, freed here */
    size_t declared, written;
    bool begun;         /* the header is out */
    size_t current;     /* the tensor that the next byte belongs to, or one before it */
    uint8_t element[8]; /* big-endian hosts: the one that is being turned around */
};

static gn_status report(const gn_writer *w, gn_err *err)
{
    if (err != NULL && w->fault.status != GN_OK)
        *err = w->fault;
    return w->fault.status;
}

static void no_memory(gn_writer *w)
{
    gn_fail(&w->fault, GN_E_NOMEM, "%s: no memory for the header", w->file.path);
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
    free(w);
}

gn_status gn_writer_open(gn_writer **out, const char *path, gn_err *err)
{
    *out = NULL;
    gn_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the writer", path);
    gn_status st = gn_temp_open(&w->file, path, err);
    if (st != GN_OK)
        destroy(w);
    else
        *out = w;
    return st;
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
        no_memory(w);
    }
    return report(w, err);
}

/* Where there is none, *bytes is the size of the tensor. */
static const char *item_problem(const gn_writer *w, size_t *bytes, const char *name,
                                gn_dtype type, int rank, const size_t *dim)
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
        no_memory(w);
    }
    return report(w, err);
}

/* --- The header ---------------------------------------------------------------------------- */

/* Quoted for JSON, with the escapes that serde_json writes, so that files compare with those of
 * the reference implementation. */
static void put_string(FILE *to, const char *string)
{
    static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    fputc('"', to);
    for (const char *c = string; *c != '\0'; c++) {
        const char *found = strchr(special, *c);
        if (found != NULL)
            fprintf(to, "\\%c", letter[found - special]);
        else if ((unsigned char)*c < 0x20)
            fprintf(to, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, to);
    }
    fputc('"', to);
}

static void put_header(FILE *to, const gn_header *header)
{
    fputc('{', to);
    for (size_t i = 0; i < header->pairs; i++) {
        fputs(i == 0 ? "\"" GN_METADATA_KEY "\":{" : ",", to);
        put_string(to, header->pair[i].key);
        fputc(':', to);
        put_string(to, header->pair[i].value);
    }
    if (header->pairs > 0)
        fputs(header->items > 0 ? "}," : "}", to);
    for (size_t i = 0; i < header->items; i++) {
        const gn_header_item *item = &header->item[i];
        fputs(i > 0 ? "," : "", to);
        put_string(to, item->entry.name);
        fprintf(to, ":{\"dtype\":\"%s\",\"shape\":[", gn_dtype_name(item->entry.type));
        for (int d = 0; d < item->entry.rank; d++)
            fprintf(to, "%s%zu", d > 0 ? "," : "", item->entry.dim[d]);
        fprintf(to, "],\"data_offsets\":[%zu,%zu]}", item->begin, item->end);
    }
    fputc('}', to);
}

/* Length, header and spaces, so that the data begins at a multiple of 8. */
static gn_status begin(gn_writer *w)
{
    w->begun = true;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    bool complete = memory != NULL;
    if (complete) {
        fwrite((uint8_t[GN_LENGTH_FIELD]){0}, 1, GN_LENGTH_FIELD, memory);
        put_header(memory, &w->header);
        while (ftell(memory) % 8 != 0 && fputc(' ', memory) != EOF)
            ;
        complete = ferror(memory) == 0;
        complete = fclose(memory) == 0 && complete;
        complete = complete && text != NULL && size > GN_LENGTH_FIELD; /* no memory on closing */
    }
    if (!complete) {
        no_memory(w);
    } else if (size - GN_LENGTH_FIELD > GN_HEADER_CAP) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: expected a header of at most %d bytes, found %zu",
                w->file.path, GN_HEADER_CAP, size - GN_LENGTH_FIELD);
    } else {
        gn_store_le64((uint8_t *)text, size - GN_LENGTH_FIELD);
        gn_temp_write(&w->file, text, size, &w->fault);
    }
    free(text);
    return w->fault.status;
}

/* --- Data ---------------------------------------------------------------------------------- */

/* The tensor that the next byte belongs to; there is one where written < declared. */
static const gn_header_item *in_hand(gn_writer *w)
{
    while (w->header.item[w->current].end <= w->written)
        w->current++;
    return &w->header.item[w->current];
}

/* The bytes of a big-endian host, turned around element by element; a piece may end inside one. */
static gn_status put_reversed(gn_writer *w, const uint8_t *bytes, size_t count)
{
    gn_status st = GN_OK;
    for (size_t i = 0; i < count && st == GN_OK; i++, w->written++) {
        const gn_header_item *item = in_hand(w);
        const size_t size = gn_dtype_size(item->entry.type);
        const size_t left = size - 1 - (w->written - item->begin) % size;
        w->element[left] = bytes[i];
        if (left == 0)
            st = gn_temp_write(&w->file, w->element, size, &w->fault);
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
                     "%s: expected the %zu bytes declared, found %zu more after %zu",
                     w->file.path, w->declared, count, w->written);
    if (st == GN_OK && GN_HOST_BIG_ENDIAN) {
        put_reversed(w, bytes, count);
    } else if (st == GN_OK) {
        gn_temp_write(&w->file, bytes, count, &w->fault);
        w->written += count;
    }
    return report(w, err);
}

gn_status gn_writer_close(gn_writer *w, gn_err *err)
{
    gn_status st = w->fault.status;
    if (st == GN_OK && !w->begun)
        st = begin(w);
    if (st == GN_OK && w->written != w->declared)
        st = gn_fail(&w->fault, GN_E_FORMAT,
                     "%s: tensor '%s': expected %zu bytes in all, only %zu came", w->file.path,
                     in_hand(w)->entry.name, w->declared, w->written);
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
