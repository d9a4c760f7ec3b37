/* The zip around the arrays of an npz file: is every byte accounted for?
 *
 *     local header, name, extra fields, data       for each array, from byte 0 on
 *     directory: a record, name, extra fields      for each array, in the same order
 *     the end of 64 bits, where it is needed; the end, 22 bytes without a comment
 *
 * Why it exists beside a library: a zip says everything twice, and readers that believe one half
 * are shown another file than those that believe the other.  So both halves are read here, in step,
 * and must agree, before a library sees the file.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "npz_archive.h"

enum { LOCAL = 30, RECORD = 46, END = 22, WIDE_END = 76, WIDE = 1, EXTRA_CAP = 65535 };
enum { ENCRYPTED = 1, STREAMED = 8, NAME_IS_UTF8 = 0x800 };

typedef struct walker {
    gn_archive *a;
    gn_err *err;
    uint64_t start, behind; /* of the directory */
    uint64_t at, record;    /* the local header and the record that come next */
    char name[GN_NAME_CAP + 5];
    uint8_t extra[EXTRA_CAP];
} walker;

/* What both halves say of an entry. */
typedef struct facts {
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, bytes, at;
} facts;

static unsigned load16(const uint8_t *b)
{
    return (unsigned)b[0] | (unsigned)b[1] << 8;
}

static uint32_t load32(const uint8_t *b)
{
    return load16(b) | (uint32_t)load16(b + 2) << 16;
}

__attribute__((format(printf, 3, 4))) static gn_status refuse(const walker *w, uint64_t at,
                                                              const char *format, ...)
{
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return gn_fail(w->err, GN_E_FORMAT, "%s: byte %llu: %s", w->a->path, (unsigned long long)at,
                   text);
}

static gn_status read_at(const walker *w, uint64_t at, void *to, size_t count)
{
    const gn_archive *a = w->a;
    if (at > a->size || a->size - at < count)
        return refuse(w, at, "the file ends within a zip header of %zu bytes", count);
    if (fseeko(a->file, (off_t)at, SEEK_SET) != 0 || fread(to, 1, count, a->file) != count)
        return gn_fail(w->err, GN_E_IO, "%s: cannot read it", a->path);
    return GN_OK;
}

/* --- The end ---------------------------------------------------------------------------------- */

/* The end of 64 bits, and where it stands, in front of the other: what both say must agree. */
static gn_status read_wide_end(walker *w, const uint8_t *end, uint64_t *count)
{
    uint8_t wide[WIDE_END];
    const uint64_t at = w->behind < WIDE_END ? 0 : w->behind - WIDE_END;
    const gn_status st = read_at(w, at, wide, sizeof wide);
    if (st != GN_OK)
        return st;
    const uint8_t *locator = wide + 56;
    const uint64_t bytes = gn_load_le64(wide + 40);
    *count = gn_load_le64(wide + 32);
    w->start = gn_load_le64(wide + 48);
    w->behind = at;
    if (load32(wide) != 0x06064b50 || gn_load_le64(wide + 4) != 44 ||
        gn_load_le64(wide + 16) != 0 || gn_load_le64(wide + 24) != *count || w->start > at ||
        at - w->start != bytes || load32(locator) != 0x07064b50 || load32(locator + 4) != 0 ||
        gn_load_le64(locator + 8) != at || load32(locator + 16) != 1)
        return refuse(w, at, "expected the zip64 end, right behind the directory, of one part");
    const uint32_t narrow[] = {load16(end + 10), load32(end + 12), load32(end + 16)};
    if ((narrow[0] != UINT16_MAX && narrow[0] != *count) ||
        (narrow[1] != UINT32_MAX && narrow[1] != bytes) ||
        (narrow[2] != UINT32_MAX && narrow[2] != w->start))
        return refuse(w, at, "expected a zip64 end that agrees with the zip's");
    return GN_OK;
}

