/* A sample of the fault injection; `make faults` runs all of it.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
#define MORE "--sanitized"
#else
#define MORE ""
#endif

Test(faults, a_sample_ends_well)
{
    static char text[1 << 15];
    char line[4096];
    const char *build = getenv("BUILD"), *last = NULL;
    if (build == NULL)
        build = "build";
    /* A program with the address sanitizer must stand the shim before it. */
    setenv("ASAN_OPTIONS", "detect_leaks=0:verify_asan_link_order=0", 1);
    snprintf(line, sizeof line, "'%s/tests/faults/faults' '%s/gomokunet' '%s/tests/faults/shim.so' "
             "--sample " MORE " 2>&1", build, build, build);
    FILE *pipe = popen(line, "r");
    cr_assert_not_null(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    const int status = pclose(pipe);
    for (const char *at = text; (at = strstr(at, "\nall ")) != NULL; at++)
        last = at;
    long tried, told, harmless, stopped, same, wrong;
    cr_assert_not_null(last, "no table:\n%s", text);
    cr_assert_eq(sscanf(last, " all %ld %ld %ld %ld %ld %ld", &tried, &told, &harmless, &stopped,
                        &same, &wrong), 6, "%s", last);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0 && wrong == 0, "%s", text);
    cr_assert_geq(tried, 50, "%s", text);
    cr_assert_geq(told, tried / 3, "few faults were met:\n%s", text);
    cr_assert_geq(stopped, 8, "few runs were stopped:\n%s", text);
}
