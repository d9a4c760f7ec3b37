/* Memory full of NaN, and a guard behind it.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_GUARDED_H
#define GN_TESTS_GUARDED_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, PATTERN = 0xa5 };

static void *memory(size_t bytes)
{
    unsigned char *p = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    if (p == NULL)
        abort();
    memset(p, 0xff, bytes); /* NaN */
    memset(p + bytes, PATTERN, GUARD);
    return p;
}

static bool intact(const void *p, size_t bytes)
{
    for (size_t i = 0; p != NULL && i < GUARD; i++)
        if (((const unsigned char *)p)[bytes + i] != PATTERN)
            return false;
    return true;
}

#endif
