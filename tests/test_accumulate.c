/* Gradient accumulation: what a step of several micro-batches is made of.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"
#include "support/shell.h"

enum { SIZE = 5, CELLS = SIZE * SIZE, PART = 3, PARTS = 3 };

/* A session with `accumulate` micro-batches and the samples of all of them. */
typedef struct course {
    gn_net net;
    gn_session *session;
    samples x;
} course;

static gn_session_config config_of(size_t accumulate)
{
    gn_session_config config = gn_session_default();
    config.batch = PART;
    config.threads = 2;
    config.accumulate = accumulate;
    return config;
}

static void open_with(course *c, const gn_session_config *config)
{
    const gn_net_config net = small_net(SIZE, 2, 6, GN_DENSE);
    gn_err err = {0};
    cr_assert_eq(gn_net_create(&c->net, &net, NULL), GN_OK);
    cr_assert(gn_session_create(&c->session, &c->net, config, &err) == GN_OK, "%s", err.text);
    c->x = samples_make(&net, PART * PARTS, 8);
}

static void course_open(course *c, size_t accumulate)
{
    const gn_session_config config = config_of(accumulate);
    open_with(c, &config);
}

static void course_close(course *c)
{
    samples_free(&c->x);
    gn_session_destroy(c->session);
    gn_net_destroy(&c->net);
}

/* A step with the samples from micro-batch `part` on. */
static gn_step_result step(const course *c, size_t part, double rate)
{
    gn_step_result r;
    gn_err err = {0};
    const size_t first = part * PART;
    const gn_status st = gn_session_step(c->session, c->x.planes + first * CELLS * GN_PLANES,
                                         c->x.policy + first * CELLS, c->x.value + first, rate, &r,
                                         &err);
    cr_assert(st == GN_OK, "%s", err.text);
    return r;
}

static float *block_of(const course *c, size_t *count)
{
    gn_store *store = gn_session_store(c->session);
    *count = gn_store_data_bytes(store) / sizeof(float);
    return gn_store_data(store, gn_tape_find(c->net.tape, "input_conv.0.weight"));
}

static void same_state(const course *a, const course *b)
{
    size_t count, other;
    const float *x = block_of(a, &count), *y = block_of(b, &other);
    cr_assert_eq(count, other);
    same_bits("parameters and running statistics", x, y, count);
}

/* --- The mean of the gradients ---------------------------------------------------------------- */

/* The gradients of every micro-batch alone, added and multiplied by hand. */
static void mean_by_hand(const course *one, float **mean, gn_step_result *sum)
{
    gn_store *store = gn_session_store(one->session);
    *sum = (gn_step_result){0};
    for (size_t part = 0; part < PARTS; part++) {
        const gn_step_result r = step(one, part, 0); /* rate 0: no parameter moves */
        sum->loss += r.loss;
        sum->loss_policy += r.loss_policy;
        sum->loss_value += r.loss_value;
        sum->top1 += r.top1;
        for (int v = 0; v < gn_tape_values(one->net.tape); v++) {
            const float *g = gn_store_grad(store, v);
            const size_t n = gn_shape_count(gn_tape_value(one->net.tape, v)->shape);
            if (g == NULL)
                continue;
            if (part == 0)
                mean[v] = calloc(n, sizeof(float));
            for (size_t i = 0; i < n; i++) {
                mean[v][i] = part == 0 ? g[i] : mean[v][i] + g[i];
                if (part + 1 == PARTS)
                    mean[v][i] *= (float)(1.0 / PARTS);
            }
        }
    }
}

Test(accumulate, gradients_losses_and_statistics_by_hand)
{
    static float *mean[1000];
    course all, one;
    course_open(&all, PARTS);
    course_open(&one, 1);
    gn_step_result sum;
    mean_by_hand(&one, mean, &sum);
    const gn_step_result r = step(&all, 0, 0);
    for (int v = 0; v < gn_tape_values(all.net.tape); v++)
        if (mean[v] != NULL) {
            same_bits(gn_tape_value(all.net.tape, v)->name,
                      gn_store_grad(gn_session_store(all.session), v), mean[v],
                      gn_shape_count(gn_tape_value(all.net.tape, v)->shape));
            free(mean[v]);
        }
    cr_assert(r.loss == sum.loss / PARTS && r.loss_policy == sum.loss_policy / PARTS &&
              r.loss_value == sum.loss_value / PARTS);
    cr_assert(r.top1 == sum.top1 && r.targets == PART * PARTS);
    same_state(&all, &one); /* with rate 0 only the running statistics have moved */
    course_close(&all);
    course_close(&one);
}

