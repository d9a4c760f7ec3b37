/* The safetensors header, read strictly: not JSON, but the one shape of JSON that the format is.
 *
 *     { "__metadata__": { "key": "value", ... },
 *       "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, ... }
 *
 * Why it exists: a general JSON library believes too much (duplicate keys, 1e3, depth).  Here each
 * value has one legal kind, so nothing nests deeper than an array in an object in the header, and
 * no function recurses.  Tensors may stand in any order, as in the reference reader; what their
 * offsets cover is checked after sorting.
 *
 * The first failure is kept in the cursor and moves it to the end, where nothing more can be taken:
 * so the grammar below reads straight on, and every loop ends by itself.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"

typedef struct cursor {
    char *text;
    size_t size, at;
    size_t word; /* where the last string began */
    const char *path;
    const char *where; /* npz: the array that the text is of; NULL: the header */
    gn_status status;
    gn_err *err;
} cursor;

/* --- Words --------------------------------------------------------------------------------- */

static void refuse(cursor *c, size_t at, const char *problem)
{
    if (c->status == GN_OK)
        c->status = gn_fail(c->err, GN_E_FORMAT, "%s: byte %zu of %s: %s", c->path,
                            c->where != NULL ? at : GN_LENGTH_FIELD + at,
                            c->where != NULL ? c->where : "the header", problem);
    c->at = c->size;
}

static void no_memory(cursor *c)
{
    c->status = gn_fail(c->err, GN_E_NOMEM, "%s: no memory for the header", c->path);
    c->at = c->size;
}

static void skip_blanks(cursor *c)
{
    while (c->at < c->size && memchr(" \t\n\r", c->text[c->at], 4) != NULL)
        c->at++;
}

/* Skips blanks, then the mark if it stands there.  Did it? */
static bool take(cursor *c, char mark)
{
    skip_blanks(c);
    if (c->at == c->size || c->text[c->at] != mark)
        return false;
    c->at++;
    return true;
}

static bool need(cursor *c, char mark, const char *problem)
{
    if (take(c, mark))
        return true;
    refuse(c, c->at, problem);
    return false;
}

/* Behind an element of a list: does another one follow? */
static bool more(cursor *c, char close)
{
    return !take(c, close) && need(c, ',', "expected ',' or the closing bracket");
}

static size_t take_number(cursor *c)
{
    skip_blanks(c);
    const size_t start = c->at;
    size_t value = 0;
    while (c->at < c->size && c->text[c->at] >= '0' && c->text[c->at] <= '9') {
        const size_t digit = (size_t)(c->text[c->at++] - '0');
        if (value > (SIZE_MAX - digit) / 10)
            refuse(c, start, "expected a number that this machine can address");
        value = value * 10 + digit;
    }
    if (c->at == start || (c->text[start] == '0' && c->at > start + 1))
        refuse(c, start, "expected an unsigned whole number without leading zeros");
    return value;
}

/* Four hexadecimal digits. */
static uint32_t take_hex(cursor *c)
{
    char digits[5] = "";
    if (c->size - c->at >= 4)
        memcpy(digits, c->text + c->at, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") == 4)
        c->at += 4;
    else
        refuse(c, c->at, "expected four hexadecimal digits");
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* \uXXXX from the first X on, and a second one where a pair of surrogates stands for a character.
 * Half a pair is written as it is; no valid UTF-8 comes of that. */
static char *take_unicode(cursor *c, char *end)
{
    static const uint32_t mark[] = {0, 0xc0, 0xe0, 0xf0};
    uint32_t code = take_hex(c);
    if (code >> 10 == 0xd800 >> 10 && c->size - c->at >= 2 &&
        memcmp(c->text + c->at, "\\u", 2) == 0) {
        c->at += 2;
        const uint32_t low = take_hex(c);
        if (low >> 10 == 0xdc00 >> 10)
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
    }
    const size_t follow = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t i = follow; i > 0; i--, code >>= 6)
        end[i] = (char)(0x80 | (code & 0x3f));
    end[0] = (char)(mark[follow] | code);
    return end + follow + 1;
}

/* A string, valid UTF-8 without NUL, "" after a failure.  Decoded in place: no escape is shorter
 * than what it stands for, and the closing quote makes room for the NUL. */
static const char *take_string(cursor *c)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    if (!need(c, '"', "expected a string"))
        return "";
    c->word = c->at - 1;
    char *start = c->text + c->at, *end = start;
    while (c->at < c->size && c->text[c->at] != '"') {
        const size_t at = c->at++;
        *end = c->text[at];
        if ((unsigned char)*end < 0x20) {
            refuse(c, at, "expected no raw control character in a string");
        } else if (*end != '\\' || c->at == c->size) {
            end++;
        } else {
            const char letter = c->text[c->at++];
            const char *found = memchr(letters, letter, sizeof letters - 1);
            if (letter == 'u')
                end = take_unicode(c, end);
            else if (found != NULL)
                *end++ = meaning[found - letters];
            else
                refuse(c, at, "expected one of the escapes of JSON");
        }
    }
    if (!need(c, '"', "expected the closing quote of a string"))
        return "";
    const char *problem = gn_text_problem(start, (size_t)(end - start), false);
    if (problem != NULL)
        refuse(c, c->word, problem);
    *end = '\0';
    return start;
}

