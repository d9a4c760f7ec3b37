/* Early stop: when a run ends, which model is kept, and that a resumed run does the same.
 * SPDX-License-Identifier: MIT */
#include "support/shell.h"

TestSuite(early_stop, .init = shell_enter, .fini = shell_leave);

/* Its held-out loss is best after 15 steps: with patience 3 it ends after 30. */
#define NET "--board-size 5 --num-blocks 2 --channels 5 --batch-size 8 --lr 0.003 --eval-every 5"
enum { BEST = 15, END = 30 };

static void same_file(const char *a, const char *b)
{
    char line[256];
    snprintf(line, sizeof line, "cmp %s %s >&2", a, b);
    cr_assert_eq(system(line), 0, "%s and %s differ", a, b);
}

static void train_whole(int patience)
{
    cr_assert_eq(gomokunet("train %s --steps 1000 --patience %d --out whole", NET, patience), 0);
    HAS(shell_out, "early stop: no better held-out loss in");
}

Test(early_stop, ends_and_keeps_the_best_model)
{
    train_whole(3);
    HAS(shell_out, "after 30 steps", "in 3 evaluations", "after 15 steps: whole/best.safetensors");
    cr_assert_eq(access("whole/state/step-000000000030.safetensors", R_OK), 0);
    cr_assert_eq(gomokunet("train %s --steps %d --out best", NET, BEST), 0);
    same_file("whole/best.safetensors", "best/model.safetensors");
    cr_assert_eq(gomokunet("train %s --steps %d --save-every 9 --out end", NET, END), 0);
    cr_assert_null(strstr(shell_out, "early stop"));
    same_file("whole/model.safetensors", "end/model.safetensors");
    same_file("whole/best.safetensors", "end/best.safetensors");

    /* The loss of the file is the loss that was told. */
    const char *at = strstr(shell_out, "best held-out loss: ");
    double told = 0;
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(at, "best held-out loss: %lf", &told), 1);
    static char metrics[1 << 17];
    shell_read("end/metrics.jsonl", metrics, sizeof metrics);
    const char *line = strstr(metrics, "{\"step\":15,");
    cr_assert_not_null(line);
    const double loss =
        json_member(line, "eval_loss_policy") + json_member(line, "eval_loss_value");
    cr_assert(told - loss < 1e-4 && loss - told < 1e-4, "%g, told %g", loss, told);
}

/* Cut off off the rhythm, before the best and behind it, and at 25, with a count of 2. */
Test(early_stop, a_resumed_run_ends_where_the_whole_one_does)
{
    static const int cuts[] = {12, 22, 25};
    train_whole(3);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        cr_assert_eq(gomokunet("train %s --steps %d --patience 3 --out part%d", NET, cuts[i],
                               cuts[i]), 0);
        cr_assert_eq(gomokunet("train --resume part%d --steps 1000", cuts[i]), 0, "%s", shell_err);
        HAS(shell_out, "early stop", "after 15 steps: part");
        char model[64], best[64];
        snprintf(model, sizeof model, "part%d/model.safetensors", cuts[i]);
        snprintf(best, sizeof best, "part%d/best.safetensors", cuts[i]);
        same_file("whole/model.safetensors", model);
        same_file("whole/best.safetensors", best);
    }
}

Test(early_stop, a_run_that_ended_goes_on_with_more_patience)
{
    train_whole(4);
    cr_assert_eq(gomokunet("train %s --steps 1000 --patience 2 --out part", NET), 0);
    cr_assert_eq(gomokunet("train --resume part"), 0);
    HAS(shell_out, "resumed:", "early stop", "in 2 evaluations");
    cr_assert_eq(gomokunet("train --resume part --patience 4"), 0);
    same_file("whole/model.safetensors", "part/model.safetensors");
    same_file("whole/best.safetensors", "part/best.safetensors");
}

Test(early_stop, needs_held_out_games)
{
    cr_assert_eq(gomokunet("train %s --steps 9 --eval-fraction 0 --patience 1 --out run", NET), 2);
    HAS(shell_err, "--patience 1: expected held-out games");
    cr_assert_eq(gomokunet("train %s --steps 5 --eval-fraction 0 --out run", NET), 0);
    cr_assert_neq(access("run/best.safetensors", F_OK), 0, "nothing was judged");
    cr_assert_eq(gomokunet("train %s --patience -1", NET), 2);
    HAS(shell_err, "--patience \"-1\"");
}
