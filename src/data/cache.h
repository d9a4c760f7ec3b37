/* A file that keeps the games of many files.  SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DATA_CACHE_H
#define GOMOKUNET_DATA_CACHE_H

#include "data/files.h"
#include "gomokunet/data.h"

/* What the games depend on, as 64 hex digits: the files' paths, sizes and times, what the readers
 * were asked for, and the version of the readers. */
void gn_cache_key(char key[65], const gn_files *files, const gn_import *import);

/* Adds the games that `path` keeps under this key and counts them in `import`; *hit is false, and
 * nothing is added, where the file is not there, is damaged or has another key.  GN_E_FORMAT where
 * something else than a cache stands at `path`, which must not be overwritten; GN_E_IO,
 * GN_E_NOMEM. */
gn_status gn_cache_load(gn_games *games, const char *path, const char key[65], gn_import *import,
                        bool *hit, gn_err *err);

/* Keeps the games from number `first` on, and what `import` counted.  GN_E_IO, GN_E_NOMEM. */
gn_status gn_cache_save(const gn_games *games, size_t first, const char *path, const char key[65],
                        const gn_import *import, gn_err *err);

#endif
