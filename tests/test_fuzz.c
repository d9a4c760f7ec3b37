/* The corpus of the fuzzers, replayed: every file by the function that libFuzzer calls.
 *
 * A finding of `make fuzz` becomes a file in tests/fuzz/corpus and is looked at here for good.  Run
 * from the root of the project, as `make test` does.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "fuzz/fuzz.h"

static size_t replay(const char *name, void (*target)(const uint8_t *, size_t))
{
    static uint8_t bytes[1 << 20];
    char path[600];
    size_t files = 0;
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    DIR *list = opendir(path);
    cr_assert_not_null(list, "%s is not there: run it from the root of the project", path);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", name, entry->d_name);
        FILE *file = fopen(path, "rb");
        cr_assert_not_null(file, "%s", path);
        const size_t count = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        cr_assert_lt(count, sizeof bytes, "%s", path);
        target(bytes, count);
        files++;
    }
    closedir(list);
    return files;
}

#define REPLAY(name, least)                                                                        \
    Test(fuzz, name)                                                                               \
    {                                                                                              \
        cr_expect_geq(replay(#name, fuzz_##name), (size_t)(least));                                \
    }

REPLAY(safetensors, 20)
REPLAY(npz, 20)
REPLAY(npy, 20)
REPLAY(verify, 12)
REPLAY(psq, 8)
REPLAY(gomoku, 8)
REPLAY(json, 10)
REPLAY(rif, 6)
