/* The safetensors header, read strictly: not JSON, but the one shape of JSON that the format is.
 *
 *     { "__metadata__": { "key": "value", ... },
 *       "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, ... }
 *
 * Why it exists: a general JSON library believes too much (duplicate keys, 1e3, depth).  Here each
 * value has one legal kind, so nothing nests deeper than an array in an object in the header, and
 * no function recurses.  Tensors may stand in any order, as in the reference reader; what their
 * offsets cover is checked after sorting.
 * SPDX-License-Identifier: MIT */
#include "header_parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "header_words.h"

static gn_status no_memory(const gn_cursor *c)
{
    return gn_fail(c->err, GN_E_NOMEM, "%s: no memory for the header", c->path);
}

/* The array with room for one more element, NULL without memory. */
static void *grown(void *array, size_t used, size_t *room, size_t element)
{
    if (used < *room)
        return array;
    size_t more = *room == 0 ? 16 : 2 * *room;
    void *larger = realloc(array, more * element);
    if (larger != NULL)
        *room = more;
    return larger;
}

static gn_status take_metadata(gn_cursor *c, gn_header *header)
{
    gn_status st = gn_word_mark(c, '{', "expected '{' and pairs of strings in " GN_METADATA_KEY);
    for (bool first = true, more = true; st == GN_OK; first = false) {
        st = gn_word_next(c, first, '}', &more);
        if (st != GN_OK || !more)
            break;
        gn_word_peek(c);
        size_t at = c->at, length;
        char *key, *value;
        if ((st = gn_word_string(c, &key, &length)) != GN_OK)
            break;
        const char *problem = gn_key_problem(key, length);
        if (problem != NULL)
            return gn_word_refuse_at(c, at, problem);
        if ((st = gn_word_mark(c, ':', "expected ':'")) != GN_OK ||
            (st = gn_word_string(c, &value, &length)) != GN_OK)
            break;

        gn_header_pair *pair =
            grown(header->pair, header->pairs, &header->pair_room, sizeof *pair);
        if (pair == NULL)
            return no_memory(c);
        header->pair = pair;
        pair[header->pairs++] = (gn_header_pair){key, value, at};
    }
    return st;
}

/* An array of at most `most` numbers. */
static gn_status take_numbers(gn_cursor *c, uint64_t *out, size_t most, size_t *count,
                              const char *too_many)
{
    gn_status st = gn_word_mark(c, '[', "expected '[' and numbers");
    *count = 0;
    for (bool more = true; st == GN_OK;) {
        st = gn_word_next(c, *count == 0, ']', &more);
        if (st != GN_OK || !more)
            break;
        if (*count == most)
            return gn_word_refuse(c, too_many);
        st = gn_word_number(c, &out[(*count)++]);
    }
    return st;
}

static gn_status take_dtype(gn_cursor *c, gn_header_item *item)
{
    char *name;
    size_t length;
    gn_word_peek(c);
    size_t at = c->at;
    gn_status st = gn_word_string(c, &name, &length);
    if (st != GN_OK)
        return st;
    if (!gn_dtype_find(&item->entry.type, name))
        return gn_word_refuse_at(c, at, "expected a dtype of F32, F64, I32, I64, U8, BOOL");
    return GN_OK;
}

static gn_status take_shape(gn_cursor *c, gn_header_item *item)
{
    uint64_t dim[GN_RANK_CAP];
    size_t rank;
    gn_status st = take_numbers(c, dim, GN_RANK_CAP, &rank, "expected at most 8 dimensions");
    if (st != GN_OK)
        return st;
    item->entry.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        item->entry.dim[i] = (size_t)dim[i];
        if (item->entry.dim[i] != dim[i])
            return gn_word_refuse(c, "expected dimensions that this machine can address");
    }
    return GN_OK;
}

static gn_status take_offsets(gn_cursor *c, gn_header_item *item)
{
    static const char two[] = "expected two data_offsets, begin and end";
    uint64_t offset[2];
    size_t count;
    gn_status st = take_numbers(c, offset, 2, &count, two);
    if (st != GN_OK)
        return st;
    if (count != 2)
        return gn_word_refuse(c, two);
    item->begin = offset[0];
    item->end = offset[1];
    return GN_OK;
}