static gn_status read_end(walker *w)
{
    uint8_t end[END];
    const uint64_t at = w->a->size < END ? 0 : w->a->size - END;
    gn_status st = read_at(w, at, end, END);
    if (st != GN_OK)
        return st;
    uint64_t count = load16(end + 10);
    const uint32_t bytes = load32(end + 12);
    w->start = load32(end + 16);
    w->behind = at;
    if (load32(end) != 0x06054b50 || load32(end + 4) != 0 || load16(end + 20) != 0 ||
        load16(end + 8) != count)
        return refuse(w, at,
                      "expected the end of a zip file of one part without a comment, in its "
                      "last 22 bytes");
    if (count == UINT16_MAX || bytes == UINT32_MAX || w->start == UINT32_MAX)
        st = read_wide_end(w, end, &count);
    else if (w->start > at || at - w->start != bytes)
        st = refuse(w, at,
                    "expected the end right behind the directory; it says %u bytes from "
                    "byte %llu on",
                    bytes, (unsigned long long)w->start);
    if (st == GN_OK && (count < 1 || count > GN_NPZ_ENTRIES))
        st = refuse(w, at, "%llu arrays, expected 1 to %d", (unsigned long long)count,
                    (int)GN_NPZ_ENTRIES);
    if (st == GN_OK && (w->behind - w->start) / RECORD < count)
        st = refuse(w, at, "%llu arrays in a directory of %llu bytes", (unsigned long long)count,
                    (unsigned long long)(w->behind - w->start));
    w->a->count = (size_t)count;
    return st;
}

/* --- Entries ---------------------------------------------------------------------------------- */

/* Extra fields, each with its length: those of 64 bits for the values that are all ones. */
static gn_status read_extra(walker *w, uint64_t at, size_t count, uint64_t *const *value)
{
    gn_status st = read_at(w, at, w->extra, count);
    const uint8_t *field = w->extra;
    bool seen = false;
    while (st == GN_OK && count > 0) {
        const size_t length = count < 4 ? count : load16(field + 2);
        if (count < 4 || length > count - 4 || (seen && load16(field) == WIDE))
            return refuse(w, at, "expected extra fields that add up, of 64 bits one");
        seen = seen || load16(field) == WIDE;
        size_t used = 0;
        for (; load16(field) == WIDE && *value != NULL; value++)
            if (**value == UINT32_MAX) {
                if (used + 8 > length)
                    return refuse(w, at, "expected all of its 64-bit sizes");
                **value = gn_load_le64(field + 4 + used);
                used += 8;
            }
        field += 4 + length;
        count -= 4 + length;
    }
    return st;
}

/* The facts at `from`, where local header and record have the same fields, and the name. */
static gn_status read_facts(walker *w, uint64_t name_at, const uint8_t *from, facts *f, char *name)
{
    const size_t length = load16(from + 20);
    *f = (facts){.flags = load16(from),
                 .method = load16(from + 2),
                 .crc = load32(from + 8),
                 .packed = load32(from + 12),
                 .bytes = load32(from + 16)};
    if (length > GN_NAME_CAP + 4)
        return refuse(w, name_at, "expected a name of at most %d bytes", GN_NAME_CAP + 4);
    name[length] = '\0';
    const gn_status st = read_at(w, name_at, name, length);
    return st == GN_OK && strlen(name) != length
               ? refuse(w, name_at, "expected no NUL character in a name")
               : st;
}

/* Takes the ending away; an error shows no name that was not looked at. */
static gn_status check_name(const walker *w, uint64_t at, char *name, bool utf8)
{
    const size_t length = strlen(name);
    const bool ends = length >= 4 && strcmp(name + length - 4, ".npy") == 0;
    if (ends)
        name[length - 4] = '\0';
    const char *problem = ends ? gn_name_problem(name) : gn_key_problem(name);
    for (const char *c = name; problem == NULL && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80 && !utf8)
            problem = "expected the flag of UTF-8 where it is more than ASCII";
    if (problem != NULL)
        return refuse(w, at, "name of an array: %s", problem);
    return ends ? GN_OK : refuse(w, at, "'%s': expected a name that ends in .npy", name);
}

/* A record of the directory. */
static gn_status read_record(walker *w, facts *f, char *name)
{
    uint8_t head[RECORD];
    const uint64_t at = w->record;
    gn_status st = read_at(w, at, head, RECORD);
    if (st != GN_OK)
        return st;
    const size_t length = load16(head + 28), extra = load16(head + 30);
    if (load32(head) != 0x02014b50 || w->behind - at < RECORD + length + extra)
        return refuse(w, at, "expected a record of the directory");
    if (load16(head + 32) != 0 || load16(head + 34) != 0)
        return refuse(w, at, "expected a record without a comment, on the first part");
    st = read_facts(w, at + RECORD, head + 8, f, name);
    if (st == GN_OK)
        st = check_name(w, at + RECORD, name, (f->flags & NAME_IS_UTF8) != 0);
    if (st != GN_OK)
        return st;
    f->at = load32(head + 42);
    w->record = at + RECORD + length + extra;
    return read_extra(w, at + RECORD + length, extra,
                      (uint64_t *const[]){&f->bytes, &f->packed, &f->at, NULL});
}

