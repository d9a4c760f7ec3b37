/* The parts of the train command.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_TRAIN_H
#define GN_CLI_TRAIN_H

#include "cli/options.h"
#include "cli/progress.h"
#include "gomokunet/train.h"

typedef struct train_options {
    net_options net;
    text_list data, eval_data;
    const char *checkpoint, *out, *schedule, *optimizer;
    int batch, epochs, steps, threads, eval_every;
    uint64_t seed;
    double lr, weight_decay, momentum, clip, eval_fraction;
    bool json, strict, compat_bn, compare, debug;
} train_options;

/* Everything that a run of the command holds. */
typedef struct training {
    const command *command;
    train_options options;
    gn_session_config config;
    gn_rate rate;
    gn_net net;
    gn_session *session;
    gn_games games, eval_games;
    gn_dataset train, held_out;
    gn_sampler sampler;
    float *planes, *policy, *value;
    gn_memory predicted;
    FILE *metrics; /* metrics.jsonl in the run folder */
    FILE *text;    /* where people read: stdout, or stderr with --json */
    progress bar;
    double started;
    uint64_t steps;
} training;

/* --- setup.c: data, network, memory.  Each returns an exit status. ---------------------------- */
int train_load_data(training *t);
int train_check_memory(training *t);
int train_build(training *t);
void train_release(training *t);

/* --- metrics.c: the JSON lines, on stdout and in the run folder ------------------------------- */
int metrics_open(training *t);
void metrics_config(training *t);
void metrics_step(training *t, uint64_t step, const gn_step_result *r, double rate,
                  double positions_per_second, const gn_scores *scores);

#endif
