/* Memory in huge pages: the only file that asks the system for them.
 *
 * An arena is walked from end to end many times a step; in pages of 4 KiB the processor keeps
 * looking addresses up (measured: a step of 6x64 with batch 256 is 7 % faster in pages of 2 MiB).
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "base/align.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

enum { HUGE_PAGE = 2 << 20 };

void *gn_aligned_large(size_t bytes)
{
    if (bytes < 2 * HUGE_PAGE)
        return gn_aligned(bytes);
    const size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = aligned_alloc(HUGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    madvise(memory, whole, MADV_HUGEPAGE); /* a wish: where it fails all is the same, slower */
#endif
    return memory;
}
