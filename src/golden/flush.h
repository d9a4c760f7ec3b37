/* Whether a golden file's bits need denormal numbers: it is computed once more as on a machine that
 * flushes them.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_FLUSH_H
#define GN_GOLDEN_FLUSH_H

#include "golden/sink.h"
#include "gomokunet/golden.h"

/* Puts everything of a file but the last metadata into an open sink. */
typedef gn_status (*gn_golden_walk)(gn_sink *sink, const gn_golden *golden, const char *flush_safe,
                                    gn_err *err);

/* *out becomes "yes" or "no".  GN_E_PLATFORM: this processor cannot flush; else as the walk. */
gn_status gn_flush_safe(const char **out, gn_golden_walk walk, const gn_golden *golden,
                        gn_err *err);

/* A golden file by its walk: once, or as golden->check_flush says twice before.  The sink's errors
 * and the walk's. */
gn_status gn_golden_file(const char *path, gn_golden_walk walk, const gn_golden *golden,
                         gn_err *err);

/* The rows and updates of gn_table_fast() with denormal inputs and results flushed to zero. */
enum { GN_FLUSH_ROWS = 32 };
typedef struct gn_flush {
    gn_row row[GN_FLUSH_ROWS];
    const gn_row *list[GN_FLUSH_ROWS];
    gn_table table;
} gn_flush;
gn_status gn_flush_make(gn_flush *out, gn_err *err);

#endif
