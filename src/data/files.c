/* The files below a path, in the order in which they are read.
 *
 * The order of the games decides the order of the training data, so it must not depend on the file
 * system: names are sorted by their bytes.
 * SPDX-License-Identifier: MIT */
#include "data/files.h"

#include <dirent.h> /* POSIX: C11 alone cannot list a folder */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Deep enough for any archive of games; ends a loop of symbolic links. */
enum { MAX_DEPTH = 32 };

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

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Appends a file; `path` is copied. */
static gn_status add_file(gn_files *files, const char *path, const struct stat *about, gn_err *err)
{
    if (files->count == files->room) {
        const size_t room = files->room == 0 ? 64 : files->room * 2;
        gn_listed *larger = realloc(files->file, room * sizeof *larger);
        if (larger == NULL)
            return gn_fail(err, GN_E_NOMEM, "%s: no memory to list it", path);
        files->file = larger;
        files->room = room;
    }
    char *copy = malloc(strlen(path) + 1);
    if (copy == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to list it", path);
    strcpy(copy, path);
    files->file[files->count++] = (gn_listed){.path = copy,
                                              .size = (uint64_t)about->st_size,
                                              .modified = nanoseconds(about->st_mtim),
                                              .changed = nanoseconds(about->st_ctim)};
    files->irregular = files->irregular || !S_ISREG(about->st_mode);
    return GN_OK;
}

static gn_status add_folder(gn_files *files, const char *path, int depth,
                            bool (*wanted)(const char *name), gn_err *err)
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
            if (wanted(name)) /* a dangling link that would have been read */
                st = gn_fail(err, GN_E_IO, "%s: %s", name, strerror(errno));
        } else if (S_ISDIR(about.st_mode)) {
            st = add_folder(files, name, depth + 1, wanted, err);
        } else if (S_ISREG(about.st_mode) && wanted(name)) {
            st = add_file(files, name, &about, err);
        }
    }
    names_free(&list);
    return st;
}

gn_status gn_files_list(gn_files *files, const char *path, bool (*wanted)(const char *name),
                        gn_err *err)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));
    return S_ISDIR(about.st_mode) ? add_folder(files, path, 0, wanted, err)
                                  : add_file(files, path, &about, err);
}

void gn_files_free(gn_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->file[i].path);
    free(files->file);
    *files = (gn_files){0};
}
