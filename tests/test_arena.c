/* The arena, by hand and against a map of lines that is too simple to be wrong.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/arena.h"
#include "support/check.h"

enum { LINE = 64 };

/* Takes whole lines and says where they must lie. */
static void take_at(gn_arena *a, size_t lines, size_t where)
{
    cr_assert_eq(gn_arena_take(a, lines * LINE), where * LINE, "%zu lines", lines);
}

static void give_at(gn_arena *a, size_t where, size_t lines)
{
    cr_assert(gn_arena_give(a, where * LINE, lines * LINE));
}

static void state(const gn_arena *a, size_t end, size_t live, size_t peak, size_t holes)
{
    cr_assert_eq(a->end, end * LINE, "end");
    cr_assert_eq(a->live, live * LINE, "live");
    cr_assert_eq(a->peak, peak * LINE, "peak");
    cr_assert_eq(a->holes, holes, "%zu holes, expected %zu", a->holes, holes);
}

/* Lines 0..14 as blocks of 4, 1, 2, 1, 3, 1, 3 from 0, 4, 5, 7, 8, 11, 12. */
static gn_arena fifteen(void)
{
    gn_arena a = {0};
    const size_t sizes[] = {4, 1, 2, 1, 3, 1, 3}, places[] = {0, 4, 5, 7, 8, 11, 12};
    for (size_t i = 0; i < 7; i++)
        take_at(&a, sizes[i], places[i]);
    state(&a, 15, 15, 15, 0);
    return a;
}

Test(arena, takes_the_smallest_hole_that_fits)
{
    gn_arena a = fifteen();
    give_at(&a, 0, 4);
    give_at(&a, 5, 2);
    give_at(&a, 8, 3);
    state(&a, 15, 6, 15, 3);
    take_at(&a, 2, 5);  /* exact: the hole is gone */
    take_at(&a, 2, 8);  /* 3 is closer than 4 */
    take_at(&a, 4, 0);
    take_at(&a, 1, 10); /* the rest of the 3 */
    state(&a, 15, 15, 15, 0);
    take_at(&a, 1, 15);
    state(&a, 16, 16, 16, 0);
    gn_arena_free(&a);
}

Test(arena, of_equal_holes_the_lowest)
{
    gn_arena a = fifteen();
    give_at(&a, 11, 1);
    give_at(&a, 4, 1);
    take_at(&a, 1, 4);
    take_at(&a, 1, 11);
    gn_arena_free(&a);
}

Test(arena, joins_neighbouring_holes)
{
    gn_arena a = fifteen();
    give_at(&a, 4, 1);
    give_at(&a, 7, 1);
    state(&a, 15, 13, 15, 2);
    give_at(&a, 5, 2); /* with the one before and the one behind */
    state(&a, 15, 11, 15, 1);
    take_at(&a, 4, 4);
    gn_arena_free(&a);
}

Test(arena, a_hole_at_the_end_is_none)
{
    gn_arena a = fifteen();
    give_at(&a, 8, 3);
    give_at(&a, 11, 1);
    state(&a, 15, 11, 15, 1);
    give_at(&a, 12, 3);
    state(&a, 8, 8, 15, 0); /* the end falls, the peak stays */
    take_at(&a, 9, 8);
    state(&a, 17, 17, 17, 0);
    gn_arena_clear(&a);
    state(&a, 0, 0, 17, 0);
    gn_arena_free(&a);
}

Test(arena, rounds_up_to_a_line_and_takes_nothing_for_nothing)
{
    gn_arena a = {0};
    cr_assert_eq(gn_arena_take(&a, 1), 0);
    cr_assert_eq(gn_arena_take(&a, 65), LINE);
    state(&a, 3, 3, 3, 0);
    cr_assert_eq(gn_arena_take(&a, 0), 3 * LINE);
    cr_assert(gn_arena_give(&a, 3 * LINE, 0));
    state(&a, 3, 3, 3, 0);
    cr_assert(gn_arena_give(&a, LINE, 65));
    cr_assert(gn_arena_give(&a, 0, 1));
    state(&a, 0, 0, 3, 0);
    gn_arena_free(&a);
}

/* --- Against the map ------------------------------------------------------------------------ */

enum { LINES = 4096, BLOCKS = 96, TURNS = 20000 };

typedef struct block {
    size_t where, lines;
} block;

typedef struct model {
    bool used[LINES];
    block live[BLOCKS];
    size_t count, end, peak;
} model;

/* Where best fit must put `lines`: the shortest run of free lines below the end, the lowest of
 * equals; else the end. */
static size_t best_fit(const model *m, size_t lines)
{
    size_t best = m->end, shortest = LINES;
    for (size_t i = 0; i < m->end;) {
        size_t run = 0;
        while (i + run < m->end && !m->used[i + run])
            run++;
        if (run >= lines && run < shortest) {
            shortest = run;
            best = i;
        }
        i += run + 1;
    }
    return best;
}

static void mark(model *m, block b, bool used)
{
    for (size_t i = b.where; i < b.where + b.lines; i++) {
        cr_assert_lt(i, (size_t)LINES);
        cr_assert_neq(m->used[i], used, "line %zu is taken twice", i);
        m->used[i] = used;
    }
    m->end = 0;
    for (size_t i = 0; i < LINES; i++)
        if (m->used[i])
            m->end = i + 1;
    m->peak = m->end > m->peak ? m->end : m->peak;
}

static void agree(const gn_arena *a, const model *m)
{
    size_t live = 0, holes = 0;
    for (size_t i = 0; i < m->count; i++)
        live += m->live[i].lines;
    for (size_t i = 0; i < m->end; i++)
        holes += !m->used[i] && (i == 0 || m->used[i - 1]);
    state(a, m->end, live, m->peak, holes);
}

Test(arena, random_turns_against_a_map_of_lines)
{
    static model m;
    static float draw[3 * TURNS];
    gn_arena a = {0};
    seeded_fill(draw, 3 * TURNS, 4, 0, 1);
    for (size_t t = 0; t < TURNS; t++) {
        const float *d = draw + 3 * t;
        const bool full = m.count == BLOCKS;
        if (full || (m.count > 0 && d[0] < 0.48f)) {
            const size_t i = (size_t)(d[1] * (float)m.count);
            const block b = m.live[i];
            give_at(&a, b.where, b.lines);
            m.live[i] = m.live[--m.count];
            mark(&m, b, false);
        } else {
            const size_t lines = 1 + (size_t)(d[2] * d[2] * 40);
            const block b = {best_fit(&m, lines), lines};
            take_at(&a, lines, b.where);
            m.live[m.count++] = b;
            mark(&m, b, true);
        }
        if (t % 16 == 0)
            agree(&a, &m);
    }
    gn_arena_free(&a);
}
