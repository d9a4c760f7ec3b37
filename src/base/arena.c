/* Arena: best fit over a sorted list of holes.  SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/align.h"

void gn_arena_free(gn_arena *a)
{
    free(a->hole);
    *a = (gn_arena){0};
}

void gn_arena_clear(gn_arena *a)
{
    a->holes = 0;
    a->end = a->live = 0;
}

static void remove_hole(gn_arena *a, size_t i)
{
    memmove(a->hole + i, a->hole + i + 1, (a->holes - i - 1) * sizeof *a->hole);
    a->holes--;
}

size_t gn_arena_take(gn_arena *a, size_t bytes)
{
    bytes = gn_align(bytes);
    size_t best = a->holes;
    for (size_t i = 0; i < a->holes; i++)
        if (a->hole[i].bytes >= bytes &&
            (best == a->holes || a->hole[i].bytes < a->hole[best].bytes))
            best = i;
    a->live += bytes;
    if (best < a->holes) {
        const size_t offset = a->hole[best].offset;
        a->hole[best].offset += bytes;
        a->hole[best].bytes -= bytes;
        if (a->hole[best].bytes == 0)
            remove_hole(a, best);
        return offset;
    }
    const size_t offset = a->end;
    a->end += bytes;
    a->peak = a->end > a->peak ? a->end : a->peak;
    return offset;
}

bool gn_arena_give(gn_arena *a, size_t offset, size_t bytes)
{
    bytes = gn_align(bytes);
    if (bytes == 0)
        return true;
    if (a->holes == a->room) {
        const size_t room = a->room == 0 ? 32 : a->room * 2;
        gn_hole *larger = realloc(a->hole, room * sizeof *larger);
        if (larger == NULL)
            return false;
        a->hole = larger;
        a->room = room;
    }
    a->live -= bytes;
    size_t i = 0;
    while (i < a->holes && a->hole[i].offset < offset)
        i++;
    memmove(a->hole + i + 1, a->hole + i, (a->holes - i) * sizeof *a->hole);
    a->hole[i] = (gn_hole){offset, bytes};
    a->holes++;
    if (i + 1 < a->holes && offset + bytes == a->hole[i + 1].offset) { /* joins the next hole */
        a->hole[i].bytes += a->hole[i + 1].bytes;
        remove_hole(a, i + 1);
    }
    if (i > 0 && a->hole[i - 1].offset + a->hole[i - 1].bytes == offset) { /* and the one before */
        a->hole[i - 1].bytes += a->hole[i].bytes;
        remove_hole(a, i);
    }
    const gn_hole last = a->hole[a->holes - 1];
    if (last.offset + last.bytes == a->end) { /* a hole at the end is no hole */
        a->end = last.offset;
        a->holes--;
    }
    return true;
}
