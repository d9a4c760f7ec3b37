/* gomokunet golden.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "gomokunet/golden.h"

typedef struct golden_options {
    net_options net;
    text_list data, except;
    const char *out, *only, *model, *checkpoint, *optimizer;
    int batch, steps, threads;
    uint64_t seed;
    double lr;
    records_options records;
    bool no_inference, cases, check_flush;
    char command[1024];
    progress bar;
} golden_options;

static bool show(void *user, size_t done, size_t total, const char *tensor)
{
    golden_options *o = user;
    o->bar.total = total;
    progress_show(&o->bar, done, tensor);
    return !machine_interrupted();
}

static int write_file(golden_options *o, const gn_net *net, const gn_dataset *dataset)
{
    gn_err err;
    gn_golden g = gn_golden_default();
    g.net = net;
    g.dataset = dataset;
    g.session.batch = (size_t)o->batch;
    g.session.threads = o->threads;
    g.session.policy = o->checkpoint;
    g.session.seed = o->seed;
    g.session.optimizer.kind = strcmp(o->optimizer, "sgd") == 0 ? GN_SGD : GN_ADAMW;
    g.rate = o->lr;
    g.steps = (uint64_t)o->steps;
    g.inference = !o->no_inference;
    g.check_flush = o->check_flush;
    g.model = o->model;
    g.only = o->only;
    g.except = o->except.item;
    g.excepts = (size_t)o->except.count;
    g.command = o->command;
    g.progress = show;
    g.user = o;
    machine_catch_interrupts();
    o->bar = progress_begin(1);
    const double started = machine_seconds();
    const gn_status st = gn_golden_write(o->out, &g, &err);
    progress_break(&o->bar);
    if (st != GN_OK) {
        const int status = tell("golden", &err);
        return machine_interrupted() ? EXIT_SIGINT : status;
    }
    printf("%s: %zu positions, %d steps, %.1f s\n", o->out, g.session.batch, o->steps,
           machine_seconds() - started);
    return EXIT_GOOD;
}

static int write_cases(const golden_options *o)
{
    gn_err err;
    gn_golden g = gn_golden_default();
    g.only = o->only;
    g.except = o->except.item;
    g.excepts = (size_t)o->except.count;
    g.check_flush = o->check_flush;
    g.command = o->command;
    if (gn_golden_write_cases(o->out, &g, &err) != GN_OK)
        return tell("golden", &err);
    printf("%s: cases of single ops\n", o->out);
    return EXIT_GOOD;
}

static int run(golden_options *o)
{
    gn_err err;
    gn_net net = {0};
    gn_games games = {0};
    gn_dataset dataset = {0};
    if (gn_net_create(&net, &o->net.config, &err) != GN_OK)
        return tell("golden", &err);
    const int size = net.config.board_size;
    o->records.board_size = size;
    int status = o->data.count > 0 ? records_read(&games, &o->data, &o->records, "golden")
                                   : records_embedded(&games, size, NULL, "golden");
    if (status == EXIT_GOOD && gn_dataset_create(&dataset, &games, size, NULL, 0, &err) != GN_OK)
        status = tell("golden", &err);
    if (status == EXIT_GOOD)
        status = write_file(o, &net, &dataset);
    gn_dataset_free(&dataset);
    gn_games_free(&games);
    gn_net_destroy(&net);
    return status;
}

/* What made the file, without what no byte depends on. */
static void command_line(golden_options *o, int argc, char **argv)
{
    size_t used = (size_t)snprintf(o->command, sizeof o->command, "gomokunet golden");
    for (int i = 1; i < argc && used < sizeof o->command; i++) {
        const char *a = argv[i];
        const bool skip = strncmp(a, "--out", 5) == 0 || strncmp(a, "--threads", 9) == 0 ||
                          strncmp(a, "--checkpoint", 12) == 0;
        if (skip)
            i += strchr(a, '=') == NULL;
        else if (strcmp(a, "--use-checkpoint") != 0)
            used += (size_t)snprintf(o->command + used, sizeof o->command - used, " %s", a);
    }
}

int command_golden(int argc, char **argv)
{
    golden_options o = {.net = net_options_default(), .batch = 64, .steps = 1, .seed = 1,
                        .lr = 1e-3, .optimizer = "adamw", .threads = gn_threads_available()};
    const option list[] = {
        NET_OPTIONS(&o.net),
        {"batch-size", OPT_INT, &o.batch, 1, 1 << 20, "N", "positions a step"},
        {"seed", OPT_SEED, &o.seed, 0, 0, "N", "of weights, order and symmetries"},
        {"steps", OPT_INT, &o.steps, 0, 1e6, "N", "training steps; 0: inference alone"},
        {"data", OPT_LIST, &o.data, 0, 0, "PATH", "game records; none: the built-in player's"},
        {"model", OPT_TEXT, &o.model, 0, 0, "FILE", "initial weights, instead of random ones"},
        {"lr", OPT_REAL, &o.lr, 0, 1e30, "X", "learning rate"},
        {"optimizer", OPT_TEXT, &o.optimizer, 0, 0, "NAME", "adamw or sgd"},
        {"checkpoint", OPT_TEXT, &o.checkpoint, 0, 0, "POLICY",
         "none, cheap, block or every:K; no byte depends on it"},
        {"no-inference", OPT_FLAG, &o.no_inference, 0, 0, NULL, "leave eval_forward/ out"},
        {"only", OPT_TEXT, &o.only, 0, 0, "PATTERN", "tensors whose name fits, with * and ?"},
        {"except", OPT_LIST, &o.except, 0, 0, "PATTERN", "but not those whose name fits this"},
        {"check-ftz", OPT_FLAG, &o.check_flush, 0, 0, NULL,
         "say in the metadata whether the bits need denormal numbers"},
        {"cases", OPT_FLAG, &o.cases, 0, 0, NULL, "single ops on given numbers, no network"},
        {"out", OPT_TEXT, &o.out, 0, 0, "FILE", ".safetensors, .npz, or .sha256 for digests alone"},
        {"threads", OPT_INT, &o.threads, 1, 256, "N", "threads; no byte depends on them"},
        RECORDS_OPTIONS(&o.records),
    };
    const command c = {"golden", "write golden tensors for other implementations", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (o.out == NULL) {
        fprintf(stderr, "gomokunet golden: --out FILE is needed\n");
        return EXIT_USAGE;
    }
    if (strcmp(o.optimizer, "adamw") != 0 && strcmp(o.optimizer, "sgd") != 0) {
        fprintf(stderr, "gomokunet golden: --optimizer \"%s\": expected adamw or sgd\n",
                o.optimizer);
        return EXIT_USAGE;
    }
    command_line(&o, argc, argv);
    if (o.cases)
        return write_cases(&o);
    if (!net_options_resolve(&o.net, "golden"))
        return EXIT_USAGE;
    return run(&o);
}
