/* A run that was cut off goes on to the same bits.  SPDX-License-Identifier: MIT */
#include <signal.h>
#include <time.h>

#include "support/shell.h"

TestSuite(resume, .init = shell_enter, .fini = shell_leave);

#define NET "--board-size 5 --num-blocks 3 --channels 5 --batch-size 8 --eval-every 7"

static char whole_model[1 << 20], model[1 << 20];
static char whole_metrics[1 << 17], metrics[1 << 17];

static size_t read_bytes(const char *path, char *to, size_t room)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s is not there", path);
    const size_t count = fread(to, 1, room, f);
    fclose(f);
    cr_assert_lt(count, room);
    return count;
}

/* The lines of a metrics file without what time and place make of them. */
static void timeless(char *text)
{
    char *to = text;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *end = strstr(line, ",\"positions_per_second\"");
        const size_t kept = end != NULL ? (size_t)(end - line) : 0; /* 0: the config line */
        memmove(to, line, kept);
        to += kept;
        *to++ = '\n';
    }
    *to = '\0';
}

/* `folder` must hold what `whole` holds, the run that nothing happened to. */
static void same_as_whole(const char *folder)
{
    char path[100];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const size_t bytes = read_bytes("whole/model.safetensors", whole_model, sizeof whole_model);
    cr_assert_eq(read_bytes(path, model, sizeof model), bytes);
    cr_assert_eq(memcmp(model, whole_model, bytes), 0, "%s: another model", folder);
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    shell_read("whole/metrics.jsonl", whole_metrics, sizeof whole_metrics);
    shell_read(path, metrics, sizeof metrics);
    timeless(whole_metrics);
    timeless(metrics);
    cr_assert_str_eq(metrics, whole_metrics, "%s: another metrics file", folder);
}

static void train_whole(void)
{
    cr_assert_eq(gomokunet("train %s --steps 24 --out whole", NET), 0);
}

static void damage(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fseek(f, offset, SEEK_SET), 0);
    const int byte = fgetc(f);
    cr_assert_eq(fseek(f, offset, SEEK_SET), 0);
    fputc(byte ^ 1, f);
    fclose(f);
}

Test(resume, other_threads_and_policy_give_the_same_bits)
{
    static const char *const others[] = {"--threads 1 --checkpoint none",
                                         "--threads 3 --checkpoint block",
                                         "--threads 2 --checkpoint every:2"};
    train_whole();
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(gomokunet("train %s --steps 10 --use-checkpoint --out part%zu", NET, i), 0);
        cr_assert_eq(gomokunet("train --resume part%zu --steps 24 %s", i, others[i]), 0);
        HAS(shell_out, "resumed:", "step 10");
        char folder[16];
        snprintf(folder, sizeof folder, "part%zu", i);
        same_as_whole(folder);
    }
}

