/* A look at the harness of tests/faults: calls that fail, some of each kind.  `make faults` tries
 * every one.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The table ends in the number of failures; every kind of fault has a line. */
Test(faults, some_of_every_kind, .timeout = 200)
{
    const char *build = getenv("BUILD");
    char line[800], text[8192];
    if (build == NULL)
        build = "build";
    snprintf(line, sizeof line, "OMP_NUM_THREADS=1 %s/tests/faults/faults %s/gomokunet "
             "%s/tests/faulty every 97 kills 2 2>&1", build, build, build);
    FILE *p = popen(line, "r");
    cr_assert_not_null(p);
    text[fread(text, 1, sizeof text - 1, p)] = '\0';
    cr_assert_eq(pclose(p), 0, "%s", text);
    static const char *const rows[] = {"allocation", "open", "write", "close", "fsync", "rename",
                                       "mkdir", "truncation", "read", "short writes", "folder",
                                       "SIGKILL", "SIGINT", "SIGTERM", "SIGHUP", "\n0 failures"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_not_null(strstr(text, rows[i]), "%s\n%s", rows[i], text);
}
