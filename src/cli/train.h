/* The parts of the train command.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_TRAIN_H
#define GN_CLI_TRAIN_H

#include "cli/options.h"
#include "cli/profile.h"
#include "cli/records.h"
#include "cli/progress.h"
#include "gomokunet/train.h"

typedef struct train_options {
    net_options net;
    text_list data, eval_data;
    const char *checkpoint, *out, *schedule, *optimizer, *resume, *init, *config, *data_sha256;
    int batch, accumulate, epochs, steps, threads, eval_every, save_every, patience;
    uint64_t seed;
    double lr, weight_decay, momentum, clip, eval_fraction;
    records_options records;
    bool nesterov, json, compat_bn, compare, debug, profile;
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
    float *planes, *policy, *value; /* the positions of a step */
    size_t positions;               /* their number: batch * accumulate */
    gn_memory predicted;
    FILE *metrics; /* metrics.jsonl in the run folder */
    FILE *text;    /* where people read: stdout, or stderr with --json */
    progress bar;
    profile profile;
    double started;
    uint64_t steps, first; /* all steps; those that an earlier part of the run has done */
    char data_digest[65];  /* of the games, so that a resumed run sees the same */
    gn_reader *state;      /* the state to go on from, until it is loaded */
    char state_path[1100];
    double saved;          /* when the last state was written */
    uint64_t done;         /* steps, those of earlier parts included */
    double best_loss;      /* held out, policy and value together */
    uint64_t best_step;    /* 0: nothing was judged yet */
    uint64_t waited;       /* evaluations since */
    bool no_curve;         /* the picture could not be drawn, and that was told */
} training;

/* --- setup.c: data, network, memory.  Each returns an exit status. ---------------------------- */
int train_make_folder(training *t);
int train_load_data(training *t);
int train_check_memory(training *t);
int train_build(training *t);
void train_release(training *t);

/* --- train_init.c: --init --------------------------------------------------------------------- */
int train_init_network(training *t); /* sets the network's options from the file */
int train_init_weights(training *t); /* into the session */

/* --- train_state.c: saving and resuming ------------------------------------------------------- */
int train_find_state(training *t);  /* with --resume: opens the newest sound state, sets options */
int train_load_state(training *t);  /* into the session; sets `first` */
int train_save_state(training *t, uint64_t step);
int train_forget_states(training *t); /* of an earlier run in the same folder */

/* --- metrics.c: the JSON lines, on stdout and in the run folder ------------------------------- */
int metrics_open(training *t); /* a resumed run's file is cut to what its state knows */
long metrics_position(training *t); /* bytes so far, synced; -1: told on stderr */
int metrics_config(training *t);
int metrics_step(training *t, uint64_t step, const gn_step_result *r, double rate,
                 double positions_per_second, const gn_scores *scores);
void metrics_curve(training *t); /* redraws curves.svg; a failure is told, and costs no run */

#endif
