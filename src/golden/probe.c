/* Where the patterns of each probe stand, and where its results; see probe.h.
 * SPDX-License-Identifier: MIT */
#include "golden/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/orders.h"

/* Where a pattern's terms stand in the tensor that holds them, as (pattern, term). */
typedef enum layout {
    ROWS,     /* [pattern, term] */
    COLUMNS,  /* [..., pattern], terms before it */
    KERNEL,   /* [pattern, channel, tap]: terms are (tap, channel) */
    FLIPPED,  /* [channel, pattern, tap]: (tap descending, channel) */
    TAPS,     /* [pattern, tap] */
    TAPS_BACK /* [pattern, tap descending] */
} layout;

/* Where the other factor is 1 + 2^-12, for the patterns of fusing. */
typedef enum twin { NOWHERE, SECOND_ROW, SECOND_COLUMN, SAME_CHANNEL } twin;

/* Where pattern p's result stands; s is 1 for patterns of fusing. */
typedef enum result {
    CENTRE,     /* a map [2,3,3,P]: image s */
    CENTRE_TAP, /* [P,2,3,3]: input channel s */
    OWN_TAP,    /* [P,1,3,3] */
    ROW,        /* [2,P]: row s */
    COLUMN,     /* [P,2]: column s */
    PLAIN       /* [P] */
} result;

typedef struct probe {
    const char *name;
    int holder, partner; /* tensors: an input, or GN_CASE_DOUT */
    layout layout;
    twin twin;
    result result;
    size_t outer, inner; /* K is their product */
    const char *outer_name, *inner_name;
    float scale; /* of the result */
} probe;

enum { D = GN_CASE_DOUT };

static const probe probes[] = {
    {"T1/conv2d_y", 1, 0, KERNEL, SECOND_ROW, CENTRE, 9, 8, "tap", "channel", 1},
    {"T1/conv2d_dx", 1, D, FLIPPED, SECOND_ROW, CENTRE, 9, 8, "tap", "channel", 1},
    {"T1/conv2d_dweight", D, 0, COLUMNS, SECOND_COLUMN, CENTRE_TAP, 3, 9, "image", "square", 1},
    {"T1/depthwise_conv2d_y", 1, 0, TAPS, SECOND_ROW, CENTRE, 1, 9, "", "tap", 1},
    {"T1/depthwise_conv2d_dx", 1, D, TAPS_BACK, SECOND_ROW, CENTRE, 1, 9, "", "tap", 1},
    {"T1/depthwise_conv2d_dweight", D, 0, COLUMNS, SAME_CHANNEL, OWN_TAP, 3, 9, "image", "square",
     1},
    {"T1/linear_y", 1, 0, ROWS, SECOND_ROW, ROW, 1, 48, "", "channel", 1},
    {"T1/linear_dx", 1, D, COLUMNS, SECOND_ROW, ROW, 1, 48, "", "channel", 1},
    {"T1/linear_dweight", D, 0, COLUMNS, SECOND_COLUMN, COLUMN, 1, 40, "", "image", 1},
    {"T1/linear_dbias", D, D, COLUMNS, NOWHERE, PLAIN, 1, 40, "", "image", 1},
    {"T1/global_avg_pool_y", 0, 0, COLUMNS, NOWHERE, PLAIN, 1, 16, "", "square", 16},
    {"T1/channel_scale_dgate", D, 0, COLUMNS, SAME_CHANNEL, PLAIN, 1, 16, "", "square", 1},
    {"T1/batch_norm_dbias", D, D, COLUMNS, NOWHERE, PLAIN, 3, 9, "image", "square", 1},
};

static const probe *probe_of(const gn_case *c)
{
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        if (strcmp(probes[i].name, c->name) == 0)
            return &probes[i];
    return NULL;
}

static size_t terms_of(const probe *q)
{
    return q->outer * q->inner;
}

static size_t fusings(const probe *q)
{
    size_t count = 0;
    for (size_t j = 1; j < terms_of(q) && q->twin != NOWHERE; j *= 2)
        count++;
    return count;
}

