/* An npz file that is being read.  SPDX-License-Identifier: MIT */
#ifndef GN_IO_NPZ_ARCHIVE_H
#define GN_IO_NPZ_ARCHIVE_H

#include <stdio.h>
#include <zip.h>

#include "reader.h"

typedef struct gn_archive {
    const char *path;
    FILE *file;
    uint64_t size;
    zip_t *zip;
    size_t count;
    gn_reader *reader;
    size_t data_bytes; /* of all arrays, each aligned */
} gn_archive;

/* Every byte of the file belongs to an entry, or to the directory behind them and its end: entries
 * lie in the directory's order, without gap or overlap, from byte 0 on. */
gn_status gn_npz_walk(const gn_archive *a, gn_err *err);

#endif
