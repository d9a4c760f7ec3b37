/* Reading game records from a file or a folder, whatever formats lie in it.
 *
 * The order of the games decides the order of the training data, so it must not depend on the file
 * system: names are sorted by their bytes.
 * SPDX-License-Identifier: MIT */
#include <dirent.h> /* POSIX: C11 alone cannot list a folder */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/game.h"
#include "data/record.h"

/* Deep enough for any archive of games; ends a loop of symbolic links. */
enum { MAX_DEPTH = 32 };

typedef gn_status reader(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err);

gn_status gn_import_reject(gn_import *import, const gn_err *err)
{
    import->malformed++;
    if (import->strict)
        return GN_E_FORMAT;
    if (import->complain != NULL)
        import->complain(import->user, err->text);
    return GN_OK;
}

/* Moves the stones so that their box stands in the middle of a smaller board; false: too wide. */
static bool fit_board(uint16_t *moves, int count, int size, int smaller)
{
    int low[2] = {size, size}, high[2] = {-1, -1}, shift[2];
    for (int i = 0; i < count; i++) {
        const int at[2] = {moves[i] % size, moves[i] / size};
        for (int k = 0; k < 2; k++) {
            low[k] = at[k] < low[k] ? at[k] : low[k];
            high[k] = at[k] > high[k] ? at[k] : high[k];
        }
    }
    for (int k = 0; k < 2; k++) {
        if (high[k] - low[k] >= smaller)
            return false;
        shift[k] = (smaller - 1 - (high[k] - low[k])) / 2 - low[k];
    }
    for (int i = 0; i < count; i++)
        moves[i] = (uint16_t)((moves[i] / size + shift[1]) * smaller + moves[i] % size + shift[0]);
    return true;
}

gn_status gn_import_add(gn_games *games, gn_import *import, const char *path, int size, gn_rule rule,
                        int opening, uint16_t *moves, int count, int *ply, gn_err *err)
{
    const int wanted = import->board_size == 0 ? size : import->board_size;
    gn_result result;
    *ply = -1;
    if (size != wanted && !(import->fit && size > wanted)) {
        import->other_size++;
        return GN_OK;
    }
    gn_status st = gn_game_check(size, rule, opening, moves, count, &result, ply, err);
    if (st == GN_OK && size != wanted && !fit_board(moves, count, size, wanted)) {
        import->other_size++;
        return GN_OK;
    }
    if (st == GN_OK)
        st = gn_games_add(games, path, wanted, rule, opening, moves, count, err);
    import->games += st == GN_OK;
    import->fitted += st == GN_OK && size != wanted;
    return st;
}

/* The reader for a name, or NULL. */
static reader *reader_of(const char *path)
{
    if (gn_text_ends(path, ".psq") || gn_text_ends(path, ".psq.gz"))
        return gn_psq_read;
    if (gn_text_ends(path, ".gomoku") || gn_text_ends(path, ".gomoku.gz"))
        return gn_text_read;
    if (gn_text_ends(path, ".json") || gn_text_ends(path, ".json.gz"))
        return gn_winepy_read;
    return NULL;
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

/* --- Folders ------------------------------------------------------------------------------- */

typedef struct names {
    char **name;
    size_t count, room;
} names;

static void names_free(names *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->name[i]);
    free(list->name);
}

/* Appends folder/name. */
static bool names_add(names *list, const char *folder, const char *name)
{
    if (list->count == list->room) {
        const size_t room = list->room == 0 ? 64 : list->room * 2;
        char **larger = realloc(list->name, room * sizeof *larger);
        if (larger == NULL)
            return false;
        list->name = larger;
        list->room = room;
    }
    const size_t n = strlen(folder), m = strlen(name);
    const bool slash = n > 0 && folder[n - 1] != '/';
    char *path = malloc(n + slash + m + 1);
    if (path == NULL)
        return false;
    memcpy(path, folder, n);
    if (slash)
        path[n] = '/';
    memcpy(path + n + slash, name, m + 1);
    list->name[list->count++] = path;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b); /* bytes; no two are equal */
}

/* The entries of a folder, sorted; hidden ones (".", "..", "._x" of macOS) are left out. */
static gn_status list_folder(names *list, const char *path, gn_err *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));
    gn_status st = GN_OK;
    while (st == GN_OK) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            if (errno != 0)
                st = gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));
            break;
        }
        if (entry->d_name[0] != '.' && !names_add(list, path, entry->d_name))
            st = gn_fail(err, GN_E_NOMEM, "%s: no memory for its names", path);
    }
    closedir(folder);
    if (list->count > 1)
        qsort(list->name, list->count, sizeof *list->name, compare_names);
    return st;
}

static gn_status read_folder(gn_games *games, const char *path, int depth, gn_import *import,
                             gn_err *err)
{
    if (depth > MAX_DEPTH)
        return gn_fail(err, GN_E_IO, "%s: more than %d folders deep (a loop of links?)", path,
                       (int)MAX_DEPTH);
    names list = {0};
    gn_status st = list_folder(&list, path, err);
    for (size_t i = 0; i < list.count && st == GN_OK; i++) {
        const char *name = list.name[i];
        struct stat about;
        if (stat(name, &about) != 0) {
            if (reader_of(name) != NULL) /* a dangling link that would have been read */
                st = gn_fail(err, GN_E_IO, "%s: %s", name, strerror(errno));
        } else if (S_ISDIR(about.st_mode)) {
            st = read_folder(games, name, depth + 1, import, err);
        } else if (S_ISREG(about.st_mode) && reader_of(name) != NULL) {
            st = read_file(games, name, import, err);
        }
    }
    names_free(&list);
    return st;
}

gn_status gn_games_read(gn_games *games, const char *path, gn_import *import, gn_err *err)
{
    struct stat about;
    const gn_import before = *import;
    gn_status st;
    if (stat(path, &about) != 0)
        return gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        st = read_folder(games, path, 0, import, err);
    else if (reader_of(path) != NULL)
        st = read_file(games, path, import, err);
    else
        st = gn_fail(err, GN_E_FORMAT,
                     "%s: unknown kind of file, expected .psq, .gomoku or WinePy's .json, each also with .gz",
                     path);
    if (st != GN_OK || import->games > before.games)
        return st;
    return gn_fail(err, GN_E_DATA,
                   "%s: no usable game (%zu files read, %zu games malformed, %zu of another board "
                   "size)",
                   path, import->files - before.files, import->malformed - before.malformed,
                   import->other_size - before.other_size);
}
