/* npz, reading: a zip file of npy arrays, as numpy.savez and savez_compressed write it.
 *
 * libzip decompresses and checks; what it lets pass is checked here, before anything is allocated:
 * every byte of the file belongs to an entry or to the directory at its end, entries lie in the
 * directory's order without gap or overlap, and the size of an array is what its shape says.
 * What is refused: streamed and encrypted zips, methods other than stored and deflated, comments,
 * big-endian and Fortran-ordered arrays, Python objects, whatever numpy.load would need pickle for.
 * In a build without libzip every file is refused, with a text that says so.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "npy.h"
#include "npz_archive.h"

#ifdef GN_HAVE_LIBZIP

#include <errno.h>
#include <zip.h>

#include "base/align.h"
#include "codec.h"

/* Deflate cannot do much better than 1000 to 1. */
enum { RATIO = 1000 };
static const uint64_t small = 64u << 20; /* below this no ratio is a danger */

/* --- Arrays -------------------------------------------------------------------------------- */

static gn_status zip_failed(const gn_archive *a, const zip_stat_t *about, zip_file_t *file,
                            gn_err *err)
{
    zip_error_t *error = file != NULL ? zip_file_get_error(file) : zip_get_error(a->zip);
    const gn_status st = zip_error_code_zip(error) == ZIP_ER_MEMORY ? GN_E_NOMEM : GN_E_FORMAT;
    return gn_fail(err, st, "%s: '%.64s': %s", a->path, about->name, zip_error_strerror(error));
}

/* The facts of an entry that its reading relies on. */
static gn_status check_entry(const gn_archive *a, const zip_stat_t *about, gn_err *err)
{
    const zip_uint64_t need = ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((about->valid & need) != need || about->encryption_method != ZIP_EM_NONE ||
        (about->comp_method != ZIP_CM_STORE && about->comp_method != ZIP_CM_DEFLATE))
        return gn_fail(err, GN_E_FORMAT, "%s: '%.64s': expected stored or deflated data", a->path,
                       about->name);
    if (about->size > small && about->size / RATIO > about->comp_size)
        return gn_fail(err, GN_E_FORMAT, "%s: '%.64s': %llu bytes claim to hold %llu", a->path,
                       about->name, (unsigned long long)about->comp_size,
                       (unsigned long long)about->size);
    const size_t length = strlen(about->name);
    if (length < 5 || strcmp(about->name + length - 4, ".npy") != 0)
        return gn_fail(err, GN_E_FORMAT, "%s: '%.64s': expected a name that ends in .npy", a->path,
                       about->name);
    return GN_OK;
}

/* Reads exactly this much; the size is declared, so that less is a failure. */
static gn_status take(const gn_archive *a, const zip_stat_t *about, zip_file_t *file, void *to,
                      size_t count, gn_err *err)
{
    uint8_t *at = to;
    while (count > 0) {
        const zip_int64_t got = zip_fread(file, at, count);
        if (got < 0)
            return zip_failed(a, about, file, err);
        if (got == 0)
            return gn_fail(err, GN_E_FORMAT, "%s: '%.64s': the data end %zu bytes early", a->path,
                           about->name, count);
        at += got;
        count -= (size_t)got;
    }
    return GN_OK;
}

