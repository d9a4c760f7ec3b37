/* Evaluation: scores worked out by hand, any batch size, and training that does not notice.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"

enum { SIZE = 7, CELLS = SIZE * SIZE };

/* Two games of the built-in player, a net, a session; it must stay where it was opened. */
typedef struct exam {
    gn_games games;
    gn_dataset dataset;
    gn_net net;
    gn_session *session;
} exam;

static void exam_open(exam *e, size_t batch)
{
    const gn_net_config config = small_net(SIZE, 2, 6, GN_DENSE);
    gn_err err = {0};
    memset(e, 0, sizeof *e);
    for (uint64_t i = 0; i < 2; i++)
        cr_assert(gn_player_game(&e->games, 1, i, SIZE, &err) == GN_OK, "%s", err.text);
    e->games.game[0].result = GN_WIN; /* whatever it was: values of both signs, and zeros */
    e->games.game[1].result = GN_DRAW;
    cr_assert_eq(gn_dataset_create(&e->dataset, &e->games, SIZE, NULL, 0, &err), GN_OK);
    cr_assert(e->dataset.count > 8 && e->dataset.count < 99, "%zu", e->dataset.count);
    cr_assert_eq(gn_net_create(&e->net, &config, &err), GN_OK);
    e->session = session_open(&e->net, gn_table_fast(), batch, 2, "block");
}

static void exam_close(exam *e)
{
    gn_session_destroy(e->session);
    gn_net_destroy(&e->net);
    gn_dataset_free(&e->dataset);
    gn_games_free(&e->games);
}

static gn_scores scores_of(const exam *e)
{
    gn_scores s;
    gn_err err = {0};
    cr_assert(gn_session_evaluate(e->session, &e->dataset, &s, &err) == GN_OK, "%s", err.text);
    cr_assert_eq(s.positions, e->dataset.count);
    return s;
}

/* Fills a parameter with first, first + step, ... */
static void set(const exam *e, const char *name, float first, float step)
{
    const gn_value v = gn_tape_find(e->net.tape, name);
    float *x = gn_store_data(gn_session_store(e->session), v);
    for (size_t i = 0; i < gn_shape_count(gn_tape_value(e->net.tape, v)->shape); i++)
        x[i] = first + step * (float)i;
}

static void close_scores(const gn_scores *got, const gn_scores *want)
{
    close_to("scores", (double[]){got->loss_policy, got->loss_value, got->value_error},
             (double[]){want->loss_policy, want->loss_value, want->value_error}, 3, 1e-5, 1e-9);
    cr_assert(got->top1 == want->top1 && got->top5 == want->top5, "%g, %g; expected %g, %g",
              got->top1, got->top5, want->top1, want->top5);
}

/* --- By hand ---------------------------------------------------------------------------------- */

/* What a network that ranks cells by `logit` = slope * number, and values every position at 0, must
 * score: counted from the targets. */
static gn_scores expected(const exam *e, double slope, double log_sum)
{
    static float planes[99 * CELLS * GN_PLANES], policy[99 * CELLS], value[99];
    const size_t count = e->dataset.count;
    gn_scores s = {0};
    gn_dataset_batch(&e->dataset, 0, count, planes, policy, value);
    for (size_t n = 0; n < count; n++) {
        size_t target = 0;
        while (policy[n * CELLS + target] != 1) /* every position of the player has one */
            target++;
        const size_t rank = slope > 0 ? CELLS - 1 - target : target;
        s.top1 += rank < 1;
        s.top5 += rank < 5;
        s.loss_policy += log_sum - slope * (double)target;
        s.loss_value += (double)(value[n] * value[n]);
        s.value_error += fabs((double)value[n]);
    }
    double *sums[] = {&s.top1, &s.top5, &s.loss_policy, &s.loss_value, &s.value_error};
    for (int i = 0; i < 5; i++)
        *sums[i] /= (double)count;
    s.positions = count;
    return s;
}

