/* Reading the metrics of a run into as many points as a picture can show.
 *
 * The file is read twice, once for its last step and once into buckets of steps, so that a run of
 * a million steps needs no more memory than one of ten.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/curve.h"

static const char *const keys[CURVE_KEYS] = {
    [CURVE_POLICY] = "loss_policy",           [CURVE_VALUE] = "loss_value",
    [CURVE_RATE] = "lr",                      [CURVE_EVAL_POLICY] = "eval_loss_policy",
    [CURVE_EVAL_VALUE] = "eval_loss_value",   [CURVE_TOP1] = "eval_top1",
    [CURVE_TOP5] = "eval_top5",
};

enum { LINE = 4096 };

/* The number behind a key; NaN where there is none that axes can be laid out for. */
static double member(const char *line, const char *key)
{
    char quoted[64], *end;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (at == NULL)
        return NAN;
    const double x = strtod(at + strlen(quoted), &end);
    return end != at + strlen(quoted) && fabs(x) < 1e30 ? x : NAN;
}

/* The next line that tells of a step, and the step; false at the end.  A line that a stopped
 * process left unfinished has no end, and one longer than any that is written is none of ours. */
static bool next_step(FILE *f, char line[LINE], double *step)
{
    while (fgets(line, LINE, f) != NULL) {
        const size_t length = strlen(line);
        const bool whole = length > 2 && strcmp(line + length - 2, "}\n") == 0;
        if (!whole || strncmp(line, "{\"step\":", 8) != 0)
            continue;
        *step = member(line, "step");
        if (*step >= 1)
            return true;
    }
    return false;
}

static void add(curve_series *s, size_t bucket, double step, double x)
{
    if (!(x - x == 0))
        return;
    if (s->weight[bucket] == 0)
        s->low[bucket] = s->high[bucket] = x;
    s->low[bucket] = lesser(s->low[bucket], x);
    s->high[bucket] = greater(s->high[bucket], x);
    s->step[bucket] += step;
    s->mean[bucket] += x;
    s->weight[bucket] += 1;
}

/* Sums become means; buckets that got nothing go. */
static void close_buckets(curve_series *s)
{
    for (size_t b = 0; b < CURVE_BUCKETS; b++) {
        const double n = s->weight[b];
        if (n == 0)
            continue;
        const size_t to = s->count++;
        s->step[to] = s->step[b] / n;
        s->mean[to] = s->mean[b] / n;
        s->low[to] = s->low[b];
        s->high[to] = s->high[b];
        s->weight[to] = n;
    }
}

static void read_steps(curve_run *out, FILE *f)
{
    char line[LINE];
    double step;
    while (next_step(f, line, &step))
        out->last = greater(out->last, step);
    rewind(f);
    while (next_step(f, line, &step)) {
        const size_t bucket = (size_t)((step - 1) / out->last * CURVE_BUCKETS);
        if (bucket >= CURVE_BUCKETS) /* the file grew in the meantime */
            break;
        for (int k = 0; k < CURVE_KEYS; k++)
            add(&out->series[k], bucket, step, member(line, keys[k]));
    }
    for (int k = 0; k < CURVE_KEYS; k++)
        close_buckets(&out->series[k]);
}

gn_status curve_read(curve_run *out, const char *folder, gn_err *err)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    *out = (curve_run){0};
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return gn_fail(err, GN_E_DATA, "%s: cannot read: %s; expected the folder of a run", path,
                       strerror(errno));
    read_steps(out, f);
    fclose(f);
    return out->last > 0 ? GN_OK : gn_fail(err, GN_E_DATA, "%s: no step in it yet", path);
}