/* Opens an entry and reads its npy header; on GN_OK the file stands at the data. */
static gn_status open_array(const gn_archive *a, size_t index, zip_stat_t *about, zip_file_t **file,
                            gn_entry *entry, gn_err *err)
{
    char *header = malloc(GN_NPY_CAP);
    size_t length = 0;
    *file = NULL;
    if (header == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for a header", a->path);
    gn_status st = zip_stat_index(a->zip, index, 0, about) == 0 ? check_entry(a, about, err)
                                                                : zip_failed(a, about, NULL, err);
    if (st == GN_OK) {
        *file = zip_fopen_index(a->zip, index, 0);
        st = *file != NULL ? GN_OK : zip_failed(a, about, NULL, err);
    }
    if (st == GN_OK)
        st = take(a, about, *file, header, GN_NPY_START, err);
    gn_err cause = {.text = ""};
    if (st == GN_OK)
        st = gn_npy_length(&length, header, &cause);
    if (st == GN_OK)
        st = take(a, about, *file, header + GN_NPY_START, length - GN_NPY_START, err);
    if (st == GN_OK)
        st = gn_npy_parse(entry, header, length, &cause);
    if (st == GN_OK && (about->size < length || about->size - length != entry->bytes))
        st = gn_fail(&cause, GN_E_FORMAT,
                     "header and shape need %zu + %zu bytes, the entry has "
                     "%llu",
                     length, entry->bytes, (unsigned long long)about->size);
    if (st != GN_OK && cause.text[0] != '\0')
        gn_fail(err, st, "%s: '%.64s': %s", a->path, about->name, cause.text);
    free(header);
    if (st != GN_OK && *file != NULL) {
        zip_fclose(*file);
        *file = NULL;
    }
    return st;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static gn_status refuse_twins(const gn_archive *a, gn_err *err)
{
    gn_status st = GN_OK;
    const char **names = malloc(a->count * sizeof *names);
    if (names == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu names", a->path, a->count);
    for (size_t i = 0; i < a->count; i++)
        names[i] = a->reader->header.item[i].entry.name;
    qsort(names, a->count, sizeof *names, compare_names);
    for (size_t i = 1; i < a->count && st == GN_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            st = gn_fail(err, GN_E_FORMAT, "%s: '%s': expected each name once", a->path, names[i]);
    free(names);
    return st;
}

/* Names, types and shapes of all arrays, before room is made for their data. */
static gn_status read_headers(gn_archive *a, gn_err *err)
{
    gn_header *header = &a->reader->header;
    char *text = malloc(a->count * (GN_NAME_CAP + 8));
    a->reader->text = text;
    if (text == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu names", a->path, a->count);
    for (size_t i = 0; i < a->count; i++) {
        zip_stat_t about;
        zip_file_t *file;
        gn_header_item item = {0};
        const gn_status st = open_array(a, i, &about, &file, &item.entry, err);
        if (st != GN_OK)
            return st;
        char *name = text + i * (GN_NAME_CAP + 8);
        const size_t length = strlen(about.name) - 4; /* without .npy; walk_entry knows its limit */
        memcpy(name, about.name, length);
        name[length] = '\0';
        zip_fclose(file);
        item.entry.name = name;
        const char *problem = gn_name_problem(name);
        if (problem != NULL)
            return gn_fail(err, GN_E_FORMAT, "%s: entry %zu: %s", a->path, i, problem);
        if (item.entry.bytes > SIZE_MAX / 2 - GN_ALIGNMENT - a->data_bytes ||
            !gn_header_add_item(header, item))
            return gn_fail(err, GN_E_NOMEM, "%s: no memory for '%s'", a->path, name);
        a->data_bytes += gn_align(item.entry.bytes) + GN_ALIGNMENT;
    }
    return refuse_twins(a, err);
}

static gn_status read_data(gn_archive *a, gn_err *err)
{
    a->reader->data = gn_aligned(a->data_bytes);
    if (a->reader->data == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu bytes", a->path, a->data_bytes);
    uint8_t *place = a->reader->data;
    gn_status st = GN_OK;
    for (size_t i = 0; i < a->count && st == GN_OK; i++) {
        gn_entry *entry = &a->reader->header.item[i].entry;
        gn_entry again;
        zip_stat_t about;
        zip_file_t *file;
        st = open_array(a, i, &about, &file, &again, err);
        if (st != GN_OK)
            return st;
        st = take(a, &about, file, place, entry->bytes, err);
        uint8_t beyond;
        if (st == GN_OK && zip_fread(file, &beyond, 1) != 0) /* here libzip compares the CRC */
            st = zip_failed(a, &about, file, err);
        zip_fclose(file);
        if (st == GN_OK && GN_HOST_BIG_ENDIAN)
            gn_reverse_elements(place, entry->bytes, gn_dtype_size(entry->type));
        entry->data = place;
        if (st == GN_OK && entry->type == GN_BOOL)
            st = gn_reader_check_bool(entry, a->path, err);
        place += gn_align(entry->bytes) + GN_ALIGNMENT;
    }
    return st;
}

/* Metadata, if there are any, are an array too; it leaves the list. */
static gn_status take_metadata(gn_archive *a, gn_err *err)
{
    gn_header *header = &a->reader->header;
    size_t i = 0;
    while (i < header->items && strcmp(header->item[i].entry.name, GN_METADATA_KEY) != 0)
        i++;
    if (i == header->items)
        return GN_OK;
    const gn_entry entry = header->item[i].entry;
    if (entry.type != GN_U8 || entry.rank != 1 || entry.bytes > GN_HEADER_CAP)
        return gn_fail(err, GN_E_FORMAT,
                       "%s: '" GN_METADATA_KEY "': expected one dimension of u1, "
                       "at most %d",
                       a->path, (int)GN_HEADER_CAP);
    memmove(&header->item[i], &header->item[i + 1], (--header->items - i) * sizeof *header->item);
    return gn_header_parse_pairs(header, (char *)entry.data, entry.bytes, a->path, err);
}

static gn_status open_zip(gn_archive *a, gn_err *err)
{
    int code;
    a->zip = zip_open(a->path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (a->zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const gn_status st = code == ZIP_ER_MEMORY ? GN_E_NOMEM : GN_E_FORMAT;
        gn_fail(err, st, "%s: no sound zip file: %s", a->path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return st;
    }
    const zip_int64_t count = zip_get_num_entries(a->zip, 0);
    if (count < 1 || count > GN_NPZ_ENTRIES)
        return gn_fail(err, GN_E_FORMAT, "%s: %lld arrays, expected 1 to %d", a->path,
                       (long long)count, (int)GN_NPZ_ENTRIES);
    a->count = (size_t)count;
    return GN_OK;
}

gn_status gn_npz_open(gn_reader **out, const char *path, gn_err *err)
{
    gn_archive a = {.path = path};
    *out = NULL;
    gn_status st = gn_file_open(&a.file, &a.size, path, err);
    if (st != GN_OK)
        return st;
    a.reader = calloc(1, sizeof *a.reader);
    if (a.reader == NULL)
        st = gn_fail(err, GN_E_NOMEM, "%s: no memory for the reader", path);
    if (st == GN_OK)
        st = open_zip(&a, err);
    if (st == GN_OK)
        st = gn_npz_walk(&a, err);
    if (st == GN_OK)
        st = read_headers(&a, err);
    if (st == GN_OK)
        st = read_data(&a, err);
    if (st == GN_OK)
        st = take_metadata(&a, err);
    if (a.zip != NULL)
        zip_discard(a.zip);
    fclose(a.file);
    if (st == GN_OK)
        *out = a.reader;
    else
        gn_reader_close(a.reader);
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
