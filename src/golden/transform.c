/* The gates of transformed convolutions.
 *
 * Winograd's F(m,3) computes a tile of m x m outputs as AT [(G g GT) * (BT d B)] A: fewer products,
 * but of sums of inputs and of weights, so that an output has errors of inputs that it does not
 * depend on.  Its gates are those of the direct sum with other scales.  The same computation on
 * absolute values gives S, on squares Q^2, and in float32 an error to compare with: |error| at most
 * (n + 16 tile) u S, n the length of the sums between the transforms; its root mean square over u Q
 * at most 4 times, the largest 12 times that of the float32 run.  A formula mistake is thousands of
 * times larger.
 *
 * The matrices are Cook's and Toom's for the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity; others
 * have errors of the same size.  The gradient of a weight is F(3,m), the gradient's tile being the
 * kernel. SPDX-License-Identifier: MIT */
#include "golden/transform.h"
#include "golden/gates.h"

#include <stdlib.h>
#include <string.h>

static const double u = 0x1p-24, tiny = 0x1p-149;
enum { TILE = 8, FAR = 4000 };

typedef enum lane { FLOAT, ABSOLUTE, SQUARE, LANES } lane;

static double rounded(lane l, double x)
{
    return l == FLOAT ? (double)(float)x : x;
}

static double as(lane l, double x)
{
    return l == FLOAT ? x : l == ABSOLUTE ? size_of(x) : x * x;
}

/* F(outputs, taps) in one direction. */
typedef struct algorithm {
    int outputs, taps, size; /* of the tile: outputs + taps - 1 */
    double AT[TILE][TILE], G[TILE][TILE], BT[TILE][TILE];
} algorithm;

/* Coefficients of the product of (x - p) over all points but one. */
static void polynomial(double *c, const double *points, int count, int without)
{
    int degree = 0;
    memset(c, 0, TILE * sizeof *c);
    c[0] = 1;
    for (int k = 0; k < count; k++) {
        if (k == without)
            continue;
        degree++;
        for (int i = degree; i >= 0; i--)
            c[i] = (i > 0 ? c[i - 1] : 0) - points[k] * c[i];
    }
}

static algorithm make(int outputs, int taps)
{
    static const double points[] = {0, 1, -1, 2, -2, 0.5, -0.5};
    algorithm w = {.outputs = outputs, .taps = taps, .size = outputs + taps - 1};
    const int finite = w.size - 1;
    for (int j = 0; j < finite; j++) {
        double scale = 1, power = 1;
        for (int k = 0; k < finite; k++)
            scale *= k == j ? 1 : points[j] - points[k];
        for (int i = 0; i < w.size; i++, power *= points[j]) {
            if (i < outputs)
                w.AT[i][j] = power;
            if (i < taps)
                w.G[j][i] = power / scale;
        }
        polynomial(w.BT[j], points, finite, j);
    }
    w.AT[outputs - 1][finite] = 1;
    w.G[finite][taps - 1] = 1;
    polynomial(w.BT[finite], points, finite, -1);
    return w;
}

/* to = M x MT: rows x columns from columns x columns. */
static void both_sides(double *to, const double M[TILE][TILE], int rows, int columns,
                       const double *x, lane l)
{
    double half[TILE * TILE];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            double sum = 0;
            for (int k = 0; k < columns; k++)
                sum = rounded(l, sum + rounded(l, as(l, M[i][k]) * x[k * columns + j]));
            half[i * columns + j] = sum;
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            double sum = 0;
            for (int k = 0; k < columns; k++)
                sum = rounded(l, sum + rounded(l, half[i * columns + k] * as(l, M[j][k])));
            to[i * rows + j] = sum;
        }
}

/* A window of a channel of a map [N,H,W,C], 0 outside the board. */
static void window(double *to, gn_tensor map, size_t n, long h, long w, size_t c, int size, lane l)
{
    const size_t *d = map.shape.dim;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            const bool on = h + i >= 0 && w + j >= 0 && h + i < (long)d[1] && w + j < (long)d[2];
            const size_t at = on ? ((n * d[1] + (size_t)(h + i)) * d[2] + (size_t)(w + j)) * d[3] +
                                       c
                                 : 0;
            to[i * size + j] = on ? as(l, ((const double *)map.data)[at]) : 0;
        }
}

static void multiply_add(double *sum, const double *a, const double *b, int count, lane l)
{
    for (int k = 0; k < count; k++)
        sum[k] = rounded(l, sum[k] + rounded(l, a[k] * b[k]));
}

