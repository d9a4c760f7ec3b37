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

#include "base/align.h"
#include "codec.h"
#include "file.h"
#include "reader.h"

/* The size of the file is known, so that less is a failure. */
static gn_status read_bytes(void *to, size_t count, FILE *file, const char *path, gn_err *err)
{
    if (fread(to, 1, count, file) == count)
        return GN_OK;
    return gn_fail(err, GN_E_IO, "%s: cannot read %zu bytes: %s", path, count,
                   ferror(file) ? "the disk refused" : "the file ended early");
}

/* torch.save writes a zip file, and wrote a bare pickle before 1.6: code for Python to run, which
 * nobody else should read. */
static bool is_pickle(const uint8_t field[GN_LENGTH_FIELD])
{
    return memcmp(field, "PK\3\4", 4) == 0 || memcmp(field, "\x80\x02\x8a\x0a", 4) == 0;
}

static gn_status refuse_pickle(const char *path, gn_err *err)
{
    return gn_fail(err, GN_E_FORMAT,
                   "%s: byte 0: expected safetensors, found PyTorch's pickle; write the state dict "
                   "anew with two lines of Python:\n"
                   "    import safetensors.torch\n"
                   "    safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")",
                   path);
}

static gn_status read_header(gn_reader *r, uint64_t *data_bytes, FILE *file, uint64_t size,
                             const char *path, gn_err *err)
{
    uint8_t field[GN_LENGTH_FIELD];
    if (size < sizeof field)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte 0: expected 8 bytes with the header's length, found %" PRIu64,
                       path, size);
    gn_status st = read_bytes(field, sizeof field, file, path, err);
    if (st != GN_OK)
        return st;

    const uint64_t length = gn_load_le64(field), left = size - sizeof field;
    const uint64_t most = left < GN_HEADER_CAP ? left : GN_HEADER_CAP;
    if (length > most && is_pickle(field))
        return refuse_pickle(path, err);
    if (length > most)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte 0: expected a header of at most %" PRIu64 " bytes, found %" PRIu64,
                       path, most, length);
    *data_bytes = left - length;

    const size_t count = (size_t)length;
    r->text = malloc(count > 0 ? count : 1); /* no spare byte: a sanitizer sees any overrun */
    if (r->text == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu bytes of header", path, count);
    st = read_bytes(r->text, count, file, path, err);
    return st == GN_OK ? gn_header_parse(&r->header, r->text, count, *data_bytes, path, err) : st;
}

gn_status gn_reader_check_bool(const gn_entry *entry, const char *path, gn_err *err)
{
    const uint8_t *byte = entry->data;
    for (size_t i = 0; i < entry->bytes; i++)
        if (byte[i] > 1)
            return gn_fail(err, GN_E_FORMAT,
                           "%s: tensor '%s', element %zu: expected a BOOL of 0 or 1, found %d",
                           path, entry->name, i, byte[i]);
    return GN_OK;
}

/* The header is checked: the tensors follow each other, and their sum is the rest of the file. */
static gn_status read_data(gn_reader *r, uint64_t data_bytes, FILE *file, const char *path,
                           gn_err *err)
{
    /* A gap behind each; an empty tensor at the end still points into the block. */
    const size_t gaps = (r->header.items + 1) * GN_ALIGNMENT;
    if (data_bytes < SIZE_MAX / 2)
        r->data = gn_aligned((size_t)data_bytes + gaps);
    if (r->data == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %" PRIu64 " bytes of tensors", path,
                       data_bytes);

    gn_status st = GN_OK;
    uint8_t *place = r->data;
    for (size_t i = 0; i < r->header.items && st == GN_OK; i++) {
        gn_entry *entry = &r->header.item[i].entry;
        st = read_bytes(place, entry->bytes, file, path, err);
        if (st == GN_OK && GN_HOST_BIG_ENDIAN)
            gn_reverse_elements(place, entry->bytes, gn_dtype_size(entry->type));
        entry->data = place;
        if (st == GN_OK && entry->type == GN_BOOL)
            st = gn_reader_check_bool(entry, path, err);
        place += gn_align(entry->bytes);
    }
    return st;
}

gn_status gn_reader_open(gn_reader **out, const char *path, gn_err *err)
{
    *out = NULL;
    FILE *file;
    uint64_t size, data_bytes = 0;
    gn_status st = gn_file_open(&file, &size, path, err);
    if (st != GN_OK)
        return st;

    gn_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        st = gn_fail(err, GN_E_NOMEM, "%s: no memory for the reader", path);
    if (st == GN_OK)
        st = read_header(r, &data_bytes, file, size, path, err);
    if (st == GN_OK)
        st = read_data(r, data_bytes, file, path, err);
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

const gn_entry *gn_reader_find(const gn_reader *reader, const char *name)
{
    return gn_header_find(&reader->header, name);
}

const char *gn_reader_metadata(const gn_reader *reader, const char *key)
{
    return gn_header_value(&reader->header, key);
}
