/* What a run tells of itself: learning curves, the profile, the version.
 *
 * Pictures are read as text: where a known value must lie, in pixels.
 * SPDX-License-Identifier: MIT */
#include "support/rig.h"
#include "support/shell.h"

TestSuite(report, .init = shell_enter, .fini = shell_leave);

#define TINY "--board-size 5 --num-blocks 2 --channels 4 --batch-size 8 --lr 0.5 --clip 0.01"

static char picture[1 << 19], other_picture[1 << 19];

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

/* Every tag closes itself or is one of the few that hold something; good enough to see a break. */
static void is_whole(const char *svg)
{
    cr_assert_eq(strncmp(svg, "<svg ", 5), 0);
    cr_assert_str_eq(svg + strlen(svg) - 7, "</svg>\n");
    cr_assert_eq(occurrences(svg, "<"), occurrences(svg, ">"));
    cr_assert_eq(occurrences(svg, "<text"), occurrences(svg, "</text>"));
    cr_assert_null(strstr(svg, "nan"));
    cr_assert_null(strstr(svg, "inf"));
}

static void make_run(const char *folder, const char *lines)
{
    char path[256];
    snprintf(path, sizeof path, "mkdir -p '%s'", folder);
    cr_assert_eq(system(path), 0);
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    shell_write(path, lines);
}

/* --- Curves ---------------------------------------------------------------------------------- */

/* Panels are 440 x 240 pixels; loss at (70, 102), value (590, 102), top-1 (70, 430), rate
 * (590, 430).  Steps run from 0 to 4. */
static const char four_steps[] =
    "{\"config\":{\"lr\":7,\"steps\":4},\"parameters\":12}\n"
    "{\"step\":1,\"loss_policy\":4,\"loss_value\":null,\"lr\":0.5}\n"
    "{\"step\":2,\"loss_policy\":2,\"loss_value\":1,\"lr\":0.5,\"eval_loss_policy\":3,"
    "\"eval_loss_value\":1,\"eval_top1\":0.25,\"eval_top5\":0.5}\n"
    "{\"step\":3,\"loss_policy\":3,\"loss_value\":1,\"lr\":0.25}\n"
    "{\"step\":4,\"loss_policy\":2,\"loss_value\":1,\"lr\":0.25,\"eval_loss_policy\":2,"
    "\"eval_loss_value\":1,\"eval_top1\":0.5,\"eval_top5\":1}\n"
    "{\"step\":5,\"loss_policy\":9999,\"lr\":0.2"; /* the process was killed here */

Test(report, values_lie_where_the_axes_say)
{
    make_run("a", four_steps);
    cr_assert_eq(gomokunet("curve a --out a.svg"), 0, "%s", shell_err);
    shell_read("a.svg", picture, sizeof picture);
    is_whole(picture);
    HAS(picture, "policy loss", "value loss", "held-out accuracy", "learning rate", "each step",
        "training, smoothed", ">held-out<", ">top-1<", ">top-5<", ">step<");
    /* Policy loss from 2 to 4, one unit in 120 pixels; with so few steps smoothed is as it is. */
    static const char both[] = "M180.00 102.00 L290.00 342.00 L400.00 222.00 L510.00 342.00";
    cr_assert_eq(occurrences(picture, both), 2);
    HAS(picture, "M290.00 222.00 L510.00 342.00");  /* held-out 3, 2 */
    HAS(picture, "M290.00 610.00 L510.00 550.00");  /* top-1 0.25, 0.5 of 0 to 1 */
    HAS(picture, "M290.00 550.00 L510.00 430.00");  /* top-5 0.5, 1 */
    HAS(picture, "M700.00 430.00 L810.00 430.00 L920.00 550.00 L1030.00 550.00"); /* rate */
    /* A value that was not finite is left out: three steps of four. */
    HAS(picture, "M810.00 222.00 L920.00 222.00 L1030.00 222.00");
    cr_assert_null(strstr(picture, "9999"), "an unfinished line was read");
}

