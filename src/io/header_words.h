/* The words of a safetensors header.  Internal to src/io, used by header_parse.c only.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_HEADER_WORDS_H
#define GN_IO_HEADER_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gomokunet/status.h"

typedef struct gn_cursor {
    char *text;
    size_t size, at;
    const char *path, *tensor; /* tensor: the name being read, NULL outside */
    gn_err *err;
} gn_cursor;

/* GN_E_FORMAT with the file, the tensor if any, the byte, and what was expected. */
gn_status gn_word_refuse(const gn_cursor *c, const char *problem);
gn_status gn_word_refuse_at(const gn_cursor *c, size_t at, const char *problem);

/* Skips blanks.  The next character, which stays unread; 0 at the end. */
char gn_word_peek(gn_cursor *c);
/* Consumes that character, or refuses with that text. */
gn_status gn_word_mark(gn_cursor *c, char wanted, const char *problem);
/* Before each element of a list: is there one more?  Consumes the comma, or the closing mark. */
gn_status gn_word_next(gn_cursor *c, bool first, char close, bool *more);
gn_status gn_word_number(gn_cursor *c, uint64_t *out);
/* Decoded in place, valid UTF-8 without NUL, with a NUL behind it. */
gn_status gn_word_string(gn_cursor *c, char **out, size_t *length);

#endif
