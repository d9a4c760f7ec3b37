/* What a tape consists of, for the two files that write one: tape.c and fuse.c.
 * SPDX-License-Identifier: MIT */
#ifndef GN_AUTOGRAD_TAPE_LIST_H
#define GN_AUTOGRAD_TAPE_LIST_H

#include "gomokunet/tape.h"

struct gn_tape {
    gn_value_info *value;
    gn_record *record;
    char **stage; /* names */
    int values, records, stages;
    gn_value loss;
    gn_err mistake; /* the first one; status GN_OK: none yet */
};

/* A copy of a text that the tape will own.  NULL: no memory, and the tape remembers. */
char *gn_tape_text(gn_tape *tape, const char *text);

/* Marks what is computed from a parameter: only that has a gradient. */
void gn_tape_trained(const gn_tape *tape, bool *trained);

#endif
