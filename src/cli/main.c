/* gomokunet: the program.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/options.h"

const program_command program_commands[] = {
    {"train", "train a network on game records", command_train},
    {"eval", "score a model on game records", command_eval},
    {"games", "make, import, check and count games", command_games},
    {"plan", "what each checkpoint policy keeps and costs", command_plan},
    {"golden", "write golden tensors for other implementations", command_golden},
    {"verify", "judge another implementation's tensors, op by op", command_verify},
    {"diverge", "the first op that is wrong, forward and backward", command_diverge},
    {"curve", "draw the learning curves of runs", command_curve},
    {"gradcheck", "finite differences in float64 against backward", command_gradcheck},
    {"info", "version, contract, instruction set, parameters", command_info},
    {"selftest", "does this machine keep the numeric contract?", command_selftest},
    {"help", "explain a command, or write the manual page", command_help},
    {"completion", "write completion for a shell", command_completion},
    {NULL, NULL, NULL},
};

/* What was printed must have come out: a full disk behind stdout often shows only here. */
static int finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "gomokunet: cannot write to standard output: %s\n",
            errno != 0 ? strerror(errno) : "it failed before");
    return status == EXIT_GOOD ? EXIT_RUNTIME : status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        help_usage(stdout);
        return finish(EXIT_GOOD);
    }
    if (strcmp(argv[1], "--version") == 0) {
        help_version(stdout);
        return finish(EXIT_GOOD);
    }
    for (const program_command *c = program_commands; c->name != NULL; c++)
        if (strcmp(argv[1], c->name) == 0)
            return finish(c->run(argc - 1, argv + 1));
    fprintf(stderr, "gomokunet: unknown command \"%s\"\n\n", argv[1]);
    help_usage(stderr);
    return EXIT_USAGE;
}
