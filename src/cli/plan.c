/* gomokunet plan.  SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "gomokunet/train.h"

static const double gib = 1024.0 * 1024.0 * 1024.0;

/* Forward runs of stages beyond the one that every policy needs. */
static gn_status extra_forward(int *out, const gn_net *net, const char *policy, gn_err *err)
{
    gn_schedule schedule;
    const gn_status st = gn_net_schedule(&schedule, net, policy, err);
    if (st != GN_OK)
        return st;
    *out = 0;
    for (int s = 0; s < gn_tape_stages(net->tape); s++)
        *out += gn_schedule_forward_runs(&schedule, s) - 1;
    gn_schedule_free(&schedule);
    return GN_OK;
}

static void print_row(const char *policy, const gn_memory *m, int extra, int stages, bool json,
                      bool first)
{
    if (!json) {
        /* Backward costs two forwards. */
        const double speed = 3.0 / (3.0 + (double)extra / (double)stages);
        printf("  %-10s %10.3f %10.3f %10.3f %10d %8.0f %%\n", policy, (double)m->saved / gib,
               (double)m->activations / gib, (double)m->total / gib, extra, 100 * speed);
        return;
    }
    fputs(first ? "{\"policy\":" : ",{\"policy\":", stdout);
    json_text(stdout, policy);
    printf(",\"saved_bytes\":%zu,\"peak_bytes\":%zu,\"total_bytes\":%zu,\"extra_forward\":%d}",
           m->saved, m->activations, m->total, extra);
}

static void print_head(const gn_net *net, const gn_session_config *config)
{
    const gn_textbook book = gn_net_textbook(&net->config, config->batch);
    const double map = (double)book.map_bytes / gib;
    printf("GomokuNet %d blocks x %d channels, %s, %dx%d, batch %zu: %zu parameters\n\n",
           net->config.num_blocks, net->config.channels, gn_conv_name(net->config.conv),
           net->config.board_size, net->config.board_size, config->batch,
           gn_tape_parameters(net->tape));
    printf("textbook (one map = %.2f MiB):\n", map * 1024);
    printf("  normal mode saves 6 maps a block:    %4zu maps, %8.2f GiB\n", book.normal_maps,
           map * (double)book.normal_maps);
    printf("  checkpointing saves 1 a block:       %4zu maps, %8.2f GiB, %.0f %% less\n\n",
           book.checkpoint_maps, map * (double)book.checkpoint_maps,
           100 * (1 - (double)book.checkpoint_maps / (double)book.normal_maps));
    printf("here, to the byte (GiB), table %s, %d threads:\n", config->table->name,
           config->threads);
    printf("  %-10s %10s %10s %10s %10s %10s\n", "policy", "saved", "peak", "all", "reruns",
           "speed");
}

static int print_schedule(const gn_net *net, const char *policy)
{
    gn_schedule schedule;
    gn_err err;
    if (gn_net_schedule(&schedule, net, policy, &err) != GN_OK)
        return tell("plan", &err);
    static char text[1 << 18];
    gn_schedule_text(&schedule, net->tape, text, sizeof text);
    fputs(text, stdout);
    gn_schedule_free(&schedule);
    return EXIT_GOOD;
}

static int print_policies(const gn_net *net, gn_session_config config, bool json)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2", "every:3", "every:5"};
    gn_err err;
    if (json)
        fputs("{\"policies\":[", stdout);
    else
        print_head(net, &config);
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        gn_memory m;
        int extra;
        config.policy = policies[i];
        if (gn_session_predict(&m, net, &config, &err) != GN_OK ||
            extra_forward(&extra, net, policies[i], &err) != GN_OK)
            return tell("plan", &err);
        print_row(policies[i], &m, extra, gn_tape_stages(net->tape), json, i == 0);
    }
    if (json)
        printf("],\"parameters\":%zu}\n", gn_tape_parameters(net->tape));
    else
        printf("\nsaved: held between forward and backward; peak: the arena's extent; all: with "
               "parameters,\ngradients and optimizer; reruns: stages run forward again; speed: by "
               "counting passes.\n");
    return EXIT_GOOD;
}

int command_plan(int argc, char **argv)
{
    net_options n = net_options_default();
    int batch = 1024, accumulate = 1, threads = gn_threads_available();
    const char *schedule = NULL;
    bool json = false;
    const option list[] = {
        NET_OPTIONS(&n),
        {"batch-size", OPT_INT, &batch, 1, 1 << 20, "N", "positions at a time"},
        {"accumulate", OPT_INT, &accumulate, 1, 1 << 16, "K", "batches a step"},
        {"threads", OPT_INT, &threads, 1, 256, "N", "threads: workspace depends on them"},
        {"schedule", OPT_TEXT, &schedule, 0, 0, "POLICY", "print this policy's schedule instead"},
        {"json", OPT_FLAG, &json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"plan", "what each checkpoint policy keeps and costs", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    gn_net net;
    gn_err err;
    if (!net_options_resolve(&n, "plan"))
        return EXIT_USAGE;
    if (gn_net_create(&net, &n.config, &err) != GN_OK)
        return tell("plan", &err);
    gn_session_config config = gn_session_default();
    config.batch = (size_t)batch;
    config.accumulate = (size_t)accumulate;
    config.threads = threads;
    const int status = schedule != NULL ? print_schedule(&net, schedule)
                                        : print_policies(&net, config, json);
    gn_net_destroy(&net);
    return status;
}
