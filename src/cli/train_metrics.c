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
#include "cli/memory.h"
#include "cli/train.h"

/* Cuts the metrics of a resumed run to what its state knows of, so that no line stands twice. */
static bool cut(FILE *f, const char *path, const char *known)
{
    const long bytes = known == NULL ? 0 : strtol(known, NULL, 10);
    if (fseek(f, 0, SEEK_END) != 0)
        return false;
    const long there = ftell(f);
    if (there >= 0 && there < bytes)
        fprintf(stderr, "gomokunet train: %s: the state knows of %ld bytes, %ld are there: earlier "
                "lines are missing\n", path, bytes, there);
    const long kept = there < bytes ? there : bytes;
    return kept >= 0 && ftruncate(fileno(f), (off_t)kept) == 0 && fseek(f, kept, SEEK_SET) == 0;
}

static FILE *open_lines(const training *t, const char *path)
{
    FILE *f = fopen(path, t->state == NULL ? "w" : "r+");
    if (f == NULL && t->state != NULL && errno == ENOENT)
        f = fopen(path, "w");
    if (f != NULL && t->state != NULL &&
        !cut(f, path, gn_reader_metadata(t->state, "metrics_bytes"))) {
        const int cause = errno;
        fclose(f);
        errno = cause;
        return NULL;
    }
    return f;
}

static int cannot_write(const training *t)
{
    fprintf(stderr, "gomokunet train: %s/metrics.jsonl: cannot write: %s\n", t->options.out,
            strerror(errno));
    return EXIT_RUNTIME;
}

long metrics_position(training *t)
{
    /* The error of an earlier line stays with the stream: a later flush may succeed. */
    const bool good = fflush(t->metrics) == 0 && !ferror(t->metrics) &&
                      fsync(fileno(t->metrics)) == 0;
    const long position = good ? ftell(t->metrics) : -1;
    if (position < 0)
        cannot_write(t);
    return position;
}

/* config.json holds all options, so that --config repeats the run, and what made it; a resumed run
 * takes them from its state. */
static gn_status write_config(const training *t, const char *path, gn_err *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory != NULL) {
        fputs("{\n  \"about\":{", memory);
        info_versions(memory);
        fputs("},\n  ", memory);
        options_json(memory, t->command, ",\n  ");
        fputs("\n}\n", memory);
    }
    const bool complete = memory != NULL && ferror(memory) == 0;
    gn_status st = GN_OK;
    if ((memory != NULL && fclose(memory) != 0) || !complete || size == 0)
        st = gn_fail(err, GN_E_NOMEM, "%s: no memory to write it", path);
    if (st == GN_OK)
        st = gn_file_write(path, text, size, err);
    free(text);
    return st;
}

int metrics_open(training *t)
{
    gn_err err;
    char path[1100];
    snprintf(path, sizeof path, "%s/config.json", t->options.out);
    if (write_config(t, path, &err) != GN_OK)
        return tell("train", &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", t->options.out);
    t->metrics = open_lines(t, path);
    return t->metrics != NULL ? EXIT_GOOD : cannot_write(t);
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

int metrics_config(training *t)
{
    config_line(t->metrics, t);
    if (t->options.json)
        config_line(stdout, t);
    return fflush(t->metrics) == 0 ? EXIT_GOOD : cannot_write(t);
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

int metrics_step(training *t, uint64_t step, const gn_step_result *r, double rate,
                 double positions_per_second, const gn_scores *s)
{
    const double per_epoch = (double)t->sampler.per_epoch;
    FILE *outs[2] = {t->metrics, t->options.json ? stdout : NULL};
    const member training_members[] = {
        {"epoch", per_epoch > 0 ? (double)step / per_epoch : 0}, {"loss", r->loss},
        {"loss_policy", r->loss_policy}, {"loss_value", r->loss_value}, {"lr", rate},
        {"grad_norm", r->grad_norm}, {"positions_per_second", positions_per_second},
        {"seconds", machine_seconds() - t->started},
        {"resident_bytes", (double)memory_resident()}};
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
    }
    if (t->options.json)
        fflush(stdout); /* its failures are told at the end of the program */
    return fflush(t->metrics) == 0 && !ferror(t->metrics) ? EXIT_GOOD : cannot_write(t);
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
