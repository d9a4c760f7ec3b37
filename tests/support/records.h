/* A folder of game records that lives as long as one test.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_TESTS_RECORDS_H
#define GOMOKUNET_TESTS_RECORDS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "gomokunet/data.h"

enum { ROOM = 512 };

/* A folder for the files of one test, and what reading them brought. */
typedef struct fixture {
    char folder[64], path[ROOM], complaint[1200];
    gn_games games;
    gn_import import;
    gn_err err;
} fixture;

static inline void keep_complaint(void *user, const char *text)
{
    fixture *f = user;
    snprintf(f->complaint, sizeof f->complaint, "%s", text);
}

static inline void begin(fixture *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/gomokunet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(f->folder));
    f->import.complain = keep_complaint;
    f->import.user = f;
}

/* Only names that the test itself made are removed. */
static inline void drop(fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    cr_assert_eq(remove(f->path), 0, "%s", f->path);
}

static inline void end(fixture *f)
{
    gn_games_free(&f->games);
    cr_assert_eq(rmdir(f->folder), 0, "%s is not empty", f->folder);
}

static inline void put(fixture *f, const char *name, const void *bytes, size_t count)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    FILE *file = fopen(f->path, "wb");
    cr_assert_not_null(file, "%s", f->path);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static inline void put_gz(fixture *f, const char *name, const char *text)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    gzFile file = gzopen(f->path, "wb");
    cr_assert_eq(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
    cr_assert_eq(gzclose(file), Z_OK);
}

static inline void make_folder(fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    cr_assert_eq(mkdir(f->path, 0700), 0);
}

/* Reads one file of these bytes; f->complaint loses the folder. */
static inline gn_status read_bytes(fixture *f, const char *name, const void *bytes, size_t count)
{
    gn_games_free(&f->games);
    f->complaint[0] = '\0';
    f->import.files = f->import.games = f->import.malformed = f->import.other_size = 0;
    put(f, name, bytes, count);
    const gn_status st = gn_games_read(&f->games, f->path, &f->import, &f->err);
    cr_assert_eq(f->games.count, f->import.games);
    const size_t prefix = strlen(f->folder) + 1;
    if (strlen(f->complaint) > prefix)
        memmove(f->complaint, f->complaint + prefix, strlen(f->complaint + prefix) + 1);
    drop(f, name);
    return st;
}

static inline gn_status read_text(fixture *f, const char *name, const char *text)
{
    return read_bytes(f, name, text, strlen(text));
}

#endif