/* The same entry's local header, and where the next one begins. */
static gn_status check_local(walker *w, const facts *f, const char *name)
{
    uint8_t head[LOCAL];
    facts here;
    const uint64_t at = w->at;
    if (f->at != at)
        return refuse(w, at, "expected the entry '%s', the directory says byte %llu", name,
                      (unsigned long long)f->at);
    gn_status st = read_at(w, at, head, LOCAL);
    if (st == GN_OK && load32(head) != 0x04034b50)
        st = refuse(w, at, "expected the header of '%s'", name);
    if (st == GN_OK)
        st = read_facts(w, at + LOCAL, head + 6, &here, w->name);
    if (st != GN_OK)
        return st;
    const size_t length = strlen(w->name), extra = load16(head + 28);
    if (length != strlen(name) + 4 || strncmp(w->name, name, length - 4) != 0 ||
        strcmp(w->name + length - 4, ".npy") != 0)
        return refuse(w, at + LOCAL, "another name than the directory's '%s.npy'", name);
    st = read_extra(w, at + LOCAL + length, extra,
                    (uint64_t *const[]){&here.bytes, &here.packed, NULL});
    if (st != GN_OK)
        return st;
    if (((here.flags | f->flags) & (ENCRYPTED | STREAMED)) != 0)
        return refuse(w, at, "'%s' is encrypted or streamed, expected neither", name);
    if (here.flags != f->flags || here.method != f->method || here.crc != f->crc ||
        here.packed != f->packed || here.bytes != f->bytes)
        return refuse(w, at, "'%s': flags, method, CRC and sizes: expected the directory's", name);
    const uint64_t before = LOCAL + length + extra;
    if (before > w->start - at || f->packed > w->start - at - before)
        return refuse(w, at, "'%s' reaches into the directory", name);
    w->at = at + before + f->packed;
    return GN_OK;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static gn_status refuse_twins(const walker *w)
{
    const gn_archive *a = w->a;
    gn_status st = GN_OK;
    const char **names = malloc(a->count * sizeof *names);
    if (names == NULL)
        return gn_fail(w->err, GN_E_NOMEM, "%s: no memory for %zu names", a->path, a->count);
    for (size_t i = 0; i < a->count; i++)
        names[i] = a->reader->text + i * GN_NPZ_NAME;
    qsort(names, a->count, sizeof *names, compare_names);
    for (size_t i = 1; i < a->count && st == GN_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            st = refuse(w, w->start, "'%s': expected each name once", names[i]);
    free(names);
    return st;
}

static gn_status walk_entries(walker *w)
{
    gn_status st = GN_OK;
    char name[GN_NAME_CAP + 5];
    w->record = w->start;
    for (size_t i = 0; i < w->a->count && st == GN_OK; i++) {
        facts f;
        st = read_record(w, &f, name);
        if (st == GN_OK)
            st = check_local(w, &f, name);
        if (st == GN_OK)
            strcpy(w->a->reader->text + i * GN_NPZ_NAME, name);
    }
    if (st == GN_OK && w->at != w->start)
        st = refuse(w, w->at, "expected the directory right behind the last array");
    if (st == GN_OK && w->record != w->behind)
        st = refuse(w, w->record, "expected the end right behind the directory");
    return st == GN_OK ? refuse_twins(w) : st;
}

gn_status gn_npz_walk(gn_archive *a, gn_err *err)
{
    walker *w = malloc(sizeof *w);
    if (w == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for its directory", a->path);
    w->a = a;
    w->err = err;
    w->at = 0;
    gn_status st = read_end(w);
    if (st == GN_OK && (a->reader->text = malloc(a->count * GN_NPZ_NAME)) == NULL)
        st = gn_fail(err, GN_E_NOMEM, "%s: no memory for %zu names", a->path, a->count);
    if (st == GN_OK)
        st = walk_entries(w);
    free(w);
    return st;
}