Test(report, runs_are_compared_by_colour)
{
    make_run("a", four_steps);
    make_run("b<&", "{\"step\":8,\"loss_policy\":2.5,\"loss_value\":0.5,\"lr\":0.125}\n");
    cr_assert_eq(gomokunet("curve a 'b<&' --out both.svg"), 0, "%s", shell_err);
    shell_read("both.svg", picture, sizeof picture);
    is_whole(picture);
    HAS(picture, ">a</text>", ">b&lt;&amp;</text>", "#4292c6", "#f16913");
    HAS(picture, "M645.00 430.00 L700.00 430.00 L755.00 550.00 L810.00 550.00"); /* of 8 steps */
    cr_assert_null(strstr(picture, "each step"));
    cr_assert_eq(gomokunet("curve a a a a a a a"), 2);
    HAS(shell_err, "7 run folders", "expected 1 to 6");
    cr_assert_eq(gomokunet("curve"), 2);
    cr_assert_eq(gomokunet("curve nowhere"), 2);
    HAS(shell_err, "nowhere/metrics.jsonl", "folder of a run");
    make_run("wild", "{\"step\":1e29,\"loss_policy\":1e308,\"loss_value\":-1e29,\"lr\":1e-300}\n"
                     "{\"step\":2e29,\"loss_policy\":-1e308,\"loss_value\":1e29}\n"
                     "{\"step\":1e308}\n");
    cr_assert_eq(gomokunet("curve wild --out wild.svg"), 0, "%s", shell_err);
    shell_read("wild.svg", picture, sizeof picture);
    is_whole(picture);
    make_run("empty", "{\"config\":{}}\n{\"step\":1");
    cr_assert_eq(gomokunet("curve empty"), 2);
    HAS(shell_err, "empty/metrics.jsonl", "no step");
    cr_assert_eq(gomokunet("curve a --out nowhere/a.svg"), 3);
    HAS(shell_err, "nowhere/a.svg");
}

/* The picture of a long run is no larger than a screen needs, and an outlier does not hide it. */
Test(report, a_long_run_stays_a_small_picture)
{
    cr_assert_eq(system("mkdir long"), 0);
    FILE *f = fopen("long/metrics.jsonl", "w");
    cr_assert_not_null(f);
    for (int i = 1; i <= 200000; i++)
        fprintf(f, "{\"step\":%d,\"loss_policy\":%g,\"loss_value\":0.5,\"lr\":0.001%s}\n", i,
                i == 77777 ? 1e9 : 2 + i % 2, i % 100 == 0 ? ",\"eval_top1\":0.3" : "");
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(gomokunet("curve long"), 0, "%s", shell_err);
    shell_read("curves.svg", picture, sizeof picture);
    is_whole(picture);
    cr_assert_lt(strlen(picture), 120000);
    HAS(picture, ">200000<", ">0.001<");
    /* Losses of 2 and 3 in turn: an axis that ends near 3. */
    cr_assert(strstr(picture, ">3<") != NULL && strstr(picture, ">4<") == NULL, "axis of the loss");
}

static void lines_of(const char *folder, char *svg, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "%s/curves.svg", folder);
    shell_read(path, svg, room);
    is_whole(svg);
}

/* The picture of a resumed run is that of one that was never stopped. */
Test(report, a_resumed_run_shows_the_whole_run)
{
    cr_assert_eq(gomokunet("train " TINY " --steps 12 --eval-every 3 --out whole"), 0);
    cr_assert_eq(gomokunet("train " TINY " --steps 5 --eval-every 3 --out split"), 0);
    cr_assert_eq(gomokunet("train --resume split --steps 12"), 0, "%s", shell_err);
    lines_of("whole", picture, sizeof picture);
    lines_of("split", other_picture, sizeof other_picture);
    const char *paths = strstr(picture, "<path"), *others = strstr(other_picture, "<path");
    cr_assert_not_null(paths);
    /* The run that was to end at step 5 was scored there too: only its held-out lines show it. */
    const char *end = strchr(paths, '\n');
    cr_assert_eq(strncmp(paths, others, (size_t)(end - paths)), 0);
    HAS(other_picture, ">12<", "L473.33 ", "L510.00 ");
}

/* A picture that cannot be drawn costs a word, once, and nothing else. */
Test(report, no_picture_costs_no_run)
{
    cr_assert_eq(system("mkdir -p run/curves.svg/in-the-way"), 0);
    cr_assert_eq(gomokunet("train " TINY " --steps 6 --eval-every 2 --out run"), 0);
    cr_assert_eq(occurrences(shell_err, "no learning curves"), 1, "%s", shell_err);
    HAS(shell_err, "run/curves.svg");
    shell_read("run/metrics.jsonl", picture, sizeof picture);
    cr_assert_eq(occurrences(picture, "\n{\"step\":"), 6);
    cr_assert_eq(access("run/model.safetensors", R_OK), 0);
}

