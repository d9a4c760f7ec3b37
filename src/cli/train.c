/* gomokunet train.  SPDX-License-Identifier: MIT */
#include "cli/train.h"

#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/machine.h"

static const double gib = 1024.0 * 1024.0 * 1024.0;

enum { SAVE_SECONDS = 600 };

static train_options defaults(void)
{
    const gn_optimizer_config o = gn_optimizer_default();
    return (train_options){.net = net_options_default(), .out = "run", .schedule = "constant",
                           .optimizer = "adamw", .batch = 64, .epochs = 1, .eval_every = 250,
                           .threads = gn_threads_available(), .seed = 1, .lr = 1e-3,
                           .weight_decay = o.weight_decay, .momentum = o.momentum,
                           .clip = o.clip, .eval_fraction = 0.1};
}

/* --- From options to a run ------------------------------------------------------------------ */

static int resolve(training *t)
{
    train_options *o = &t->options;
    gn_err err;
    if (!net_options_resolve(&o->net, "train"))
        return EXIT_USAGE;
    t->config = gn_session_default();
    t->config.batch = (size_t)o->batch;
    t->config.threads = o->threads;
    t->config.seed = o->seed;
    t->config.torch_compat_bn = o->compat_bn;
    t->config.debug = o->debug;
    t->config.policy = o->checkpoint != NULL ? o->checkpoint
                       : o->net.config.use_checkpoint ? "block"
                                                      : "none";
    gn_optimizer_config *c = &t->config.optimizer;
    c->weight_decay = o->weight_decay;
    c->momentum = o->momentum;
    c->clip = o->clip;
    if (strcmp(o->optimizer, "adamw") != 0 && strcmp(o->optimizer, "sgd") != 0) {
        fprintf(stderr, "gomokunet train: --optimizer \"%s\": expected adamw or sgd\n",
                o->optimizer);
        return EXIT_USAGE;
    }
    c->kind = strcmp(o->optimizer, "sgd") == 0 ? GN_SGD : GN_ADAMW;
    if (gn_rate_parse(&t->rate, o->schedule, o->lr, &err) != GN_OK)
        return tell("train", &err);
    if (gn_net_create(&t->net, &o->net.config, &err) != GN_OK)
        return tell("train", &err);
    return EXIT_GOOD;
}

/* --- The loop ------------------------------------------------------------------------------ */

static int evaluate(training *t, uint64_t step, gn_scores *scores)
{
    gn_err err;
    if (t->held_out.count == 0)
        return EXIT_GOOD;
    if (gn_session_evaluate(t->session, &t->held_out, scores, &err) != GN_OK)
        return tell("train", &err);
    progress_break(&t->bar);
    fprintf(t->text, "step %llu: held-out top-1 %.4f, top-5 %.4f, cross-entropy %.3f, value mse "
            "%.3f (%zu positions)\n", (unsigned long long)step, scores->top1, scores->top5,
            scores->loss_policy, scores->loss_value, scores->positions);
    fflush(t->text);
    return EXIT_GOOD;
}

static int save(training *t)
{
    gn_err err;
    char path[1100];
    snprintf(path, sizeof path, "%s/model.safetensors", t->options.out);
    return gn_session_save(t->session, path, &err) == GN_OK ? EXIT_GOOD : tell("train", &err);
}

static void show(training *t, uint64_t step, const gn_step_result *r, double speed)
{
    char text[200];
    snprintf(text, sizeof text,
             "loss %.3f (policy %.3f, value %.3f), top-1 %.3f, %.0f positions/s, %.2f GiB", r->loss,
             r->loss_policy, r->loss_value,
             r->targets > 0 ? (double)r->top1 / (double)r->targets : 0, speed,
             (double)machine_resident() / gib);
    progress_show(&t->bar, step, text);
}

