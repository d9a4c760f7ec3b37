/* What a safetensors header holds and what it may say: types, names, sizes.
 *
 * Why it exists: the reader refuses and the writer must never write the same things, so the rules
 * stand once.  They are stricter than the format: names end up as paths inside npz files and in
 * terminal output, so nothing that climbs out of a folder or moves a cursor may pass.
 * SPDX-License-Identifier: MIT */
#include "header.h"

#include <stdlib.h>
#include <string.h>

/* --- Lists --------------------------------------------------------------------------------- */

/* The array with room for one more element, NULL without memory.  Room is always a power of two,
 * so an array is full where `used` is one. */
static void *grown(void *array, size_t used, size_t element)
{
    if ((used & (used - 1)) != 0)
        return array;
    return realloc(array, (used == 0 ? 1 : 2 * used) * element);
}

bool gn_header_add_item(gn_header *header, gn_header_item item)
{
    gn_header_item *array = grown(header->item, header->items, sizeof item);
    if (array == NULL)
        return false;
    header->item = array;
    array[header->items++] = item;
    return true;
}

bool gn_header_add_pair(gn_header *header, gn_header_pair pair)
{
    gn_header_pair *array = grown(header->pair, header->pairs, sizeof pair);
    if (array == NULL)
        return false;
    header->pair = array;
    array[header->pairs++] = pair;
    return true;
}

/* A linear search: a few thousand names cost milliseconds beside the data they stand for. */
const gn_entry *gn_header_find(const gn_header *header, const char *name)
{
    for (size_t i = 0; i < header->items; i++)
        if (strcmp(header->item[i].entry.name, name) == 0)
            return &header->item[i].entry;
    return NULL;
}

const char *gn_header_value(const gn_header *header, const char *key)
{
    for (size_t i = 0; i < header->pairs; i++)
        if (strcmp(header->pair[i].key, key) == 0)
            return header->pair[i].value;
    return NULL;
}

void gn_header_release(gn_header *header)
{
    free(header->item);
    free(header->pair);
    *header = (gn_header){0};
}

/* --- Types --------------------------------------------------------------------------------- */

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

int gn_dtype_find(const char *name)
{
    int type = (int)(sizeof types / sizeof *types) - 1;
    while (type >= 0 && strcmp(types[type].name, name) != 0)
        type--;
    return type;
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

/* --- Names --------------------------------------------------------------------------------- */

/* Valid UTF-8 (no overlong form, no surrogate, nothing beyond U+10FFFF) without NUL; printable:
 * also without control characters, DEL and C1 included. */
const char *gn_text_problem(const char *text, size_t length, bool printable)
{
    /* By the number of bytes that follow the lead: its marking bits, the least code. */
    static const uint32_t mark[] = {0, 0xc0, 0xe0, 0xf0}, least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < length;) {
        const unsigned char lead = (unsigned char)text[at++];
        const size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        uint32_t code = lead - mark[more]; /* 80..bf wrap, f8..ff exceed: the code gets too large */
        if (length - at < more)
            return "expected valid UTF-8";
        for (size_t end = at + more; at < end; at++) {
            if (((unsigned char)text[at] & 0xc0) != 0x80)
                return "expected valid UTF-8";
            code = code << 6 | ((unsigned char)text[at] & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return "expected valid UTF-8";
        if (code == 0)
            return "expected no NUL character";
        if (printable && (code < 0x20 || (code >= 0x7f && code < 0xa0)))
            return "expected no control character";
    }
    return NULL;
}

const char *gn_key_problem(const char *key)
{
    const size_t length = strlen(key);
    if (length == 0)
        return "expected one byte or more";
    if (length > GN_NAME_CAP)
        return "expected at most 255 bytes";
    return gn_text_problem(key, length, true);
}

const char *gn_name_problem(const char *name)
{
    const char *problem = gn_key_problem(name);
    if (problem != NULL)
        return problem;
    if (strchr(name, '\\') != NULL)
        return "expected no backslash"; /* the other slash of some systems */
    for (const char *part = name;; part++) {
        const size_t length = strcspn(part, "/");
        if (length == 0)
            return "expected no empty part before, between or after '/'";
        if (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))
            return "expected no part '.' or '..'";
        part += length;
        if (*part == '\0')
            return NULL;
    }
}
