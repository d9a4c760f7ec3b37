/* Convolutions of the truth; see wide.h.
 *
 * im2col and a product of matrices, in tiles of four rows and eight columns that stay in registers:
 *
 *     y  = im2col(x) W      dx = im2col(dy) W turned      dW = im2col(x)^T dy
 *
 * Reads: x, W.
 * Order: each sum is one chain of products and additions, im2col's, whatever the tiles; dW's runs
 * over all images.  A thread owns whole results.  SPDX-License-Identifier: MIT */
#include "golden/wide.h"

#include <string.h>

#include "base/threads.h"

enum { ROWS = 4, COLS = 8 };

/* c[r][j] += sum over l of a[r*row + l*step] b[l*ldb + j] */
static void tile(double *c, size_t ldc, const double *a, size_t row, size_t step, const double *b,
                 size_t ldb, size_t length)
{
    double acc[ROWS][COLS];
    for (size_t r = 0; r < ROWS; r++)
        memcpy(acc[r], c + r * ldc, sizeof acc[r]);
    for (size_t l = 0; l < length; l++, b += ldb)
#pragma GCC unroll 4
        for (size_t r = 0; r < ROWS; r++) {
            const double v = a[r * row + l * step];
#pragma GCC unroll 8
            for (size_t j = 0; j < COLS; j++)
                acc[r][j] += v * b[j];
        }
    for (size_t r = 0; r < ROWS; r++)
        memcpy(c + r * ldc, acc[r], sizeof acc[r]);
}

static void edge(double *c, size_t ldc, const double *a, size_t row, size_t step, const double *b,
                 size_t ldb, size_t length, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < length; l++)
            for (size_t j = 0; j < cols; j++)
                c[r * ldc + j] += a[r * row + l * step] * b[l * ldb + j];
}

/* c += a b: c is rows x cols, `length` products each. */
static void product(double *c, size_t ldc, const double *a, size_t row, size_t step,
                    const double *b, size_t ldb, size_t length, size_t rows, size_t cols)
{
    for (size_t j = 0; j < cols; j += COLS)
        for (size_t r = 0; r < rows; r += ROWS) {
            const size_t m = rows - r < ROWS ? rows - r : ROWS;
            const size_t n = cols - j < COLS ? cols - j : COLS;
            if (m == ROWS && n == COLS)
                tile(c + r * ldc + j, ldc, a + r * row, row, step, b + j, ldb, length);
            else
                edge(c + r * ldc + j, ldc, a + r * row, row, step, b + j, ldb, length, m, n);
        }
}

/* What the kernel sees along line h of an image: W rows of K*K*C, squares outside as 0. */
static void see_line(double *rows, const double *image, gn_shape s, size_t K, size_t h)
{
    const size_t H = s.dim[1], W = s.dim[2], C = s.dim[3], P = K / 2;
    for (size_t w = 0; w < W; w++)
        for (size_t kh = 0; kh < K; kh++)
            for (size_t kw = 0; kw < K; kw++, rows += C) {
                const size_t y = h + kh - P, x = w + kw - P; /* wraps where outside */
                if (y < H && x < W)
                    memcpy(rows, image + (y * W + x) * C, C * sizeof *rows);
                else
                    memset(rows, 0, C * sizeof *rows);
            }
}

/* y (+)= im2col(x) weight, weight being [K*K*C][outer]. */
static void chains(double *y, const double *x, gn_shape s, const double *weight, size_t outer,
                   size_t K, double *work, bool add)
{
    const size_t H = s.dim[1], W = s.dim[2], C = s.dim[3], L = K * K * C;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < s.dim[0] * H; i++) {
        double *rows = work + (size_t)gn_thread_index() * W * L, *line = y + i * W * outer;
        see_line(rows, x + i / H * H * W * C, s, K, i % H);
        if (!add)
            memset(line, 0, W * outer * sizeof *line);
        product(line, outer, rows, L, 1, weight, outer, L, W, outer);
    }
}

