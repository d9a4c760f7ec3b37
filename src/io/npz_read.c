/* npz, reading: a zip file of npy arrays, as numpy.savez and savez_compressed write it.
 *
 * The zip is checked by npz_walk.c, then libzip opens it and hands out the bytes of each array as
 * they stand there.  zlib inflates them here, since libzip does not tell where a stream ended: one
 * may stop early and hide a second file behind its end.  The size of an array must be what its
 * shape says before anything is allocated for it, and the stream must end with it.
 * What is refused: streamed and encrypted zips, methods other than stored and deflated, comments,
 * big-endian and Fortran-ordered arrays, Python objects, whatever numpy.load would need pickle for.
 * In a build without libzip every file is refused, with a text that says so.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "npz_archive.h"

#ifdef GN_HAVE_LIBZIP

#include <zip.h>
#include <zlib.h>

#include "base/align.h"
#include "codec.h"

/* Deflate cannot do much better than 1000 to 1. */
enum { RATIO = 1000 };
static const uint64_t small = 64u << 20; /* below this no ratio is a danger */

enum { INPUT = 1 << 16 };

typedef struct source {
    gn_archive a;
    zip_t *zip;
    gn_err *err;
    char *header;   /* GN_NPY_CAP bytes */
    uint8_t *input; /* INPUT bytes: deflated ones */
} source;

/* The array that is being read. */
typedef struct array {
    const char *name;
    uint64_t size;      /* of all its bytes, header and data */
    uint32_t crc, sum;  /* as the zip has it; of the bytes so far */
    bool deflated, end; /* the deflate stream ended */
    zip_file_t *file;   /* the bytes as they stand in the zip */
    z_stream inflate;
} array;

static gn_status zip_failed(const source *s, const array *y)
{
    zip_error_t *error = y->file != NULL ? zip_file_get_error(y->file) : zip_get_error(s->zip);
    const gn_status st = zip_error_code_zip(error) == ZIP_ER_MEMORY ? GN_E_NOMEM : GN_E_FORMAT;
    return gn_fail(s->err, st, "%s: '%s': %s", s->a.path, y->name, zip_error_strerror(error));
}

static gn_status refuse(const source *s, const array *y, const char *problem)
{
    return gn_fail(s->err, GN_E_FORMAT, "%s: '%s': %s", s->a.path, y->name, problem);
}

/* Begins an array: what of the zip's facts the walk did not look at. */
static gn_status begin(const source *s, array *y, size_t index)
{
    *y = (array){.name = s->a.reader->text + index * GN_NPZ_NAME};
    zip_stat_t about;
    const zip_uint64_t need = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                              ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(s->zip, index, 0, &about) != 0)
        return zip_failed(s, y);
    y->deflated = about.comp_method == ZIP_CM_DEFLATE;
    if ((about.valid & need) != need || about.encryption_method != ZIP_EM_NONE ||
        (!y->deflated && about.comp_method != ZIP_CM_STORE))
        return refuse(s, y, "expected stored or deflated data");
    if (!y->deflated && about.size != about.comp_size)
        return refuse(s, y, "stored data of another size");
    if (about.size > small && about.size / RATIO > about.comp_size)
        return gn_fail(s->err, GN_E_FORMAT, "%s: '%s': %llu bytes claim to hold %llu", s->a.path,
                       y->name, (unsigned long long)about.comp_size,
                       (unsigned long long)about.size);
    y->size = about.size;
    y->crc = about.crc;
    if (y->deflated && inflateInit2(&y->inflate, -15) != Z_OK) {
        y->deflated = false;
        return gn_fail(s->err, GN_E_NOMEM, "%s: '%s': no memory to inflate", s->a.path, y->name);
    }
    y->file = zip_fopen_index(s->zip, index, ZIP_FL_COMPRESSED);
    return y->file != NULL ? GN_OK : zip_failed(s, y);
}

static void end(array *y)
{
    if (y->deflated)
        inflateEnd(&y->inflate);
    if (y->file != NULL)
        zip_fclose(y->file);
    y->file = NULL;
}

