/* A folder of its own for each test that writes files: made and entered before the test, emptied
 * and removed behind it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder_name[] = "/tmp/gn_test_XXXXXX";

/* How many entries the folder has; removes them where asked to. */
static inline size_t folder_scan(bool clear)
{
    size_t count = 0;
    DIR *list = opendir(".");
    cr_assert_not_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (clear)
            remove(entry->d_name);
    }
    closedir(list);
    return count;
}

static inline bool folder_is_empty(void)
{
    return folder_scan(false) == 0;
}

static inline void folder_enter(void)
{
    cr_assert_not_null(mkdtemp(folder_name));
    cr_assert_eq(chdir(folder_name), 0);
}

static inline void folder_leave(void)
{
    folder_scan(true);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(rmdir(folder_name), 0, "%s", folder_name);
}

static inline void folder_put(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    cr_assert_eq(fclose(file), 0);
}

/* The size of the file, which must be below room. */
static inline size_t folder_read(const char *path, void *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t count = fread(bytes, 1, room, file);
    fclose(file);
    cr_assert_lt(count, room);
    return count;
}

static inline void folder_has(const char *path, const void *bytes, size_t count)
{
    static char found[1 << 16];
    cr_assert_eq(folder_read(path, found, sizeof found), count, "size of %s", path);
    cr_assert_eq(memcmp(found, bytes, count), 0, "content of %s", path);
}

#endif
