/* The shim's files: each call that opens, reads, writes, syncs, renames or removes.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

/* --- What a loss of power takes ------------------------------------------------------------- */

/* Files that were written: a loss of power cuts each to what was synced.  Names stay: a file system
 * may well have written the folder and not yet the file. */
enum { FILES = 256 };
static struct written {
    char path[512];
    int descriptor;
    off_t synced;
} files[FILES];

static struct written *file_of(const char *path, int descriptor)
{
    for (int i = 0; i < FILES; i++)
        if (path != NULL ? strcmp(files[i].path, path) == 0
                         : files[i].path[0] != '\0' && files[i].descriptor == descriptor)
            return &files[i];
    return NULL;
}

static void file_opened(const char *path, int descriptor)
{
    struct stat info;
    struct written *f = file_of(path, -1);
    const off_t size = fstat(descriptor, &info) == 0 ? info.st_size : 0;
    const int is_new = f == NULL;
    if (is_new)
        f = file_of("", -1);
    if (f == NULL)
        abort(); /* a longer table is needed */
    snprintf(f->path, sizeof f->path, "%s", path);
    f->descriptor = descriptor;
    f->synced = is_new || size < f->synced ? size : f->synced;
}

static void file_renamed(const char *from, const char *to)
{
    struct written *f = file_of(to, -1);
    if (f != NULL)
        f->path[0] = '\0';
    f = file_of(from, -1);
    if (f != NULL)
        snprintf(f->path, sizeof f->path, "%s", to);
}

void lose_power(void)
{
    for (int i = 0; i < FILES; i++) {
        struct stat info;
        if (files[i].path[0] != '\0' && stat(files[i].path, &info) == 0 &&
            info.st_size > files[i].synced && truncate(files[i].path, files[i].synced) != 0)
            abort();
    }
}

/* --- Descriptors ----------------------------------------------------------------------------- */

static int open_file(const char *path, int flags, mode_t mode)
{
    NEXT(int (*)(const char *, int, ...), "open")
    const int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (failed(writes ? OPEN : LOOK))
        return -1;
    const int descriptor = real(path, flags, mode);
    if (descriptor >= 0 && writes)
        file_opened(path, descriptor);
    return descriptor;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

ssize_t read(int descriptor, void *to, size_t count)
{
    NEXT(ssize_t (*)(int, void *, size_t), "read")
    return failed(READ) ? -1 : real(descriptor, to, count);
}

ssize_t write(int descriptor, const void *from, size_t count)
{
    NEXT(ssize_t (*)(int, const void *, size_t), "write")
    if (descriptor <= STDERR_FILENO)
        return real(descriptor, from, count);
    const int effect = strike(WRITE);
    if (effect > 0)
        return errno = effect, -1;
    if (effect == SHORT && count > 1)
        count /= 2;
    if (fault.budget >= 0) {
        if (fault.budget == 0)
            return errno = ENOSPC, -1;
        count = count > (size_t)fault.budget ? (size_t)fault.budget : count;
        fault.budget -= (long)count;
    }
    return real(descriptor, from, count);
}

int fsync(int descriptor)
{
    NEXT(int (*)(int), "fsync")
    if (failed(SYNC))
        return -1;
    struct stat info;
    struct written *f = file_of(NULL, descriptor);
    if (f != NULL && fstat(descriptor, &info) == 0)
        f->synced = info.st_size;
    return real(descriptor);
}

/* A close that fails has closed all the same, as on Linux. */
int close(int descriptor)
{
    NEXT(int (*)(int), "close")
    struct written *f = file_of(NULL, descriptor);
    const int fails = f != NULL && failed(CLOSE), cause = errno;
    if (f != NULL)
        f->descriptor = -1;
    const int result = real(descriptor);
    return fails ? errno = cause, -1 : result;
}

int ftruncate(int descriptor, off_t length)
{
    NEXT(int (*)(int, off_t), "ftruncate")
    struct written *f = file_of(NULL, descriptor);
    if (f != NULL && failed(TRUNCATE)) /* libomp has a file of its own, in memory */
        return -1;
    if (f != NULL && f->synced > length)
        f->synced = length;
    return real(descriptor, length);
}

/* --- Names ----------------------------------------------------------------------------------- */

int rename(const char *from, const char *to)
{
    NEXT(int (*)(const char *, const char *), "rename")
    if (failed(RENAME))
        return -1;
    const int result = real(from, to);
    if (result == 0) {
        file_renamed(from, to);
        state_renamed(to);
    }
    return result;
}

int unlink(const char *path)
{
    NEXT(int (*)(const char *), "unlink")
    if (failed(REMOVE))
        return -1;
    struct written *f = file_of(path, -1);
    if (f != NULL)
        f->path[0] = '\0';
    return real(path);
}

int remove(const char *path)
{
    return unlink(path);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(int (*)(const char *, mode_t), "mkdir")
    return failed(MKDIR) ? -1 : real(path, mode);
}

DIR *opendir(const char *path)
{
    NEXT(DIR *(*)(const char *), "opendir")
    return failed(LIST) ? NULL : real(path);
}

/* --- Streams --------------------------------------------------------------------------------- */

enum { STREAMS = 64 };
static struct stream {
    FILE *file;
    int descriptor;
} streams[STREAMS];

static ssize_t stream_read(void *cookie, char *to, size_t count)
{
    return read(((struct stream *)cookie)->descriptor, to, count);
}

/* As the C library writes: on and on until all is out or a write fails. */
static ssize_t stream_write(void *cookie, const char *from, size_t count)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t n = write(((struct stream *)cookie)->descriptor, from + done, count - done);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
    *offset = lseek(((struct stream *)cookie)->descriptor, *offset, whence);
    return *offset < 0 ? -1 : 0;
}

static int stream_close(void *cookie)
{
    struct stream *s = cookie;
    s->file = NULL;
    return close(s->descriptor);
}

FILE *fopen(const char *path, const char *mode)
{
    static const cookie_io_functions_t calls = {stream_read, stream_write, stream_seek,
                                                stream_close};
    const int update = strchr(mode, '+') != NULL;
    int flags = update ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
    flags |= *mode == 'r' ? 0 : *mode == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
    flags |= strchr(mode, 'x') != NULL ? O_EXCL : 0;
    const int descriptor = open_file(path, flags, 0666);
    if (descriptor < 0)
        return NULL;
    struct stream *s = streams;
    while (s->file != NULL)
        if (++s == streams + STREAMS)
            abort();
    s->descriptor = descriptor;
    char kind[3] = {*mode, (char)(update ? '+' : '\0'), '\0'};
    s->file = fopencookie(s, kind, calls);
    if (s->file == NULL)
        close(descriptor);
    return s->file;
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

int fileno(FILE *file)
{
    NEXT(int (*)(FILE *), "fileno")
    for (int i = 0; i < STREAMS; i++)
        if (file != NULL && streams[i].file == file)
            return streams[i].descriptor;
    return real(file);
}
