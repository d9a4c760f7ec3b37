/* The commands of the program.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_COMMANDS_H
#define GN_CLI_COMMANDS_H

/* Each takes argv from the command's name on and returns the exit status. */
int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_games(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_curve(int argc, char **argv);
int command_gradcheck(int argc, char **argv);
int command_info(int argc, char **argv);
int command_selftest(int argc, char **argv);

#endif
