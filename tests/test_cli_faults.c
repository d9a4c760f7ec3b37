/* The program, told something wrong: its exit status and what it says.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "support/shell.h"

TestSuite(cli_faults, .init = shell_enter, .fini = shell_leave);

#define TINY "--board-size 5 --num-blocks 1 --channels 4 --batch-size 8"

/* Runs and checks the status; what is said goes to stderr, and names the thing. */
static void refused(int status, const char *arguments, const char *said)
{
    cr_assert_eq(gomokunet("%s", arguments), status, "gomokunet %s:\n%s", arguments, shell_err);
    cr_assert_not_null(strstr(shell_err, said), "gomokunet %s: \"%s\" is missing in:\n%s",
                       arguments, said, shell_err);
}

Test(cli_faults, usage)
{
    static const struct {
        const char *arguments, *said;
    } cases[] = {
        {"", "usage: gomokunet COMMAND"},
        {"trian", "unknown command \"trian\""},
        {"train --batch-sizee 3", "unknown option --batch-sizee; did you mean --batch-size?"},
        {"train --qqqqqqqqqqqq", "unknown option --qqqqqqqqqqqq (gomokunet train --help"},
        {"train --steps", "--steps: a value is missing, expected N"},
        {"train --steps x", "--steps \"x\": expected a whole number from 1"},
        {"train --steps 0", "--steps \"0\""},
        {"train --steps 1.5", "--steps \"1.5\""},
        {"train --lr nan", "--lr \"nan\""},
        {"train --seed -1", "--seed \"-1\": expected a whole number from 0"},
        {"train --use-checkpoint=yes", "--use-checkpoint takes no value"},
        {"train stray", "\"stray\": expected an option"},
        {"train --conv wide", "--conv \"wide\": expected dense or separable"},
        {"train --optimizer adam", "--optimizer \"adam\": expected adamw or sgd"},
        {"train --checkpoint often", "policy \"often\": expected none, cheap, block or every:K"},
        {"train --checkpoint every:0", "every:0"},
        {"train --lr-schedule cosine", "cosine"},
        {"train " TINY " --lr-schedule cosine:9 --steps 9", "9 steps of warm-up"},
        {"train " TINY " --nesterov", "nesterov, expected sgd"},
        {"games", "expected either --data PATH or --make N"},
        {"games --make 1 --board-size 4", "--board-size \"4\": expected a whole number from 5"},
        {"eval", "--model FILE and --data PATH are needed"},
        {"plan --schedule sometimes", "\"sometimes\""},
        {"info --jsn", "did you mean --json?"},
        {"selftest 3", "\"3\": expected an option"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(2, cases[i].arguments, cases[i].said);
}

Test(cli_faults, all_faults_of_a_network_at_once)
{
    refused(2, "train --board-size 30 --num-blocks 0 --channels -3", "board-size 30");
    HAS(shell_err, "expected 5 to 25", "num-blocks 0", "channels -3");
    refused(2, "plan --board-size 4 --channels 5000", "board-size 4");
    HAS(shell_err, "channels 5000");
    refused(2, "train --weight-decay 7 --momentum 2 " TINY, "weight-decay 7");
    HAS(shell_err, "momentum 2");
}

/* --- Game records -------------------------------------------------------------------------- */

Test(cli_faults, game_records_that_are_not_there)
{
    refused(2, "train --data nowhere.psq " TINY, "nowhere.psq");
    refused(2, "games --data nowhere", "nowhere");
    cr_assert_eq(system("mkdir empty"), 0);
    refused(2, "train --data empty " TINY, "empty");
    shell_write("games.pgn", "1. h8\n");
    refused(2, "games --data games.pgn", "games.pgn");
}

/* One good game of our text format, then a line that is none. */
static void write_records(bool good)
{
    static char made[1 << 14];
    cr_assert_eq(gomokunet("games --make 3 --board-size 5 --out good.gomoku"), 0);
    shell_read("good.gomoku", made, sizeof made - 64);
    if (!good)
        *made = '\0';
    strcat(made, "this is no game\n");
    shell_write("mixed.gomoku", made);
}

Test(cli_faults, malformed_games_are_named_counted_and_skipped)
{
    write_records(true);
    cr_assert_eq(gomokunet("games --data mixed.gomoku --json"), 0, "%s", shell_err);
    cr_assert_eq(json_member(shell_out, "games"), 3);
    HAS(shell_err, "mixed.gomoku:", "1 malformed");
    refused(2, "games --strict --data mixed.gomoku", "mixed.gomoku:");
    refused(2, "train --strict --data mixed.gomoku " TINY, "mixed.gomoku:");
    write_records(false);
    refused(2, "games --data mixed.gomoku", "mixed.gomoku");
}

Test(cli_faults, too_little_data)
{
    cr_assert_eq(gomokunet("games --make 2 --board-size 5 --out few.gomoku"), 0);
    refused(2, "train --data few.gomoku --board-size 5 --num-blocks 1 --channels 4 "
               "--batch-size 1000", "1000");
    /* Games of another board are counted and left out. */
    refused(2, "train --data few.gomoku --board-size 7 --num-blocks 1 --channels 4", "few.gomoku");
}

/* --- Models -------------------------------------------------------------------------------- */

Test(cli_faults, models_that_are_none)
{
    static char model[1 << 20];
    cr_assert_eq(gomokunet("games --make 3 --board-size 5 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --steps 1 --eval-fraction 0 --out run", TINY), 0);
    refused(2, "eval --data g.gomoku --model nowhere.safetensors", "nowhere.safetensors");
    shell_write("text.safetensors", "no model at all");
    refused(2, "eval --data g.gomoku --model text.safetensors", "text.safetensors");
    refused(2, "train --data g.gomoku --init text.safetensors", "text.safetensors");
    refused(2, "train --data g.gomoku --init run/model.safetensors --conv separable",
            "--conv separable: the network of run/model.safetensors has dense");
    refused(2, "train --data g.gomoku --init run/model.safetensors --num-blocks 3",
            "--num-blocks 3: the network of run/model.safetensors has 1");
    refused(3, "eval --data g.gomoku --model run/model.safetensors --write no/such/p", "no/such/p");

    /* Cut short: the last byte is missing. */
    FILE *file = fopen("run/model.safetensors", "rb");
    const size_t count = fread(model, 1, sizeof model, file);
    fclose(file);
    cr_assert(count > 1000 && count < sizeof model);
    file = fopen("short.safetensors", "wb");
    cr_assert_eq(fwrite(model, 1, count - 1, file), count - 1);
    fclose(file);
    refused(2, "eval --data g.gomoku --model short.safetensors", "short.safetensors");
    cr_assert_eq(gomokunet("eval --data g.gomoku --model run/model.safetensors"), 0);
}

/* --- Golden files -------------------------------------------------------------------------- */

Test(cli_faults, golden_files_that_cannot_be_written)
{
    refused(3, "golden " TINY " --out nowhere/g.npz", "nowhere/g.npz.tmp: cannot create: No such");
    refused(3, "golden " TINY " --out /dev/null.npz/g.npz", "/dev/null.npz/g.npz");
    refused(2, "golden " TINY " --out g.npy", "g.npy: expected a name that ends in .safetensors, "
                                              ".npz or .sha256");
    refused(2, "golden " TINY " --only nothing --out g.npz", "nothing");
    cr_assert_eq(system("mkdir g.npz"), 0);
    refused(3, "golden " TINY " --out g.npz", "g.npz: cannot replace: not a regular file");
    cr_expect_eq(system("test -d g.npz && test ! -e g.npz.tmp"), 0);
}

Test(cli_faults, candidates_that_are_no_tensors)
{
    cr_assert_eq(gomokunet("golden " TINY " --out g.safetensors"), 0);
    shell_write("c.npz", "no zip at all, but longer than one's end");
    shell_write("c.safetensors", "");
    const bool reads_npz = gomokunet("verify g.safetensors c.npz") == 2 &&
                           strstr(shell_err, "this build reads no npz") == NULL;
    if (reads_npz)
        refused(2, "verify g.safetensors c.npz", "c.npz: byte 18: expected the end of a zip file");
    refused(2, "verify g.safetensors c.safetensors", "c.safetensors: byte 0: expected 8 bytes");
    refused(2, "verify c.safetensors g.safetensors", "c.safetensors: byte 0: expected 8 bytes");
}

/* --- Failures at run time ------------------------------------------------------------------ */

Test(cli_faults, a_run_that_cannot_fit)
{
    refused(3, "train --batch-size 1000000 --out run", "this run needs");
    HAS(shell_err, "GiB are there", "--batch-size", "--checkpoint", "would fit");
    cr_assert_neq(access("run", F_OK), 0, "a refused run must leave nothing behind");
}

#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes of addresses for itself */
Test(cli_faults, a_run_that_cannot_fit_the_limit_of_the_address_space)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = (rlim_t)600 << 20;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    refused(3, "train --batch-size 8192 --out run", "this run needs");
    HAS(shell_err, " 0.", "GiB are there", "would fit");
}
#endif

Test(cli_faults, a_run_folder_that_cannot_be_made)
{
    shell_write("file", "in the way\n");
    refused(3, "train " TINY " --steps 1 --out file/run", "file");
    refused(3, "games --make 1 --out nowhere/a.gomoku", "nowhere/a.gomoku");
}

Test(cli_faults, numbers_that_are_not_finite)
{
    refused(3, "train " TINY " --steps 50 --optimizer sgd --lr 1000 --clip 0 --out run",
            "step ");
    HAS(shell_err, "not finite is ");
}

Test(cli_faults, output_that_does_not_come_out)
{
    static const char *const commands[] = {"info", "plan --board-size 5", "--help", "--version",
                                           "train " TINY " --steps 1 --json --out run"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char line[5000];
        snprintf(line, sizeof line, "'%s' %s >/dev/full 2>.err", shell_program, commands[i]);
        const int status = system(line);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3, "%s: %#x", line, (unsigned)status);
        shell_read(".err", shell_err, sizeof shell_err);
        HAS(shell_err, "cannot write to standard output");
    }
    cr_assert_eq(gomokunet("eval --model run/model.safetensors --data run/games.gomoku.gz"), 0);
}