/* --- Outputs and gradients of inputs ---------------------------------------------------------- */

/* A kernel, [taps][taps], of output o and input i; turned around for the gradient of the input. */
static void kernel(double *to, const gn_call *c, size_t o, size_t i, lane l)
{
    const bool back = c->pass == GN_BACKWARD;
    const double *w = c->in[1].data;
    const double *from = w +
                         (back ? i * c->in[1].shape.dim[1] + o : o * c->in[1].shape.dim[1] + i) * 9;
    for (int k = 0; k < 9; k++)
        to[k] = as(l, from[back ? 8 - k : k]);
}

/* Adds to out, [N,H,W,outputs]; U: transformed kernels, V: transformed windows of a tile. */
static void convolve(double *out, const gn_call *c, const algorithm *w, lane l, double *U,
                     double *V)
{
    const bool back = c->pass == GN_BACKWARD;
    const gn_tensor map = back ? c->dout : c->in[0];
    const size_t *d = map.shape.dim, inputs = d[3], outputs = c->in[1].shape.dim[back ? 1 : 0];
    const int area = w->size * w->size, m = w->outputs;
    double block[TILE * TILE], y[TILE * TILE];
    for (size_t k = 0; k < outputs * inputs; k++) {
        kernel(block, c, k / inputs, k % inputs, l);
        both_sides(U + k * (size_t)area, w->G, w->size, 3, block, l);
    }
    for (size_t n = 0; n < d[0]; n++)
        for (size_t h = 0; h < d[1]; h += (size_t)m)
            for (size_t v = 0; v < d[2]; v += (size_t)m) {
                for (size_t i = 0; i < inputs; i++) {
                    window(block, map, n, (long)h - 1, (long)v - 1, i, w->size, l);
                    both_sides(V + i * (size_t)area, w->BT, w->size, w->size, block, l);
                }
                for (size_t o = 0; o < outputs; o++) {
                    memset(block, 0, sizeof block);
                    for (size_t i = 0; i < inputs; i++)
                        multiply_add(block, U + (o * inputs + i) * (size_t)area,
                                     V + i * (size_t)area, area, l);
                    both_sides(y, w->AT, m, w->size, block, l);
                    for (size_t k = 0; k < (size_t)(m * m); k++) {
                        const size_t row = h + k / (size_t)m, column = v + k % (size_t)m;
                        if (row < d[1] && column < d[2])
                            out[((n * d[1] + row) * d[2] + column) * outputs + o] += y[k];
                    }
                }
            }
}

/* --- Gradients of weights --------------------------------------------------------------------- */

/* out: [O,C,3,3]; sums: [O][C][area]. */
static void correlate(double *out, const gn_call *c, const algorithm *w, lane l, double *sums,
                      double *V)
{
    const size_t *d = c->in[0].shape.dim, C = d[3], O = c->dout.shape.dim[3];
    const size_t area = (size_t)(w->size * w->size), m = (size_t)w->taps;
    double block[TILE * TILE], U[TILE * TILE];
    memset(sums, 0, O * C * area * sizeof *sums);
    for (size_t n = 0; n < d[0]; n++)
        for (size_t h = 0; h < d[1]; h += m)
            for (size_t v = 0; v < d[2]; v += m) {
                for (size_t i = 0; i < C; i++) {
                    window(block, c->in[0], n, (long)h - 1, (long)v - 1, i, w->size, l);
                    both_sides(V + i * area, w->BT, w->size, w->size, block, l);
                }
                for (size_t o = 0; o < O; o++) {
                    window(block, c->dout, n, (long)h, (long)v, o, w->taps, l);
                    both_sides(U, w->G, w->size, w->taps, block, l);
                    for (size_t i = 0; i < C; i++)
                        multiply_add(sums + (o * C + i) * area, U, V + i * area, (int)area, l);
                }
            }
    for (size_t k = 0; k < O * C; k++) {
        both_sides(block, w->AT, 3, w->size, sums + k * area, l);
        for (int i = 0; i < 9; i++)
            out[k * 9 + (size_t)i] += block[i];
    }
}

/* --- Gates ------------------------------------------------------------------------------------ */

static bool three_by_three(const gn_sums *s, int part)
{
    return strcmp(s->call[part].op->name, "conv2d") == 0 && !s->flat[part] &&
           s->call[part].in[1].shape.dim[2] == 3;
}

/* Contributions are such convolutions and copies. */
static bool applies(const gn_sums *s)
{
    bool any = false, all = true;
    for (int i = 0; i < s->count; i++) {
        any = any || three_by_three(s, i);
        all = all && (s->unit[i] || three_by_three(s, i));
    }
    return any && all;
}

