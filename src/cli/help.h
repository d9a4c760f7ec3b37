/* What the program says of itself, read from the tables of commands and options: help, the manual
 * page, completion for shells.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_HELP_H
#define GN_CLI_HELP_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"

void help_usage(FILE *out);
void help_version(FILE *out); /* info.c: version, contract, compiler, instruction set, libraries */

/* `--help` of a command, or `--help=FORM`: its part of the manual page ("man") or of a completion
 * script ("bash", "zsh").  false: another form; told on stderr. */
bool help_command(const command *c, const char *form);

/* The parts, each in its file. */
void help_man(const command *c);
void help_bash(const command *c);
void help_zsh(const command *c);

/* Has each command write its part, in the order of the usage. */
void help_all(const char *form);

/* The default as people read it; false where there is none worth telling. */
bool help_default(const option *o, char *text, size_t room);

#endif
