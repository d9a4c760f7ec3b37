/* The files below a path, in the order in which they are read.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DATA_FILES_H
#define GOMOKUNET_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gomokunet/status.h"

typedef struct gn_listed {
    char *path;
    uint64_t size;
    int64_t modified, changed; /* mtime and ctime, nanoseconds */
} gn_listed;

/* A growing list; zero-initialise, release with gn_files_free. */
typedef struct gn_files {
    gn_listed *file;
    size_t count, room;
    bool irregular; /* a pipe or a device among them: its content has no size and no time */
} gn_files;

/* Appends the file at `path`, or the files in the folder there and in those below it whose names
 * `wanted` accepts: byte order of the names, hidden ones left out.  GN_E_IO, GN_E_NOMEM. */
gn_status gn_files_list(gn_files *files, const char *path, bool (*wanted)(const char *name),
                        gn_err *err);
void gn_files_free(gn_files *files);

#endif