/* --- The profile ----------------------------------------------------------------------------- */

/* The member of the row of an op and a pass. */
static double of_row(const char *json, const char *op, const char *pass, const char *key)
{
    char head[128];
    snprintf(head, sizeof head, "{\"op\":\"%s\",\"pass\":\"%s\",", op, pass);
    const char *row = strstr(json, head);
    cr_assert_not_null(row, "%s is missing in %s", head, json);
    return json_member(row, key);
}

Test(report, flops_and_bytes_are_those_counted_by_hand)
{
    enum { STEPS = 3, N = 8, HW = 25, C = 4 };
    cr_assert_eq(gomokunet("train " TINY " --use-checkpoint --steps 3 --eval-fraction 0 --profile "
                           "--json --out run"), 0, "%s", shell_err);
    HAS(shell_err, "profile: 3 steps", "GFLOP/s", "GB/s", "conv2d 3x3", "norm SE add relu",
        "recompute", "other",
        "the step");
    const char *json = strstr(shell_out, "{\"profile\":");
    cr_assert_not_null(json, "%s", shell_out);
    cr_assert_eq(json_member(json, "steps"), STEPS);
    /* The stem's convolution from 5 planes, and two in each of two blocks, the second of which is
     * the end of a span. */
    static const char middle[] = "batch_norm relu conv2d";
    static const char tail[] = "batch_norm squeeze_excite add relu";
    const double map = N * HW * C, stem = 2 * map * 5 * 9, block = 2 * map * C * 9;
    cr_assert_eq(of_row(json, "conv2d 3x3", "forward", "calls"), 3 * STEPS);
    cr_assert_eq(of_row(json, "conv2d 3x3", "forward", "flops"), STEPS * (stem + 2 * block));
    cr_assert_eq(of_row(json, middle, "forward", "flops"), STEPS * 2 * (8 * map + block));
    /* Backward is twice that, but the planes want no gradient; the gradient of each block's input
     * is there already, from the skip, and is added to. */
    cr_assert_eq(of_row(json, "conv2d 3x3", "backward", "flops"),
                 STEPS * (stem + 4 * block + 2 * map));
    cr_assert_eq(of_row(json, middle, "backward", "flops"), STEPS * 2 * (9 * map + 2 * block));
    /* A recompute has its statistics: it only applies them. */
    cr_assert_eq(of_row(json, middle, "recompute", "flops"),
                 (3 * map + block) * of_row(json, middle, "recompute", "calls"));
    /* Batch norm, mean, scale and add; two linear layers by way of one neuron, and a sigmoid. */
    cr_assert_eq(of_row(json, tail, "forward", "flops"),
                 STEPS * 2 * ((8 + 1 + 1 + 1) * map + (2 + 2 + 3) * N * C));
    cr_assert_eq(of_row(json, tail, "backward", "flops"),
                 STEPS * 2 * ((9 + 0 + 3 + 0) * map + (4 + 4 + 3) * N * C));
    cr_assert_eq(of_row(json, "conv2d 3x3", "forward", "bytes"),
                 4.0 * STEPS * (N * HW * 5 + C * 5 * 9 + map + 2 * (2 * map + C * C * 9)));
    /* A span moves its ends: x and y, seven rows of channels, the weights; backward x, dy, dx. */
    cr_assert_eq(of_row(json, middle, "forward", "bytes"),
                 4.0 * STEPS * 2 * (2 * map + (4 + 3) * C + C * C * 9));
    cr_assert_eq(of_row(json, middle, "backward", "bytes"),
                 4.0 * STEPS * 2 * (3 * map + (4 + 2) * C + 2 * C * C * 9));
    /* tanh backward: dout and y read, the gradient written; 8 values. */
    cr_assert_eq(of_row(json, "tanh", "backward", "bytes"), 4.0 * STEPS * 3 * N);
    cr_assert_eq(of_row(json, "batch", "data", "calls"), STEPS);
    const double seen = of_row(json, "norm, adamw", "optimiser", "flops");
    gn_err err;
    gn_net net;
    const gn_net_config config = small_net(5, 2, C, GN_DENSE);
    cr_assert_eq(gn_net_create(&net, &config, &err), GN_OK);
    cr_assert_eq(seen, 17.0 * STEPS * (double)gn_tape_parameters(net.tape));
    gn_net_destroy(&net);
}

