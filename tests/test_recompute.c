/* Recomputed values and gradients, watched from outside: hooks, debug mode, injected faults.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"
#include "support/truth.h"

enum { BATCH = 3 };

static gn_net_config config_of(gn_conv conv)
{
    return small_net(5, 4, 5, conv);
}

/* --- Hooks ------------------------------------------------------------------------------------ */

/* What a caller reads after a run has outlived it. */
static void outputs_are_there(const rig *r, const truth *t)
{
    const gn_value outputs[] = {r->net.logits, r->net.value, r->net.loss_policy,
                                r->net.loss_value, r->net.loss};
    for (int i = 0; i < 5; i++) {
        const gn_value_info *info = gn_tape_value(r->net.tape, outputs[i]);
        cr_assert(info->pinned, "%s is not pinned", info->name);
        same_bits(info->name, gn_engine_data(r->engine, outputs[i]), t->data[outputs[i]],
                  gn_shape_count(gn_program_shape(r->program, outputs[i])));
    }
}

static void watch_policy(gn_conv conv, const char *policy, bool debug)
{
    rig r = rig_open(config_of(conv), &gn_plain, BATCH, 1, policy);
    samples x = samples_make(&r.net.config, BATCH, 5);
    rig_feed(&r, &x);
    truth t = truth_open(r.engine, r.program);
    truth_watch w = {.truth = &t, .run = policy};
    gn_engine_debug(r.engine, debug);
    gn_engine_hook(r.engine, truth_compare, &w);
    rig_run(&r);
    size_t backs = 0;
    for (int k = 0; k < gn_tape_records(r.net.tape); k++)
        backs += gn_program_has_backward(r.program, k);
    cr_assert_eq((int)w.seen[GN_FORWARD], gn_tape_records(r.net.tape));
    cr_assert_eq(w.seen[GN_BACKWARD], backs);
    cr_assert_eq(w.seen[GN_RECOMPUTE] > 0, strcmp(policy, "none") != 0);
    truth_gradients(&t, r.program, r.store);
    outputs_are_there(&r, &t);
    gn_engine_hook(r.engine, NULL, NULL);
    rig_run(&r);
    cr_assert_eq(w.seen[GN_BACKWARD], backs, "a hook that was taken away is silent");
    truth_close(&t);
    samples_free(&x);
    rig_close(&r);
}

Test(recompute, every_value_and_whole_gradient_is_the_true_one)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2", "every:3"};
    for (int i = 0; i < 5; i++)
        for (int debug = 0; debug < 2; debug++) { /* debug: and the memory was poisoned */
            watch_policy(GN_DENSE, policies[i], debug != 0);
            watch_policy(GN_SEPARABLE, policies[i], debug != 0);
        }
}

/* A value that was overwritten in place is not there any more; inputs that are there are whole. */
static void look_at_inputs(void *user, const gn_event *event)
{
    truth_watch *w = user;
    const gn_tape *tape = gn_program_tape(event->program);
    const gn_record *r = gn_tape_record_at(tape, event->record);
    for (int i = 0; i < r->nin && event->pass != GN_BACKWARD; i++) {
        const float *x = event->places.data[r->in[i]];
        w->seen[x == NULL ? 0 : 1]++;
        if (x != NULL)
            same_bits(gn_tape_value(tape, r->in[i])->name, x, w->truth->data[r->in[i]],
                      gn_shape_count(gn_program_shape(event->program, r->in[i])));
    }
}

Test(recompute, inputs_that_a_hook_sees_are_whole)
{
    rig r = rig_open(config_of(GN_DENSE), &gn_plain, BATCH, 1, "block");
    samples x = samples_make(&r.net.config, BATCH, 5);
    rig_feed(&r, &x);
    truth t = truth_open(r.engine, r.program);
    truth_watch w = {.truth = &t};
    gn_engine_hook(r.engine, look_at_inputs, &w);
    rig_run(&r);
    cr_assert(w.seen[0] > 0 && w.seen[1] > w.seen[0], "something runs in place, most does not");
    truth_close(&t);
    samples_free(&x);
    rig_close(&r);
}

/* Counts how often each record was recomputed. */
static void count_recomputes(void *user, const gn_event *event)
{
    if (event->pass == GN_RECOMPUTE)
        ((int *)user)[event->record]++;
}

Test(recompute, nothing_is_recomputed_that_is_not_read)
{
    rig r = rig_open(config_of(GN_DENSE), &gn_plain, BATCH, 1, "block");
    samples x = samples_make(&r.net.config, BATCH, 5);
    int runs[256] = {0};
    cr_assert_lt(gn_tape_records(r.net.tape), 256);
    gn_engine_hook(r.engine, count_recomputes, runs);
    rig_feed(&r, &x);
    rig_run(&r);
    static const char *const block[] = {"blocks.1.conv1.conv", "blocks.1.conv1.bn",
                                        "blocks.1.relu1", "blocks.1.conv2.conv",
                                        "blocks.1.conv2.bn"};
    for (int k = 0; k < gn_tape_records(r.net.tape); k++) {
        const gn_record *record = gn_tape_record_at(r.net.tape, k);
        bool expected = strcmp(record->name, "input_conv.0") == 0;
        for (size_t i = 0; i < sizeof block / sizeof *block; i++)
            expected = expected || strcmp(record->name, block[i]) == 0;
        const bool judged = record->stage == 0 || record->stage == 2 || record->stage > 3;
        if (judged)
            cr_assert_eq(runs[k], expected ? 1 : 0, "%s ran again %d times", record->name,
                         runs[k]);
    }
    samples_free(&x);
    rig_close(&r);
}

