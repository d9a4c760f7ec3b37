/* The header of an npy array: a Python dict with three keys, parsed as nothing else.
 *
 *     "\x93NUMPY" major minor, its length as u16 (version 1) or u32 (2 and 3), little-endian;
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 5, 15, 15), }   blanks   LF
 *
 * numpy writes the keys sorted; any order is read, each must stand once.
 * SPDX-License-Identifier: MIT */
#include "npy.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "header.h"

gn_status gn_npy_length(size_t *length, const char *start, gn_err *err)
{
    const unsigned char *b = (const unsigned char *)start;
    if (memcmp(start, "\x93NUMPY", 6) != 0 || b[6] < 1 || b[6] > 3 || b[7] != 0)
        return gn_fail(err, GN_E_FORMAT, "expected an npy array of version 1.0, 2.0 or 3.0");
    const size_t low = (size_t)b[8] | (size_t)b[9] << 8;
    *length = b[6] == 1 ? 10 + low : 12 + (low | (size_t)b[10] << 16 | (size_t)b[11] << 24);
    if (*length < GN_NPY_START || *length > GN_NPY_CAP)
        return gn_fail(err, GN_E_FORMAT, "a header of %zu bytes, expected 12 to %d", *length,
                       (int)GN_NPY_CAP);
    return GN_OK;
}

typedef struct text {
    const char *at, *end;
} text;

static void skip_blanks(text *t)
{
    while (t->at < t->end && *t->at == ' ')
        t->at++;
}

/* Takes these characters, blanks before them skipped. */
static bool take(text *t, const char *what)
{
    const size_t length = strlen(what);
    skip_blanks(t);
    if ((size_t)(t->end - t->at) < length || memcmp(t->at, what, length) != 0)
        return false;
    t->at += length;
    return true;
}

static bool take_size(text *t, size_t *size)
{
    skip_blanks(t);
    const char *start = t->at;
    for (*size = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        if (*size > (SIZE_MAX - 9) / 10 || (t->at > start && *start == '0'))
            return false;
        *size = *size * 10 + (size_t)(*t->at - '0');
    }
    return t->at > start;
}

static const struct {
    const char *descr;
    gn_dtype type;
} types[] = {{"'<f4'", GN_F32}, {"'<f8'", GN_F64}, {"'<i4'", GN_I32},
             {"'<i8'", GN_I64}, {"'|u1'", GN_U8},  {"'|b1'", GN_BOOL}};

static bool take_type(text *t, gn_dtype *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (take(t, types[i].descr)) {
            *type = types[i].type;
            return true;
        }
    return false;
}

/* "()", "(3,)", "(3, 4)". */
static bool take_shape(text *t, gn_entry *entry)
{
    if (!take(t, "("))
        return false;
    for (entry->rank = 0; !take(t, ")"); entry->rank++) {
        if (entry->rank == GN_RANK_CAP || !take_size(t, &entry->dim[entry->rank]))
            return false;
        if (!take(t, ",")) {
            entry->rank++;
            return entry->rank > 1 && take(t, ")");
        }
    }
    return true;
}

gn_status gn_npy_parse(gn_entry *entry, const char *header, size_t length, gn_err *err)
{
    text t = {header + (header[6] == 1 ? 10 : 12), header + length};
    bool type = false, order = false, shape = false, good = take(&t, "{");
    while (good && !take(&t, "}")) {
        if (!type && take(&t, "'descr':")) {
            type = take_type(&t, &entry->type);
            if (!type)
                return gn_fail(err, GN_E_FORMAT,
                               "expected the type <f4, <f8, <i4, <i8, |u1 or |b1");
        } else if (!order && take(&t, "'fortran_order':")) {
            order = take(&t, "False");
            if (!order)
                return gn_fail(err, GN_E_FORMAT, "expected 'fortran_order': False");
        } else if (!shape && take(&t, "'shape':"))
            good = shape = take_shape(&t, entry);
        else
            good = false;
        if (good && !take(&t, ",") && !(t.at < t.end && *t.at == '}'))
            good = false;
    }
    skip_blanks(&t);
    if (!good || !type || !order || !shape || t.end - t.at != 1 || *t.at != '\n')
        return gn_fail(err, GN_E_FORMAT,
                       "expected a header {'descr': .., 'fortran_order': False, "
                       "'shape': (..), } of an array of at most %d dimensions",
                       (int)GN_RANK_CAP);
    if (!gn_extent_bytes(&entry->bytes, entry->type, entry->rank, entry->dim))
        return gn_fail(err, GN_E_FORMAT, "its shape overflows");
    return GN_OK;
}

size_t gn_npy_write(char header[GN_NPY_ROOM], const gn_entry *entry)
{
    enum { LENGTH = 10 };
    size_t i = 0, at = LENGTH;
    while (types[i].type != entry->type)
        i++;
#define ADD(...) at += (size_t)snprintf(header + at, GN_NPY_ROOM - at, __VA_ARGS__)
    ADD("{'descr': %s, 'fortran_order': False, 'shape': (", types[i].descr);
    for (int d = 0; d < entry->rank; d++)
        ADD("%s%zu", d > 0 ? ", " : "", entry->dim[d]);
    ADD("%s), }", entry->rank == 1 ? "," : "");
#undef ADD
    while (at % 64 != 63)
        header[at++] = ' ';
    header[at++] = '\n';
    memcpy(header, "\x93NUMPY\1", 8);
    header[8] = (char)((at - LENGTH) & 255);
    header[9] = (char)((at - LENGTH) >> 8);
    return at;
}