/* --- Grammar ------------------------------------------------------------------------------- */

static const char *take_key(cursor *c, const char *(*key_problem)(const char *))
{
    const char *key = take_string(c), *problem = key_problem(key);
    if (problem != NULL)
        refuse(c, c->word, problem);
    need(c, ':', "expected ':'");
    return key;
}

static void take_metadata(cursor *c, gn_header *header)
{
    need(c, '{', "expected '{' and pairs of strings in " GN_METADATA_KEY);
    if (take(c, '}'))
        return;
    do {
        const char *key = take_key(c, gn_key_problem), *value = take_string(c);
        if (c->status == GN_OK && !gn_header_add_pair(header, (gn_header_pair){key, value}))
            no_memory(c);
    } while (more(c, '}'));
}

static int take_numbers(cursor *c, size_t *out, int most, const char *too_many)
{
    int count = 0;
    need(c, '[', "expected '[' and numbers");
    if (take(c, ']'))
        return 0;
    do {
        if (count == most)
            refuse(c, c->at, too_many);
        else
            out[count++] = take_number(c);
    } while (more(c, ']'));
    return count;
}

/* The fields of a tensor, in any order, each once, and no other. */
static void take_tensor(cursor *c, gn_header *header, const char *name)
{
    gn_header_item item = {.entry.name = name};
    gn_entry *entry = &item.entry;
    int type = -1, rank = -1, offsets = -1; /* not seen */
    size_t place[2] = {0, 0};
    need(c, '{', "expected '{' and the fields of a tensor");
    do {
        const char *field = take_key(c, gn_key_problem);
        if (strcmp(field, "dtype") == 0 && type < 0) {
            type = gn_dtype_find(take_string(c));
            if (type < 0)
                refuse(c, c->word,
                       "expected a dtype of F32, F64, I32, I64, U8, BOOL "
                       "(half precision: convert with .float() first)");
        } else if (strcmp(field, "shape") == 0 && rank < 0) {
            rank = take_numbers(c, entry->dim, GN_RANK_CAP, "expected at most 8 dimensions");
        } else if (strcmp(field, "data_offsets") == 0 && offsets < 0) {
            offsets = take_numbers(c, place, 2, "expected two data_offsets, begin and end");
        } else {
            refuse(c, c->word, "expected dtype, shape, data_offsets, each once, no other field");
        }
    } while (more(c, '}'));
    if (type < 0 || rank < 0 || offsets != 2)
        refuse(c, c->at, "expected a dtype, a shape and two data_offsets");
    if (c->status != GN_OK)
        return;
    entry->type = (gn_dtype)type;
    entry->rank = rank;
    item.begin = place[0];
    item.end = place[1];
    if (!gn_extent_bytes(&entry->bytes, entry->type, rank, entry->dim))
        refuse(c, c->at, "expected a shape whose size does not overflow");
    else if (!gn_header_add_item(header, item))
        no_memory(c);
}

