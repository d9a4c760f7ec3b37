/* What the readers of game records share: lines of a file, small numbers, complaints.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DATA_RECORD_H
#define GOMOKUNET_DATA_RECORD_H

#include <zlib.h>

#include "gomokunet/data.h"

/* The longest game, 625 moves "24,24 " on the largest board, takes 3,772 characters. */
enum { GN_LINE_MAX = 8191 };

/* A file read line by line, gz-compressed or not.  `text` holds the line without its end (LF or
 * CR LF) and a NUL; `fault`, if not NULL, says why the line cannot be used, and `text` is cut. */
typedef struct gn_lines {
    gzFile file;
    const char *path; /* borrowed */
    size_t number;    /* of the line in `text`, from 1 */
    const char *fault;
    bool first; /* nothing read yet */
    int at, end;
    char text[GN_LINE_MAX + 1];
    unsigned char buffer[16384];
} gn_lines;

gn_status gn_lines_open(gn_lines *lines, const char *path, gn_err *err);
void gn_lines_close(gn_lines *lines);

/* The next line; *more is false at the end of the file.  GN_E_IO; GN_E_FORMAT where the compressed
 * data are broken. */
gn_status gn_lines_next(gn_lines *lines, bool *more, gn_err *err);

/* The next byte, -1 at the end of the file: for formats without lines, instead of gn_lines_next.
 * The statuses of gn_lines_next. */
gn_status gn_lines_byte(gn_lines *lines, int *byte, gn_err *err);

/* The bytes that are left of the block read last, or a fresh block; none at the end of the file. */
gn_status gn_lines_block(gn_lines *lines, const char **bytes, int *count, gn_err *err);

/* GN_E_FORMAT with "path:line: " before the text. */
gn_status gn_lines_fail(const gn_lines *lines, gn_err *err, const char *format, ...)
    GN_PRINTF(3, 4);

/* Reads an optional '-' and digits at *at and moves past them; larger numbers than
 * +-999,999,999 are cut to that.  False, and *at unmoved, where there is no digit. */
bool gn_take_int(const char **at, int *value);

/* A blank between the tokens of a text: space, tab, CR, LF. */
bool gn_is_blank(int c);

/* A printable copy of the first characters of a text, for messages. */
typedef struct gn_quote {
    char text[32];
} gn_quote;
gn_quote gn_quoted(const char *text);

/* The rule that a name such as "renju", "Standard2" or "Freestyle15_1" means: the name of a rule in
 * any case, then only digits and '_'.  `length` characters of `name` are looked at. */
bool gn_rule_find(const char *name, size_t length, gn_rule *rule);

/* Whether text ends in `ending`, in any case (ASCII). */
bool gn_text_ends(const char *text, const char *ending);

/* A game as its file has it, before any check. */
typedef struct gn_record {
    int size, opening, count;
    gn_rule rule;
    bool claims; /* `result` is the record's word, for gn_games_claim */
    gn_result result;
    uint16_t moves[GN_MAX_BOARD * GN_MAX_BOARD];
} gn_record;

/* Whether games of this board may be taken at all: else they need not be read to their end. */
bool gn_import_wants(const gn_import *import, int size);

/* Adds the game if its board is wanted, moved into a smaller box where that is asked for, else
 * counts it as of another size.  GN_E_FORMAT as gn_lines_fail gives it. */
gn_status gn_import_record(gn_games *games, const gn_lines *lines, gn_import *import,
                           const gn_record *record, gn_err *err);

/* Counts a malformed game and passes err->text on.  GN_OK: go on with the next game; GN_E_FORMAT:
 * the import is strict. */
gn_status gn_import_reject(gn_import *import, const gn_err *err);

/* Whether this build reads .rif. */
#ifdef GN_HAVE_EXPAT
enum { GN_READS_RIF = 1 };
#else
enum { GN_READS_RIF = 0 };
#endif

/* --- Positions without a game (samples.c) --- */

/* Reads a file of arrays; a malformed one goes to gn_import_reject. */
gn_status gn_samples_read(gn_games *games, const char *path, gn_import *import, gn_err *err);
/* The sample under a symmetry, as gn_position_write does it. */
void gn_samples_write(const gn_samples *s, size_t index, int symmetry, float *planes, float *policy,
                      float *value);
void gn_samples_free(gn_games *games);
/* A hash of what the network sees: stones and last move, the same for all symmetries (seen.c). */
uint64_t gn_sample_name(const gn_samples *s, size_t index);

/* --- Formats --- */

/* The readers of the formats.  A malformed game goes to gn_import_reject; anything else that is not
 * GN_OK ends the import. */
gn_status gn_winepy_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);
gn_status gn_rif_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);
gn_status gn_psq_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);
gn_status gn_text_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);

#endif