/* The fields of a tensor, in any order, each once, and no other. */
static gn_status take_fields(gn_cursor *c, gn_header_item *item)
{
    static const char *const field[] = {"dtype", "shape", "data_offsets"};
    static gn_status (*const read[])(gn_cursor *, gn_header_item *) = {take_dtype, take_shape,
                                                                    take_offsets};
    static const char *const missing[] = {"expected a field dtype", "expected a field shape",
                                          "expected a field data_offsets"};
    bool seen[3] = {false, false, false};
    gn_status st = gn_word_mark(c, '{', "expected '{' and the fields of a tensor");
    for (bool first = true, more = true; st == GN_OK; first = false) {
        st = gn_word_next(c, first, '}', &more);
        if (st != GN_OK || !more)
            break;
        gn_word_peek(c);
        size_t at = c->at, length, which = 0;
        char *name;
        if ((st = gn_word_string(c, &name, &length)) != GN_OK)
            break;
        while (which < 3 && strcmp(field[which], name) != 0)
            which++;
        if (which == 3)
            return gn_word_refuse_at(c, at, "expected no field but dtype, shape, data_offsets");
        if (seen[which])
            return gn_word_refuse_at(c, at, "expected each field once");
        seen[which] = true;
        if ((st = gn_word_mark(c, ':', "expected ':'")) == GN_OK)
            st = read[which](c, item);
    }
    for (size_t i = 0; i < 3 && st == GN_OK; i++)
        if (!seen[i])
            st = gn_word_refuse(c, missing[i]);
    return st;
}

static gn_status check_size(const gn_cursor *c, const gn_header_item *item, uint64_t data_bytes)
{
    const gn_entry *entry = &item->entry;
    if (item->begin > item->end || item->end > data_bytes)
        return gn_fail(c->err, GN_E_FORMAT,
                       "%s: tensor '%s': expected data_offsets within the %" PRIu64
                       " bytes of data, found [%" PRIu64 ", %" PRIu64 "]",
                       c->path, entry->name, data_bytes, item->begin, item->end);
    if (entry->bytes != item->end - item->begin)
        return gn_fail(c->err, GN_E_FORMAT,
                       "%s: tensor '%s': expected %zu bytes of %s, data_offsets [%" PRIu64
                       ", %" PRIu64 "] hold %" PRIu64,
                       c->path, entry->name, entry->bytes, gn_dtype_name(entry->type),
                       item->begin, item->end, item->end - item->begin);
    return GN_OK;
}

static gn_status take_tensor(gn_cursor *c, gn_header *header, gn_header_item item,
                             uint64_t data_bytes)
{
    c->tensor = item.entry.name;
    gn_status st = take_fields(c, &item);
    if (st == GN_OK && !gn_extent_bytes(&item.entry.bytes, item.entry.type, item.entry.rank,
                                        item.entry.dim))
        st = gn_word_refuse_at(c, item.at, "expected a shape whose size does not overflow");
    if (st == GN_OK)
        st = check_size(c, &item, data_bytes);
    c->tensor = NULL;
    if (st != GN_OK)
        return st;

    gn_header_item *array =
        grown(header->item, header->items, &header->item_room, sizeof *array);
    if (array == NULL)
        return no_memory(c);
    header->item = array;
    array[header->items++] = item;
    return GN_OK;
}

static gn_status take_header(gn_cursor *c, gn_header *header, uint64_t data_bytes)
{
    static const char start[] = "expected '{', the first byte of a header";
    if (c->size == 0 || c->text[0] != '{') /* no blank in front of it, says the format */
        return gn_word_refuse(c, start);
    c->at = 1;
    bool metadata = false;
    gn_status st = GN_OK;
    for (bool first = true, more = true; st == GN_OK; first = false) {
        st = gn_word_next(c, first, '}', &more);
        if (st != GN_OK || !more)
            break;
        gn_word_peek(c);
        size_t at = c->at, length;
        char *name;
        if ((st = gn_word_string(c, &name, &length)) != GN_OK)
            break;
        const char *problem = gn_name_problem(name, length);
        if (problem != NULL)
            return gn_word_refuse_at(c, at, problem);
        if ((st = gn_word_mark(c, ':', "expected ':'")) != GN_OK)
            break;
        if (strcmp(name, GN_METADATA_KEY) != 0) {
            st = take_tensor(c, header, (gn_header_item){.entry.name = name, .at = at},
                             data_bytes);
        } else if (metadata) {
            st = gn_word_refuse_at(c, at, "expected " GN_METADATA_KEY " once");
        } else {
            metadata = true;
            st = take_metadata(c, header);
        }
    }
    while (st == GN_OK && c->at < c->size)
        if (c->text[c->at++] != ' ')
            st = gn_word_refuse_at(c, c->at - 1, "expected only spaces behind the header");
    return st;
}

