/* The operating system: clock, terminal, signals.  SPDX-License-Identifier: MIT */
#include "cli/machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double machine_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool machine_is_terminal(int descriptor)
{
    return isatty(descriptor) == 1;
}

gn_status machine_make_folder(const char *path, gn_err *err)
{
    char part[1024];
    if (strlen(path) >= sizeof part || *path == '\0')
        return gn_fail(err, GN_E_IO, "%.200s: not a usable folder name", path);
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        struct stat st;
        if (mkdir(part, 0777) != 0 && (errno != EEXIST || stat(part, &st) != 0 ||
                                       !S_ISDIR(st.st_mode)))
            return gn_fail(err, GN_E_IO, "%s: cannot make the folder: %s", part,
                           errno == EEXIST ? "there is a file of that name" : strerror(errno));
    }
    return GN_OK;
}

static volatile sig_atomic_t interrupted;

static void remember(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void machine_catch_interrupts(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = remember;
    sigaction(SIGPIPE, &action, NULL);   /* nobody reads any more: each line would raise it */
    action.sa_flags = (int)SA_RESETHAND; /* the second one ends the program */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool machine_interrupted(void)
{
    return interrupted != 0;
}
