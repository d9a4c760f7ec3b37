/* Whole files, and files that appear complete or not at all.  Internal to the library.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_FILE_H
#define GN_IO_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gomokunet/status.h"

/* Opens a regular file for reading and tells its size.  GN_E_IO otherwise, also for a folder, a
 * pipe or a device: their size means nothing.  The caller closes *out. */
gn_status gn_file_open(FILE **out, uint64_t *size, const char *path, gn_err *err);

/* A file being written beside its final name.  All zero is a legal, closed one. */
typedef struct gn_temp {
    char *path;
    char *temp; /* path + ".tmp" */
    FILE *file;
} gn_temp;

/* Removes what a crash left at path.tmp and creates it anew.  On failure *t is all zero. */
gn_status gn_temp_open(gn_temp *t, const char *path, gn_err *err);
gn_status gn_temp_write(gn_temp *t, const void *bytes, size_t count, gn_err *err);
/* Overwrites bytes written before; writing goes on at the end. */
gn_status gn_temp_patch(gn_temp *t, uint64_t at, const void *bytes, size_t count, gn_err *err);
/* Flush, sync, rename, sync the folder.  Releases *t in every case; where it fails before the
 * rename, the temporary file is gone and whatever stood at path is untouched. */
gn_status gn_temp_commit(gn_temp *t, gn_err *err);
/* Removes the temporary file and releases *t. */
void gn_temp_abandon(gn_temp *t);

#endif