/* --- The whole ----------------------------------------------------------------------------- */

/* Tensors without bytes may share a place; then the header's order decides. */
static int compare_place(const void *left, const void *right)
{
    const gn_header_item *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Equal names keep the order of the header, so that the second one is the one refused. */
static int compare_name(const void *left, const void *right)
{
    const gn_header_item *a = *(gn_header_item *const *)left;
    const gn_header_item *b = *(gn_header_item *const *)right;
    int order = strcmp(a->entry.name, b->entry.name);
    return order != 0 ? order : a->at < b->at ? -1 : a->at > b->at;
}

static int compare_key(const void *left, const void *right)
{
    const gn_header_pair *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : a->at < b->at ? -1 : a->at > b->at;
}

/* Every byte of data belongs to exactly one tensor: no second file hides in a gap. */
static gn_status check_cover(const gn_cursor *c, const gn_header *header, uint64_t data_bytes)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < header->items; i++) {
        const gn_header_item *item = &header->item[i];
        if (item->begin != covered)
            return gn_fail(c->err, GN_E_FORMAT,
                           "%s: tensor '%s': expected its data at offset %" PRIu64
                           ", where the one before ends, found %" PRIu64 ": %s",
                           c->path, item->entry.name, covered, item->begin,
                           item->begin < covered ? "an overlap" : "a hole");
        covered = item->end;
    }
    if (covered != data_bytes)
        return gn_fail(c->err, GN_E_FORMAT,
                       "%s: byte %" PRIu64 ": expected the end of the file after the last tensor,"
                       " found %" PRIu64 " bytes that belong to none",
                       c->path, GN_LENGTH_FIELD + c->size + covered, data_bytes - covered);
    return GN_OK;
}

static gn_status check_unique(const gn_cursor *c, const gn_header *header)
{
    for (size_t i = 1; i < header->pairs; i++) {
        const gn_header_pair *pair = &header->pair[i];
        if (strcmp(pair[-1].key, pair->key) == 0)
            return gn_fail(c->err, GN_E_FORMAT, "%s: byte %zu: metadata '%s' stands twice",
                           c->path, GN_LENGTH_FIELD + pair->at, pair->key);
    }
    for (size_t i = 1; i < header->items; i++) {
        const gn_header_item *item = header->by_name[i];
        if (strcmp(header->by_name[i - 1]->entry.name, item->entry.name) == 0)
            return gn_fail(c->err, GN_E_FORMAT, "%s: byte %zu: tensor '%s' stands twice",
                           c->path, GN_LENGTH_FIELD + item->at, item->entry.name);
    }
    return GN_OK;
}

gn_status gn_header_parse(gn_header *out, char *text, size_t size, uint64_t data_bytes,
                          const char *path, gn_err *err)
{
    *out = (gn_header){0};
    gn_cursor c = {.text = text, .size = size, .path = path, .err = err};
    gn_status st = take_header(&c, out, data_bytes);
    if (st != GN_OK)
        return st;

    /* qsort of nothing is left out: a NULL array is not a legal argument. */
    if (out->items > 0) {
        qsort(out->item, out->items, sizeof *out->item, compare_place);
        out->by_name = malloc(out->items * sizeof *out->by_name);
        if (out->by_name == NULL)
            return no_memory(&c);
        for (size_t i = 0; i < out->items; i++)
            out->by_name[i] = &out->item[i];
        qsort(out->by_name, out->items, sizeof *out->by_name, compare_name);
    }
    if (out->pairs > 0)
        qsort(out->pair, out->pairs, sizeof *out->pair, compare_key);

    st = check_unique(&c, out);
    return st == GN_OK ? check_cover(&c, out, data_bytes) : st;
}

void gn_header_release(gn_header *header)
{
    free(header->item);
    free(header->by_name);
    free(header->pair);
    *header = (gn_header){0};
}
