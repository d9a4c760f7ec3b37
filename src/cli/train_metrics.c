/* The metrics of a training run: one JSON object a line.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/curve.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/train.h"

/* Cuts the metrics of a resumed run to what its state knows of, so that no line stands twice. */
static FILE *open_lines(const training *t, const char *path)
{
    const char *text = t->state == NULL ? NULL : gn_reader_metadata(t->state, "metrics_bytes");
    FILE *f = fopen(path, t->state == NULL ? "w" : "r+");
    const long bytes = text == NULL ? 0 : strtol(text, NULL, 10);
    if (f != NULL && (fseek(f, 0, SEEK_END) != 0 || ftell(f) < bytes)) {
        fclose(f);
        errno = ENODATA; /* lines are missing that the state knows of */
        return NULL;
    }
    if (f != NULL && (ftruncate(fileno(f), (off_t)bytes) != 0 || fseek(f, bytes, SEEK_SET) != 0)) {
        fclose(f);
        return NULL;
    }
    return f;
}

long metrics_position(training *t)
{
    /* The error of an earlier line stays with the stream: a later flush may succeed. */
    const bool good = fflush(t->metrics) == 0 && !ferror(t->metrics) &&
                      fsync(fileno(t->metrics)) == 0;
    const long position = good ? ftell(t->metrics) : -1;
    if (position < 0)
        fprintf(stderr, "gomokunet train: %s/metrics.jsonl: cannot write: %s\n", t->options.out,
                strerror(errno));
    return position;
}

/* config.json holds all options, so that --config repeats the run, and what made it. */
static bool write_config(const training *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return false;
    fputs("{\n  \"about\":{", f);
    info_versions(f);
    fputs("},\n  ", f);
    options_json(f, t->command, ",\n  ");
    fputs("\n}\n", f);
    const bool good = ferror(f) == 0;
    return fclose(f) == 0 && good;
}

int metrics_open(training *t)
{
    gn_err err;
    char path[1100];
    snprintf(path, sizeof path, "%s/config.json", t->options.out);
    if (write_config(t, path)) {
        snprintf(path, sizeof path, "%s/metrics.jsonl", t->options.out);
        t->metrics = open_lines(t, path);
    }
    if (t->metrics != NULL)
        return EXIT_GOOD;
    gn_fail(&err, GN_E_IO, "%s: cannot write: %s", path, strerror(errno));
    return tell("train", &err);
}

static void config_line(FILE *out, training *t)
{
    fputs("{\"config\":{", out);
    options_json(out, t->command, ",");
    fprintf(out, "},\"parameters\":%zu,\"predicted_peak_bytes\":%zu,\"schedule\":",
            gn_tape_parameters(t->net.tape), t->predicted.total);
    json_text(out, t->config.policy);
    fputs("}\n", out);
}

void metrics_config(training *t)
{
    config_line(t->metrics, t);
    if (t->options.json)
        config_line(stdout, t);
}

typedef struct member {
    const char *key;
    double value;
} member;

static void members(FILE *out, const member *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ",\"%s\":", list[i].key);
        json_number(out, list[i].value);
    }
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

void metrics_step(training *t, uint64_t step, const gn_step_result *r, double rate,
                  double positions_per_second, const gn_scores *s)
{
    const double per_epoch = (double)t->sampler.per_epoch;
    FILE *outs[2] = {t->metrics, t->options.json ? stdout : NULL};
    const member training_members[] = {
        {"epoch", per_epoch > 0 ? (double)step / per_epoch : 0}, {"loss", r->loss},
        {"loss_policy", r->loss_policy}, {"loss_value", r->loss_value}, {"lr", rate},
        {"grad_norm", r->grad_norm}, {"positions_per_second", positions_per_second},
        {"seconds", machine_seconds() - t->started},
        {"resident_bytes", (double)machine_resident()}};
    for (int i = 0; i < 2 && outs[i] != NULL; i++) {
        fprintf(outs[i], "{\"step\":%" PRIu64, step);
        members(outs[i], training_members, COUNT(training_members));
        if (s != NULL) {
            const member scores[] = {{"eval_loss_policy", s->loss_policy},
                                     {"eval_loss_value", s->loss_value},
                                     {"eval_top1", s->top1}, {"eval_top5", s->top5}};
            members(outs[i], scores, COUNT(scores));
            fprintf(outs[i], ",\"eval_positions\":%zu", s->positions);
        }
        fputs("}\n", outs[i]);
        fflush(outs[i]);
    }
}

void metrics_curve(training *t)
{
    gn_err err;
    char path[1100];
    snprintf(path, sizeof path, "%s/curves.svg", t->options.out);
    if (t->no_curve || curve_draw(&t->options.out, 1, path, &err) == GN_OK)
        return;
    t->no_curve = true;
    progress_break(&t->bar);
    fprintf(stderr, "gomokunet train: no learning curves, training goes on: %s\n", err.text);
}