/* The optimiser sees the mean: a second store takes the step with the gradients of the first. */
Test(accumulate, the_optimiser_steps_along_the_mean)
{
    course c;
    gn_optimizer *optimizer;
    gn_err err = {0};
    course_open(&c, PARTS);
    const gn_optimizer_config adamw = gn_optimizer_default();
    gn_store *store = gn_session_store(c.session), *own;
    cr_assert_eq(gn_optimizer_create(&optimizer, c.net.tape, gn_table_fast(), &adamw, &err), GN_OK);
    cr_assert_eq(gn_store_create(&own, c.net.tape, gn_table_fast(), true, &err), GN_OK);
    gn_store_init(own, 1);
    for (int n = 0; n < 3; n++) {
        const gn_step_result r = step(&c, 0, 0.01);
        for (int v = 0; v < gn_tape_values(c.net.tape); v++)
            if (gn_store_grad(store, v) != NULL)
                memcpy(gn_store_grad(own, v), gn_store_grad(store, v),
                       gn_shape_count(gn_tape_value(c.net.tape, v)->shape) * sizeof(float));
        cr_assert_eq(r.grad_norm, gn_optimizer_measure(optimizer, own));
        gn_optimizer_step(optimizer, own, 0.01);
        for (int v = 0; v < gn_tape_values(c.net.tape); v++)
            if (gn_store_grad(own, v) != NULL)
                same_bits(gn_tape_value(c.net.tape, v)->name, gn_store_data(store, v),
                          gn_store_data(own, v),
                          gn_shape_count(gn_tape_value(c.net.tape, v)->shape));
    }
    gn_optimizer_destroy(optimizer);
    gn_store_destroy(own);
    course_close(&c);
}

/* --- The same bits ---------------------------------------------------------------------------- */

Test(accumulate, threads_policies_and_tables_change_no_bit)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2"};
    course first;
    course_open(&first, PARTS);
    for (int n = 0; n < 3; n++)
        step(&first, 0, 0.01);
    for (int i = 0; i < 8; i++) {
        course c;
        gn_session_config config = config_of(PARTS);
        config.threads = 1 + i % 3;
        config.policy = policies[i / 2];
        config.table = i % 2 == 0 ? &gn_plain : gn_table_fast();
        open_with(&c, &config);
        for (int n = 0; n < 3; n++)
            step(&c, 0, 0.01);
        same_state(&c, &first);
        course_close(&c);
    }
    course_close(&first);
}

Test(accumulate, one_micro_batch_is_no_accumulation)
{
    course none, one;
    course_open(&none, 0);
    course_open(&one, 1);
    for (size_t n = 0; n < PARTS; n++) {
        const gn_step_result a = step(&none, n, 0.01), b = step(&one, n, 0.01);
        cr_assert(a.loss == b.loss && a.grad_norm == b.grad_norm);
    }
    same_state(&none, &one);
    const gn_memory a = gn_session_memory(none.session), b = gn_session_memory(one.session);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
    course_close(&none);
    course_close(&one);
}

/* --- Memory and faults ------------------------------------------------------------------------ */

Test(accumulate, memory_is_what_was_predicted)
{
    course c, one;
    course_open(&c, PARTS);
    course_open(&one, 1);
    gn_memory want;
    const gn_session_config config = config_of(PARTS);
    cr_assert_eq(gn_session_predict(&want, &c.net, &config, NULL), GN_OK);
    step(&c, 0, 0.01);
    step(&one, 0, 0.01);
    const gn_memory got = gn_session_memory(c.session), less = gn_session_memory(one.session);
    cr_assert_eq(memcmp(&got, &want, sizeof got), 0, "%zu, predicted %zu", got.total, want.total);
    cr_assert_eq(got.gradients, 2 * less.gradients);
    cr_assert_eq(got.total, less.total + less.gradients);
    cr_assert_eq(got.activations, less.activations, "those of one micro-batch");
    course_close(&c);
    course_close(&one);
}

