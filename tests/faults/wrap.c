/* Calls that fail on purpose.  The program is linked once more with `--wrap` for every function
 * here, so that its own calls, and only those, can be made to fail: GN_FAULT=memory:17 fails the
 * seventeenth allocation, GN_FAULT=rename:1 the first rename.  Without GN_FAULT nothing fails, and
 * GN_FAULT_COUNT=FILE says at the end how many calls of each kind there were.
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { MEMORY, OPEN, WRITE, CLOSE, SYNC, RENAME, FOLDER, TRUNCATE, READ, KINDS };
static const char *const kinds[KINDS] = {"memory", "open",   "write",    "close", "fsync",
                                         "rename", "folder", "truncate", "read"};
static const int causes[KINDS] = {ENOMEM, EMFILE, ENOSPC, EIO, EIO, EIO, EROFS, EIO, EIO};
static unsigned long calls[KINDS];
static int wanted_kind = -1;
static unsigned long wanted_call;
static bool ready;

static void count_at_exit(void)
{
    FILE *fopen_real(const char *, const char *) __asm__("__real_fopen");
    FILE *out = fopen_real(getenv("GN_FAULT_COUNT"), "w");
    for (int i = 0; out != NULL && i < KINDS; i++)
        fprintf(out, "%s %lu\n", kinds[i], calls[i]);
    if (out != NULL)
        fclose(out);
}

static void prepare(void)
{
    const char *text = getenv("GN_FAULT");
    ready = true;
    for (int i = 0; text != NULL && i < KINDS; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(text, kinds[i], n) == 0 && text[n] == ':') {
            wanted_kind = i;
            wanted_call = strtoul(text + n + 1, NULL, 10);
        }
    }
    if (getenv("GN_FAULT_COUNT") != NULL)
        atexit(count_at_exit);
}

/* Whether this call is the one. */
static bool fails(int kind)
{
    if (!ready)
        prepare();
    const bool now = __atomic_add_fetch(&calls[kind], 1, __ATOMIC_RELAXED) == wanted_call &&
                     kind == wanted_kind;
    if (now)
        errno = causes[kind];
    return now;
}

/* A wrapped function that returns `failure` where it is told to fail. */
#define WRAP(type, name, parameters, arguments, kind, failure)                                    \
    type __real_##name parameters;                                                                \
    type __wrap_##name parameters;                                                                \
    type __wrap_##name parameters { return fails(kind) ? (failure) : __real_##name arguments; }

WRAP(void *, malloc, (size_t n), (n), MEMORY, NULL)
WRAP(void *, calloc, (size_t n, size_t m), (n, m), MEMORY, NULL)
WRAP(void *, realloc, (void *p, size_t n), (p, n), MEMORY, NULL)
WRAP(void *, aligned_alloc, (size_t a, size_t n), (a, n), MEMORY, NULL)
WRAP(char *, strdup, (const char *s), (s), MEMORY, NULL)
WRAP(FILE *, open_memstream, (char **p, size_t *n), (p, n), MEMORY, NULL)
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), OPEN, NULL)
WRAP(gzFile, gzopen, (const char *path, const char *mode), (path, mode), OPEN, NULL)
WRAP(DIR *, opendir, (const char *path), (path), OPEN, NULL)
WRAP(int, fflush, (FILE *f), (f), WRITE, EOF)
WRAP(int, gzclose, (gzFile f), (f), WRITE, Z_ERRNO)
WRAP(int, fsync, (int d), (d), SYNC, -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), RENAME, -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), FOLDER, -1)
WRAP(int, ftruncate, (int d, off_t n), (d, n), TRUNCATE, -1)

/* A short write: half of it reaches the file. */
size_t __real_fwrite(const void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
    const bool short_write = f != stdout && f != stderr && fails(WRITE);
    const size_t done = __real_fwrite(p, size, short_write ? n / 2 : n, f);
    if (short_write)
        errno = ENOSPC;
    return done;
}

/* A short read, as of a disk that goes bad. */
size_t __real_fread(void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *f)
{
    return __real_fread(p, size, fails(READ) ? n / 2 : n, f);
}

/* A file that cannot be closed is closed all the same. */
int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f)
{
    const bool broken = fails(CLOSE);
    const int status = __real_fclose(f);
    if (broken)
        errno = causes[CLOSE];
    return broken ? EOF : status;
}
