/* What the command line asks the operating system.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_MACHINE_H
#define GN_CLI_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "gomokunet/status.h"

double machine_seconds(void); /* a clock that only goes forward */
bool machine_is_terminal(int descriptor);

/* Creates a folder and those above it; an existing one is fine. */
gn_status machine_make_folder(const char *path, gn_err *err);

/* After this, SIGINT, SIGTERM and SIGHUP only set a flag; a second SIGINT ends at once. */
void machine_catch_interrupts(void);
bool machine_interrupted(void);

#endif
