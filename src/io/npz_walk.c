/* The zip around the arrays of an npz file: is every byte accounted for?
 *
 * libzip compares each local header with the directory; what it lets pass is looked at here: a
 * second file in front, between or behind, entries that overlap, comments, parts, encryption,
 * streamed entries whose sizes stand behind their data.
 * SPDX-License-Identifier: MIT */
#ifdef GN_HAVE_LIBZIP

#include <string.h>

#include "codec.h"
#include "npz_archive.h"

enum { LOCAL = 30, END = 22 };

static unsigned load16(const uint8_t *b)
{
    return (unsigned)b[0] | (unsigned)b[1] << 8;
}

static uint32_t load32(const uint8_t *b)
{
    return load16(b) | (uint32_t)load16(b + 2) << 16;
}

static gn_status read_at(const gn_archive *a, uint64_t at, void *to, size_t count, gn_err *err)
{
    if (at > a->size || a->size - at < count)
        return gn_fail(err, GN_E_FORMAT, "%s: byte %llu: the file ends within a zip header",
                       a->path, (unsigned long long)at);
    if (fseeko(a->file, (off_t)at, SEEK_SET) != 0 || fread(to, 1, count, a->file) != count)
        return gn_fail(err, GN_E_IO, "%s: cannot read it", a->path);
    return GN_OK;
}

static gn_status check_end(const gn_archive *a, uint8_t *end, gn_err *err)
{
    const uint64_t at = a->size < END ? 0 : a->size - END;
    const gn_status st = read_at(a, at, end, END, err);
    if (st != GN_OK)
        return st;
    const unsigned here = load16(end + 8), all = load16(end + 10), some = (unsigned)a->count;
    if (load32(end) != 0x06054b50 || load32(end + 4) != 0 || load16(end + 20) != 0 ||
        (here != some && here != UINT16_MAX) || (all != some && all != UINT16_MAX))
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte %llu: expected the end of a zip file of one part with %zu arrays, "
                       "without a comment, in its last 22 bytes",
                       a->path, (unsigned long long)at, a->count);
    return GN_OK;
}

/* One local header at *at, which is moved behind the data. */
static gn_status walk_entry(const gn_archive *a, size_t index, uint64_t *at, gn_err *err)
{
    uint8_t head[LOCAL];
    char name[GN_NAME_CAP + 8];
    zip_stat_t about;
    gn_status st = read_at(a, *at, head, LOCAL, err);
    if (st != GN_OK)
        return st;
    const zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (zip_stat_index(a->zip, index, 0, &about) != 0 || (about.valid & need) != need)
        return gn_fail(err, GN_E_FORMAT, "%s: entry %zu has no name or size", a->path, index);
    const size_t length = load16(head + 26);
    if (load32(head) != 0x04034b50 || length >= sizeof name || length != strlen(about.name))
        return gn_fail(err, GN_E_FORMAT, "%s: byte %llu: expected the header of '%.64s'", a->path,
                       (unsigned long long)*at, about.name);
    if ((load16(head + 6) & 9) != 0) /* encrypted; sizes behind the data */
        return gn_fail(err, GN_E_FORMAT, "%s: '%.64s' is encrypted or streamed, expected neither",
                       a->path, about.name);
    st = read_at(a, *at + LOCAL, name, length, err);
    if (st == GN_OK && memcmp(name, about.name, length) != 0)
        st = gn_fail(err, GN_E_FORMAT, "%s: byte %llu: another name than the directory's '%.64s'",
                     a->path, (unsigned long long)*at, about.name);
    const uint64_t before = LOCAL + length + load16(head + 28);
    if (st == GN_OK && (about.comp_size > a->size || before > a->size - about.comp_size))
        st = gn_fail(err, GN_E_FORMAT, "%s: '%.64s' is larger than the file", a->path, about.name);
    *at += before + about.comp_size;
    return st;
}

/* Where the directory ends by the records behind it: 76 bytes of zip64 may stand before the end. */
static gn_status check_wide_end(const gn_archive *a, uint64_t start, const uint8_t *end,
                                gn_err *err)
{
    enum { RECORD = 56, LOCATOR = 20, BEHIND = RECORD + LOCATOR + END };
    uint8_t wide[RECORD + LOCATOR];
    const uint64_t at = a->size < BEHIND ? 0 : a->size - BEHIND;
    const uint32_t bytes = load32(end + 12), directory = load32(end + 16);
    const gn_status st = read_at(a, at, wide, sizeof wide, err);
    if (st != GN_OK)
        return st;
    const uint8_t *locator = wide + RECORD;
    if (load32(wide) != 0x06064b50 || gn_load_le64(wide + 4) != RECORD - 12 ||
        gn_load_le64(wide + 16) != 0 || gn_load_le64(wide + 24) != a->count ||
        gn_load_le64(wide + 32) != a->count || gn_load_le64(wide + 40) != at - start ||
        gn_load_le64(wide + 48) != start || load32(locator) != 0x07064b50 ||
        load32(locator + 4) != 0 || gn_load_le64(locator + 8) != at || load32(locator + 16) != 1 ||
        (bytes != UINT32_MAX && bytes != at - start) ||
        (directory != UINT32_MAX && directory != start))
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte %llu: expected the zip64 end of the directory, "
                       "and that it agrees with the zip's",
                       a->path, (unsigned long long)at);
    return GN_OK;
}

/* Entries from byte 0 on, one behind the other, up to the directory. */
gn_status gn_npz_walk(const gn_archive *a, gn_err *err)
{
    uint8_t end[END], mark[4];
    uint64_t at = 0;
    gn_status st = check_end(a, end, err);
    for (size_t i = 0; i < a->count && st == GN_OK; i++)
        st = walk_entry(a, i, &at, err);
    if (st == GN_OK)
        st = read_at(a, at, mark, sizeof mark, err);
    if (st != GN_OK)
        return st;
    const uint32_t bytes = load32(end + 12), directory = load32(end + 16);
    const bool wide = bytes == UINT32_MAX || directory == UINT32_MAX;
    if (load32(mark) != 0x02014b50 || (!wide && (directory != at || at + bytes + END != a->size)))
        return gn_fail(err, GN_E_FORMAT,
                       "%s: byte %llu: expected the directory, and nothing "
                       "behind it but its end",
                       a->path, (unsigned long long)at);
    return wide ? check_wide_end(a, at, end, err) : GN_OK;
}

#else

typedef int gn_npz_walk_needs_libzip; /* a file of C holds a declaration */

#endif
