/* Options from presets and files; a run folder from which the run is repeated.
 * SPDX-License-Identifier: MIT */
#include "support/shell.h"

TestSuite(config, .init = shell_enter, .fini = shell_leave);

#define NET "--board-size 5 --num-blocks 2 --channels 4 --batch-size 8"

static void same_model(const char *a, const char *b, bool wanted)
{
    char line[256];
    snprintf(line, sizeof line, "cmp -s %s/model.safetensors %s/model.safetensors", a, b);
    cr_assert_eq(system(line) == 0, wanted, "%s and %s: %s", a, b,
                 wanted ? "another model" : "the same model");
}

/* --- A run folder repeats its run ------------------------------------------------------------ */

/* Each line has another set of options that must travel. */
Test(config, a_run_folder_repeats_its_run_to_the_bit)
{
    static const char *const runs[] = {
        "--steps 7 --use-checkpoint --lr 0.0123456789012345678 --seed 18446744073709551615",
        "--epochs 1 --data g.gomoku --eval-data h.gomoku --conv separable --weight-decay 0.01",
        ("--steps 6 --optimizer sgd --momentum 0.7 --nesterov --lr 0.02 --clip 0.3 "
         "--lr-schedule cosine:2:1e-4 --eval-every 2 --eval-fraction 0.3"),
        "--steps 5 --lr-schedule step:2:0.3 --checkpoint every:2 --torch-compat-bn --threads 1",
    };
    cr_assert_eq(gomokunet("games --make 12 --board-size 5 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("games --make 3 --board-size 5 --seed 8 --out h.gomoku"), 0);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        cr_assert_eq(gomokunet("train %s %s --out run", NET, runs[i]), 0, "%s", shell_err);
        cr_assert_eq(gomokunet("train --config run/config.json --out again"), 0, "%s", shell_err);
        same_model("run", "again", true);
        char line[] = "sed '/\"out\":/d' run/config.json > a; "
                      "sed '/\"out\":/d' again/config.json | cmp -s - a";
        cr_assert_eq(system(line), 0, "%s: another config.json", runs[i]);
        cr_assert_eq(gomokunet("train --config run/config.json --seed 3 --out other"), 0);
        same_model("run", "other", false);
    }
}

Test(config, a_resumed_run_is_repeated_from_its_start)
{
    cr_assert_eq(gomokunet("train %s --epochs 1 --data g.gomoku --out part", NET), 2);
    cr_assert_eq(gomokunet("games --make 9 --board-size 5 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --epochs 1 --data g.gomoku --out part", NET), 0);
    cr_assert_eq(gomokunet("train --resume part --epochs 2"), 0, "%s", shell_err);
    cr_assert_eq(gomokunet("train --config part/config.json --out again"), 0);
    same_model("part", "again", true);
    cr_assert_eq(gomokunet("train --config part/config.json --resume part"), 2);
    HAS(shell_err, "--config belongs to the run");
}

Test(config, a_run_is_not_written_over_the_one_it_repeats)
{
    static char before[1 << 20];
    cr_assert_eq(gomokunet("train %s --steps 2 --out run", NET), 0);
    shell_read("run/metrics.jsonl", before, sizeof before);
    cr_assert_eq(gomokunet("train --config run/config.json --steps 1"), 2);
    HAS(shell_err, "run/config.json", "expected another folder as --out");
    static char after[1 << 20];
    shell_read("run/metrics.jsonl", after, sizeof after);
    cr_assert_str_eq(after, before);
}

Test(config, other_games_are_refused)
{
    cr_assert_eq(gomokunet("games --make 9 --board-size 5 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train %s --data g.gomoku --steps 2 --out run", NET), 0);
    cr_assert_eq(gomokunet("games --make 9 --board-size 5 --seed 7 --out g.gomoku"), 0);
    cr_assert_eq(gomokunet("train --config run/config.json --out again"), 2);
    HAS(shell_err, "the games are not those", "--data-sha256 any");
    cr_assert_eq(gomokunet("train --config run/config.json --data-sha256 any --out again"), 0);
    static char config[1 << 14], other[1 << 14];
    shell_read("run/config.json", config, sizeof config);
    shell_read("again/config.json", other, sizeof other);
    HAS(config, "\"about\":{\"version\":\"", "\"contract\":\"order v1\"", "\"data-sha256\":\"");
    cr_assert_null(strstr(other, "\"any\""), "the games' own digest is written");
    cr_assert_neq(strncmp(strstr(config, "\"data-sha256\""), strstr(other, "\"data-sha256\""), 70),
                  0);
}

/* --- Which value counts ---------------------------------------------------------------------- */

static double option_of(const char *arguments, const char *name)
{
    static char text[1 << 14];
    cr_assert_eq(gomokunet("train --board-size 5 --batch-size 8 --steps 1 --eval-fraction 0 "
                           "--out run %s", arguments), 0, "%s: %s", arguments, shell_err);
    shell_read("run/config.json", text, sizeof text);
    return json_member(text, name);
}

Test(config, the_command_line_wins_over_the_file_and_that_over_the_preset)
{
    shell_write("c.json", "{\"channels\": 5, \"preset\": \"tiny\", \"lr\": 0.5e-2}");
    cr_assert_eq(option_of("--config c.json", "channels"), 5);
    cr_assert_eq(option_of("--config c.json", "num-blocks"), 3);
    cr_assert_eq(option_of("--config c.json", "lr"), 0.005);
    cr_assert_eq(option_of("--channels 6 --config c.json", "channels"), 6);
    cr_assert_eq(option_of("--config=c.json --preset small", "num-blocks"), 6);
    cr_assert_eq(option_of("--config=c.json --preset small", "channels"), 5);
    cr_assert_eq(option_of("--num-blocks 1 --preset=tiny", "num-blocks"), 1);
    cr_assert_eq(option_of("--num-blocks 1 --preset=tiny", "channels"), 32);
}

Test(config, a_list_given_replaces_the_files)
{
    static char text[1 << 14];
    cr_assert_eq(gomokunet("games --make 5 --board-size 5 --out \"a \xc3\xa9\\\".gomoku\""), 0);
    cr_assert_eq(gomokunet("games --make 6 --board-size 5 --seed 2 --out b.gomoku"), 0);
    shell_write("c.json", "{\"data\": [\"a \\u00e9\\\".gomoku\",\n\t\"b.gomoku\"], \"lr\": null}");
    option_of("--channels 2 --num-blocks 1 --config c.json", "lr");
    HAS(shell_out, "data: 11 games,");
    option_of("--channels 2 --num-blocks 1 --config c.json --data b.gomoku", "lr");
    HAS(shell_out, "data: 6 games,");
    shell_read("run/config.json", text, sizeof text);
    HAS(text, "\"data\":[\"b.gomoku\"]");
}

Test(config, presets)
{
    static const struct {
        const char *name, *network;
    } all[] = {{"tiny", "3 blocks x 32 channels"}, {"small", "6 blocks x 64 channels"},
               {"medium", "10 blocks x 96 channels"}, {"paper", "30 blocks x 192 channels"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert_eq(gomokunet("plan --help"), 0);
        HAS(shell_out, all[i].name);
        cr_assert_eq(gomokunet("plan --preset %s", all[i].name), 0);
        HAS(shell_out, all[i].network);
        cr_assert_eq(gomokunet("info --preset %s", all[i].name), 0);
        HAS(shell_out, all[i].network);
    }
    cr_assert_eq(gomokunet("plan --preset huge"), 2);
    HAS(shell_err, "--preset \"huge\": expected tiny, small, medium or paper");
    static char text[1 << 14];
    option_of("--preset paper --num-blocks 1 --channels 2", "lr");
    shell_read("run/config.json", text, sizeof text);
    HAS(text, "\"use-checkpoint\":true", "\"preset\":\"paper\"", "\"channels\":2,");
}

/* --- Faults ---------------------------------------------------------------------------------- */

Test(config, every_fault_names_file_line_and_what_was_expected)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "c.json:1: expected {"},
        {"{\n \"chanels\": 3\n}",
         "c.json:2: unknown option \"chanels\"; did you mean \"channels\"?"},
        {"{\"qqqqqqqqqqqqqq\": 3}", "c.json:1: unknown option \"qqqqqqqqqqqqqq\"\n"},
        {"{\"steps\": 3,\n\n\"lr\": \"x\"}", "c.json:3: lr: expected a number"},
        {"{\"steps\": \"3\"}", "c.json:1: steps: expected a whole number"},
        {"{\"steps\": 1.5}", "c.json:1: steps \"1.5\": expected a whole number from 1"},
        {"{\"steps\": [3]}", "c.json:1: steps: expected a whole number"},
        {"{\"seed\": -1}", "c.json:1: seed \"-1\": expected a whole number from 0"},
        {"{\"use-checkpoint\": 1}", "c.json:1: use-checkpoint: expected true or false"},
        {"{\"conv\": true}", "c.json:1: conv: expected a string"},
        {"{\"data\": [1]}", "c.json:1: data: expected a list of strings"},
        {"{\"resume\": \"run\"}", "c.json:1: resume: expected on the command line alone"},
        {"{\"config\": \"c.json\"}", "c.json:1: config: expected on the command line alone"},
        {"{\"preset\": \"huge\"}", "--preset \"huge\": expected tiny"},
        {"{\"lr\": 1,\n\"lr\": 1}", "c.json:2: lr stands twice, first in line 1"},
        {"{\"lr\": 1", "c.json:1: expected }"},
        {"{\"lr\": 1,}", "c.json:1: expected \""},
        {"{\"lr\" 1}", "c.json:1: expected :"},
        {"{\"lr\": }", "c.json:1: lr: expected a value"},
        {"{\"lr\": 1}\n\n x", "c.json:3: expected the end of the file"},
        {"{\"data\": [\"a\"", "c.json:1: expected ]"},
        {"{\"out\": \"a\nb\"}", "c.json:1: a string without end"},
        {"{\"out\": \"a", "c.json:1: a string without end"},
        {"{\"out\": \"\\x\"}", "c.json:1: unknown escape \\x"},
        {"{\"out\": \"\\u00g0\"}", "c.json:1: expected four hex digits"},
        {"{\"out\": \"\\ud800\"}", "c.json:1: \\ud800: expected a character"},
        {"{\"out\": \"\\", "c.json:1: "},
        {"{\"about\": 3}", "c.json:1: expected {"},
        {"[]", "c.json:1: expected {"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shell_write("c.json", cases[i].text);
        cr_assert_eq(gomokunet("train --config c.json --steps 1"), 2, "%s", cases[i].text);
        cr_assert_not_null(strstr(shell_err, cases[i].said), "%s: \"%s\" is missing in: %s",
                           cases[i].text, cases[i].said, shell_err);
    }
    cr_assert_eq(gomokunet("train --config nowhere.json"), 2);
    HAS(shell_err, "--config nowhere.json: cannot read");
    cr_assert_eq(gomokunet("train --config ."), 2);
    HAS(shell_err, "--config .: cannot read");
    cr_assert_eq(system("head -c 2000000 /dev/zero | tr '\\0' ' ' > c.json"), 0);
    cr_assert_eq(gomokunet("train --config c.json"), 2);
    HAS(shell_err, "--config c.json: expected a text of less than 1 MiB");
    cr_assert_eq(gomokunet("plan --config c.json"), 2, "only train has it");
}

/* Every beginning of a good file, and every file with one byte changed: status 2 or a run. */
Test(config, no_damage_ends_the_program_by_a_signal)
{
    static const char good[] = "{\"about\":{\"a\":[\"\\u00e9\",1]},\"steps\":1,\"data\":[\"\\n\"]}";
    char text[sizeof good];
    for (size_t i = 0; i < sizeof good; i++) {
        memcpy(text, good, sizeof good);
        text[i] = '\0';
        shell_write("c.json", text);
        cr_assert_eq(gomokunet("train --config c.json --strict"), 2, "%s", text);
        memcpy(text, good, sizeof good);
        text[i] = i % 2 == 0 ? '"' : '\\';
        text[sizeof good - 1] = '\0';
        shell_write("c.json", text);
        cr_assert_eq(gomokunet("train --config c.json --strict"), 2, "%s", text);
    }
}
