/* The program, each command doing what it is for.  SPDX-License-Identifier: MIT */
#include "gomokunet/io.h"
#include "support/shell.h"

TestSuite(cli, .init = shell_enter, .fini = shell_leave);

/* A network that takes no time. */
#define TINY "--board-size 5 --num-blocks 2 --channels 4 --batch-size 8"
#define KEYS(...) (const char *const[]){__VA_ARGS__}, \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

Test(cli, every_command_explains_itself)
{
    static const char *const names[] = {"train",     "eval", "games",    "plan", "curve",
                                        "golden", "verify", "diverge",
                                        "gradcheck", "info", "selftest", "help", "completion"};
    cr_assert_eq(gomokunet("--help"), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        HAS(shell_out, names[i]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_assert_eq(gomokunet("%s --help", names[i]), 0, "%s --help", names[i]);
        HAS(shell_out, names[i], "usage:", "--help");
        cr_assert_str_empty(shell_err);
    }
    cr_assert_eq(gomokunet("--version"), 0);
    HAS(shell_out, "0.1.0", "order v1");
}

Test(cli, games_are_made_and_read_back)
{
    static char made[4096];
    cr_assert_eq(gomokunet("games --make 6 --board-size 7 --seed 3 --json --out a.gomoku"), 0);
    cr_assert_eq(json_member(shell_out, "games"), 6);
    cr_assert_gt(json_member(shell_out, "positions"), 6 * 5);
    cr_assert_eq(json_member(shell_out, "freestyle"), 6);
    strcpy(made, shell_out);
    cr_assert_eq(gomokunet("games --data a.gomoku --json --out b.gomoku.gz"), 0);
    cr_assert_str_eq(shell_out, made);
    cr_assert_eq(gomokunet("games --data b.gomoku.gz --json"), 0);
    cr_assert_str_eq(shell_out, made);
    cr_assert_eq(gomokunet("games --data a.gomoku"), 0);
    HAS(shell_out, "6 games", "first mover wins", "draws");
}

Test(cli, games_finds_copies_boxes_and_draws)
{
    static char picture[1 << 16];
    shell_write("a.gomoku", "5 freestyle 0 0,0 1,1 4,2\n5 freestyle 0 4,0 3,1 0,2\n"
                            "9 freestyle 0 4,4 5,5\n");
    shell_write("b.gomoku", "5 freestyle 0 0,4 1,3 4,2\n");
    cr_assert_eq(gomokunet("games --data a.gomoku --json --seen b.gomoku --cache c"), 0);
    cr_expect_eq(json_member(shell_out, "copies"), 1);
    cr_expect_eq(json_member(shell_out, "seen_games"), 2);
    cr_expect_eq(json_member(shell_out, "seen_positions"), 6);
    HAS(shell_err, "game 2 of a.gomoku is a copy of game 1 of a.gomoku",
        "game 1 of a.gomoku is a copy of game 1 of b.gomoku");
    cr_assert_eq(gomokunet("games --data a.gomoku --json --unique --fit-board --board-size 5 "
                           "--cache c --stats s.svg --out u.gomoku"), 0);
    cr_expect_eq(json_member(shell_out, "games"), 2);
    HAS(shell_err, "1 of the games moved from a larger board");
    shell_read("s.svg", picture, sizeof picture);
    HAS(picture, "<svg", "First 8 plies on 5x5 (2 games)", "2 to 3 plies", "</svg>");
    cr_assert_eq(gomokunet("games --data u.gomoku --json"), 0);
    cr_expect_eq(json_member(shell_out, "copies"), 0);
    cr_assert_eq(gomokunet("games --data a.gomoku --cache u.gomoku"), 2);
    HAS(shell_err, "u.gomoku: no cache of games");
}

/* --- train --------------------------------------------------------------------------------- */

static void check_step(const char *line, int step, bool evaluated)
{
    json_has(line, KEYS("step", "epoch", "loss", "loss_policy", "loss_value", "lr", "grad_norm",
                        "positions_per_second", "seconds", "resident_bytes"));
    cr_assert_eq(json_member(line, "step"), step);
    cr_assert_gt(json_member(line, "loss_policy"), 1);
    cr_assert_eq(json_member(line, "lr"), 1e-3);
    cr_assert_gt(json_member(line, "resident_bytes"), 1e6);
    const double difference = json_member(line, "loss") - json_member(line, "loss_policy") -
                              json_member(line, "loss_value");
    cr_assert_lt(difference * difference, 1e-10);
    cr_assert_eq(strstr(line, "eval_top1") != NULL, evaluated, "%s", line);
}

Test(cli, train_writes_json_lines_and_a_run_folder)
{
    static char text[1 << 16];
    cr_assert_eq(gomokunet("train %s --steps 3 --eval-every 2 --json --out run", TINY), 0);
    shell_read("run/metrics.jsonl", text, sizeof text);
    cr_assert_str_eq(text, shell_out, "metrics.jsonl is not what stdout says");

    char *line = strtok(text, "\n");
    json_has(line, KEYS("config", "board-size", "num-blocks", "channels", "conv",
                        "use-checkpoint", "batch-size", "steps", "lr", "optimizer", "seed", "data",
                        "out", "parameters", "predicted_peak_bytes", "schedule"));
    cr_assert_eq(strncmp(line, "{\"config\":{", 11), 0);
    cr_assert_gt(json_member(line, "predicted_peak_bytes"), 1e5);
    for (int step = 1; step <= 3; step++) {
        line = strtok(NULL, "\n");
        check_step(line, step, step != 1);
    }
    json_has(line, KEYS("eval_loss_policy", "eval_loss_value", "eval_top1", "eval_top5",
                        "eval_positions"));
    cr_assert_null(strtok(NULL, "\n"));
    cr_assert_eq(access("run/model.safetensors", R_OK), 0);
    shell_read("run/config.json", text, sizeof text);
    cr_assert_eq(json_member(text, "steps"), 3);
}

Test(cli, train_predicts_memory_to_the_byte)
{
    size_t predicted = 0, measured = 1;
    cr_assert_eq(gomokunet("train %s --steps 2 --use-checkpoint --out run", TINY), 0);
    HAS(shell_out, "parameters", "predicted", "held-out top-1", "model: run/model.safetensors");
    const char *at = strstr(shell_out, "activations predicted");
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(at, "activations predicted %zu bytes, measured %zu bytes", &predicted,
                        &measured), 2);
    cr_assert_eq(predicted, measured);
}

