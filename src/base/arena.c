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
        if (a->hole[best].bytes == 0) {
            a->holes--;
            memmove(a->hole + best, a->hole + best + 1, (a->holes - best) * sizeof *a->hole);
        }
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
    size_t at = a->holes++; /* the holes above it move up */
    for (; at > 0 && a->hole[at - 1].offset > offset; at--)
        a->hole[at] = a->hole[at - 1];
    a->hole[at] = (gn_hole){offset, bytes};

    gn_hole *last = a->hole; /* holes that touch become one */
    for (const gn_hole *next = last + 1; next < a->hole + a->holes; next++)
        if (last->offset + last->bytes == next->offset)
            last->bytes += next->bytes;
        else
            *++last = *next;
    a->holes = (size_t)(last - a->hole) + 1;
    if (last->offset + last->bytes == a->end) { /* a hole at the end is no hole */
        a->end = last->offset;
        a->holes--;
    }
    return true;
}
