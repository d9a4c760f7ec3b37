/* The safetensors header as a list: what reader and writer share.  Internal to src/io.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_HEADER_PARSE_H
#define GN_IO_HEADER_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gomokunet/io.h"

/* A header of 16 MiB names more than 100,000 tensors; ours have a few thousand. */
enum { GN_HEADER_CAP = 16 * 1024 * 1024, GN_NAME_CAP = 255, GN_RANK_CAP = 8 };

/* Bytes in front of the header, which hold its length.  Positions in texts are of the file. */
enum { GN_LENGTH_FIELD = 8 };

#define GN_METADATA_KEY "__metadata__"

/* --- Rules (header_rules.c) --- */

/* Finds the type of that name; false where there is none that we support. */
bool gn_dtype_find(gn_dtype *type, const char *name);

/* Decodes one UTF-8 sequence: its length, 0 where text is not valid UTF-8 (overlong forms,
 * surrogates and values beyond U+10FFFF included). */
size_t gn_utf8_next(const char *text, size_t length, uint32_t *code);

/* What is wrong with it, as a constant text; NULL where nothing is. */
const char *gn_name_problem(const char *name, size_t length);  /* of a tensor */
const char *gn_key_problem(const char *key, size_t length);    /* of metadata */
const char *gn_value_problem(const char *value, size_t length); /* of metadata */

/* The bytes of a tensor.  False on overflow, also where a later dimension is 0: a product that
 * depends on the order of its factors would bite whoever computes strides from it. */
bool gn_extent_bytes(size_t *bytes, gn_dtype type, int rank, const size_t *dim);

/* --- Parsing (header_parse.c) --- */

typedef struct gn_header_item {
    gn_entry entry;      /* without data */
    uint64_t begin, end; /* of its data, from the end of the header */
    size_t at;           /* byte of the file where its name stands */
} gn_header_item;

typedef struct gn_header_pair {
    const char *key, *value;
    size_t at;
} gn_header_pair;

/* All zero is a legal, empty header. */
typedef struct gn_header {
    gn_header_item *item; /* in the order of the data */
    size_t items, item_room;
    gn_header_item **by_name; /* the same, sorted by name */
    gn_header_pair *pair;     /* sorted by key */
    size_t pairs, pair_room;
} gn_header;

/* Parses and checks size bytes of header in front of data_bytes bytes of data.  Strings are decoded
 * in place, so text is changed and must live as long as *out.  On failure *out holds what was read
 * so far; release it in both cases. */
gn_status gn_header_parse(gn_header *out, char *text, size_t size, uint64_t data_bytes,
                          const char *path, gn_err *err);
void gn_header_release(gn_header *header);

#endif
