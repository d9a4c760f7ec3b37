/* Running the program under a fault.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS = 48, PATIENCE = 60, LARGEST = 1 << 21 };

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void rest(double time)
{
    const struct timespec t = {(time_t)time, (long)(1e9 * (time - (double)(time_t)time))};
    if (time > 0)
        nanosleep(&t, NULL);
}

void must(const char *format, ...)
{
    char line[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (system(line) != 0) {
        fprintf(stderr, "faults: this did not work: %s\n", line);
        exit(2);
    }
}

static void exchange(const char *path, int target)
{
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0 || dup2(descriptor, target) < 0)
        _exit(99);
    close(descriptor);
}

static void child(const place *p, const char *arguments, const char *const *fault)
{
    char text[2048], *list[ARGUMENTS] = {(char *)p->program};
    int count = 1;
    snprintf(text, sizeof text, "%s", arguments);
    for (char *a = strtok(text, " "); a != NULL && count < ARGUMENTS - 1; a = strtok(NULL, " "))
        list[count++] = a;
    exchange("out", STDOUT_FILENO);
    exchange("err", STDERR_FILENO);
    if (fault != NULL && fault[0] != NULL)
        setenv("LD_PRELOAD", p->shim, 1);
    for (; fault != NULL && *fault != NULL; fault++)
        putenv((char *)*fault);
    execv(p->program, list);
    _exit(99);
}

static size_t read_file(const char *path, char *to, size_t room)
{
    FILE *f = fopen(path, "rb");
    const size_t count = f != NULL ? fread(to, 1, room - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    to[count] = '\0';
    return count;
}

static void last_word(char *word, size_t room)
{
    static char text[1 << 16];
    read_file("err", text, sizeof text);
    *word = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strncmp(line, "gomokunet", 9) == 0)
            snprintf(word, room, "%s", line);
}

/* Waits for the child, but not for ever. */
static int await(pid_t pid, bool *hung)
{
    int status = 0;
    const double began = seconds();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        rest(0.0005);
        if (!*hung && seconds() - began > PATIENCE) {
            *hung = true;
            kill(pid, SIGKILL);
        }
    }
    return status;
}

ending run_program(const place *p, const char *arguments, const char *const *fault,
                   int signal_number, double delay)
{
    ending e = {0};
    const pid_t pid = fork();
    if (pid == 0)
        child(p, arguments, fault);
    if (signal_number != 0) {
        rest(delay);
        kill(pid, signal_number);
    }
    const int status = await(pid, &e.hung);
    e.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    e.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    last_word(e.word, sizeof e.word);
    read_file("out", e.out, sizeof e.out);
    return e;
}

/* --- Comparing ------------------------------------------------------------------------------- */

/* Keeps of each line of a metrics file what time and place do not make. */
static void timeless(char *text)
{
    char *to = text;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *end = strstr(line, ",\"positions_per_second\"");
        const size_t kept = end != NULL ? (size_t)(end - line) : 8; /* 8: the line of the config */
        memmove(to, line, kept);
        to += kept;
        *to++ = '\n';
    }
    *to = '\0';
}

const char *differs_from(const place *p, const char *whole)
{
    static char one[LARGEST], other[LARGEST];
    char path[400];
    snprintf(path, sizeof path, "%s/%s/model.safetensors", p->root, whole);
    const size_t bytes = read_file(path, one, sizeof one);
    if (read_file("run/model.safetensors", other, sizeof other) != bytes ||
        memcmp(one, other, bytes) != 0)
        return "another model";
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", p->root, whole);
    read_file(path, one, sizeof one);
    read_file("run/metrics.jsonl", other, sizeof other);
    timeless(one);
    timeless(other);
    if (strcmp(one, other) != 0)
        return "another metrics file";
    return NULL;
}

const char *left_over(void)
{
    return system("ls run run/state | grep -q '[.]tmp$'") == 0 ? "a temporary file is left" : NULL;
}
