/* Running the program in a folder of its own with one fault, and looking at what it left.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_FAULTS_RUN_H
#define GN_TESTS_FAULTS_RUN_H

#include <stdbool.h>
#include <stddef.h>

/* Absolute paths: the program, the shim, and the folder with all others: games, runs that nothing
 * happened to (near, far), one to go on from (start), and a working folder for each worker. */
typedef struct place {
    char program[1024], shim[1024], root[256];
} place;

/* How a command ended. */
typedef struct ending {
    int status, signal; /* a signal that ended it, or 0 */
    bool hung;
    char word[600];     /* its last line on stderr that begins with "gomokunet" */
    char out[4096];     /* the beginning of its stdout */
} ending;

/* Runs `gomokunet ARGUMENTS` (split at spaces) in the working folder, with the environment of the
 * fault, NAME=VALUE texts up to NULL.  Sends `signal_number`, if not 0, after `delay` seconds. */
ending run_program(const place *p, const char *arguments, const char *const *fault,
                   int signal_number, double delay);

/* A shell command that must work. */
void must(const char *format, ...) __attribute__((format(printf, 1, 2)));

double seconds(void);

/* NULL where the folder `run` holds what the folder `whole` of the root holds, model and metrics
 * without times.  Else what differs. */
const char *differs_from(const place *p, const char *whole);
/* NULL where nothing temporary is left in the folder `run`. */
const char *left_over(void);

#endif