/* One step: batch number `step` from 0.  `speed` is a moving mean. */
static int one_step(training *t, uint64_t step, gn_step_result *r, double *speed)
{
    gn_err err;
    const double before = machine_seconds();
    gn_sampler_batch(&t->sampler, step, t->planes, t->policy, t->value);
    if (gn_session_step(t->session, t->planes, t->policy, t->value, gn_rate_at(&t->rate, step), r,
                        &err) != GN_OK) {
        progress_break(&t->bar);
        fprintf(stderr, "gomokunet train: step %llu:\n", (unsigned long long)step + 1);
        return tell("train", &err);
    }
    const double now = (double)t->config.batch / (machine_seconds() - before);
    *speed = *speed > 0 ? 0.9 * *speed + 0.1 * now : now;
    return EXIT_GOOD;
}

/* Whether the state is to be written after `done` steps. */
static bool save_due(const training *t, uint64_t done, bool evaluated)
{
    if (t->options.save_every > 0)
        return done % (uint64_t)t->options.save_every == 0 || done == t->steps;
    return evaluated || machine_seconds() - t->saved > SAVE_SECONDS;
}

static int interrupted(training *t, uint64_t done)
{
    progress_break(&t->bar);
    fprintf(t->text,
            "interrupted after step %llu of %llu; go on with: gomokunet train --resume %s\n",
            (unsigned long long)done, (unsigned long long)t->steps, t->options.out);
    return EXIT_SIGINT;
}

static int loop(training *t, gn_scores *last)
{
    double speed = 0;
    t->bar = progress_begin(t->steps);
    t->bar.first = t->first;
    t->saved = machine_seconds();
    for (uint64_t step = t->first; step < t->steps; step++) {
        const uint64_t done = step + 1;
        const bool due = done % (uint64_t)t->options.eval_every == 0 || done == t->steps;
        gn_step_result r;
        int status = one_step(t, step, &r, &speed);
        if (status != EXIT_GOOD)
            return status;
        show(t, done, &r, speed);
        if (due)
            status = evaluate(t, done, last);
        if (status != EXIT_GOOD)
            return status;
        metrics_step(t, done, &r, gn_rate_at(&t->rate, step), speed,
                     due && t->held_out.count > 0 ? last : NULL);
        const bool stop = machine_interrupted();
        if (stop || save_due(t, done, due)) {
            status = save(t);
            if (status == EXIT_GOOD)
                status = train_save_state(t, done);
        }
        if (status != EXIT_GOOD)
            return status;
        if (stop)
            return interrupted(t, done);
    }
    return EXIT_GOOD;
}

/* What a person wants to know at the end. */
static int finish(training *t, const gn_scores *before, const gn_scores *after)
{
    gn_err err;
    const gn_memory m = gn_session_memory(t->session);
    fprintf(t->text, "memory: activations predicted %zu bytes, measured %zu bytes; resident at "
            "most %.2f GiB\n", t->predicted.activations, m.activations,
            (double)machine_resident_peak() / gib);
    if (t->held_out.count > 0)
        fprintf(t->text, "held-out top-1: %.4f before, %.4f after %llu steps\n", before->top1,
                after->top1, (unsigned long long)t->steps);
    int status = EXIT_GOOD;
    if (t->options.compare && strcmp(t->config.policy, "none") != 0)
        status = compare_modes(t->text, &t->net, &t->config, gn_session_store(t->session),
                               &t->train, &err);
    fprintf(t->text, "model: %s/model.safetensors\n", t->options.out);
    return status;
}