static void forward(const gn_call *c)
{
    const gn_shape w = c->in[1].shape;
    const size_t O = w.dim[0], C = w.dim[1], K = w.dim[2], taps = K * K;
    const double *weight = c->in[1].data;
    double *packed = c->work;
    for (size_t o = 0; o < O; o++)
        for (size_t i = 0; i < C; i++)
            for (size_t t = 0; t < taps; t++)
                packed[(t * C + i) * O + o] = weight[(o * C + i) * taps + t];
    chains(c->out[0].data, c->in[0].data, c->in[0].shape, packed, O, K, packed + taps * C * O,
           false);
}

static void input_gradient(const gn_call *c)
{
    const gn_shape w = c->in[1].shape;
    const size_t O = w.dim[0], C = w.dim[1], K = w.dim[2], taps = K * K;
    const double *weight = c->in[1].data;
    double *packed = c->work;
    for (size_t o = 0; o < O; o++)
        for (size_t i = 0; i < C; i++)
            for (size_t t = 0; t < taps; t++)
                packed[(t * O + o) * C + i] = weight[(o * C + i) * taps + taps - 1 - t];
    chains(c->din[0].data, c->dout.data, c->dout.shape, packed, C, K, packed + taps * O * C,
           (c->add & 1) != 0);
}

/* A thread owns a tap: rows tap*C to (tap+1)*C of the result. */
static void weight_gradient(const gn_call *c)
{
    const gn_shape s = c->in[0].shape, w = c->in[1].shape;
    const size_t N = s.dim[0], H = s.dim[1], W = s.dim[2], C = s.dim[3], O = w.dim[0];
    const size_t K = w.dim[2], taps = K * K, P = K / 2;
    const double *x = c->in[0].data, *dy = c->dout.data;
    double *dweight = c->din[1].data, *sums = c->work, *shifted = sums + taps * C * O;
    memset(sums, 0, taps * C * O * sizeof *sums);
#pragma omp parallel for schedule(dynamic)
    for (size_t t = 0; t < taps; t++) {
        double *seen = shifted + (size_t)gn_thread_index() * H * W * C;
        for (size_t n = 0; n < N; n++) {
            for (size_t h = 0; h < H; h++)
                for (size_t v = 0; v < W; v++) {
                    const size_t sy = h + t / K - P, sx = v + t % K - P; /* wraps where outside */
                    double *to = seen + (h * W + v) * C;
                    if (sy < H && sx < W)
                        memcpy(to, x + ((n * H + sy) * W + sx) * C, C * sizeof *to);
                    else
                        memset(to, 0, C * sizeof *to);
                }
            product(sums + t * C * O, O, seen, 1, C, dy + n * H * W * O, O, H * W, C, O);
        }
    }
    const bool add = (c->add & 2) != 0;
    for (size_t o = 0; o < O; o++)
        for (size_t i = 0; i < C; i++)
            for (size_t t = 0; t < taps; t++) {
                double *to = dweight + (o * C + i) * taps + t;
                *to = (add ? *to : 0) + sums[(t * C + i) * O + o];
            }
}

static void backward(const gn_call *c)
{
    if (c->din[0].data != NULL)
        input_gradient(c);
    if (c->din[1].data != NULL)
        weight_gradient(c);
}

static size_t work(const gn_call *c)
{
    const gn_shape s = c->in[0].shape, w = c->in[1].shape;
    const size_t T = (size_t)c->threads, K2 = w.dim[2] * w.dim[3], O = w.dim[0], C = w.dim[1];
    const size_t most = O > C ? O : C, line = s.dim[2] * K2 * most, image = s.dim[1] * s.dim[2] * C;
    return (K2 * C * O + T * (line > image ? line : image)) * sizeof(double);
}

void gn_wide_init(gn_wide *wide)
{
    *wide = (gn_wide){.conv2d = {.op = gn_table_find(&gn_double, "conv2d")->op,
                                 .forward = forward, .backward = backward, .work = work},
                      .table = {.name = "wide", .elem = sizeof(double), .count = 1,
                                .under = &gn_double, .update = gn_double.update}};
    wide->row[0] = &wide->conv2d;
    wide->table.row = wide->row;
}
