/* Naming an order of summation by trying those that are known; see orders.h.
 *
 * An order is a way through the terms (which index is slow, each upward or downward) and a way of
 * adding them: one chain, lanes, blocks, a tree, groups added at once as tensor cores do.
 * SPDX-License-Identifier: MIT */
#include "golden/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/probe.h"

typedef enum kind {
    CHAIN,
    LANES_TREE,
    LANES_HALVES,
    LANES_CHAIN,
    BLOCKS_TREE,
    BLOCKS_CHAIN,
    TREE,
    HALVES,
    GROUPS,
    EXACT
} kind;

typedef struct adding {
    kind kind;
    size_t size; /* lanes, terms in a block, terms in a group; 0: the inner length */
} adding;

static const adding addings[] = {
    {CHAIN, 0},         {BLOCKS_TREE, 0},   {BLOCKS_CHAIN, 0},  {BLOCKS_TREE, 8},
    {LANES_TREE, 2},    {LANES_TREE, 4},    {LANES_TREE, 8},    {LANES_TREE, 16},
    {LANES_TREE, 32},   {LANES_TREE, 64},   {LANES_HALVES, 4},  {LANES_HALVES, 8},
    {LANES_HALVES, 16}, {LANES_HALVES, 32}, {LANES_HALVES, 64}, {LANES_CHAIN, 4},
    {LANES_CHAIN, 8},   {LANES_CHAIN, 16},  {LANES_CHAIN, 32},  {LANES_CHAIN, 64},
    {TREE, 0},          {HALVES, 0},        {BLOCKS_CHAIN, 2},  {BLOCKS_CHAIN, 4},
    {BLOCKS_CHAIN, 8},  {BLOCKS_CHAIN, 16}, {BLOCKS_CHAIN, 32}, {BLOCKS_TREE, 2},
    {BLOCKS_TREE, 4},   {BLOCKS_TREE, 16},  {BLOCKS_TREE, 32},  {GROUPS, 4},
    {GROUPS, 8},        {GROUPS, 16},       {EXACT, 0}};
enum {
    ADDINGS = sizeof addings / sizeof *addings,
    WAYS = 8,
    INNER_SLOW = 1,
    INNER_DOWN = 2,
    OUTER_DOWN = 4
};

/* --- Adding ----------------------------------------------------------------------------------- */

static float chain(const float *t, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += t[i];
    return sum;
}

/* Neighbours first, whatever is left alone waits: the batch tree. */
static float tree(float *t, size_t count)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t i = 0; i + step < count; i += 2 * step)
            t[i] += t[i + step];
    return t[0];
}

/* The first half and the second. */
static float halves(const float *t, size_t count)
{
    return count == 1 ? t[0] : halves(t, count / 2) + halves(t + count / 2, count - count / 2);
}

/* Lane i + half onto lane i, as shuffles do it. */
static float fold(float *t, size_t count)
{
    for (size_t half = count / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            t[i] += t[i + half];
    return t[0];
}

static float lanes(const float *t, size_t count, adding a, float *scratch)
{
    for (size_t i = 0; i < a.size; i++) {
        scratch[i] = 0;
        for (size_t k = i; k < count; k += a.size)
            scratch[i] += t[k];
    }
    return a.kind == LANES_TREE     ? tree(scratch, a.size)
           : a.kind == LANES_HALVES ? fold(scratch, a.size)
                                    : chain(scratch, a.size);
}

static float blocks(const float *t, size_t count, adding a, float *scratch)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i += a.size)
        scratch[made++] = chain(t + i, count - i < a.size ? count - i : a.size);
    return a.kind == BLOCKS_TREE ? tree(scratch, made) : chain(scratch, made);
}

/* Terms of a group and the sum so far are aligned to the largest of them, and what falls off is
 * lost: beside M that is everything but M itself. */
static float groups(const float *t, size_t count, size_t size)
{
    float sum = 0;
    for (size_t i = 0; i < count; i += size) {
        const size_t end = i + size < count ? i + size : count;
        bool large = sum >= GN_PROBE_LARGE || sum <= -GN_PROBE_LARGE;
        for (size_t k = i; k < end; k++)
            large = large || t[k] == GN_PROBE_LARGE || t[k] == -GN_PROBE_LARGE;
        double all = 0;
        for (size_t k = i; k < end; k++)
            all += large && t[k] == 1 ? 0 : (double)t[k];
        const float before = large && sum < GN_PROBE_LARGE && sum > -GN_PROBE_LARGE ? 0 : sum;
        sum = (float)(all + (double)before);
    }
    return sum;
}

static float exact(const float *t, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)t[i];
    return (float)sum;
}

static float take(const float *t, size_t count, adding a, float *scratch)
{
    switch (a.kind) {
    case CHAIN:
        return chain(t, count);
    case LANES_TREE:
    case LANES_HALVES:
    case LANES_CHAIN:
        return lanes(t, count, a, scratch);
    case BLOCKS_TREE:
    case BLOCKS_CHAIN:
        return blocks(t, count, a, scratch);
    case TREE:
        memcpy(scratch, t, count * sizeof *t);
        return tree(scratch, count);
    case HALVES:
        return halves(t, count);
    case GROUPS:
        return groups(t, count, a.size);
    case EXACT:
        return exact(t, count);
    }
    return 0;
}

/* --- Ways through the terms ------------------------------------------------------------------- */

static size_t terms_of(const gn_order_probe *p)
{
    return p->outer * p->inner;
}

