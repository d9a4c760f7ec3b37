/* Schedules: which stage runs when, and what it keeps.
 *
 * A policy cuts the stages into segments.  Every segment but the last runs forward keeping only its
 * first stage's input, and runs again, keeping everything, just before it runs backward.
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/checkpoint.h"

void gn_schedule_free(gn_schedule *s)
{
    free(s->action);
    *s = (gn_schedule){0};
}

static void append(gn_schedule *s, gn_action_kind kind, int stage)
{
    assert(s->count < s->room);
    s->action[s->count++] = (gn_action){kind, stage};
}

static void run_all(gn_schedule *s, gn_action_kind kind, int first, int end)
{
    for (int stage = first; stage < end; stage++)
        append(s, kind, stage);
}

static void run_back(gn_schedule *s, int first, int end)
{
    for (int stage = end - 1; stage >= first; stage--)
        append(s, GN_RUN_BACK, stage);
}

/* The first stage after the segment that starts at `stage`, for segments of `blocks` blocks.  The
 * stem is a segment of its own; the heads join the last blocks, since running them again would
 * cost time and save nothing. */
static int segment_end(int stage, int stages, int blocks)
{
    const int heads = stages - 1;
    if (stage == 0 && heads > 0)
        return 1;
    if (heads - stage <= blocks)
        return stages;
    return stage + blocks;
}

/* Forward, then backward through the segments, recomputing each but the last. */
static void segments(gn_schedule *s, int stage, int stages, int blocks)
{
    const int end = segment_end(stage, stages, blocks);
    if (end < stages) {
        for (int i = stage; i < end; i++) {
            append(s, GN_RUN, i);
            if (i > stage)
                append(s, GN_DROP_INPUT, i);
        }
        segments(s, end, stages, blocks);
    }
    run_all(s, GN_RUN_KEEP, stage, end);
    run_back(s, stage, end);
}

/* K of "every:K", 1 of "block", 0 where the text is neither. */
static int parse_every(const char *policy)
{
    if (strcmp(policy, "block") == 0)
        return 1;
    if (strncmp(policy, "every:", 6) != 0)
        return 0;
    char *end;
    const long blocks = strtol(policy + 6, &end, 10);
    return *end == '\0' && end > policy + 6 && blocks >= 1 && blocks <= 10000 ? (int)blocks : 0;
}

gn_status gn_schedule_create(gn_schedule *out, const char *policy, int stages, gn_err *err)
{
    const bool none = strcmp(policy, "none") == 0, inference = strcmp(policy, "inference") == 0;
    const bool cheap = strcmp(policy, "cheap") == 0;
    const int blocks = parse_every(policy);
    *out = (gn_schedule){0};
    if (!none && !cheap && !inference && blocks == 0)
        return gn_fail(err, GN_E_CONFIG,
                       "checkpoint policy \"%s\": expected none, cheap, block or every:K with K "
                       "from 1",
                       policy);
    snprintf(out->name, sizeof out->name, "%s", policy);
    out->room = 4 * (size_t)stages + 1; /* a stage runs, drops, runs again and runs back */
    out->action = malloc(out->room * sizeof *out->action);
    if (out->action == NULL)
        return gn_fail(err, GN_E_NOMEM, "schedule: no memory for %zu actions", out->room);
    if (blocks > 0)
        segments(out, 0, stages, blocks);
    else
        for (int stage = 0; stage < stages; stage++) /* the heads run backward at once */
            append(out, inference                  ? GN_RUN
                        : cheap && stage < stages - 1 ? GN_RUN_CHEAP
                                                      : GN_RUN_KEEP, stage);
    if (none || cheap)
        run_back(out, 0, stages);
    return GN_OK;
}

int gn_schedule_forward_runs(const gn_schedule *s, int stage)
{
    int runs = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->action[i].stage == stage && s->action[i].kind <= GN_RUN_CHEAP)
            runs++;
    return runs;
}

bool gn_schedule_recomputes(const gn_schedule *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (gn_schedule_forward_runs(s, s->action[i].stage) > 1)
            return true;
    return false;
}

size_t gn_schedule_text(const gn_schedule *s, const gn_tape *tape, char *text, size_t room)
{
    static const char *const verbs[] = {"run ", "keep", "thin", "drop", "back"};
    size_t used = 0;
    for (size_t i = 0; i < s->count; i++)
        used += (size_t)snprintf(text + (used < room ? used : room), used < room ? room - used : 0,
                                 "%s %s%s\n", verbs[s->action[i].kind],
                                 s->action[i].kind == GN_DROP_INPUT ? "input of " : "",
                                 gn_tape_stage_name(tape, s->action[i].stage));
    return used;
}
