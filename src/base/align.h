/* Memory aligned to cache lines.  SPDX-License-Identifier: MIT */
#ifndef GN_BASE_ALIGN_H
#define GN_BASE_ALIGN_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A cache line, and the widest vector of any instruction set that we use. */
enum { GN_ALIGNMENT = 64 };

static inline size_t gn_align(size_t bytes)
{
    return (bytes + GN_ALIGNMENT - 1) / GN_ALIGNMENT * GN_ALIGNMENT;
}

/* NULL: no memory.  Release with free. */
static inline void *gn_aligned(size_t bytes)
{
    return aligned_alloc(GN_ALIGNMENT, bytes == 0 ? GN_ALIGNMENT : gn_align(bytes));
}

/* The same for an arena: in huge pages where the system has them. */
void *gn_aligned_large(size_t bytes);

static inline void *gn_aligned_zeros(size_t bytes)
{
    void *memory = gn_aligned(bytes);
    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

#endif
