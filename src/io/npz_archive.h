/* An npz file that is being read.  SPDX-License-Identifier: MIT */
#ifndef GN_IO_NPZ_ARCHIVE_H
#define GN_IO_NPZ_ARCHIVE_H

#include <stdio.h>

#include "npy.h"
#include "reader.h"

/* Bytes for each name in the reader's text, its NUL included. */
enum { GN_NPZ_NAME = GN_NAME_CAP + 1 };

typedef struct gn_archive {
    const char *path;
    FILE *file;
    uint64_t size;
    size_t count; /* of arrays */
    gn_reader *reader;
    size_t data_bytes; /* of all arrays, each aligned */
} gn_archive;

/* Reads the zip around the arrays: count, and the names (without .npy) into the reader's text.
 * Every byte of the file belongs to an entry, or to the directory behind them and its end; entries
 * lie in the directory's order from byte 0 on, without gap or overlap, and agree with it. */
gn_status gn_npz_walk(gn_archive *a, gn_err *err);

#endif