/* The rows and "other" make up the wall time; returns the share of "other". */
static double share_of_other(const char *json)
{
    const double wall = json_member(json, "seconds"), other = json_member(json, "other_seconds");
    double sum = other;
    for (const char *row = json; (row = strstr(row, "{\"op\":")) != NULL; row++)
        sum += json_member(row, "seconds");
    cr_assert_float_eq(sum, wall, 1e-9 * wall);
    cr_assert_geq(other, 0);
    return other / wall;
}

/* The clock changes no bit, and hardly any time is in no row. */
Test(report, the_profile_is_of_the_same_run)
{
    static const char *const net = "train --board-size 9 --num-blocks 2 --channels 16 --steps 4 "
                                   "--use-checkpoint --batch-size 16 --eval-fraction 0 "
                                   "--threads 1";
    double least = 1; /* a machine that is busy elsewhere may stop the program anywhere */
    cr_assert_eq(gomokunet("%s --out plain", net), 0);
    cr_assert_null(strstr(shell_out, "profile"));
    for (int i = 0; i < 5 && least > 0.2; i++) {
        cr_assert_eq(gomokunet("%s --out profiled --profile --json", net), 0);
        cr_assert_eq(system("cmp plain/model.safetensors profiled/model.safetensors"), 0);
        const char *json = strstr(shell_out, "{\"profile\":");
        cr_assert_not_null(json);
        const double share = share_of_other(json);
        least = share < least ? share : least;
    }
    cr_assert_leq(least, 0.2, "%.0f %% of the step is in no row", 100 * least);
}

/* --- The watch ------------------------------------------------------------------------------- */

typedef struct pairs {
    size_t told, hooked, wrong;
    gn_event begun;
} pairs;

static void watch(void *user, const gn_event *event)
{
    pairs *p = user;
    if (p->told++ % 2 == 0)
        p->begun = *event;
    else
        p->wrong += event->record != p->begun.record || event->pass != p->begun.pass;
}

/* The engine's hook comes after a record's end, or before its begin: never inside. */
static void hook(void *user, const gn_event *event)
{
    pairs *p = user;
    p->hooked++;
    p->wrong += p->told % 2 != 0;
    p->wrong += event->pass != GN_BACKWARD && event->record != p->begun.record;
}

Test(report, a_watch_sees_each_run_begin_and_end)
{
    pairs p = {0};
    rig r = rig_open(small_net(5, 3, 4, GN_SEPARABLE), &gn_plain, 4, 1, "block");
    samples x = samples_make(&r.net.config, 4, 9);
    gn_engine_watch(r.engine, watch, &p);
    gn_engine_hook(r.engine, hook, &p);
    rig_feed(&r, &x);
    rig_run(&r);
    cr_assert_eq(p.wrong, 0);
    cr_assert_gt(p.hooked, (size_t)gn_tape_records(r.net.tape));
    cr_assert_eq(p.told, 2 * p.hooked);
    gn_engine_watch(r.engine, NULL, NULL);
    rig_run(&r);
    cr_assert_lt(p.told, 2 * p.hooked);
    samples_free(&x);
    rig_close(&r);
}

/* --- What the program says of itself --------------------------------------------------------- */

Test(report, the_version_tells_how_it_was_built)
{
    cr_assert_eq(gomokunet("--version"), 0);
    HAS(shell_out, "gomokunet 0.1.0\n", "\ncontract: order v1\n", "\ncompiler: ", "\nopenmp: ",
        "\ninstruction set: ", "plain", "\nlibraries: zlib 1.");
    cr_assert(strstr(shell_out, "compiler: gcc") != NULL ||
              strstr(shell_out, "compiler: clang") != NULL);
    cr_assert_not_null(strstr(shell_out, gn_table_fast()->name));
}

Test(report, help_explains_commands_by_name)
{
    cr_assert_eq(gomokunet("plan --help"), 0);
    strcpy(picture, shell_out);
    cr_assert_eq(gomokunet("help plan"), 0);
    cr_assert_str_eq(shell_out, picture);
    HAS(shell_out, "(default: 1024)", "(default: one a core)");
    cr_assert_eq(gomokunet("help plan nothing"), 2);
    HAS(shell_err, "\"nothing\" is no command");
    cr_assert_eq(gomokunet("plan --help=html"), 2);
    HAS(shell_err, "expected text, man, bash or zsh");
    cr_assert_eq(gomokunet("completion fish"), 2);
    HAS(shell_err, "bash or zsh");
    cr_assert_eq(gomokunet("completion"), 2);
}