static void take_header(cursor *c, gn_header *header)
{
    bool metadata = false;
    if (c->size == 0 || c->text[0] != '{') /* no blank in front of it, says the format */
        refuse(c, 0, "expected '{', the first byte of a header");
    take(c, '{');
    if (!take(c, '}'))
        do {
            const char *name = take_key(c, gn_name_problem);
            if (strcmp(name, GN_METADATA_KEY) != 0) {
                take_tensor(c, header, name);
                continue;
            }
            if (metadata)
                refuse(c, c->word, "expected " GN_METADATA_KEY " once");
            metadata = true;
            take_metadata(c, header);
        } while (more(c, '}'));
    while (c->at < c->size && c->text[c->at] == ' ')
        c->at++;
    if (c->at < c->size)
        refuse(c, c->at, "expected only spaces behind the header");
}

/* --- The whole ----------------------------------------------------------------------------- */

/* Items and pairs begin with the pointer to their name. */
static const char *name_of(const void *element)
{
    return *(const char *const *)element;
}

/* Names point into the text, so that of two equal ones the first stays in front. */
static int compare_name(const void *left, const void *right)
{
    const char *a = name_of(left), *b = name_of(right);
    const int order = strcmp(a, b);
    return order != 0 ? order : (a > b) - (a < b);
}

static void refuse_twins(cursor *c, void *array, size_t count, size_t element)
{
    if (count == 0)
        return;
    qsort(array, count, element, compare_name);
    for (const char *at = array; --count > 0; at += element)
        if (strcmp(name_of(at), name_of(at + element)) == 0)
            refuse(c, (size_t)(name_of(at + element) - c->text) - 1, "expected each name once");
}

/* Tensors without bytes may share a place; then the header's order decides. */
static int compare_place(const void *left, const void *right)
{
    const gn_header_item *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return (a->entry.name > b->entry.name) - (a->entry.name < b->entry.name);
}

/* Every byte of data belongs to exactly one tensor: no second file hides in a gap. */
static gn_status check_cover(const cursor *c, const gn_header *header, uint64_t data_bytes)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < header->items; i++) {
        const gn_header_item *item = &header->item[i];
        const size_t bytes = item->entry.bytes;
        if (bytes > data_bytes - covered || item->begin != covered || item->end != covered + bytes)
            return gn_fail(c->err, GN_E_FORMAT,
                           "%s: tensor '%s': expected %zu bytes of %s at offset %" PRIu64
                           ", where the one before ends, of %" PRIu64 " bytes of data;"
                           " found data_offsets [%zu, %zu]",
                           c->path, item->entry.name, bytes, gn_dtype_name(item->entry.type),
                           covered, data_bytes, item->begin, item->end);
        covered = item->end;
    }
    if (covered != data_bytes)
        return gn_fail(c->err, GN_E_FORMAT,
                       "%s: byte %" PRIu64 ": expected the end of the file after the last tensor,"
                       " found %" PRIu64 " bytes that belong to none",
                       c->path, GN_LENGTH_FIELD + c->size + covered, data_bytes - covered);
    return GN_OK;
}

gn_status gn_header_parse(gn_header *out, char *text, size_t size, uint64_t data_bytes,
                          const char *path, gn_err *err)
{
    *out = (gn_header){0};
    cursor c = {.text = text, .size = size, .path = path, .err = err};
    take_header(&c, out);
    refuse_twins(&c, out->pair, out->pairs, sizeof *out->pair);
    refuse_twins(&c, out->item, out->items, sizeof *out->item);
    if (c.status != GN_OK)
        return c.status;
    if (out->items > 0) /* qsort of NULL is not legal */
        qsort(out->item, out->items, sizeof *out->item, compare_place);
    return check_cover(&c, out, data_bytes);
}

gn_status gn_header_parse_pairs(gn_header *out, char *text, size_t size, const char *path,
                                gn_err *err)
{
    cursor c = {.text = text, .size = size, .path = path, .where = GN_METADATA_KEY, .err = err};
    take_metadata(&c, out);
    if (c.status == GN_OK && c.at < c.size)
        refuse(&c, c.at, "expected nothing behind the closing bracket");
    refuse_twins(&c, out->pair, out->pairs, sizeof *out->pair);
    return c.status;
}
