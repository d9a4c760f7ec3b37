/* What a candidate says it holds; see scope.h.  SPDX-License-Identifier: MIT */
#include "golden/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fields.h"

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

static gn_status read_steps(uint64_t *out, const gn_reader *r, const char *path, gn_err *err)
{
    double number = 1;
    const gn_status st = gn_field_number(
        &number, r, path, &(gn_field_range){"steps", 0, 1e6, true}, err);
    *out = (uint64_t)number;
    return st;
}

/* The last of the steps told that there are tensors of: a count alone costs nobody time. */
static uint64_t steps_there(const gn_reader *r, uint64_t told)
{
    uint64_t last = told > 0;
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const char *name = gn_reader_at(r, i)->name;
        const uint64_t step = begins(name, "step/") ? strtoull(name + 5, NULL, 10) : 0;
        last = step > last && step <= told ? step : last;
    }
    return last;
}

/* The optimiser that the golden file says its steps are of, within what an optimiser may be. */
static gn_status read_optimizer(gn_scope *out, const gn_reader *golden, const char *path,
                                gn_err *err)
{
    gn_optimizer_config *c = &out->optimizer;
    const struct {
        double *to;
        gn_field_range range;
    } numbers[] = {{&out->rate, {"lr", 0, 1e30, false}},
                   {&c->beta1, {"beta1", 0, 0.999999, false}},
                   {&c->beta2, {"beta2", 0, 0.9999999, false}},
                   {&c->eps, {"eps", 1e-30, 1, false}},
                   {&c->momentum, {"momentum", 0, 0.999999, false}},
                   {&c->weight_decay, {"weight_decay", 0, 1, false}},
                   {&c->clip, {"clip", 0, 1e30, false}}};
    bool sgd = false;
    *c = gn_optimizer_default();
    out->rate = 1e-3;
    gn_status st = gn_field_choice(&sgd, golden, path, "optimizer", "sgd", "adamw", err);
    c->kind = sgd ? GN_SGD : GN_ADAMW;
    if (st == GN_OK)
        st = gn_field_choice(&c->nesterov, golden, path, "nesterov", "true", "false", err);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && st == GN_OK; i++)
        st = gn_field_number(numbers[i].to, golden, path, &numbers[i].range, err);
    if (st == GN_OK && c->nesterov && !(sgd && c->momentum > 0))
        st = gn_fail(err, GN_E_FORMAT, "%s: metadata nesterov is \"true\", expected optimizer sgd "
                     "and momentum above 0 with it", path);
    return st;
}

/* A step's tensors may be there though nobody counted the steps. */
static uint64_t steps_told(const gn_scope *s)
{
    const bool more = gn_reader_metadata(s->candidate, "steps") == NULL &&
                      has_group(s->candidate, "step/");
    return more ? s->golden_steps : s->steps;
}

gn_status gn_scope_read(gn_scope *out, const gn_reader *golden, const gn_reader *candidate,
                        const char *golden_path, const char *path, gn_err *err)
{
    const char *level = gn_reader_metadata(candidate, "level");
    const char *fused = gn_reader_metadata(candidate, "fused");
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
    gn_status st = gn_field_choice(&out->restarts, candidate, path, "state", "golden", "own", err);
    if (st == GN_OK) st = read_steps(&out->golden_steps, golden, golden_path, err);
    if (st == GN_OK) out->golden_steps = steps_there(golden, out->golden_steps);
    if (st == GN_OK) st = read_optimizer(out, golden, golden_path, err);
    if (st == GN_OK) st = read_steps(&out->steps, candidate, path, err);
    if (st == GN_OK) out->steps = steps_told(out);
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
