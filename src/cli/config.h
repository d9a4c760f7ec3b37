/* Options from presets and files.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_CONFIG_H
#define GN_CLI_CONFIG_H

#include "cli/options.h"

/* Sets a command's options from a preset and from a JSON file of options; either may be NULL.  The
 * file wins, and its own "preset" counts where none is given.  False: told on stderr, with file and
 * line. */
bool config_apply(const command *c, const char *preset, const char *file);

/* Sets what the preset of that name says of the options that the command has. */
bool preset_apply(const command *c, const char *name);

#endif
