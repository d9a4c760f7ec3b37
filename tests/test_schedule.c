/* Schedules as data: what a policy writes, how often a stage runs, and what is refused.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/rig.h"

enum { STEM, FIRST, SECOND, HEADS, STAGES };

/* --- What policies write ---------------------------------------------------------------------- */

static void writes(const char *policy, const char *want)
{
    const gn_net_config config = small_net(5, 3, 4, GN_DENSE);
    gn_net net;
    gn_schedule s;
    char text[1024], part[8];
    cr_assert_eq(gn_net_create(&net, &config, NULL), GN_OK);
    cr_assert_eq(gn_net_schedule(&s, &net, policy, NULL), GN_OK);
    cr_assert_eq(gn_schedule_text(&s, net.tape, text, sizeof text), strlen(want), "%s", text);
    cr_assert_str_eq(text, want);
    cr_assert_eq(gn_schedule_text(&s, net.tape, part, sizeof part), strlen(want));
    cr_assert_eq(strlen(part), sizeof part - 1, "a short text is cut, and ends");
    cr_assert_eq(gn_schedule_text(&s, net.tape, NULL, 0), strlen(want));
    cr_assert_str_eq(s.name, policy);
    gn_schedule_free(&s);
    gn_net_destroy(&net);
}

Test(schedule, texts)
{
    writes("none", "keep stem\nkeep blocks.0\nkeep blocks.1\nkeep blocks.2\nkeep heads\n"
                   "back heads\nback blocks.2\nback blocks.1\nback blocks.0\nback stem\n");
    writes("cheap", "thin stem\nthin blocks.0\nthin blocks.1\nthin blocks.2\nkeep heads\n"
                    "back heads\nback blocks.2\nback blocks.1\nback blocks.0\nback stem\n");
    writes("block", "run  stem\nrun  blocks.0\nrun  blocks.1\nkeep blocks.2\nkeep heads\n"
                    "back heads\nback blocks.2\nkeep blocks.1\nback blocks.1\n"
                    "keep blocks.0\nback blocks.0\nkeep stem\nback stem\n");
    writes("every:2", "run  stem\nrun  blocks.0\nrun  blocks.1\ndrop input of blocks.1\n"
                      "keep blocks.2\nkeep heads\nback heads\nback blocks.2\n"
                      "keep blocks.0\nkeep blocks.1\nback blocks.1\nback blocks.0\n"
                      "keep stem\nback stem\n");
    writes("inference", "run  stem\nrun  blocks.0\nrun  blocks.1\nrun  blocks.2\nrun  heads\n");
}

Test(schedule, unknown_policies_are_named)
{
    static const char *const wrong[] = {"", "blocks", "every", "every:", "every:0", "every:-1",
                                        "every:2x", "every:10001", "every:99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        gn_err err = {0};
        gn_schedule s;
        cr_assert_eq(gn_schedule_create(&s, wrong[i], 5, &err), GN_E_CONFIG, "%s", wrong[i]);
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\": expected none, cheap, block or every:K", wrong[i]);
        cr_assert_not_null(strstr(err.text, quoted), "%s", err.text);
        cr_assert_null(s.action);
    }
}

Test(schedule, the_switch_of_the_network)
{
    gn_net_config config = small_net(5, 3, 4, GN_DENSE);
    for (int i = 0; i < 2; i++) {
        gn_net net;
        gn_schedule s;
        config.use_checkpoint = i != 0;
        cr_assert_eq(gn_net_create(&net, &config, NULL), GN_OK);
        cr_assert_eq(gn_net_schedule(&s, &net, NULL, NULL), GN_OK);
        cr_assert_str_eq(s.name, i != 0 ? "block" : "none");
        cr_assert_eq(gn_schedule_recomputes(&s), i != 0);
        gn_schedule_free(&s);
        gn_net_destroy(&net);
    }
}

/* --- Forward runs ----------------------------------------------------------------------------- */

/* Stage 0 is the stem; the last segment is `last` blocks and the heads. */
static void counts(const char *policy, int blocks, int last)
{
    const gn_net_config config = small_net(5, blocks, 3, GN_SEPARABLE);
    rig r = rig_open(config, &gn_plain, 2, 1, policy);
    samples x = samples_make(&config, 2, 3);
    for (int run = 0; run < 2; run++) {
        rig_feed(&r, &x);
        rig_run(&r);
        for (int s = 0; s < blocks + 2; s++) {
            const int want = s > blocks - last ? 1 : 2;
            cr_assert_eq(gn_engine_forward_runs(r.engine, s), want, "%s, %d blocks, stage %d: %d",
                         policy, blocks, s, gn_engine_forward_runs(r.engine, s));
            cr_assert_eq(gn_schedule_forward_runs(&r.schedule, s), want);
        }
    }
    samples_free(&x);
    rig_close(&r);
}

