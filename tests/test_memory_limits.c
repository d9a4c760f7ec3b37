/* What control groups leave of the memory, on trees of files as Linux shows them.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cli/memory.h"
#include "support/folder.h"

static char made[16][64]; /* folders, in the order of their making */
static size_t folders;

/* Writes a file, and makes the folders on its way. */
static void put(const char *path, const char *text)
{
    char part[64];
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0777) == 0)
            snprintf(made[folders++], sizeof made[0], "%s", part);
    }
    folder_put(path, text, strlen(text));
}

/* A group of version 2. */
static void put_group(const char *folder, const char *limit, const char *usage)
{
    char path[64];
    snprintf(path, sizeof path, "%s/memory.max", folder);
    put(path, limit);
    snprintf(path, sizeof path, "%s/memory.current", folder);
    put(path, usage);
}

static void leave(void)
{
    while (folders-- > 0) {
        cr_assert_eq(chdir(folder_name), 0);
        cr_assert_eq(chdir(made[folders]), 0);
        folder_scan(true);
    }
    cr_assert_eq(chdir(folder_name), 0);
    folder_scan(true); /* now empty ones */
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(rmdir(folder_name), 0);
}

TestSuite(memory_limits, .init = folder_enter, .fini = leave);

static size_t left(void) { return memory_left_in_groups("list", "cg"); }

Test(memory_limits, version_2_counts_the_files_it_would_give_up_as_free)
{
    put("list", "0::/user/run\n");
    put_group("cg/user/run", "1000\n", "700\n");
    cr_expect_eq(left(), 300);
    put("cg/user/run/memory.stat", "anon 500\nfile 200\nactive_file 50\ninactive_file 100\n");
    cr_expect_eq(left(), 450);
    put("cg/user/run/memory.current", "1200\n");
    put("cg/user/run/memory.stat", "anon 1200\n");
    cr_expect_eq(left(), 0);
}

Test(memory_limits, the_tightest_group_above_counts)
{
    put("list", "0::/user/run\n");
    put_group("cg/user/run", "max\n", "10\n");
    put_group("cg/user", "100\n", "30\n");
    cr_expect_eq(left(), 70);
    put_group("cg", "90\n", "40\n");
    cr_expect_eq(left(), 50);
}

Test(memory_limits, version_1_beside_an_empty_version_2)
{
    put("list", "9:cpu,cpuacct:/box\n4:memory:/box\n0::/\n");
    put("cg/memory/box/memory.limit_in_bytes", "5000\n");
    put("cg/memory/box/memory.usage_in_bytes", "4000\n");
    put("cg/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    put("cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("cg/memory/memory.usage_in_bytes", "100000\n");
    cr_expect_eq(left(), 1500);
}

Test(memory_limits, a_container_whose_group_only_the_host_can_name)
{
    put("list", "4:memory:/docker/0123456789abcdef\n");
    put("cg/memory/memory.limit_in_bytes", "2000\n");
    put("cg/memory/memory.usage_in_bytes", "500\n");
    cr_expect_eq(left(), 1500);
}

Test(memory_limits, none)
{
    cr_expect_eq(left(), SIZE_MAX, "no list");
    put("list", "nonsense\n4:memory\n:\n\n1:name=systemd:/x\n0::/gone\n");
    cr_expect_eq(left(), SIZE_MAX);
    put_group("cg/gone", "max\n", "12\n");
    cr_expect_eq(left(), SIZE_MAX, "max");
}
