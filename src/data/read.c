/* Reading game records from a file or a folder, whatever formats lie in it.
 * Games come first, then positions without a game, each in the order of the files.
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

static bool holds_samples(const char *name)
{
    return gn_text_ends(name, ".npz") || gn_text_ends(name, ".safetensors");
}

static bool is_known(const char *name)
{
    return reader_of(name) != NULL || holds_samples(name);
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

/* Reads the files that hold games, or those that hold samples. */
static gn_status read_files(gn_games *games, const gn_files *files, bool samples, gn_import *import,
                            gn_err *err)
{
    gn_status st = GN_OK;
    for (size_t i = 0; i < files->count && st == GN_OK; i++) {
        const char *path = files->file[i].path;
        if (holds_samples(path) == samples)
            st = samples ? gn_samples_read(games, path, import, err)
                         : read_file(games, path, import, err);
    }
    return st;
}

/* Lists a path; a file that was named outright must be of a known kind. */
static gn_status list_path(gn_files *files, const char *path, gn_err *err)
{
    const size_t before = files->count;
    const gn_status st = gn_files_list(files, path, is_known, err);
    if (st == GN_OK && files->count == before + 1 && !is_known(files->file[before].path))
        return gn_fail(err, GN_E_FORMAT, "%s: unknown kind of file, expected .psq, .gomoku, .json "
                       "or .rif, each also with .gz, .npz or .safetensors", path);
    return st;
}

static gn_status check_usable(const char *path, const gn_import *part, gn_err *err)
{
    if (part->games > 0 || part->positions > 0)
        return GN_OK;
    return gn_fail(err, GN_E_DATA,
                   "%s: no usable game (%zu files read, %zu games malformed, %zu of another board "
                   "size)", path, part->files, part->malformed, part->other_size);
}

/* The same request with nothing counted yet. */
static gn_import fresh(const gn_import *import)
{
    gn_import part = *import;
    part.files = part.games = part.malformed = part.other_size = 0;
    part.fitted = part.positions = 0;
    part.cached = false;
    return part;
}

static void add_counts(gn_import *to, const gn_import *from)
{
    to->files += from->files;
    to->games += from->games;
    to->malformed += from->malformed;
    to->other_size += from->other_size;
    to->fitted += from->fitted;
    to->positions += from->positions;
    to->cached = from->cached;
}

gn_status gn_games_read(gn_games *games, const char *path, gn_import *import, gn_err *err)
{
    gn_import part = fresh(import);
    gn_files files = {0};
    gn_status st = list_path(&files, path, err);
    if (st == GN_OK) st = read_files(games, &files, false, &part, err);
    if (st == GN_OK) st = read_files(games, &files, true, &part, err);
    if (st == GN_OK) st = check_usable(path, &part, err);
    gn_files_free(&files);
    add_counts(import, &part);
    return st;
}

gn_status gn_games_read_cached(gn_games *games, const char *const *paths, size_t count,
                               const char *cache, gn_import *import, gn_err *err)
{
    gn_import part = fresh(import);
    gn_files files = {0};
    gn_status st = GN_OK;
    char key[65] = "";
    const size_t first = games->count;
    for (size_t i = 0; i < count && st == GN_OK; i++)
        st = list_path(&files, paths[i], err);
    const bool sure = !files.irregular; /* the bytes of a pipe have no size or time to know them */
    if (st == GN_OK && sure) {
        gn_cache_key(key, &files, import);
        st = gn_cache_load(games, cache, key, &part, &part.cached, err);
    }
    if (st == GN_OK && !part.cached) {
        st = read_files(games, &files, false, &part, err);
        if (st == GN_OK && sure && part.games > 0)
            st = gn_cache_save(games, first, cache, key, &part, err);
    }
    if (st == GN_OK) st = read_files(games, &files, true, &part, err);
    if (st == GN_OK) st = check_usable(count > 0 ? paths[0] : "no path", &part, err);
    gn_files_free(&files);
    add_counts(import, &part);
    return st;
}