/* The term that comes i-th. */
static size_t term_at(const gn_order_probe *p, size_t way, size_t i)
{
    const bool slow = (way & INNER_SLOW) != 0;
    const size_t outer = slow ? i % p->outer : i / p->inner;
    const size_t inner = slow ? i / p->outer : i % p->inner;
    return ((way & OUTER_DOWN) != 0 ? p->outer - 1 - outer : outer) * p->inner +
           ((way & INNER_DOWN) != 0 ? p->inner - 1 - inner : inner);
}

size_t gn_orders_known(const gn_order_probe *p)
{
    (void)p;
    return (size_t)ADDINGS * WAYS;
}

static adding adding_of(const gn_order_probe *p, size_t order)
{
    adding a = addings[order / WAYS];
    if (a.size == 0)
        a.size = (order & INNER_SLOW) != 0 ? p->outer : p->inner;
    return a;
}

/* `scratch` has room for 2 K + 64 floats. */
float gn_order_take(const gn_order_probe *p, size_t order, const float *terms, float *scratch)
{
    const size_t K = terms_of(p);
    for (size_t i = 0; i < K; i++)
        scratch[i] = terms[term_at(p, order % WAYS, i)];
    return take(scratch, K, adding_of(p, order), scratch + K);
}

static bool gives(const gn_order_probe *p, size_t order, float *terms, float *scratch)
{
    const size_t K = terms_of(p);
    for (size_t j = 1; j < K; j++) {
        for (size_t k = 0; k < K; k++)
            terms[k] = k == 0 ? GN_PROBE_LARGE : k == j ? -GN_PROBE_LARGE : 1;
        if (gn_order_take(p, order, terms, scratch) != p->seen[j - 1])
            return false;
    }
    return true;
}

/* --- Words ------------------------------------------------------------------------------------ */

static void say_way(char *text, size_t room, const gn_order_probe *p, size_t way)
{
    const char *const down[] = {"upward", "downward"};
    const char *inner = down[(way & INNER_DOWN) != 0], *outer = down[(way & OUTER_DOWN) != 0];
    if (p->outer == 1)
        snprintf(text, room, "%ss %s", p->inner_name, inner);
    else if ((way & INNER_SLOW) != 0)
        snprintf(text, room, "%ss %s, in each all %ss %s", p->inner_name, inner, p->outer_name,
                 outer);
    else
        snprintf(text, room, "%ss %s, in each all %ss %s", p->outer_name, outer, p->inner_name,
                 inner);
}

static void say_adding(char *text, size_t room, adding a)
{
    static const char *const words[] = {[CHAIN] = "one chain",
                                        [LANES_TREE] = "%zu lanes, merged by neighbours",
                                        [LANES_HALVES] = "%zu lanes, merged by halves",
                                        [LANES_CHAIN] = "%zu lanes, then a chain",
                                        [BLOCKS_TREE] = "chains of %zu, merged by a tree",
                                        [BLOCKS_CHAIN] = "chains of %zu, then a chain",
                                        [TREE] = "a tree of neighbours",
                                        [HALVES] = "a tree of halves",
                                        [GROUPS] = "groups of %zu added at once",
                                        [EXACT] = "a sum wider than float32"};
    const char *form = words[a.kind], *number = strstr(form, "%zu");
    if (number == NULL)
        snprintf(text, room, "%s", form);
    else
        snprintf(text, room, "%.*s%zu%s", (int)(number - form), form, a.size, number + 3);
}

/* How many terms meet term 0 first in a sum of `size` terms. */
static size_t meeting(const gn_order_probe *p, size_t size)
{
    size_t count = 0;
    for (size_t j = 1; j < terms_of(p); j++)
        count += p->seen[j - 1] == (float)(terms_of(p) - size);
    return count;
}

/* In which sums term 0 meets the others, smallest first: "1 in a sum of 2, 6 in one of 8". */
static void say_growth(char *text, size_t room, const gn_order_probe *p)
{
    const size_t K = terms_of(p);
    size_t used = (size_t)snprintf(text, room, "no known order; the first term meets");
    for (size_t size = 2; size <= K && used + 32 < room; size++) {
        const size_t count = meeting(p, size), first = size;
        while (count > 0 && size < K && meeting(p, size + 1) == count)
            size++;
        if (count > 0 && size > first)
            used += (size_t)snprintf(text + used, room - used, " %zu each in sums of %zu to %zu,",
                                     count, first, size);
        else if (count > 0)
            used += (size_t)snprintf(text + used, room - used, " %zu in a sum of %zu,", count,
                                     size);
    }
    text[used - 1] = text[used - 1] == ',' ? '\0' : text[used - 1];
}

gn_status gn_order_name(char *text, size_t room, const gn_order_probe *p, gn_err *err)
{
    const size_t K = terms_of(p);
    float *terms = malloc((3 * K + 64) * sizeof *terms);
    if (terms == NULL)
        return gn_fail(err, GN_E_NOMEM, "verify: no memory for orders of %zu terms", K);
    size_t order = 0;
    while (order < gn_orders_known(p) && !gives(p, order, terms, terms + K))
        order++;
    free(terms);
    if (order >= gn_orders_known(p)) {
        say_growth(text, room, p);
        return GN_OK;
    }
    char way[100], how[80];
    const adding a = adding_of(p, order);
    say_way(way, sizeof way, p, order % WAYS);
    say_adding(how, sizeof how, a);
    const char *fused = !p->products || a.kind == EXACT || a.kind == GROUPS ? ""
                        : p->fused                                          ? ", fused"
                                                                            : ", products rounded";
    snprintf(text, room, "%s%s; %s", how, fused, a.kind == EXACT ? "any order" : way);
    return GN_OK;
}
