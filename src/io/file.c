/* Whole files: open with a size, write under a temporary name, sync, rename.
 *
 * Why it exists: a run that loses power must find either the old file or the new one, never half of
 * one, and stdio alone cannot promise that.  So this file uses POSIX: fstat, fileno, fsync,
 * unlink, and open of a folder in order to sync it.
 * What it does not do: lock.  Two processes that write the same path at once disturb each other.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gomokunet/io.h"

gn_status gn_file_open(FILE **out, uint64_t *size, const char *path, gn_err *err)
{
    *out = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return gn_fail(err, errno == ENOMEM ? GN_E_NOMEM : GN_E_IO, "%s: cannot open: %s", path,
                       strerror(errno));

    struct stat info;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        fclose(file);
        return gn_fail(err, GN_E_IO, "%s: expected a regular file", path);
    }
    *size = (uint64_t)info.st_size;
    *out = file;
    return GN_OK;
}

static void release(gn_temp *t)
{
    free(t->path);
    free(t->temp);
    *t = (gn_temp){0};
}

void gn_temp_abandon(gn_temp *t)
{
    if (t->file != NULL)
        fclose(t->file);
    if (t->temp != NULL)
        unlink(t->temp);
    release(t);
}

/* Fails with the text of `cause`, a value of errno, and removes the temporary file. */
static gn_status give_up(gn_temp *t, const char *what, int cause, gn_err *err)
{
    gn_fail(err, GN_E_IO, "%s: cannot %s: %s", t->temp, what, strerror(cause));
    gn_temp_abandon(t);
    return GN_E_IO;
}

gn_status gn_temp_open(gn_temp *t, const char *path, gn_err *err)
{
    *t = (gn_temp){0};

    /* rename() would replace a device by a file: `-o /dev/null` run by root must not do that. */
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return gn_fail(err, GN_E_IO, "%s: cannot replace: not a regular file", path);

    const size_t room = strlen(path) + sizeof ".tmp";
    t->path = strdup(path);
    t->temp = malloc(room);
    if (t->path == NULL || t->temp == NULL) {
        release(t);
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for its name", path);
    }
    snprintf(t->temp, room, "%s.tmp", path);

    /* Removed first and then created by "x": a link planted at that name is never followed. */
    if (unlink(t->temp) == 0 || errno == ENOENT)
        t->file = fopen(t->temp, "wbx");
    if (t->file == NULL) {
        const int cause = errno;
        gn_fail(err, GN_E_IO, "%s: cannot create: %s", t->temp, strerror(cause));
        if (cause == ENOMEM) /* a stream may fail behind the file that it made */
            unlink(t->temp);
        release(t);
        return GN_E_IO;
    }
    return GN_OK;
}

gn_status gn_temp_write(gn_temp *t, const void *bytes, size_t count, gn_err *err)
{
    errno = 0;
    if (count > 0 && fwrite(bytes, 1, count, t->file) != count)
        return gn_fail(err, GN_E_IO, "%s: cannot write: %s", t->temp,
                       errno != 0 ? strerror(errno) : "short write");
    return GN_OK;
}

gn_status gn_temp_patch(gn_temp *t, uint64_t at, const void *bytes, size_t count, gn_err *err)
{
    if (fseeko(t->file, (off_t)at, SEEK_SET) != 0) /* writes out what is buffered */
        return gn_fail(err, GN_E_IO, "%s: cannot write: %s", t->temp, strerror(errno));
    const gn_status st = gn_temp_write(t, bytes, count, err);
    if (st == GN_OK && fseeko(t->file, 0, SEEK_END) != 0)
        return gn_fail(err, GN_E_IO, "%s: cannot write: %s", t->temp, strerror(errno));
    return st;
}

/* A value of errno, 0 where all is well. */
static int sync_descriptor(int descriptor)
{
    while (fsync(descriptor) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

/* Makes the rename of `path`, whose text it spoils, durable.  A value of errno, 0 where all is
 * well; a folder that may be written but not read, or a file system that cannot sync one (EINVAL)
 * is no reason to fail. */
static int sync_folder(char *path)
{
    int descriptor = open(dirname(path), O_RDONLY | O_DIRECTORY);
    if (descriptor < 0)
        return errno == EACCES || errno == EPERM ? 0 : errno;
    int cause = sync_descriptor(descriptor);
    close(descriptor);
    return cause == EINVAL || cause == ENOTSUP ? 0 : cause;
}

gn_status gn_temp_commit(gn_temp *t, gn_err *err)
{
    /* A full disk often shows only here: fwrite filled a buffer, the file system delayed. */
    if (fflush(t->file) != 0)
        return give_up(t, "write", errno, err);
    int cause = sync_descriptor(fileno(t->file));
    if (cause != 0)
        return give_up(t, "sync", cause, err);
    FILE *file = t->file;
    t->file = NULL;
    if (fclose(file) != 0)
        return give_up(t, "close", errno, err);
    if (rename(t->temp, t->path) != 0)
        return give_up(t, "rename to its final name", errno, err);

    cause = sync_folder(t->temp); /* in the same folder, and not needed any more */
    if (cause != 0)
        gn_fail(err, GN_E_IO, "%s: written, but its folder cannot be synced: %s", t->path,
                strerror(cause));
    release(t);
    return cause == 0 ? GN_OK : GN_E_IO;
}

gn_status gn_file_write(const char *path, const void *bytes, size_t count, gn_err *err)
{
    gn_temp temp;
    gn_status st = gn_temp_open(&temp, path, err);
    if (st == GN_OK)
        st = gn_temp_write(&temp, bytes, count, err);
    if (st == GN_OK)
        return gn_temp_commit(&temp, err);
    gn_temp_abandon(&temp); /* all zero where it could not be opened */
    return st;
}
