/* Running the program as a person does: in a folder of its own, with its exit status and texts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_SHELL_H
#define GN_TESTS_SHELL_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char shell_folder[] = "/tmp/gn_cli_XXXXXX";
static char shell_program[4096];

/* What the last command wrote. */
static char shell_out[1 << 17], shell_err[1 << 16];

/* .init of a suite: enters a new folder; the program is $GN_PROGRAM or build/gomokunet. */
static inline void shell_enter(void)
{
    const char *program = getenv("GN_PROGRAM");
    char here[2048];
    if (program == NULL)
        program = "build/gomokunet";
    cr_assert_not_null(getcwd(here, sizeof here));
    snprintf(shell_program, sizeof shell_program, "%s%s%s", *program == '/' ? "" : here,
             *program == '/' ? "" : "/", program);
    cr_assert_eq(access(shell_program, X_OK), 0, "%s is not built", shell_program);
    cr_assert_not_null(mkdtemp(shell_folder));
    cr_assert_eq(chdir(shell_folder), 0);
}

/* .fini: removes the folder. */
static inline void shell_leave(void)
{
    char line[64];
    cr_assert_eq(chdir("/"), 0);
    snprintf(line, sizeof line, "rm -rf -- %s", shell_folder);
    cr_assert_eq(system(line), 0);
}

static inline void shell_read(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s is not there", path);
    const size_t count = fread(text, 1, room - 1, file);
    fclose(file);
    cr_assert_lt(count, room - 1, "%s is longer than a test expects", path);
    text[count] = '\0';
}

static inline void shell_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* `gomokunet ARGUMENTS` through the shell; returns the exit status. */
__attribute__((format(printf, 1, 2))) static inline int gomokunet(const char *arguments, ...)
{
    char line[8192];
    const int used = snprintf(line, sizeof line, "'%s' ", shell_program);
    va_list list;
    va_start(list, arguments);
    vsnprintf(line + used, sizeof line - (size_t)used - 32, arguments, list);
    va_end(list);
    strcat(line, " >.out 2>.err </dev/null");
    const int status = system(line);
    shell_read(".out", shell_out, sizeof shell_out);
    shell_read(".err", shell_err, sizeof shell_err);
    cr_assert(WIFEXITED(status), "%s: ended by signal %d", line, WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* The number behind "key": in a line of JSON; the test fails where there is none. */
static inline double json_member(const char *json, const char *key)
{
    char quoted[128], *end;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    cr_assert_not_null(at, "%s is missing in %s", key, json);
    const double number = strtod(at + strlen(quoted), &end);
    cr_assert(end != at + strlen(quoted), "%s is no number in %s", key, json);
    return number;
}

static inline void json_has(const char *json, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char quoted[128];
        snprintf(quoted, sizeof quoted, "\"%s\":", keys[i]);
        cr_assert_not_null(strstr(json, quoted), "%s is missing in %s", keys[i], json);
    }
}

#define HAS(text, ...)                                                                            \
    do {                                                                                          \
        const char *const wanted[] = {__VA_ARGS__};                                               \
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)                               \
            cr_assert_not_null(strstr(text, wanted[k]), "\"%s\" is missing in:\n%s", wanted[k],   \
                               text);                                                             \
    } while (0)

#endif
