/* What a safetensors header may say: types, names, sizes.
 *
 * Why it exists: the reader refuses and the writer must never write the same things, so the rules
 * stand once.  They are stricter than the format: names end up as paths inside npz files and in
 * terminal output, so nothing that climbs out of a folder or moves a cursor may pass.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "header_parse.h"

static const struct {
    const char *name;
    size_t size;
} types[] = {[GN_F32] = {"F32", 4}, [GN_F64] = {"F64", 8}, [GN_I32] = {"I32", 4},
             [GN_I64] = {"I64", 8}, [GN_U8] = {"U8", 1},   [GN_BOOL] = {"BOOL", 1}};

size_t gn_dtype_size(gn_dtype type)
{
    return types[type].size;
}

const char *gn_dtype_name(gn_dtype type)
{
    return types[type].name;
}

bool gn_dtype_find(gn_dtype *type, const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) {
            *type = (gn_dtype)i;
            return true;
        }
    return false;
}

size_t gn_utf8_next(const char *text, size_t length, uint32_t *code)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (length == 0)
        return 0;
    if (byte[0] < 0x80) {
        *code = byte[0];
        return 1;
    }
    size_t size = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    if (byte[0] < 0xc0 || byte[0] > 0xf7 || length < size)
        return 0;
    uint32_t value = byte[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte[i] & 0x3fu);
    }
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return size;
}

/* printable: refuses control characters, C1 and DEL included. */
static const char *text_problem(const char *text, size_t length, bool printable)
{
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t code;
        size = gn_utf8_next(text + at, length - at, &code);
        if (size == 0)
            return "expected valid UTF-8";
        if (code == 0)
            return "expected no NUL character";
        if (printable && (code < 0x20 || (code >= 0x7f && code < 0xa0)))
            return "expected no control character";
    }
    return NULL;
}

const char *gn_value_problem(const char *value, size_t length)
{
    return text_problem(value, length, false);
}

const char *gn_key_problem(const char *key, size_t length)
{
    if (length == 0)
        return "expected one byte or more";
    if (length > GN_NAME_CAP)
        return "expected at most 255 bytes";
    return text_problem(key, length, true);
}

const char *gn_name_problem(const char *name, size_t length)
{
    const char *problem = gn_key_problem(name, length);
    if (problem != NULL)
        return problem;
    if (memchr(name, '\\', length) != NULL)
        return "expected no backslash"; /* the other slash of some systems */
    for (size_t at = 0, start = 0; at <= length; at++) {
        if (at < length && name[at] != '/')
            continue;
        size_t part = at - start;
        if (part == 0)
            return "expected no empty part before, between or after '/'";
        if (name[start] == '.' && (part == 1 || (part == 2 && name[start + 1] == '.')))
            return "expected no part '.' or '..'";
        start = at + 1;
    }
    return NULL;
}

bool gn_extent_bytes(size_t *bytes, gn_dtype type, int rank, const size_t *dim)
{
    size_t product = gn_dtype_size(type);
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dim[i] == 0)
            empty = true;
        else if (product > SIZE_MAX / dim[i])
            return false;
        else
            product *= dim[i];
    }
    *bytes = empty ? 0 : product;
    return true;
}