static bool weights(const gn_sums *s)
{
    return three_by_three(s, 0) && s->call[0].pass == GN_BACKWARD && s->index[0] == 1;
}

/* All lanes of a tensor. */
static void run(double *const *out, const gn_evidence *e, const algorithm *w, double *U, double *V)
{
    const gn_sums *s = e->sums;
    for (int l = FLOAT; l < LANES; l++) {
        memset(out[l], 0, e->count * sizeof *out[l]);
        for (int part = 0; part < s->count; part++) {
            if (s->unit[part])
                for (size_t i = 0; i < e->count; i++)
                    out[l][i] += as((lane)l, ((const double *)s->call[part].dout.data)[i]);
            else if (weights(s))
                correlate(out[l], &s->call[part], w, (lane)l, U, V);
            else
                convolve(out[l], &s->call[part], w, (lane)l, U, V);
        }
    }
}

static double relative(double error, double square)
{
    return square > 0 ? size_of(error) / (u * root(square)) : 0;
}

/* The gates on one algorithm's scales. */
static bool passes(double *const *run_of, const gn_evidence *e, double terms)
{
    double own = 0, got = 0, most = 0, most_own = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double error = (double)e->got[i] - e->want[i];
        const double square = run_of[SQUARE][i];
        if (!(size_of(error) <= terms * u * run_of[ABSOLUTE][i] + terms * tiny))
            return false;
        const double x = relative(error, square);
        const double y = relative(run_of[FLOAT][i] - e->want[i], square);
        got += x * x;
        own += y * y;
        most = x > most ? x : most;
        most_own = y > most_own ? y : most_own;
    }
    const double usual = root(own / (double)e->count);
    if (!(root(got / (double)e->count) <= RMS_GATE * usual && most <= MAX_GATE * usual + most_own))
        return false;
    for (size_t c = 0; c < e->channels; c++) {
        double sum = 0;
        size_t count = 0;
        for (size_t i = c; i < e->count; i += e->channels, count++) {
            const double x = relative((double)e->got[i] - e->want[i], run_of[SQUARE][i]);
            sum += x * x;
        }
        if (count >= FEW && !(root(sum / (double)count) <= 2 * RMS_GATE * usual))
            return false;
    }
    return true;
}

/* Errors so large that no transform has them: not worth the time. */
static bool far_off(const gn_evidence *e)
{
    double error = 0, scale = 0;
    for (size_t i = 0; i < e->count; i++) {
        const double x = (double)e->got[i] - e->want[i];
        error += x * x;
        scale += e->quad[i] * e->quad[i];
    }
    return !(root(error) <= FAR * u * root(scale));
}

gn_status gn_transform(bool *out, const gn_evidence *e, gn_err *err)
{
    static const int tiles[] = {2, 4, 3, 6};
    *out = false;
    if (e->sums == NULL || e->quad == NULL || !applies(e->sums) || far_off(e))
        return GN_OK;
    const gn_call *c = &e->sums->call[three_by_three(e->sums, 0) ? 0 : 1];
    const gn_shape w = c->in[1].shape, x = c->in[0].shape;
    const size_t area = TILE * TILE, widest = w.dim[0] > w.dim[1] ? w.dim[0] : w.dim[1];
    double *U = malloc(w.dim[0] * w.dim[1] * area * sizeof *U);
    double *V = malloc(widest * area * sizeof *V);
    double *lanes[LANES] = {NULL};
    bool room = U != NULL && V != NULL;
    for (int l = FLOAT; l < LANES; l++) {
        lanes[l] = malloc((e->count + 1) * sizeof *lanes[l]);
        room = room && lanes[l] != NULL;
    }
    for (size_t k = 0; k < sizeof tiles / sizeof *tiles && room && !*out; k++) {
        const int m = tiles[k];
        const algorithm a = weights(e->sums) ? make(3, m) : make(m, 3);
        const size_t across = (x.dim[1] + (size_t)m - 1) / (size_t)m;
        const size_t down = (x.dim[2] + (size_t)m - 1) / (size_t)m;
        const size_t sum = weights(e->sums) ? x.dim[0] * across * down : widest;
        run(lanes, e, &a, U, V);
        *out = passes(lanes, e, (double)sum + 16 * a.size);
    }
    for (int l = FLOAT; l < LANES; l++)
        free(lanes[l]);
    free(U);
    free(V);
    return room ? GN_OK : gn_fail(err, GN_E_NOMEM, "verify: no memory for a transform");
}