/* Inflates up to `count` bytes; *made is less only where the stream ended, or its bytes did. */
static gn_status inflate_some(const source *s, array *y, uint8_t *to, size_t count, size_t *made)
{
    const uInt room = count < 1u << 30 ? (uInt)count : 1u << 30;
    y->inflate.next_out = to;
    y->inflate.avail_out = room;
    while (y->inflate.avail_out > 0 && !y->end) {
        if (y->inflate.avail_in == 0) {
            const zip_int64_t got = zip_fread(y->file, s->input, INPUT);
            if (got < 0)
                return zip_failed(s, y);
            if (got == 0)
                break;
            y->inflate.next_in = s->input;
            y->inflate.avail_in = (uInt)got;
        }
        const int code = inflate(&y->inflate, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return gn_fail(s->err, GN_E_NOMEM, "%s: '%s': no memory to inflate", s->a.path,
                           y->name);
        if (code != Z_OK && code != Z_STREAM_END)
            return refuse(s, y, "no sound deflated data");
        y->end = code == Z_STREAM_END;
    }
    *made = room - y->inflate.avail_out;
    return GN_OK;
}

/* Reads exactly this much; the size is declared, so that less is a failure. */
static gn_status take(const source *s, array *y, void *to, size_t count)
{
    uint8_t *at = to;
    while (count > 0) {
        size_t made = 0;
        if (y->deflated) {
            const gn_status st = inflate_some(s, y, at, count, &made);
            if (st != GN_OK)
                return st;
        } else {
            const zip_int64_t got = zip_fread(y->file, at, count);
            if (got < 0)
                return zip_failed(s, y);
            made = (size_t)got;
        }
        if (made == 0)
            return gn_fail(s->err, GN_E_FORMAT, "%s: '%s': the data end %zu bytes early", s->a.path,
                           y->name, count);
        y->sum = (uint32_t)crc32_z(y->sum, at, made);
        at += made;
        count -= made;
    }
    return GN_OK;
}

/* Behind the last element: nothing more, neither in the stream nor behind it. */
static gn_status finish(const source *s, array *y)
{
    uint8_t beyond;
    size_t made = 0;
    const gn_status st = y->deflated ? inflate_some(s, y, &beyond, 1, &made) : GN_OK;
    if (st != GN_OK)
        return st;
    if (made > 0)
        return refuse(s, y, "its deflated data go on behind the last element");
    if (y->deflated && !y->end)
        return refuse(s, y, "its deflated data have no end");
    const zip_int64_t more = y->inflate.avail_in > 0 ? 1 : zip_fread(y->file, &beyond, 1);
    if (more < 0)
        return zip_failed(s, y);
    if (more > 0)
        return refuse(s, y, "bytes behind its data");
    return y->sum == y->crc ? GN_OK : refuse(s, y, "its CRC is not that of its data");
}

/* Reads the npy header; the file then stands at the data. */
static gn_status read_header(const source *s, array *y, gn_entry *entry)
{
    char *header = s->header;
    size_t length;
    gn_err cause = {.text = ""};
    gn_status st = take(s, y, header, GN_NPY_START);
    if (st != GN_OK)
        return st;
    st = gn_npy_length(&length, header, &cause);
    if (st == GN_OK) {
        st = take(s, y, header + GN_NPY_START, length - GN_NPY_START);
        if (st != GN_OK)
            return st;
        st = gn_npy_parse(entry, header, length, &cause);
    }
    if (st == GN_OK && (y->size < length || y->size - length != entry->bytes))
        st = gn_fail(&cause, GN_E_FORMAT,
                     "header and shape need %zu + %zu bytes, the entry has %llu", length,
                     entry->bytes, (unsigned long long)y->size);
    return st == GN_OK ? GN_OK
                       : gn_fail(s->err, st, "%s: '%s': %s", s->a.path, y->name, cause.text);
}

/* Types and shapes of all arrays, before room is made for their data. */
static gn_status read_headers(source *s)
{
    gn_header *header = &s->a.reader->header;
    gn_status st = GN_OK;
    for (size_t i = 0; i < s->a.count && st == GN_OK; i++) {
        array y;
        gn_header_item item = {0};
        st = begin(s, &y, i);
        if (st == GN_OK)
            st = read_header(s, &y, &item.entry);
        end(&y);
        if (st != GN_OK)
            return st;
        item.entry.name = y.name;
        if (item.entry.bytes > SIZE_MAX / 2 - GN_ALIGNMENT - s->a.data_bytes ||
            !gn_header_add_item(header, item))
            return gn_fail(s->err, GN_E_NOMEM, "%s: no memory for '%s'", s->a.path, y.name);
        s->a.data_bytes += gn_align(item.entry.bytes) + GN_ALIGNMENT;
    }
    return st;
}

static gn_status read_array(const source *s, size_t index, uint8_t *place)
{
    gn_entry *entry = &s->a.reader->header.item[index].entry, again;
    array y;
    gn_status st = begin(s, &y, index);
    if (st == GN_OK)
        st = read_header(s, &y, &again);
    if (st == GN_OK)
        st = take(s, &y, place, entry->bytes);
    if (st == GN_OK)
        st = finish(s, &y);
    end(&y);
    if (st == GN_OK && GN_HOST_BIG_ENDIAN)
        gn_reverse_elements(place, entry->bytes, gn_dtype_size(entry->type));
    entry->data = place;
    return st == GN_OK && entry->type == GN_BOOL ? gn_reader_check_bool(entry, s->a.path, s->err)
                                                 : st;
}

static gn_status read_data(source *s)
{
    gn_reader *r = s->a.reader;
    r->data = gn_aligned(s->a.data_bytes);
    if (r->data == NULL)
        return gn_fail(s->err, GN_E_NOMEM, "%s: no memory for %zu bytes", s->a.path,
                       s->a.data_bytes);
    uint8_t *place = r->data;
    gn_status st = GN_OK;
    for (size_t i = 0; i < s->a.count && st == GN_OK; i++) {
        st = read_array(s, i, place);
        place += gn_align(r->header.item[i].entry.bytes) + GN_ALIGNMENT;
    }
    return st;
}

/* Metadata, if there are any, are an array too; it leaves the list. */
static gn_status take_metadata(source *s)
{
    gn_header *header = &s->a.reader->header;
    size_t i = 0;
    while (i < header->items && strcmp(header->item[i].entry.name, GN_METADATA_KEY) != 0)
        i++;
    if (i == header->items)
        return GN_OK;
    const gn_entry entry = header->item[i].entry;
    if (entry.type != GN_U8 || entry.rank != 1 || entry.bytes > GN_HEADER_CAP)
        return gn_fail(s->err, GN_E_FORMAT,
                       "%s: '" GN_METADATA_KEY "': expected one dimension of "
                       "u1, at most %d",
                       s->a.path, (int)GN_HEADER_CAP);
    memmove(&header->item[i], &header->item[i + 1], (--header->items - i) * sizeof *header->item);
    return gn_header_parse_pairs(header, (char *)entry.data, entry.bytes, s->a.path, s->err);
}

static gn_status open_zip(source *s)
{
    int code;
    errno = 0; /* libzip calls a file that it had no memory to search no zip archive */
    s->zip = zip_open(s->a.path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (s->zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const bool no_memory = code == ZIP_ER_MEMORY || errno == ENOMEM;
        const gn_status st = no_memory ? GN_E_NOMEM : GN_E_FORMAT;
        gn_fail(s->err, st, "%s: no sound zip file: %s", s->a.path,
                no_memory ? "no memory" : zip_error_strerror(&error));
        zip_error_fini(&error);
        return st;
    }
    if (zip_get_num_entries(s->zip, 0) != (zip_int64_t)s->a.count)
        return gn_fail(s->err, GN_E_FORMAT, "%s: no sound zip file: expected %zu arrays", s->a.path,
                       s->a.count);
    return GN_OK;
}

static gn_status read_all(source *s)
{
    gn_status st = gn_npz_walk(&s->a, s->err);
    if (st == GN_OK)
        st = open_zip(s);
    if (st != GN_OK)
        return st;
    s->header = malloc(GN_NPY_CAP);
    s->input = malloc(INPUT);
    st = s->header == NULL || s->input == NULL
             ? gn_fail(s->err, GN_E_NOMEM, "%s: no memory for a header", s->a.path)
             : read_headers(s);
    if (st == GN_OK)
        st = read_data(s);
    if (st == GN_OK)
        st = take_metadata(s);
    free(s->header);
    free(s->input);
    return st;
}

gn_status gn_npz_open(gn_reader **out, const char *path, gn_err *err)
{
    source s = {.a.path = path, .err = err};
    *out = NULL;
    gn_status st = gn_file_open(&s.a.file, &s.a.size, path, err);
    if (st != GN_OK)
        return st;
    s.a.reader = calloc(1, sizeof *s.a.reader);
    st = s.a.reader == NULL ? gn_fail(err, GN_E_NOMEM, "%s: no memory for the reader", path)
                            : read_all(&s);
    if (s.zip != NULL)
        zip_discard(s.zip);
    fclose(s.a.file);
    if (st == GN_OK)
        *out = s.a.reader;
    else
        gn_reader_close(s.a.reader);
    return st;
}

#else

gn_status gn_npz_open(gn_reader **out, const char *path, gn_err *err)
{
    *out = NULL;
    return gn_fail(err, GN_E_FORMAT,
                   "%s: this build reads no npz, expected one with libzip "
                   "(libzip-dev)",
                   path);
}

#endif