Test(accumulate, a_bad_micro_batch_is_named_and_no_parameter_moves)
{
    for (size_t part = 0; part < PARTS; part++) {
        course c, fresh;
        gn_err err = {0};
        gn_step_result r;
        course_open(&c, PARTS);
        course_open(&fresh, PARTS);
        c.x.planes[part * PART * CELLS * GN_PLANES + 17] = NAN;
        cr_assert_eq(gn_session_step(c.session, c.x.planes, c.x.policy, c.x.value, 0.01, &r, &err),
                     GN_E_NUMERIC);
        cr_assert_not_null(strstr(err.text, "that is not finite is input/planes"), "%s", err.text);
        for (int v = 0; v < gn_tape_values(c.net.tape); v++)
            if (gn_tape_value(c.net.tape, v)->kind == GN_PARAM)
                same_bits("parameters", gn_store_data(gn_session_store(c.session), v),
                          gn_store_data(gn_session_store(fresh.session), v),
                          gn_shape_count(gn_tape_value(c.net.tape, v)->shape));
        course_close(&c);
        course_close(&fresh);
    }
}

/* --- The program ------------------------------------------------------------------------------ */

#define NET "--board-size 5 --num-blocks 2 --channels 4"

static void same_model(const char *a, const char *b)
{
    char line[128];
    snprintf(line, sizeof line, "cmp %s/model.safetensors %s/model.safetensors >&2", a, b);
    cr_assert_eq(system(line), 0, "%s and %s differ", a, b);
}

Test(accumulate, a_run_says_what_batch_norm_sees, .init = shell_enter, .fini = shell_leave)
{
    static char text[1 << 16];
    cr_assert_eq(gomokunet("train %s --batch-size 4 --accumulate 3 --steps 2 --out run", NET), 0);
    HAS(shell_out, "accumulate: a step is 3 micro-batches of 4 positions, 12 together; "
                   "batch normalisation sees 4 at a time, not 12");
    shell_read("run/metrics.jsonl", text, sizeof text);
    const double epoch = json_member(strstr(text, "{\"step\":2"), "epoch");
    cr_assert_eq(gomokunet("train %s --batch-size 12 --steps 2 --out other", NET), 0);
    cr_assert_null(strstr(shell_out, "accumulate"));
    shell_read("other/metrics.jsonl", text, sizeof text);
    cr_assert_eq(json_member(strstr(text, "{\"step\":2"), "epoch"), epoch, "as many positions");
    cr_assert_neq(system("cmp -s run/model.safetensors other/model.safetensors"), 0);
    cr_assert_eq(gomokunet("train %s --accumulate 0", NET), 2);
    HAS(shell_err, "--accumulate \"0\"");
    cr_assert_eq(gomokunet("train %s --batch-size 8 --accumulate 60000 --out no", NET), 2);
    HAS(shell_err, "at least one batch of 480000");

    cr_assert_eq(gomokunet("plan %s --json", NET), 0);
    const double plain = json_member(shell_out, "total_bytes");
    cr_assert_eq(gomokunet("plan %s --json --accumulate 2", NET), 0);
    cr_assert_gt(json_member(shell_out, "total_bytes"),
                 plain + 4 * json_member(shell_out, "parameters"));
}

Test(accumulate, a_resumed_run_has_the_same_bits, .init = shell_enter, .fini = shell_leave)
{
    const char *more = "--batch-size 4 --accumulate 3 --use-checkpoint --eval-every 5";
    cr_assert_eq(gomokunet("train %s %s --steps 12 --threads 2 --out whole", NET, more), 0);
    cr_assert_eq(gomokunet("train %s %s --steps 5 --threads 1 --out part", NET, more), 0);
    cr_assert_eq(gomokunet("train --resume part --accumulate 2"), 2);
    HAS(shell_err, "--accumulate belongs to the run");
    cr_assert_eq(gomokunet("train --resume part --steps 12 --threads 3 --checkpoint none"), 0);
    same_model("whole", "part");
    cr_assert_eq(gomokunet("train --config whole/config.json --compare --out again"), 0);
    same_model("whole", "again");
}
