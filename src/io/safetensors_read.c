/* safetensors, reading: a u64 length, a header, the data.
 *
 * Why the whole file is read: stdio is enough, every tensor gets its own aligned place whatever the
 * file's offsets are, and a big-endian host converts in passing.  The price is that a file must fit
 * in memory; ours do.
 * What it does not do: memory maps, files in shards, types that this project does not use.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "file.h"
#include "header_parse.h"

/* A cache line, and enough for any vector load; each tensor starts on one. */
enum { ALIGNMENT = 64 };

struct gn_reader {
    char *text; /* the header, decoded in place: names and metadata point into it */
    gn_header header;
    uint8_t *data;
};

static gn_status short_read(FILE *file, const char *path, const char *what, gn_err *err)
{
    return gn_fail(err, GN_E_IO, "%s: cannot read %s: %s", path, what,
                   ferror(file) ? "the disk refused" : "the file ended early");
}

static gn_status read_header(gn_reader *r, FILE *file, uint64_t size, const char *path,
                             gn_err *err)
{
    uint8_t field[GN_LENGTH_FIELD];
    if (size < sizeof field)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte 0: expected 8 bytes with the header's length, found %" PRIu64,
                       path, size);
    if (fread(field, 1, sizeof field, file) != sizeof field)
        return short_read(file, path, "the header's length", err);

    uint64_t length = gn_load_le64(field), left = size - sizeof field;
    if (length > GN_HEADER_CAP)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte 0: expected a header of at most %d bytes, found %" PRIu64, path,
                       GN_HEADER_CAP, length);
    if (length > left)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte 0: expected a header within the file, found %" PRIu64
                       " bytes of header and %" PRIu64 " left in the file",
                       path, length, left);

    size_t count = (size_t)length;
    r->text = malloc(count > 0 ? count : 1); /* no spare byte: a sanitizer sees any overrun */
    if (r->text == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu bytes of header", path, count);
    if (fread(r->text, 1, count, file) != count)
        return short_read(file, path, "the header", err);
    return gn_header_parse(&r->header, r->text, count, left - length, path, err);
}

/* Any other byte in a C bool is undefined behaviour, so it must not come in. */
static gn_status check_bool(const gn_entry *entry, const char *path, gn_err *err)
{
    const uint8_t *byte = entry->data;
    for (size_t i = 0; i < entry->bytes; i++)
        if (byte[i] > 1)
            return gn_fail(err, GN_E_FORMAT,
                           "%s: tensor '%s', element %zu: expected a BOOL of 0 or 1, found %d",
                           path, entry->name, i, byte[i]);
    return GN_OK;
}

static gn_status read_tensor(gn_entry *entry, uint8_t *place, FILE *file, const char *path,
                             gn_err *err)
{
    if (fread(place, 1, entry->bytes, file) != entry->bytes)
        return short_read(file, path, entry->name, err);
    if (GN_HOST_BIG_ENDIAN)
        gn_reverse_elements(place, entry->bytes, gn_dtype_size(entry->type));
    entry->data = place;
    return entry->type == GN_BOOL ? check_bool(entry, path, err) : GN_OK;
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The header is checked: the tensors follow each other, and their sum is the rest of the file. */
static gn_status read_data(gn_reader *r, FILE *file, const char *path, gn_err *err)
{
    size_t total = ALIGNMENT; /* an empty tensor at the end still points into the block */
    for (size_t i = 0; i < r->header.items; i++) {
        size_t bytes = r->header.item[i].entry.bytes;
        if (bytes > SIZE_MAX - total - ALIGNMENT)
            return gn_fail(err, GN_E_NOMEM, "%s: too large for this machine", path);
        total += aligned(bytes);
    }
    r->data = aligned_alloc(ALIGNMENT, total);
    if (r->data == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu bytes of tensors", path, total);

    gn_status st = GN_OK;
    uint8_t *place = r->data;
    for (size_t i = 0; i < r->header.items && st == GN_OK; i++) {
        gn_entry *entry = &r->header.item[i].entry;
        st = read_tensor(entry, place, file, path, err);
        place += aligned(entry->bytes);
    }
    return st;
}

gn_status gn_reader_open(gn_reader **out, const char *path, gn_err *err)
{
    *out = NULL;
    FILE *file;
    uint64_t size;
    gn_status st = gn_file_open(&file, &size, path, err);
    if (st != GN_OK)
        return st;

    gn_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        fclose(file);
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the reader", path);
    }
    st = read_header(r, file, size, path, err);
    if (st == GN_OK)
        st = read_data(r, file, path, err);
    fclose(file); /* read only: nothing can be lost here */
    if (st != GN_OK) {
        gn_reader_close(r);
        return st;
    }
    *out = r;
    return GN_OK;
}

void gn_reader_close(gn_reader *reader)
{
    if (reader == NULL)
        return;
    gn_header_release(&reader->header);
    free(reader->text);
    free(reader->data);
    free(reader);
}

size_t gn_reader_count(const gn_reader *reader)
{
    return reader->header.items;
}

const gn_entry *gn_reader_at(const gn_reader *reader, size_t index)
{
    return index < reader->header.items ? &reader->header.item[index].entry : NULL;
}

static int compare_name(const void *name, const void *element)
{
    return strcmp(name, (*(gn_header_item *const *)element)->entry.name);
}

const gn_entry *gn_reader_find(const gn_reader *reader, const char *name)
{
    if (reader->header.items == 0)
        return NULL;
    gn_header_item *const *found = bsearch(name, reader->header.by_name, reader->header.items,
                                           sizeof *reader->header.by_name, compare_name);
    return found == NULL ? NULL : &(*found)->entry;
}

static int compare_key(const void *key, const void *element)
{
    return strcmp(key, ((const gn_header_pair *)element)->key);
}

const char *gn_reader_metadata(const gn_reader *reader, const char *key)
{
    if (reader->header.pairs == 0)
        return NULL;
    const gn_header_pair *found = bsearch(key, reader->header.pair, reader->header.pairs,
                                          sizeof *reader->header.pair, compare_key);
    return found == NULL ? NULL : found->value;
}
