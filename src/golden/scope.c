/* What a candidate says it holds; see scope.h.  SPDX-License-Identifier: MIT */
#include "golden/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool has_group(const gn_reader *r, const char *prefix)
{
    for (size_t i = 0; i < gn_reader_count(r); i++)
        if (begins(gn_reader_at(r, i)->name, prefix))
            return true;
    return false;
}

static gn_status read_count(uint64_t *out, const gn_reader *r, const char *path, gn_err *err)
{
    const char *text = gn_reader_metadata(r, "steps");
    char *end = NULL;
    const long number = text == NULL ? 1 : strtol(text, &end, 10);
    if (text != NULL && (*text == '\0' || *end != '\0' || number < 0))
        return gn_fail(err, GN_E_FORMAT, "%s: metadata steps is \"%.40s\", expected a number", path,
                       text);
    *out = (uint64_t)number;
    return GN_OK;
}

/* A step's tensors may be there though nobody counted the steps. */
static uint64_t steps_told(const gn_scope *s, uint64_t golden)
{
    const bool more = gn_reader_metadata(s->candidate, "steps") == NULL &&
                      has_group(s->candidate, "step/");
    return more ? golden : s->steps;
}

gn_status gn_scope_read(gn_scope *out, const gn_reader *golden, const gn_reader *candidate,
                        const char *path, gn_err *err)
{
    const char *level = gn_reader_metadata(candidate, "level");
    const char *state = gn_reader_metadata(candidate, "state");
    const char *fused = gn_reader_metadata(candidate, "fused");
    uint64_t golden_steps = 1;
    *out = (gn_scope){.golden = golden, .candidate = candidate, .level = GN_LEVEL_TRACE,
                      .fused = fused == NULL ? "" : fused};
    if (level != NULL) {
        int i = 0;
        while (i <= GN_LEVEL_TRACE && strcmp(level, gn_level_name((gn_level)i)) != 0)
            i++;
        if (i > GN_LEVEL_TRACE)
            return gn_fail(err, GN_E_FORMAT, "%s: metadata level is \"%.40s\", expected outputs, "
                           "gradients or trace", path, level);
        out->level = (gn_level)i;
    }
    if (state != NULL && strcmp(state, "golden") != 0 && strcmp(state, "own") != 0)
        return gn_fail(err, GN_E_FORMAT, "%s: metadata state is \"%.40s\", expected own or golden",
                       path, state);
    out->restarts = state != NULL && strcmp(state, "golden") == 0;
    gn_status st = read_count(&golden_steps, golden, "golden file", err);
    if (st == GN_OK) st = read_count(&out->steps, candidate, path, err);
    if (st == GN_OK) out->steps = steps_told(out, golden_steps);
    return st;
}

/* --- Completeness ---------------------------------------------------------------------------- */

static bool is_fused(const gn_scope *s, const char *name)
{
    char pattern[256];
    for (const char *p = s->fused; *p != '\0';) {
        const size_t n = strcspn(p, ",");
        snprintf(pattern, sizeof pattern, "%.*s", (int)n, p);
        if (gn_golden_matches(pattern, name))
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* Groups that a candidate may leave out as a whole; one that is begun must be complete. */
static bool begun(const gn_scope *s, const char *name)
{
    static const char *const groups[] = {"eval_forward/", "after/", "after_exp_avg/",
                                         "after_exp_avg_sq/"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (begins(name, groups[i]))
            return has_group(s->candidate, groups[i]);
    return true;
}

static bool level_asks(gn_level level, const char *name)
{
    static const char *const outputs[] = {"forward/policy_logits", "forward/value",
                                          "eval_forward/policy_logits", "eval_forward/value"};
    if (begins(name, "input/") || begins(name, "param/") || begins(name, "buffer/"))
        return false;
    if (level == GN_LEVEL_TRACE || begins(name, "loss/"))
        return true;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (strcmp(name, outputs[i]) == 0)
            return true;
    return level == GN_LEVEL_GRADIENTS && begins(name, "grad/");
}

bool gn_scope_requires(const gn_scope *s, const char *name)
{
    if (gn_reader_find(s->golden, name) == NULL || is_fused(s, name))
        return false;
    const char *tail = name;
    if (begins(name, "step/")) {
        char *end = NULL;
        const unsigned long long step = strtoull(name + 5, &end, 10);
        if (step > s->steps || *end != '/')
            return false;
        tail = end + 1;
        /* One who restarts each step shows what it made of the golden file's gradients. */
        if (s->restarts && !begins(tail, "after"))
            return false;
    }
    return level_asks(s->level, tail) && begun(s, tail);
}

const char *gn_level_name(gn_level level)
{
    static const char *const names[] = {"outputs", "gradients", "trace"};
    return names[level];
}
