/* Writing JSON values.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_JSON_H
#define GN_CLI_JSON_H

#include <stdio.h>

/* A string with everything escaped that must be; NULL becomes null. */
void json_text(FILE *out, const char *text);
/* The shortest of %.15g and %.17g that reads back equal; NaN and infinities become null. */
void json_number(FILE *out, double x);

#endif
