/* gomokunet: the program.  SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"train", "train a network on game records", command_train},
    {"eval", "score a model on game records", command_eval},
    {"games", "make, import, check and count games", command_games},
    {"plan", "what each checkpoint policy keeps and costs", command_plan},
    {"gradcheck", "finite differences against backward", command_gradcheck},
    {"info", "version, contract, instruction set, parameters", command_info},
    {"selftest", "does this machine keep the numeric contract?", command_selftest},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *out)
{
    fprintf(out, "usage: gomokunet COMMAND [options]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\ngomokunet COMMAND --help explains the options.\n");
}

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
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return finish(EXIT_GOOD);
    }
    if (strcmp(argv[1], "--version") == 0)
        return finish(command_info(1, argv));
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "gomokunet: unknown command \"%s\"\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