Test(schedule, forward_runs_are_those_of_the_schedule)
{
    counts("none", 9, 10); /* the stem belongs to the last segment too */
    counts("block", 9, 1);
    counts("every:2", 9, 1);
    counts("every:3", 9, 3);
    counts("every:7", 9, 2);
    counts("every:2", 8, 2);
    counts("every:30", 9, 9);
    counts("block", 1, 1);
}

/* --- Illegal schedules ------------------------------------------------------------------------ */

enum { R = GN_RUN, K = GN_RUN_KEEP, D = GN_DROP_INPUT, B = GN_RUN_BACK };

/* A list of pairs, the action and its stage; part NULL: legal. */
static void schedule_says(const int *pairs, size_t count, const char *part)
{
    rig r = rig_open(small_net(5, 2, 3, GN_DENSE), &gn_plain, 1, 1, "none");
    gn_action action[32];
    for (size_t i = 0; i < count; i++)
        action[i] = (gn_action){(gn_action_kind)pairs[2 * i], pairs[2 * i + 1]};
    const gn_schedule s = {.name = "by hand", .action = action, .count = count, .room = count};
    gn_err err = {0};
    gn_plan plan;
    const gn_status st = gn_plan_create(&plan, r.program, &s, &err);
    if (part == NULL) {
        cr_assert(st == GN_OK, "%s", err.text);
    } else {
        cr_assert_eq(st, GN_E_CONFIG, "expected \"%s\"", part);
        cr_assert_not_null(strstr(err.text, part), "\"%s\" does not say \"%s\"", err.text, part);
        cr_assert_null(plan.step);
        gn_engine *e = NULL;
        cr_assert_eq(gn_engine_create(&e, r.program, &s, r.store, r.pool, &err), GN_E_CONFIG);
        cr_assert_null(e);
    }
    gn_plan_free(&plan);
    rig_close(&r);
}
#define PAIRS(...) ((const int[]){__VA_ARGS__})
#define SAYS(part, ...)                                                                           \
    schedule_says(PAIRS(__VA_ARGS__), sizeof PAIRS(__VA_ARGS__) / sizeof(int) / 2, part)
#define FORWARD K, STEM, K, FIRST, K, SECOND, K, HEADS

Test(schedule, legal_by_hand)
{
    SAYS(NULL, FORWARD, B, HEADS, B, SECOND, B, FIRST, B, STEM);
    /* recomputed in another order than any policy does, and once more than needed */
    SAYS(NULL, R, STEM, R, FIRST, R, SECOND, R, HEADS, K, HEADS, B, HEADS, K, SECOND, B, SECOND,
         R, FIRST, K, STEM, K, FIRST, B, FIRST, B, STEM);
}

Test(schedule, forward_and_backward_must_be_whole)
{
    SAYS("stage heads never runs forward", K, STEM, K, FIRST, K, SECOND);
    SAYS("stage blocks.1 runs without its input blocks.0", K, STEM, K, SECOND);
    SAYS("stage heads never runs backward", FORWARD);
    SAYS("stage stem never runs backward", FORWARD, B, HEADS, B, SECOND, B, FIRST);
}

Test(schedule, backward_goes_backward)
{
    SAYS("stage blocks.1 runs backward out of order, expected heads", FORWARD, B, SECOND);
    SAYS("stage heads runs backward out of order, expected blocks.1", FORWARD, B, HEADS, B, HEADS);
    SAYS("stage stem runs backward out of order, expected none", FORWARD, B, HEADS, B, SECOND,
         B, FIRST, B, STEM, B, STEM);
}

Test(schedule, backward_reads_what_is_there)
{
    SAYS("and stage heads is not kept", K, STEM, K, FIRST, K, SECOND, B, HEADS);
    SAYS("and stage blocks.1 is not kept", K, STEM, K, FIRST, R, SECOND, K, HEADS, B, HEADS,
         B, SECOND, B, FIRST, B, STEM);
    SAYS("blocks.0 is read after it was dropped, and stage blocks.0 is not kept", R, STEM,
         R, FIRST, R, SECOND, D, SECOND, K, HEADS, B, HEADS, K, SECOND, B, SECOND);
    SAYS("stage blocks.1 runs without its input blocks.0", K, STEM, K, FIRST, D, SECOND,
         K, SECOND);
}

Test(schedule, stages_must_exist)
{
    SAYS("action 1 names stage 4 of 4", K, STEM, K, STAGES);
    SAYS("action 0 names stage -1 of 4", B, -1);
}