static int run(training *t)
{
    gn_scores before = {0}, after = {0};
    int status = t->options.resume != NULL ? train_find_state(t) : EXIT_GOOD;
    if (status == EXIT_GOOD) status = resolve(t);
    if (status == EXIT_GOOD) {
        fprintf(t->text, "GomokuNet: %d blocks x %d channels, %s, %dx%d: %zu parameters; table %s, "
                "%d threads\n", t->net.config.num_blocks, t->net.config.channels,
                gn_conv_name(t->net.config.conv), t->net.config.board_size,
                t->net.config.board_size, gn_tape_parameters(t->net.tape), t->config.table->name,
                t->config.threads);
        status = train_check_memory(t);
    }
    if (status == EXIT_GOOD) status = train_make_folder(t);
    if (status == EXIT_GOOD) status = train_load_data(t);
    if (status == EXIT_GOOD) status = train_build(t);
    if (status == EXIT_GOOD) status = metrics_open(t);
    if (status == EXIT_GOOD && t->state == NULL) metrics_config(t);
    if (status == EXIT_GOOD && t->state != NULL) status = train_load_state(t);
    if (status != EXIT_GOOD)
        return status;
    t->started = machine_seconds();
    machine_catch_interrupts();
    status = evaluate(t, t->first, &before);
    if (status == EXIT_GOOD) status = loop(t, &after);
    if (status == EXIT_GOOD) status = finish(t, &before, &after);
    return status;
}

int command_train(int argc, char **argv)
{
    training t = {.options = defaults()};
    train_options *o = &t.options;
    const option list[] = {
        {"data", OPT_LIST, &o->data, 0, 0, "PATH", "game records, file or folder; repeatable"},
        NET_OPTIONS(&o->net),
        {"batch-size", OPT_INT, &o->batch, 1, 1 << 20, "N", "positions a step"},
        {"checkpoint", OPT_TEXT, &o->checkpoint, 0, 0, "POLICY", "none, block or every:K"},
        {"epochs", OPT_INT, &o->epochs, 1, 1e6, "N", "passes over the positions"},
        {"steps", OPT_INT, &o->steps, 1, 2e9, "N", "steps, instead of epochs"},
        {"lr", OPT_REAL, &o->lr, 0, 0, "X", "learning rate"},
        {"lr-schedule", OPT_TEXT, &o->schedule, 0, 0, "S", "constant or step:N:FACTOR"},
        {"optimizer", OPT_TEXT, &o->optimizer, 0, 0, "NAME", "adamw or sgd"},
        {"weight-decay", OPT_REAL, &o->weight_decay, 0, 0, "X", "of all tensors"},
        {"momentum", OPT_REAL, &o->momentum, 0, 0, "X", "of sgd"},
        {"clip", OPT_REAL, &o->clip, 0, 0, "X", "largest gradient norm, 0: no clipping"},
        {"seed", OPT_SEED, &o->seed, 0, 0, "N", "of weights, order, symmetries and the split"},
        {"eval-data", OPT_LIST, &o->eval_data, 0, 0, "PATH", "held-out records; repeatable"},
        {"eval-fraction", OPT_REAL, &o->eval_fraction, 0, 0.9, "X",
         "of the games to hold out where no --eval-data is given"},
        {"eval-every", OPT_INT, &o->eval_every, 1, 2e9, "N", "steps between evaluations"},
        {"out", OPT_TEXT, &o->out, 0, 0, "DIR", "the run folder"},
        {"resume", OPT_TEXT, &o->resume, 0, 0, "DIR", "go on with the run in this folder"},
        {"save-every", OPT_INT, &o->save_every, 0, 2e9, "N",
         "steps between states; 0: at evaluations and every ten minutes"},
        {"threads", OPT_INT, &o->threads, 1, 256, "N", "threads; the bits do not depend on it"},
        {"torch-compat-bn", OPT_FLAG, &o->compat_bn, 0, 0, NULL,
         "update running statistics twice where PyTorch does"},
        {"compare", OPT_FLAG, &o->compare, 0, 0, NULL,
         "at the end, compare with normal mode: memory, speed, gradients"},
        {"debug", OPT_FLAG, &o->debug, 0, 0, NULL, "check every recomputed value, poison memory"},
        RECORDS_OPTIONS(&o->records),
        {"json", OPT_FLAG, &o->json, 0, 0, NULL, "metrics as JSON lines on stdout"},
    };
    bool given[sizeof list / sizeof *list] = {false};
    const command c = {"train", "train a network on game records", NULL, list,
                       (int)(sizeof list / sizeof *list), given};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    t.command = &c;
    t.text = o->json ? stderr : stdout;
    const int status = run(&t);
    train_release(&t);
    return status;
}