Test(cli_faults, a_device_is_no_file_of_games)
{
    refused(3, "games --make 1 --board-size 5 --out /dev/null", "/dev/null: cannot replace");
}

static bool contains(const char *path, const char *text)
{
    static char content[1 << 17];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    return strstr(content, text) != NULL;
}

Test(cli_faults, an_interrupt_saves_the_model, .timeout = 60)
{
    const struct timespec tick = {0, 20 * 1000 * 1000};
    int status;
    cr_assert_eq(gomokunet("games --make 3 --board-size 5 --out g.gomoku"), 0);
    const pid_t child = fork();
    if (child == 0) {
        cr_assert_not_null(freopen("train.out", "w", stdout));
        cr_assert_not_null(freopen("train.err", "w", stderr));
        execl(shell_program, "gomokunet", "train", "--board-size", "5", "--num-blocks", "1",
              "--channels", "4", "--batch-size", "8", "--steps", "2000000", "--eval-fraction", "0",
              "--eval-every", "1000000", "--threads", "1", "--out", "run", (char *)NULL);
        _exit(99);
    }
    while (!contains("run/metrics.jsonl", "{\"step\":3,"))
        nanosleep(&tick, NULL);
    cr_assert_neq(access("run/model.safetensors", F_OK), 0, "saved before the interrupt");
    cr_assert_eq(kill(child, SIGINT), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %#x", (unsigned)status);
    cr_assert(contains("train.out", "interrupted after step"));
    cr_assert_eq(gomokunet("eval --data g.gomoku --model run/model.safetensors"), 0);
}