Test(evaluate, scores_by_hand)
{
    exam e;
    exam_open(&e, 8);
    set(&e, "policy_fc.weight", 0, 0);
    set(&e, "value_fc.2.weight", 0, 0);
    set(&e, "value_fc.2.bias", 0, 0);
    set(&e, "policy_fc.bias", 2, 0); /* all cells alike: ties go by number */
    gn_scores got = scores_of(&e), want = expected(&e, 0, 3.8918202981106265);
    close_scores(&got, &want);
    /* the sum of e^(i/8), i from 0 to 48, is (e^(49/8) - 1) / (e^(1/8) - 1) = 3425.836 */
    set(&e, "policy_fc.bias", 0, 0.125f);
    got = scores_of(&e);
    want = expected(&e, 0.125, 8.139100697591454);
    close_scores(&got, &want);
    cr_assert(want.value_error > 0.3 && want.value_error < 0.7, "one of two games was won");
    exam_close(&e);
}

/* --- Batches ---------------------------------------------------------------------------------- */

Test(evaluate, any_batch_size_gives_the_same_scores)
{
    static const size_t batches[] = {1, 4, 7, 8, 500};
    gn_scores want = {0};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        exam e;
        exam_open(&e, batches[i]);
        const gn_scores got = scores_of(&e);
        if (i == 0)
            want = got;
        close_scores(&got, &want);
        cr_assert_gt(got.loss_policy, 1);
        exam_close(&e);
    }
}

Test(evaluate, positions_without_targets_do_not_count)
{
    exam e;
    exam_open(&e, 4);
    const gn_scores all = scores_of(&e);
    e.games.game[0].result = GN_UNKNOWN;
    const gn_scores some = scores_of(&e);
    cr_assert(some.loss_policy == all.loss_policy && some.top1 == all.top1);
    cr_assert_neq(some.loss_value, all.loss_value);
    e.games.game[1].result = GN_UNKNOWN;
    const gn_scores none = scores_of(&e);
    cr_assert(none.loss_value == 0 && none.value_error == 0);
    cr_assert_eq(none.loss_policy, all.loss_policy);
    exam_close(&e);
}

Test(evaluate, nothing_and_other_boards)
{
    exam e;
    gn_err err = {0};
    gn_scores s;
    exam_open(&e, 4);
    const size_t count = e.dataset.count;
    e.dataset.count = 0;
    const gn_scores none = scores_of(&e);
    cr_assert(none.loss_policy == 0 && none.loss_value == 0 && none.top5 == 0);
    e.dataset.count = count;
    e.dataset.size = 15;
    cr_assert_eq(gn_session_evaluate(e.session, &e.dataset, &s, &err), GN_E_DATA);
    cr_assert_not_null(strstr(err.text, "the games are 15x15, the network is 7x7"), "%s",
                       err.text);
    exam_close(&e);
}

/* --- Beside training -------------------------------------------------------------------------- */

Test(evaluate, training_does_not_notice)
{
    static char digest[2][65];
    for (int i = 0; i < 2; i++) {
        exam e;
        gn_step_result r;
        exam_open(&e, 8);
        samples x = samples_make(&e.net.config, 8, 3);
        for (int n = 0; n < 3; n++) {
            cr_assert_eq(gn_session_step(e.session, x.planes, x.policy, x.value, 0.01, &r, NULL),
                         GN_OK);
            if (i == 1)
                scores_of(&e);
        }
        gn_session_gradients(e.session, x.planes, x.policy, x.value, &r, NULL);
        gn_session_gradient_digest(e.session, digest[i]);
        const gn_memory m = gn_session_memory(e.session);
        cr_assert_eq(m.activations, gn_engine_predicted(gn_session_engine(e.session)).peak);
        samples_free(&x);
        exam_close(&e);
    }
    cr_assert_str_eq(digest[0], digest[1]);
}

/* Running statistics, not the batch's: the scores change when only they change. */
Test(evaluate, reads_the_running_statistics)
{
    exam e;
    exam_open(&e, 8);
    const gn_scores before = scores_of(&e);
    set(&e, "policy_conv.1.running_mean", 0.5f, 0.25f);
    const gn_scores after = scores_of(&e);
    cr_assert_neq(before.loss_policy, after.loss_policy);
    cr_assert_eq(before.loss_value, after.loss_value);
    exam_close(&e);
}
