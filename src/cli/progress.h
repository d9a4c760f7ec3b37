/* Progress of long work: a bar on a terminal, plain lines otherwise, always on stderr.
 * SPDX-License-Identifier: MIT */
#ifndef GN_CLI_PROGRESS_H
#define GN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    uint64_t total, first; /* first: done before this part of the work */
    double started, shown; /* seconds */
    bool terminal;
    bool open; /* a bar stands on the current line */
} progress;

progress progress_begin(uint64_t total);
/* Shows that `done` of the total are done; `text` says more.  Does nothing if it was shown less
 * than 0.1 s (terminal) or 10 s (lines) ago, but for the last. */
void progress_show(progress *p, uint64_t done, const char *text);
/* Ends the bar's line, so that other output may follow. */
void progress_break(progress *p);

#endif