Test(cli, train_gives_the_same_bits_whatever_the_schedule_and_the_threads)
{
    static const char *const ways[] = {"--threads 1", "--use-checkpoint --threads 2",
                                       "--checkpoint every:2 --threads 3",
                                       "--debug --checkpoint block"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        cr_assert_eq(gomokunet("train %s --conv separable --steps 3 --eval-fraction 0 --out run%zu "
                               "%s", TINY, i, ways[i]), 0, "%s", shell_err);
        char line[128];
        snprintf(line, sizeof line, "cmp run0/model.safetensors run%zu/model.safetensors", i);
        cr_assert_eq(system(line), 0, "%s: another model", ways[i]);
    }
    cr_assert_eq(gomokunet("train %s --conv separable --steps 3 --eval-fraction 0 --out other "
                           "--seed 2", TINY), 0);
    cr_assert_neq(system("cmp -s run0/model.safetensors other/model.safetensors"), 0,
                  "the seed changes nothing: the comparison proves nothing");
}

Test(cli, train_compares_the_two_modes)
{
    cr_assert_eq(gomokunet("train %s --steps 1 --use-checkpoint --compare --out run", TINY), 0);
    HAS(shell_out, "normal mode", "% less", "% of the speed",
        "gradients with and without checkpointing: same SHA-256");
}

Test(cli, train_takes_sgd_and_a_schedule)
{
    cr_assert_eq(gomokunet("train %s --steps 3 --optimizer sgd --lr 0.1 --lr-schedule step:2:0.5 "
                           "--json --out run", TINY), 0);
    const char *third = strstr(shell_out, "{\"step\":3");
    cr_assert_not_null(third);
    cr_assert_eq(json_member(third, "lr"), 0.05);
}

/* --- The others ---------------------------------------------------------------------------- */

Test(cli, eval_scores_a_model)
{
    cr_assert_eq(gomokunet("games --make 12 --board-size 5 --seed 8 --out all.gomoku"), 0);
    cr_assert_eq(gomokunet("games --make 4 --board-size 5 --seed 8 --out part.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --steps 2 --out run", TINY), 0);
    cr_assert_eq(gomokunet("eval --model run/model.safetensors --data all.gomoku "
                           "--seen part.gomoku --json"), 0);
    json_has(shell_out, KEYS("loss_policy", "loss_value", "top1", "top5", "positions"));
    cr_assert_gt(json_member(shell_out, "positions"), json_member(shell_out, "unseen_positions"));
    cr_assert_gt(json_member(shell_out, "unseen_positions"), 0);
    cr_assert_leq(json_member(shell_out, "top1"), json_member(shell_out, "top5"));
    cr_assert_eq(gomokunet("eval --model run/model.safetensors --data all.gomoku --seen "
                           "part.gomoku"), 0);
    HAS(shell_out, "top-1", "never seen");
}

