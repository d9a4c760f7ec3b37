/* A convolution by definition, with a flaw; see mistaken_conv.h.  SPDX-License-Identifier: MIT */
#include "support/mistaken_conv.h"

#include <stdbool.h>
#include <string.h>

typedef struct sizes {
    size_t N, H, W, C, I, O, K; /* C: channels of the input; I: those that an output reads */
} sizes;

static size_t weight_index(sizes s, conv_flaw f, size_t o, size_t i, size_t kh, size_t kw)
{
    if (f == KERNEL_TURNED) {
        kh = s.K - 1 - kh;
        kw = s.K - 1 - kw;
    }
    if (f == ROWS_FOR_COLUMNS)
        return ((o * s.I + i) * s.K + kw) * s.K + kh;
    if (f == IO_SWAPPED)
        return ((i * s.O + o) * s.K + kh) * s.K + kw;
    if (f == CHANNELS_LAST)
        return ((o * s.K + kh) * s.K + kw) * s.I + i;
    return ((o * s.I + i) * s.K + kh) * s.K + kw;
}

/* In [N,H,W,C]; with a flawed layout, where [N,C,H,W] would have it. */
static size_t input_index(sizes s, conv_flaw f, size_t n, size_t h, size_t w, size_t i)
{
    return f == MAP_LAYOUT ? ((n * s.C + i) * s.H + h) * s.W + w
                           : ((n * s.H + h) * s.W + w) * s.C + i;
}

static bool skipped(sizes s, conv_flaw f, size_t i, size_t kh, size_t kw)
{
    return (f == LAST_TAP && s.K == 3 && kh == 2 && kw == 2) ||
           (f == LAST_CHANNELS && s.I > 4 && i >= s.I - s.I % 4);
}

typedef struct place {
    size_t out, in, weight, image;
} place;

static void multiply(const gn_call *c, conv_flaw f, place p)
{
    const float *x = c->in[0].data, *w = c->in[1].data, *dy = c->dout.data;
    if (c->pass != GN_BACKWARD) {
        ((float *)c->out[0].data)[p.out] += x[p.in] * w[p.weight];
        return;
    }
    if (c->din[0].data != NULL)
        ((float *)c->din[0].data)[p.in] += dy[p.out] * w[p.weight];
    if (c->din[1].data != NULL && !(f == SECOND_IMAGE && p.image == 1))
        ((float *)c->din[1].data)[p.weight] += dy[p.out] * x[p.in];
}

static void clear(gn_tensor t, bool wanted)
{
    if (wanted && t.data != NULL)
        memset(t.data, 0, gn_shape_count(t.shape) * sizeof(float));
}

void flawed_conv(const gn_call *c, conv_flaw f)
{
    const size_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
    const sizes s = {x[0], x[1], x[2], x[3], w[1], w[0], w[2]};
    const bool dense = s.I == s.C; /* else depthwise: each channel by itself */
    const size_t late = s.K / 2 + (f == WINDOW_LATE && s.K == 3 ? 1 : 0);
    clear(c->out[0], c->pass != GN_BACKWARD);
    clear(c->din[0], (c->add & 1) == 0);
    clear(c->din[1], (c->add & 2) == 0);
    for (size_t e = 0; e < s.N * s.H * s.W * s.O; e++) {
        const size_t o = e % s.O, v = e / s.O % s.W, h = e / s.O / s.W % s.H;
        const size_t n = e / s.O / s.W / s.H;
        for (size_t k = 0; k < s.K * s.K * s.I; k++) {
            const size_t i = k % s.I, kw = k / s.I % s.K, kh = k / s.I / s.K;
            const size_t hh = h + kh - late, ww = v + kw - late;
            if (hh < s.H && ww < s.W && !skipped(s, f, i, kh, kw))
                multiply(c, f,
                         (place){e, input_index(s, f, n, hh, ww, dense ? i : o),
                                 weight_index(s, f, o, i, kh, kw), n});
        }
    }
}
