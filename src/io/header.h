/* The safetensors header as two lists, and its rules: what reader and writer share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_HEADER_H
#define GN_IO_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gomokunet/io.h"

/* A header of 16 MiB names more than 100,000 tensors; ours have a few thousand. */
enum { GN_HEADER_CAP = 16 * 1024 * 1024, GN_NAME_CAP = 255, GN_RANK_CAP = 8 };

/* Bytes in front of the header, which hold its length.  Positions in texts are of the file. */
enum { GN_LENGTH_FIELD = 8 };

#define GN_METADATA_KEY "__metadata__"

typedef struct gn_header_item {
    gn_entry entry;    /* without data */
    size_t begin, end; /* of its data, from the end of the header */
} gn_header_item;

typedef struct gn_header_pair {
    const char *key, *value;
} gn_header_pair;

/* All zero is a legal, empty header.  The strings belong to whoever added them. */
typedef struct gn_header {
    gn_header_item *item; /* once parsed: in the order of the data */
    size_t items;
    gn_header_pair *pair;
    size_t pairs;
} gn_header;

/* --- Lists and rules (header.c) --- */

/* False: no memory. */
bool gn_header_add_item(gn_header *header, gn_header_item item);
bool gn_header_add_pair(gn_header *header, gn_header_pair pair);
const gn_entry *gn_header_find(const gn_header *header, const char *name); /* NULL: not there */
const char *gn_header_value(const gn_header *header, const char *key);     /* NULL: not there */
void gn_header_release(gn_header *header);

/* The gn_dtype of that name, -1 where there is none that we support. */
int gn_dtype_find(const char *name);

/* What is wrong with it, as a constant text; NULL where nothing is. */
const char *gn_text_problem(const char *text, size_t length, bool printable);
const char *gn_key_problem(const char *key);   /* of metadata */
const char *gn_name_problem(const char *name); /* of a tensor */

/* The bytes of a tensor.  False on overflow, also where a later dimension is 0: a product that
 * depends on the order of its factors would bite whoever computes strides from it. */
bool gn_extent_bytes(size_t *bytes, gn_dtype type, int rank, const size_t *dim);

/* --- Parsing (header_parse.c) --- */

/* Parses and checks size bytes of header in front of data_bytes bytes of data.  Strings are decoded
 * in place, so text is changed and must live as long as *out.  On failure *out holds what was read
 * so far; release it in both cases. */
gn_status gn_header_parse(gn_header *out, char *text, size_t size, uint64_t data_bytes,
                          const char *path, gn_err *err);

/* The same for metadata alone, {"key": "value", ...}, as an npz file has them. */
gn_status gn_header_parse_pairs(gn_header *out, char *text, size_t size, const char *path,
                                gn_err *err);

#endif