Test(resume, sgd_and_compat_statistics_too)
{
    const char *more = "--optimizer sgd --momentum 0.7 --lr 0.01 --lr-schedule step:5:0.5 "
                       "--use-checkpoint --torch-compat-bn";
    cr_assert_eq(gomokunet("train %s %s --steps 24 --out whole", NET, more), 0);
    cr_assert_eq(gomokunet("train %s %s --steps 9 --out part", NET, more), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 24 --checkpoint none"), 2);
    HAS(shell_err, "--checkpoint belongs to the run");
    cr_assert_eq(gomokunet("train --resume part --steps 24"), 0);
    same_as_whole("part");
}

/* The state of the last step is taken away, so that the run goes on from the one before it. */
Test(resume, a_cosine_goes_on_and_its_length_stands)
{
    const char *more = "--optimizer sgd --nesterov --lr 0.02 --lr-schedule cosine:4:1e-4 "
                       "--save-every 5 --steps 24";
    cr_assert_eq(gomokunet("train %s %s --out whole", NET, more), 0);
    cr_assert_eq(gomokunet("train %s %s --out part", NET, more), 0);
    cr_assert_eq(remove("part/state/step-000000000024.safetensors"), 0);
    cr_assert_eq(remove("part/model.safetensors"), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 30"), 2);
    HAS(shell_err, "--steps belongs to the run");
    cr_assert_eq(gomokunet("train --resume part"), 0);
    HAS(shell_out, "resumed:", "step 20");
    same_as_whole("part");
}

Test(resume, a_damaged_newest_state_falls_back)
{
    train_whole();
    cr_assert_eq(gomokunet("train %s --steps 12 --save-every 5 --out part", NET), 0);
    damage("part/state/step-000000000012.safetensors", 100000);
    cr_assert_eq(gomokunet("train --resume part --steps 24"), 0);
    HAS(shell_err, "step-000000000012.safetensors", "damaged", "looking for an older state");
    HAS(shell_out, "step 10");
    same_as_whole("part");

    damage("part/state/step-000000000024.safetensors", 5);      /* the header */
    damage("part/state/step-000000000020.safetensors", 100000); /* and both */
    cr_assert_eq(gomokunet("train --resume part --steps 24"), 2);
    HAS(shell_err, "no sound state");
}

Test(resume, what_changes_bits_cannot_be_changed)
{
    cr_assert_eq(gomokunet("train %s --steps 3 --out part", NET), 0);
    static const char *const refused[] = {"--lr 0.5", "--batch-size 4", "--channels 6", "--seed 2",
                                          "--optimizer sgd", "--out other"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        cr_assert_eq(gomokunet("train --resume part --steps 4 %s", refused[i]), 2, "%s",
                     refused[i]);
        HAS(shell_err, "belongs to the run");
    }
    cr_assert_eq(gomokunet("train --resume nowhere"), 2);
    HAS(shell_err, "nowhere", "no sound state");
}

Test(resume, a_policy_given_anew_counts)
{
    cr_assert_eq(gomokunet("train %s --steps 3 --checkpoint none --out part", NET), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 4 --use-checkpoint --compare"), 0);
    HAS(shell_out, "checkpoint block", "same SHA-256");
}

Test(resume, other_games_are_refused)
{
    cr_assert_eq(gomokunet("games --make 30 --board-size 5 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --data g.gomoku --steps 3 --out part", NET), 0);
    cr_assert_eq(gomokunet("games --make 30 --board-size 5 --seed 9 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 4"), 2);
    HAS(shell_err, "the games are not those");
}

Test(resume, a_new_run_in_the_folder_forgets_the_old_one)
{
    cr_assert_eq(gomokunet("train %s --steps 30 --save-every 10 --out whole", NET), 0);
    cr_assert_eq(gomokunet("train %s --steps 9 --seed 2 --out whole", NET), 0);
    cr_assert_eq(gomokunet("train --resume whole --steps 10"), 0);
    HAS(shell_out, "resumed:", "step 9\n");
    cr_assert_neq(access("whole/state/step-000000000030.safetensors", F_OK), 0);
}

Test(resume, leftovers_of_a_killed_run_go_away)
{
    train_whole();
    cr_assert_eq(gomokunet("train %s --steps 12 --save-every 5 --out part", NET), 0);
    shell_write("part/state/step-000000000013.safetensors.tmp", "torn");
    shell_write("part/model.safetensors.tmp", "torn");
    damage("part/state/step-000000000012.safetensors", 100000);
    cr_assert_eq(gomokunet("train --resume part --steps 11 --save-every 1"), 0);
    cr_assert_neq(access("part/state/step-000000000012.safetensors", F_OK), 0, "known as damaged");
    cr_assert_eq(access("part/state/step-000000000010.safetensors", F_OK), 0, "the older one");
    cr_assert_eq(system("ls part part/state | grep tmp"), 1 << 8);
    cr_assert_eq(gomokunet("train --resume part --steps 24"), 0);
    same_as_whole("part");
}

Test(resume, lost_metrics_are_told)
{
    cr_assert_eq(gomokunet("train %s --steps 3 --out part", NET), 0);
    cr_assert_eq(truncate("part/metrics.jsonl", 10), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 4"), 0);
    HAS(shell_err, "part/metrics.jsonl", "10 are there", "missing");
    cr_assert_eq(unlink("part/metrics.jsonl"), 0);
    cr_assert_eq(gomokunet("train --resume part --steps 5"), 0);
    HAS(shell_err, " 0 are there");
    shell_read("part/metrics.jsonl", metrics, sizeof metrics);
    cr_assert_eq(strncmp(metrics, "{\"step\":5,", 10), 0, "%s", metrics);
}

/* Before the first step, too. */
Test(resume, a_signal_at_any_moment_leaves_a_state)
{
    train_whole();
    for (int n = 0; n < 3; n++) {
        char line[5000];
        snprintf(line, sizeof line, "rm -rf part; '%s' train %s --steps 24 --out part >.out 2>&1 & "
                 "p=$!; while ! [ -f part/games.gomoku.gz ]; do sleep 0.01; done; sleep 0.%02d; "
                 "kill -%s $p; wait $p; test $? = 130 -o $? = 0", shell_program, NET, 5 * n,
                 n % 3 == 0 ? "INT" : n % 3 == 1 ? "TERM" : "HUP");
        cr_assert_eq(system(line), 0, "%s", line);
        cr_assert_eq(gomokunet("train --resume part --steps 24"), 0, "%s", shell_err);
        same_as_whole("part");
    }
}

/* More moments: tests/faults. */
Test(resume, killed_while_it_runs)
{
    train_whole();
    for (int n = 1; n < 24; n += 7) {
        char line[5000];
        snprintf(line, sizeof line, "rm -rf part; '%s' train %s --steps 24 --save-every 1 --out "
                 "part >/dev/null 2>&1 & p=$!; while kill -0 $p 2>/dev/null && ! "
                 "[ -f part/state/step-%012d.safetensors ]; do sleep 0.01; done; "
                 "kill -9 $p; wait $p; true",
                 shell_program, NET, n);
        cr_assert_eq(system(line), 0, "%s", line);
        cr_assert_eq(gomokunet("train --resume part --steps 24"), 0, "%s", shell_err);
        same_as_whole("part");
    }
}