/* --- Faults ----------------------------------------------------------------------------------- */

typedef struct fault {
    const char *record; /* whose recomputed output is changed; NULL: none */
    int image;
} fault;

static void flip_one_bit(void *user, const gn_event *event)
{
    const fault *f = user;
    const gn_record *r = gn_tape_record_at(gn_program_tape(event->program), event->record);
    if (f->record == NULL || event->pass != GN_RECOMPUTE || strcmp(r->name, f->record) != 0)
        return;
    const size_t count = gn_shape_count(gn_program_shape(event->program, r->out[0])) / BATCH;
    uint32_t *word = (uint32_t *)event->places.data[r->out[0]] + (size_t)f->image * count + 7;
    *word ^= 1;
}

static void says_all(const char *text, const char *const *parts, int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_not_null(strstr(text, parts[i]), "\"%s\" does not say \"%s\"", text, parts[i]);
}

Test(recompute, one_flipped_bit_is_caught_and_named)
{
    rig r = rig_open(config_of(GN_DENSE), &gn_plain, BATCH, 2, "every:2");
    samples x = samples_make(&r.net.config, BATCH, 5);
    gn_err err = {0};
    fault f = {"blocks.1.conv2.conv", 2};
    rig_feed(&r, &x);
    gn_engine_hook(r.engine, flip_one_bit, &f);
    rig_run(&r); /* nobody looks */
    gn_engine_debug(r.engine, true);
    for (int image = 0; image < BATCH; image++) {
        char where[32];
        f.image = image;
        snprintf(where, sizeof where, "image %d ", image);
        cr_assert_eq(gn_engine_run(r.engine, &err), GN_E_NUMERIC);
        says_all(err.text, (const char *const[]){"stage blocks.1", "op conv2d",
                                                 "blocks.1.conv2.conv", where}, 4);
    }
    f.record = NULL; /* what failed before does not stay */
    rig_run(&r);
    rig_run(&r);
    cr_assert_eq(gn_engine_measured(r.engine).peak, gn_engine_predicted(r.engine).peak);
    samples_free(&x);
    rig_close(&r);
}

/* A convolution that is not a function: its recompute gives another last element. */
static void unsteady_forward(const gn_call *c)
{
    gn_table_find(&gn_plain, "conv2d")->forward(c);
    if (c->pass == GN_RECOMPUTE)
        ((float *)c->out[0].data)[gn_shape_count(c->out[0].shape) - 1] += 1;
}

static gn_row unsteady_row;
static const gn_row *const unsteady_rows[] = {&unsteady_row};
static const gn_table unsteady = {.name = "unsteady", .elem = sizeof(float), .row = unsteady_rows,
                                  .count = 1, .under = &gn_plain};

Test(recompute, an_op_that_is_no_function_is_caught)
{
    unsteady_row = *gn_table_find(&gn_plain, "conv2d");
    unsteady_row.forward = unsteady_forward;
    static const char *const policies[] = {"none", "block"};
    for (int i = 0; i < 2; i++) {
        gn_net_config config = config_of(GN_DENSE);
        rig r = rig_open(config, &unsteady, BATCH, 1, policies[i]);
        samples x = samples_make(&config, BATCH, 5);
        gn_err err = {0};
        rig_feed(&r, &x);
        gn_engine_debug(r.engine, true);
        const gn_status st = gn_engine_run(r.engine, &err);
        cr_assert_eq(st, i == 0 ? GN_OK : GN_E_NUMERIC, "%s: %s", policies[i], err.text);
        if (i == 1) /* the first recompute of all: the last block but one */
            says_all(err.text, (const char *const[]){"stage blocks.2", "op conv2d",
                                                     "value blocks.2.conv1.conv,", "image 2"}, 4);
        samples_free(&x);
        rig_close(&r);
    }
}

Test(recompute, a_session_reports_it_and_keeps_its_parameters)
{
    unsteady_row = *gn_table_find(&gn_plain, "conv2d");
    unsteady_row.forward = unsteady_forward;
    gn_net_config config = config_of(GN_DENSE);
    config.use_checkpoint = true;
    gn_net net;
    gn_session *s;
    gn_session_config sc = gn_session_default();
    sc.table = &unsteady;
    sc.batch = BATCH;
    sc.threads = 1;
    sc.debug = true;
    gn_err err = {0};
    cr_assert_eq(gn_net_create(&net, &config, &err), GN_OK);
    cr_assert(gn_session_create(&s, &net, &sc, &err) == GN_OK, "%s", err.text);
    samples x = samples_make(&config, BATCH, 5);
    const gn_store *store = gn_session_store(s);
    const gn_value first = gn_tape_find(net.tape, "input_conv.0.weight");
    void *before = malloc(gn_store_data_bytes(store));
    memcpy(before, gn_store_data(store, first), gn_store_data_bytes(store));
    gn_step_result result;
    cr_assert_eq(gn_session_step(s, x.planes, x.policy, x.value, 0.01, &result, &err),
                 GN_E_NUMERIC);
    says_all(err.text, (const char *const[]){"stage blocks.2"}, 1);
    cr_assert_eq(memcmp(before, gn_store_data(store, first), gn_store_data_bytes(store)), 0);
    free(before);
    samples_free(&x);
    gn_session_destroy(s);
    gn_net_destroy(&net);
}
