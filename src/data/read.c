/* Reading game records from a file or a folder, whatever formats lie in it.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "data/cache.h"
#include "data/files.h"
#include "data/record.h"

typedef gn_status reader(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);

static const struct kind {
    const char *ending;
    reader *read;
} kinds[] = {{".psq", gn_psq_read}, {".gomoku", gn_text_read}, {".json", gn_winepy_read},
           {".rif", gn_rif_read}};

/* The reader for a name, or NULL. */
static reader *reader_of(const char *path)
{
    char ending[16];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(ending, sizeof ending, "%s.gz", kinds[i].ending);
        if (gn_text_ends(path, kinds[i].ending) || gn_text_ends(path, ending))
            return kinds[i].read;
    }
    return NULL;
}

static bool is_known(const char *name)
{
    return reader_of(name) != NULL;
}

static gn_status read_file(gn_games *games, const char *path, gn_import *import, gn_err *err)
{
    gn_lines *lines = malloc(sizeof *lines); /* 24 KiB: too much for a stack of unknown size */
    if (lines == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to read it", path);
    gn_status st = gn_lines_open(lines, path, err);
    if (st == GN_OK) {
        import->files++;
        st = reader_of(path)(games, lines, import, err);
        gn_lines_close(lines);
    }
    free(lines);
    return st;
}

gn_status gn_games_read(gn_games *games, const char *path, gn_import *import, gn_err *err)
{
    const gn_import before = *import;
    gn_files files = {0};
    gn_status st = gn_files_list(&files, path, is_known, err);
    if (st == GN_OK && files.count == 1 && !is_known(files.file[0].path))
        st = gn_fail(err, GN_E_FORMAT, "%s: unknown kind of file, expected .psq, .gomoku, .json or "
                     ".rif, each also with .gz", path);
    for (size_t i = 0; i < files.count && st == GN_OK; i++)
        st = read_file(games, files.file[i].path, import, err);
    gn_files_free(&files);
    if (st != GN_OK || import->games > before.games)
        return st;
    return gn_fail(err, GN_E_DATA,
                   "%s: no usable game (%zu files read, %zu games malformed, %zu of another board "
                   "size)",
                   path, import->files - before.files, import->malformed - before.malformed,
                   import->other_size - before.other_size);
}

static void add_counts(gn_import *to, const gn_import *from)
{
    to->files += from->files;
    to->games += from->games;
    to->malformed += from->malformed;
    to->other_size += from->other_size;
    to->fitted += from->fitted;
    to->cached = from->cached;
}

gn_status gn_games_read_cached(gn_games *games, const char *const *paths, size_t count,
                               const char *cache, gn_import *import, gn_err *err)
{
    gn_import part = *import; /* what this call alone counts */
    part.files = part.games = part.malformed = part.other_size = part.fitted = 0;
    part.cached = false;
    gn_files files = {0};
    gn_status st = GN_OK;
    for (size_t i = 0; i < count && st == GN_OK; i++)
        st = gn_files_list(&files, paths[i], is_known, err);
    char key[65];
    gn_cache_key(key, &files, import);
    const bool sure = !files.irregular; /* the bytes of a pipe have no size or time to know them */
    gn_files_free(&files);

    const size_t first = games->count;
    if (st == GN_OK && sure)
        st = gn_cache_load(games, cache, key, &part, &part.cached, err);
    for (size_t i = 0; i < count && st == GN_OK && !part.cached; i++)
        st = gn_games_read(games, paths[i], &part, err);
    if (st == GN_OK && sure && !part.cached)
        st = gn_cache_save(games, first, cache, key, &part, err);
    add_counts(import, &part);
    return st;
}
