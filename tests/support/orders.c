/* Sums in other orders; see orders.h.  SPDX-License-Identifier: MIT */
#include "support/orders.h"

#include <math.h>

const char *const order_names[ORDERS] = {"fused chain", "backwards",  "unfused chain",
                                         "8 lanes",     "pairwise",   "blocks of 64",
                                         "shuffled",    "split in 4", "float64"};

static float chain(const double *a, const double *b, size_t first, size_t end, size_t step)
{
    float sum = 0;
    for (size_t i = first; i < end; i += step)
        sum = fmaf((float)a[i], (float)b[i], sum);
    return sum;
}

static float pairwise(const double *a, const double *b, size_t first, size_t end)
{
    if (end - first <= 2)
        return chain(a, b, first, end, 1);
    const size_t middle = first + (end - first) / 2;
    return pairwise(a, b, first, middle) + pairwise(a, b, middle, end);
}

static float lanes(const double *a, const double *b, size_t count, size_t number)
{
    float sum = 0;
    for (size_t lane = 0; lane < number; lane++)
        sum += chain(a, b, lane, count, number);
    return sum;
}

static float blocks(const double *a, const double *b, size_t count, size_t size)
{
    float sum = 0;
    for (size_t i = 0; i < count; i += size)
        sum += chain(a, b, i, i + size < count ? i + size : count, 1);
    return sum;
}

/* A walk with a step that shares no factor with the count visits every term once. */
static float shuffled(const double *a, const double *b, size_t count)
{
    size_t step = count / 3 * 2 + 1, x = count, y;
    for (;; step++) {
        for (x = count, y = step; y != 0;) {
            const size_t rest = x % y;
            x = y;
            y = rest;
        }
        if (x == 1)
            break;
    }
    float sum = 0;
    for (size_t k = 0, i = 0; k < count; k++, i = (i + step) % count) {
        const float product = (float)a[i] * (float)b[i];
        sum += product;
    }
    return sum;
}

float order_sum(order o, const double *a, const double *b, size_t count)
{
    float sum = 0;
    double wide = 0;
    switch (o) {
    case ORDER_CHAIN:
        return chain(a, b, 0, count, 1);
    case ORDER_BACKWARDS:
        for (size_t i = count; i-- > 0;)
            sum = fmaf((float)a[i], (float)b[i], sum);
        return sum;
    case ORDER_UNFUSED:
        for (size_t i = 0; i < count; i++) {
            const float product = (float)a[i] * (float)b[i];
            sum += product;
        }
        return sum;
    case ORDER_LANES:
        return lanes(a, b, count, 8);
    case ORDER_PAIRWISE:
        return pairwise(a, b, 0, count);
    case ORDER_BLOCKED:
        return blocks(a, b, count, 64);
    case ORDER_SHUFFLED:
        return shuffled(a, b, count);
    case ORDER_SPLIT:
        return blocks(a, b, count, count / 4 + 1);
    case ORDER_WIDE:
        for (size_t i = 0; i < count; i++)
            wide += a[i] * b[i];
        return (float)wide;
    }
    return sum;
}
