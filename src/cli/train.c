/* gomokunet train.  SPDX-License-Identifier: MIT */
#include "cli/train.h"

#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/machine.h"
#include "cli/memory.h"

static const double gib = 1024.0 * 1024.0 * 1024.0;

enum { SAVE_SECONDS = 600 };

static train_options defaults(void)
{
    const gn_optimizer_config o = gn_optimizer_default();
    return (train_options){.net = net_options_default(), .out = "run", .schedule = "constant",
                           .optimizer = "adamw", .batch = 64, .accumulate = 1, .epochs = 1,
                           .eval_every = 250, .threads = gn_threads_available(), .seed = 1, .lr = 1e-3,
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
    t->config.accumulate = (size_t)o->accumulate;
    t->positions = t->config.batch * t->config.accumulate;
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
    c->nesterov = o->nesterov;
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

/* The model under this name. */
static int save_model(const training *t, const char *name)
{
    gn_err err;
    char path[1100];
    snprintf(path, sizeof path, "%s/%s", t->options.out, name);
    return gn_session_save(t->session, path, &err) == GN_OK ? EXIT_GOOD : tell("train", &err);
}

/* The model, for whoever uses it now, and behind it the state. */
static int save(training *t)
{
    const int status = save_model(t, "model.safetensors");
    return status == EXIT_GOOD ? train_save_state(t, t->done) : status;
}

/* Keeps the best model.  Only evaluations every --eval-every steps count: the one at the end of a
 * run that is made longer later would not have been there had it been long from the start. */
static int judge(training *t, const gn_scores *scores)
{
    if (t->held_out.count == 0 || t->done % (uint64_t)t->options.eval_every != 0)
        return EXIT_GOOD;
    const double loss = scores->loss_policy + scores->loss_value;
    t->waited++;
    if (loss != loss || (t->best_step > 0 && loss >= t->best_loss))
        return EXIT_GOOD;
    t->best_loss = loss;
    t->best_step = t->done;
    t->waited = 0;
    return save_model(t, "best.safetensors");
}

static bool out_of_patience(const training *t)
{
    return t->options.patience > 0 && t->waited >= (uint64_t)t->options.patience;
}

static void show(training *t, uint64_t step, const gn_step_result *r, double speed)
{
    char text[200];
    snprintf(text, sizeof text,
             "loss %.3f (policy %.3f, value %.3f), top-1 %.3f, %.0f positions/s, %.2f GiB", r->loss,
             r->loss_policy, r->loss_value,
             r->targets > 0 ? (double)r->top1 / (double)r->targets : 0, speed,
             (double)memory_resident() / gib);
    progress_show(&t->bar, step, text);
}

/* One step: batch number `step` from 0.  `speed` is a moving mean. */
static int one_step(training *t, uint64_t step, gn_step_result *r, double *speed)
{
    gn_err err;
    const double before = machine_seconds();
    profile_step_begins(&t->profile);
    gn_sampler_batch(&t->sampler, step, t->planes, t->policy, t->value);
    profile_batch_made(&t->profile);
    if (gn_session_step(t->session, t->planes, t->policy, t->value, gn_rate_at(&t->rate, step), r,
                        &err) != GN_OK) {
        progress_break(&t->bar);
        fprintf(stderr, "gomokunet train: step %llu:\n", (unsigned long long)step + 1);
        return tell("train", &err);
    }
    profile_step_ends(&t->profile);
    const double now = (double)t->positions / (machine_seconds() - before);
    *speed = *speed > 0 ? 0.9 * *speed + 0.1 * now : now;
    return EXIT_GOOD;
}

/* Whether the state is to be written now. */
static bool save_due(const training *t, bool evaluated)
{
    if (t->options.save_every > 0)
        return t->done % (uint64_t)t->options.save_every == 0 || t->done == t->steps ||
               out_of_patience(t);
    return evaluated || machine_seconds() - t->saved > SAVE_SECONDS;
}

/* Stops where a state of the steps done stands. */
static int interrupted(training *t)
{
    progress_break(&t->bar);
    fprintf(t->text,
            "interrupted after step %llu of %llu; go on with: gomokunet train --resume %s\n",
            (unsigned long long)t->done, (unsigned long long)t->steps, t->options.out);
    return EXIT_SIGINT;
}

/* What follows a step: evaluation, metrics, files. */
static int after_step(training *t, const gn_step_result *r, double speed, gn_scores *last)
{
    const bool due = t->done % (uint64_t)t->options.eval_every == 0 || t->done == t->steps;
    int status = due ? evaluate(t, t->done, last) : EXIT_GOOD;
    if (status != EXIT_GOOD)
        return status;
    status = metrics_step(t, t->done, r, gn_rate_at(&t->rate, t->done - 1), speed,
                          due && t->held_out.count > 0 ? last : NULL);
    if (status == EXIT_GOOD && due)
        status = judge(t, last);
    const bool stop = machine_interrupted();
    if (status == EXIT_GOOD && (stop || save_due(t, due)))
        status = save(t);
    if (stop || (due && t->done < t->steps))
        metrics_curve(t);
    return status == EXIT_GOOD && stop ? interrupted(t) : status;
}

static int loop(training *t, gn_scores *last)
{
    double speed = 0;
    t->bar = progress_begin(t->steps);
    t->bar.first = t->first;
    t->saved = machine_seconds();
    t->done = t->first;
    while (t->done < t->steps && !out_of_patience(t)) {
        gn_step_result r;
        int status = one_step(t, t->done, &r, &speed);
        if (status != EXIT_GOOD)
            return status;
        t->done++;
        show(t, t->done, &r, speed);
        status = after_step(t, &r, speed, last);
        if (status != EXIT_GOOD)
            return status;
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
            (double)memory_resident_peak() / gib);
    if (t->held_out.count > 0)
        fprintf(t->text, "held-out top-1: %.4f before, %.4f after %llu steps\n", before->top1,
                after->top1, (unsigned long long)t->done);
    if (out_of_patience(t))
        fprintf(t->text, "early stop: no better held-out loss in %llu evaluations\n",
                (unsigned long long)t->waited);
    if (t->best_step > 0)
        fprintf(t->text, "best held-out loss: %.4f after %llu steps: %s/best.safetensors\n",
                t->best_loss, (unsigned long long)t->best_step, t->options.out);
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
    machine_catch_interrupts();
    int status = t->options.resume != NULL ? train_find_state(t) : EXIT_GOOD;
    const bool init = t->options.init != NULL && t->state == NULL; /* a resumed run has its own */
    if (status == EXIT_GOOD && init) status = train_init_network(t);
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
    if (status == EXIT_GOOD && t->state == NULL) status = train_forget_states(t);
    if (status == EXIT_GOOD && init) status = train_init_weights(t);
    if (status == EXIT_GOOD) status = metrics_open(t);
    if (status == EXIT_GOOD && t->state == NULL) status = metrics_config(t);
    if (status == EXIT_GOOD && t->state != NULL) status = train_load_state(t);
    if (status != EXIT_GOOD)
        return status;
    t->started = machine_seconds();
    if (t->options.profile)
        profile_start(&t->profile, t->session, &t->config.optimizer);
    t->done = t->first;
    if (!machine_interrupted())
        status = evaluate(t, t->first, &before);
    after = before;
    if (status == EXIT_GOOD && machine_interrupted()) {
        status = save(t);
        return status == EXIT_GOOD ? interrupted(t) : status;
    }
    if (status == EXIT_GOOD) status = loop(t, &after);
    if (status == EXIT_GOOD)
        metrics_curve(t); /* also of a run that was complete, but for its picture */
    if (t->options.profile) profile_print(t->text, &t->profile);
    if (t->options.profile && t->options.json) profile_json(stdout, &t->profile);
    if (status == EXIT_GOOD) status = finish(t, &before, &after);
    return status;
}

int command_train(int argc, char **argv)
{
    training t = {.options = defaults()};
    train_options *o = &t.options;
    const option list[] = {
        {"config", OPT_CALL, &o->config, 0, 0, "FILE",
         "options from a JSON file, as config.json of a run folder; options given here win"},
        {"data", OPT_LIST, &o->data, 0, 0, "PATH", "game records, file or folder; repeatable"},
        NET_OPTIONS(&o->net),
        {"batch-size", OPT_INT, &o->batch, 1, 1 << 20, "N", "positions at a time"},
        {"accumulate", OPT_INT, &o->accumulate, 1, 1 << 16, "K",
         "a step of K batches; batch normalisation still sees one at a time"},
        {"checkpoint", OPT_TEXT, &o->checkpoint, 0, 0, "none|cheap|block|every:K",
         "what is kept for backward"},
        {"epochs", OPT_INT, &o->epochs, 1, 1e6, "N", "passes over the positions"},
        {"steps", OPT_INT, &o->steps, 1, 2e9, "N", "steps, instead of epochs"},
        {"lr", OPT_REAL, &o->lr, 0, 0, "X", "learning rate"},
        {"lr-schedule", OPT_TEXT, &o->schedule, 0, 0,
         "constant|step:N:FACTOR|cosine:WARMUP[:MIN]", "over the steps"},
        {"optimizer", OPT_TEXT, &o->optimizer, 0, 0, "adamw|sgd", "how to step"},
        {"weight-decay", OPT_REAL, &o->weight_decay, 0, 0, "X", "of all tensors"},
        {"momentum", OPT_REAL, &o->momentum, 0, 0, "X", "of sgd"},
        {"nesterov", OPT_FLAG, &o->nesterov, 0, 0, NULL, "of sgd: look ahead by the momentum"},
        {"clip", OPT_REAL, &o->clip, 0, 0, "X", "largest gradient norm, 0: no clipping"},
        {"seed", OPT_SEED, &o->seed, 0, 0, "N", "of weights, order, symmetries and the split"},
        {"eval-data", OPT_LIST, &o->eval_data, 0, 0, "PATH", "held-out records; repeatable"},
        {"eval-fraction", OPT_REAL, &o->eval_fraction, 0, 0.9, "X",
         "of the games to hold out where no --eval-data is given"},
        {"eval-every", OPT_INT, &o->eval_every, 1, 2e9, "N", "steps between evaluations"},
        {"patience", OPT_INT, &o->patience, 0, 1e6, "N",
         "stop after N evaluations without a better held-out loss; 0: never"},
        {"data-sha256", OPT_TEXT, &o->data_sha256, 0, 0, "HEX",
         "refuse games whose digest is another one; any: take what is there"},
        {"out", OPT_TEXT, &o->out, 0, 0, "DIR", "the run folder"},
        {"init", OPT_TEXT, &o->init, 0, 0, "FILE",
         "start with the weights of a model file, ours or PyTorch's; it sets the network"},
        {"resume", OPT_CALL, &o->resume, 0, 0, "DIR", "go on with the run in this folder"},
        {"save-every", OPT_INT, &o->save_every, 0, 2e9, "N",
         "steps between states; 0: at evaluations and every ten minutes"},
        {"threads", OPT_INT, &o->threads, 1, 256, "N", "threads; the bits do not depend on it"},
        {"torch-compat-bn", OPT_FLAG, &o->compat_bn, 0, 0, NULL,
         "update running statistics twice where PyTorch does"},
        {"compare", OPT_FLAG, &o->compare, 0, 0, NULL,
         "at the end, compare with normal mode: memory, speed, gradients"},
        {"debug", OPT_FLAG, &o->debug, 0, 0, NULL, "check every recomputed value, poison memory"},
        {"profile", OPT_FLAG, &o->profile, 0, 0, NULL, "at the end, time, flops and bytes by op"},
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