/* --- Filling ---------------------------------------------------------------------------------- */

#define NEAR_ONE 0x1.001p0f /* 1 + 2^-12: its square needs 25 bits */

/* Term k of pattern p. */
static float term(const probe *q, size_t p, size_t k)
{
    const size_t first = terms_of(q) - 1;
    if (p < first)
        return k == 0 ? GN_PROBE_LARGE : k == p + 1 ? -GN_PROBE_LARGE : 1;
    const size_t j = (size_t)1 << (p - first);
    return k == 0 ? -NEAR_ONE : k == j ? NEAR_ONE : 0;
}

static float pattern(const probe *q, gn_shape s, size_t e)
{
    const size_t *d = s.dim, last = d[s.rank - 1];
    const size_t taps = s.rank == 4 ? d[2] * d[3] : 1, tap = e % taps;
    switch (q->layout) {
    case ROWS:
        return term(q, e / last, e % last);
    case COLUMNS:
        return term(q, e % last, e / last);
    case KERNEL:
        return term(q, e / taps / d[1], tap * d[1] + e / taps % d[1]);
    case FLIPPED:
        return term(q, e / taps % d[1], (taps - 1 - tap) * d[0] + e / taps / d[1]);
    case TAPS:
        return term(q, e / taps, tap);
    case TAPS_BACK:
        return term(q, e / taps, taps - 1 - tap);
    }
    return 0;
}

static bool is_twin(const probe *q, gn_shape s, size_t e)
{
    const size_t last = s.dim[s.rank - 1], row = gn_shape_count(s) / s.dim[0];
    switch (q->twin) {
    case NOWHERE:
        return false;
    case SECOND_ROW:
        return e / row == 1;
    case SECOND_COLUMN:
        return e % last == 1;
    case SAME_CHANNEL:
        return e % last >= terms_of(q) - 1;
    }
    return false;
}

void gn_probe_fill(float *to, const gn_case *c, int index, gn_shape s)
{
    const probe *q = probe_of(c);
    for (size_t e = 0; e < gn_shape_count(s); e++)
        to[e] = index == q->holder                        ? pattern(q, s, e)
                : index == q->partner && is_twin(q, s, e) ? NEAR_ONE
                                                          : 1;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static size_t place(const probe *q, size_t patterns, size_t p)
{
    const size_t second = p >= terms_of(q) - 1 ? 1 : 0;
    switch (q->result) {
    case CENTRE:
        return (second * 9 + 4) * patterns + p;
    case CENTRE_TAP:
        return (p * 2 + second) * 9 + 4;
    case OWN_TAP:
        return p * 9 + 4;
    case ROW:
        return second * patterns + p;
    case COLUMN:
        return p * 2 + second;
    case PLAIN:
        return p;
    }
    return 0;
}

gn_status gn_probe_name(char *text, size_t room, const gn_case *c, const gn_case_tensor *t,
                        const float *got, gn_err *err)
{
    const probe *q = probe_of(c);
    *text = '\0';
    if (q == NULL || t->role == GN_ROLE_GIVEN)
        return GN_OK;
    const size_t K = terms_of(q), patterns = K - 1 + fusings(q);
    float *seen = malloc(K * sizeof *seen);
    if (seen == NULL)
        return gn_fail(err, GN_E_NOMEM, "case %s: no memory for %zu patterns", c->name, K);
    for (size_t p = 0; p < K - 1; p++)
        seen[p] = got[place(q, patterns, p)] * q->scale;
    bool fused = false;
    for (size_t p = K - 1; p < patterns; p++)
        fused = fused || got[place(q, patterns, p)] != 0;
    const gn_order_probe numbers = {seen,          q->outer,           q->inner, q->outer_name,
                                    q->inner_name, q->twin != NOWHERE, fused};
    const gn_status st = gn_order_name(text, room, &numbers, err);
    free(seen);
    return st;
}
