/* The metrics of a training run: one JSON object a line.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/json.h"
#include "cli/machine.h"
#include "cli/train.h"

/* config.json holds all options, metrics.jsonl the lines. */
int metrics_open(training *t)
{
    gn_err err;
    char path[1100];
    if (machine_make_folder(t->options.out, &err) != GN_OK)
        return tell("train", &err);
    snprintf(path, sizeof path, "%s/config.json", t->options.out);
    FILE *config = fopen(path, "w");
    if (config != NULL) {
        fputc('{', config);
        options_json(config, t->command);
        fputs("}\n", config);
        if (fclose(config) == 0) {
            snprintf(path, sizeof path, "%s/metrics.jsonl", t->options.out);
            t->metrics = fopen(path, "w");
        }
    }
    if (t->metrics != NULL)
        return EXIT_GOOD;
    gn_fail(&err, GN_E_IO, "%s: cannot write: %s", path, strerror(errno));
    return tell("train", &err);
}

static void config_line(FILE *out, training *t)
{
    fputs("{\"config\":{", out);
    options_json(out, t->command);
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
        {"seconds", machine_seconds() - t->started}};
    for (int i = 0; i < 2 && outs[i] != NULL; i++) {
        fprintf(outs[i], "{\"step\":%" PRIu64, step);
        members(outs[i], training_members, COUNT(training_members));
        fprintf(outs[i], ",\"resident_bytes\":%zu", machine_resident());
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