/* What eval writes scores as eval says. */
Test(cli, eval_writes_predictions)
{
    gn_reader *r;
    cr_assert_eq(gomokunet("games --make 3 --board-size 5 --seed 8 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --steps 2 --out run", TINY), 0);
    cr_assert_eq(gomokunet("eval --model run/model.safetensors --data g.gomoku --batch-size 7 "
                           "--write p.safetensors --json"), 0);
    cr_assert_eq(gn_reader_open(&r, "p.safetensors", NULL), GN_OK);
    const gn_entry *planes = gn_reader_find(r, "input/planes");
    const gn_entry *policy = gn_reader_find(r, "input/policy");
    const gn_entry *logits = gn_reader_find(r, "eval_forward/policy_logits");
    const gn_entry *value = gn_reader_find(r, "eval_forward/value");
    cr_assert(planes && policy && logits && value && gn_reader_find(r, "input/value"));
    const size_t count = (size_t)json_member(shell_out, "positions");
    cr_assert(planes->rank == 4 && planes->dim[0] == count && planes->dim[1] == 5);
    cr_assert(logits->rank == 2 && logits->dim[0] == count && logits->dim[1] == 25);
    cr_assert(value->rank == 1 && value->dim[0] == count);
    const float *plane = planes->data, *target = policy->data, *logit = logits->data;
    size_t targets = 0, hits = 0;
    for (size_t n = 0; n < count; n++) {
        size_t best = 0;
        for (size_t i = 0; i < 25; i++) {
            cr_assert_eq(plane[(n * 5 + 3) * 25 + i], 1, "the plane of ones is the fourth");
            if (logit[n * 25 + i] > logit[n * 25 + best])
                best = i;
            targets += target[n * 25 + i] == 1;
        }
        hits += target[n * 25 + best] == 1;
    }
    cr_assert_float_eq(json_member(shell_out, "top1"), (double)hits / (double)targets, 1e-12);
    gn_reader_close(r);
}

/* The weights of a model and a fresh optimiser: with no step done the scores are the model's. */
Test(cli, train_starts_from_a_model)
{
    static char text[1 << 16], again[1 << 16];
    cr_assert_eq(gomokunet("games --make 6 --board-size 5 --seed 8 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --conv separable --data g.gomoku --steps 4 --out run", TINY),
                 0);
    HAS(shell_out, "held-out top-1");
    const char *after = strstr(shell_out, "step 4: ");
    cr_assert_not_null(after);
    snprintf(text, sizeof text, "step 0: %.*s", (int)strcspn(after + 8, "\n"), after + 8);
    cr_assert_eq(gomokunet("train --data g.gomoku --batch-size 8 --steps 4 --out on "
                           "--init run/model.safetensors"), 0);
    HAS(shell_out, text, "2 blocks x 4 channels, separable, 5x5",
        "weights: run/model.safetensors");

    /* Interrupted and resumed, it goes on from its own state; the model is not read again. */
    cr_assert_eq(gomokunet("train --data g.gomoku --batch-size 8 --steps 2 --out half "
                           "--init run/model.safetensors"), 0);
    cr_assert_eq(remove("run/model.safetensors"), 0);
    cr_assert_eq(gomokunet("train --resume half --steps 4"), 0);
    cr_assert_eq(system("cmp on/model.safetensors half/model.safetensors"), 0);
    shell_read("half/config.json", again, sizeof again);
    HAS(again, "\"init\":\"run/model.safetensors\"", "\"channels\":4", "\"conv\":\"separable\"");
}

Test(cli, plan_prints_the_textbook_and_what_is_here)
{
    cr_assert_eq(gomokunet("plan"), 0);
    HAS(shell_out, "22628514 parameters", " 180 maps,    29.66 GiB", "  30 maps,     4.94 GiB",
        "83 % less", "none", "block", "every:2");
    cr_assert_eq(gomokunet("plan --conv separable --json"), 0);
    json_has(shell_out, KEYS("policies", "policy", "saved_bytes", "peak_bytes", "extra_forward"));
    cr_assert_eq(json_member(shell_out, "parameters"), 5037474);
    cr_assert_eq(gomokunet("plan --num-blocks 2 --schedule block"), 0);
    cr_assert_str_eq(shell_out, "run  stem\nrun  blocks.0\nkeep blocks.1\nkeep heads\nback heads\n"
                                "back blocks.1\nkeep blocks.0\nback blocks.0\nkeep stem\n"
                                "back stem\n");
}

Test(cli, info_selftest_gradcheck)
{
    cr_assert_eq(gomokunet("info --json"), 0);
    json_has(shell_out, KEYS("version", "contract", "isa", "compiler", "openmp", "parameters"));
    cr_assert_eq(json_member(shell_out, "parameters"), 22628514);
    cr_assert_eq(gomokunet("info --num-blocks 1 --channels 16"), 0);
    HAS(shell_out, "contract: order v1", "instruction set:");
    cr_assert_eq(gomokunet("selftest --json"), 0);
    cr_assert_eq(json_member(shell_out, "failed"), 0);
    cr_assert_eq(gomokunet("gradcheck --per-tensor 2 --json"), 0);
    cr_assert_eq(json_member(shell_out, "failed"), 0);
    /* A tolerance that nothing meets: the verdict is negative, and that is status 1. */
    cr_assert_eq(gomokunet("gradcheck --per-tensor 2 --tolerance 0"), 1);
    HAS(shell_out, "FAIL");
}
