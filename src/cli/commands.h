/* The commands of the program.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_COMMANDS_H
#define GN_CLI_COMMANDS_H

#include <stdio.h>

/* A command takes argv from its name on and returns the exit status. */
typedef struct program_command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} program_command;

/* All of them, ended by a NULL name: what the usage, the manual and completion list. */
extern const program_command program_commands[];

int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_games(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_golden(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_diverge(int argc, char **argv);
int command_curve(int argc, char **argv);
int command_gradcheck(int argc, char **argv);
int command_info(int argc, char **argv);
int command_selftest(int argc, char **argv);
int command_help(int argc, char **argv);
int command_completion(int argc, char **argv);

/* Members of a JSON object: version, contract, isa, compiler, openmp. */
void info_versions(FILE *out);

#endif
