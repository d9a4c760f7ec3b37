/* Progress of long work.  SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <stdio.h>

#include "cli/machine.h"

enum { BAR = 24 };

progress progress_begin(uint64_t total)
{
    return (progress){.total = total, .started = machine_seconds(), .shown = -1e9,
                      .terminal = machine_is_terminal(2)};
}

static void time_text(double seconds, char *text, size_t room)
{
    const unsigned long whole = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;
    if (whole >= 3600)
        snprintf(text, room, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, room, "%lu:%02lu", whole / 60, whole % 60);
}

void progress_show(progress *p, uint64_t done, const char *text)
{
    const double now = machine_seconds();
    if (done < p->total && now - p->shown < (p->terminal ? 0.1 : 10.0))
        return;
    p->shown = now;
    char left[32];
    const double part = p->total > 0 ? (double)done / (double)p->total : 1;
    const double here = done > p->first ? (double)(done - p->first) : 1;
    time_text((now - p->started) / here * (double)(p->total - done), left, sizeof left);
    if (!p->terminal) {
        fprintf(stderr, "%llu/%llu %s, %s left\n", (unsigned long long)done,
                (unsigned long long)p->total, text, left);
        return;
    }
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++)
        bar[i] = (double)i < part * BAR ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K[%s] %llu/%llu %s, %s left", bar, (unsigned long long)done,
            (unsigned long long)p->total, text, left);
    fflush(stderr);
    p->open = true;
    if (done >= p->total)
        progress_break(p);
}

void progress_break(progress *p)
{
    if (p->open)
        fputc('\n', stderr);
    p->open = false;
}
