/* Schedules: which stage runs when, and what it keeps.
 *
 * A policy cuts the stages into segments.  Every segment but the last runs forward keeping only its
 * first stage's input, and runs again, keeping everything, just before it runs backward.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/checkpoint.h"

void gn_schedule_free(gn_schedule *s)
{
    free(s->action);
    *s = (gn_schedule){0};
}

static gn_status append(gn_schedule *s, gn_action_kind kind, int stage, gn_err *err)
{
    if (s->count == s->room) {
        const size_t room = s->room == 0 ? 64 : s->room * 2;
        gn_action *larger = realloc(s->action, room * sizeof *larger);
        if (larger == NULL)
            return gn_fail(err, GN_E_NOMEM, "schedule: no memory for %zu actions", room);
        s->action = larger;
        s->room = room;
    }
    s->action[s->count++] = (gn_action){kind, stage};
    return GN_OK;
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

static gn_status run_back(gn_schedule *s, int first, int end, gn_err *err)
{
    gn_status status = GN_OK;
    for (int stage = end - 1; stage >= first && status == GN_OK; stage--)
        status = append(s, GN_RUN_BACK, stage, err);
    return status;
}

/* Forward, then backward through the segments, recomputing each but the last. */
static gn_status segments(gn_schedule *s, int stage, int stages, int blocks, gn_err *err)
{
    const int end = segment_end(stage, stages, blocks);
    const bool last = end == stages;
    gn_status status = GN_OK;
    for (int i = stage; i < end && status == GN_OK; i++) {
        status = append(s, last ? GN_RUN_KEEP : GN_RUN, i, err);
        if (!last && i > stage && status == GN_OK)
            status = append(s, GN_DROP_INPUT, i, err);
    }
    if (!last && status == GN_OK)
        status = segments(s, end, stages, blocks, err);
    for (int i = stage; i < end && !last && status == GN_OK; i++)
        status = append(s, GN_RUN_KEEP, i, err);
    return status == GN_OK ? run_back(s, stage, end, err) : status;
}

static gn_status keep_all(gn_schedule *s, int stages, gn_err *err)
{
    gn_status status = GN_OK;
    for (int i = 0; i < stages && status == GN_OK; i++)
        status = append(s, GN_RUN_KEEP, i, err);
    return status == GN_OK ? run_back(s, 0, stages, err) : status;
}

static gn_status forward_only(gn_schedule *s, int stages, gn_err *err)
{
    gn_status status = GN_OK;
    for (int i = 0; i < stages && status == GN_OK; i++)
        status = append(s, GN_RUN, i, err);
    return status;
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
    *out = (gn_schedule){0};
    snprintf(out->name, sizeof out->name, "%s", policy);
    const int blocks = parse_every(policy);
    gn_status status;
    if (strcmp(policy, "none") == 0)
        status = keep_all(out, stages, err);
    else if (strcmp(policy, "inference") == 0)
        status = forward_only(out, stages, err);
    else if (blocks > 0)
        status = segments(out, 0, stages, blocks, err);
    else
        status = gn_fail(err, GN_E_CONFIG,
                         "checkpoint policy \"%s\": expected none, block or every:K with K from 1",
                         policy);
    if (status != GN_OK)
        gn_schedule_free(out);
    return status;
}

int gn_schedule_forward_runs(const gn_schedule *s, int stage)
{
    int runs = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->action[i].stage == stage &&
            (s->action[i].kind == GN_RUN || s->action[i].kind == GN_RUN_KEEP))
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
    static const char *const verbs[] = {"run ", "keep", "drop", "back"};
    size_t used = 0;
    for (size_t i = 0; i < s->count; i++)
        used += (size_t)snprintf(text + (used < room ? used : room), used < room ? room - used : 0,
                                 "%s %s%s\n", verbs[s->action[i].kind],
                                 s->action[i].kind == GN_DROP_INPUT ? "input of " : "",
                                 gn_tape_stage_name(tape, s->action[i].stage));
    return used;
}
