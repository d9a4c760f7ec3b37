/* Winograd's convolutions; see winograd.h.  SPDX-License-Identifier: MIT */
#include "support/winograd.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { A = 6 };

typedef struct matrices {
    int m, a;
    float BT[A][A], G[A][3], AT[4][A];
} matrices;

static const matrices f2 = {2, 4,
    {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
    {{1, 0, 0}, {.5f, .5f, .5f}, {.5f, -.5f, .5f}, {0, 0, 1}},
    {{1, 1, 1, 0}, {0, 1, -1, -1}}};

static const matrices f3 = {3, 5,
    {{1, -1.5f, -1.5f, 1, 0}, {0, 1, -2.5f, 1, 0}, {0, -2, -1, 1, 0}, {0, -.5f, .5f, 1, 0},
     {0, 1, -1.5f, -1.5f, 1}},
    {{1, 0, 0}, {-2 / 9.f, 2 / 9.f, -2 / 9.f}, {-8 / 9.f, -4 / 9.f, -2 / 9.f},
     {1 / 9.f, 2 / 9.f, 4 / 9.f}, {0, 0, 1}},
    {{1, 1, 1, 1, 0}, {0, -1, .5f, 2, 0}, {0, 1, .25f, 4, 1}}};

static const matrices f4 = {4, 6,
    {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
     {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
    {{.25f, 0, 0}, {-1 / 6.f, -1 / 6.f, -1 / 6.f}, {-1 / 6.f, 1 / 6.f, -1 / 6.f},
     {1 / 24.f, 1 / 12.f, 1 / 6.f}, {1 / 24.f, -1 / 12.f, 1 / 6.f}, {0, 0, 1}},
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};

/* to[i][j] = sum of M[i][k] x[k][l] M[j][l]; M has `stride` columns, turned: its transpose. */
static void around(float *to, const float *M, int stride, bool turned, int rows, int columns,
                   const float *x)
{
    float half[A * A];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            float sum = 0;
            for (int k = 0; k < columns; k++)
                sum += M[turned ? k * stride + i : i * stride + k] * x[k * columns + j];
            half[i * columns + j] = sum;
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            float sum = 0;
            for (int k = 0; k < columns; k++)
                sum += half[i * columns + k] * M[turned ? k * stride + j : j * stride + k];
            to[i * rows + j] = sum;
        }
}

static float at(gn_tensor map, size_t n, long h, long w, size_t c)
{
    const size_t *d = map.shape.dim;
    if (h < 0 || w < 0 || h >= (long)d[1] || w >= (long)d[2])
        return 0;
    return ((const float *)map.data)[((n * d[1] + (size_t)h) * d[2] + (size_t)w) * d[3] + c];
}

static void cut(float *to, gn_tensor map, size_t n, long h, long w, size_t c, int size)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            to[i * size + j] = at(map, n, h + i, w + j, c);
}

/* out[.., o] = map[.., i] * kernel(o, i). */
static void convolve(gn_tensor out, gn_tensor map, const float *kernels, const matrices *w)
{
    const size_t I = map.shape.dim[3], O = out.shape.dim[3], a2 = (size_t)(w->a * w->a);
    const size_t *d = out.shape.dim;
    float *U = malloc(O * I * a2 * sizeof *U), *V = malloc(I * a2 * sizeof *V);
    float x[A * A], sum[A * A];
    cr_assert(U != NULL && V != NULL);
    for (size_t k = 0; k < O * I; k++)
        around(U + k * a2, w->G[0], 3, false, w->a, 3, kernels + k * 9);
    for (size_t n = 0; n < d[0]; n++)
        for (size_t h = 0; h < d[1]; h += (size_t)w->m)
            for (size_t v = 0; v < d[2]; v += (size_t)w->m) {
                for (size_t i = 0; i < I; i++) {
                    cut(x, map, n, (long)h - 1, (long)v - 1, i, w->a);
                    around(V + i * a2, w->BT[0], A, false, w->a, w->a, x);
                }
                for (size_t o = 0; o < O; o++) {
                    memset(sum, 0, sizeof sum);
                    for (size_t i = 0; i < I; i++)
                        for (size_t k = 0; k < a2; k++)
                            sum[k] += U[(o * I + i) * a2 + k] * V[i * a2 + k];
                    around(x, w->AT[0], A, false, w->m, w->a, sum);
                    for (size_t k = 0; k < (size_t)(w->m * w->m); k++) {
                        const size_t y = h + k / (size_t)w->m, z = v + k % (size_t)w->m;
                        if (y < d[1] && z < d[2])
                            ((float *)out.data)[((n * d[1] + y) * d[2] + z) * O + o] = x[k];
                    }
                }
            }
    free(U);
    free(V);
}

/* The same matrices in other roles: the gradient's tile is the kernel. */
static void weight_gradient(gn_tensor out, gn_tensor map, gn_tensor dy, const matrices *w)
{
    const size_t C = map.shape.dim[3], O = dy.shape.dim[3], a2 = (size_t)(w->a * w->a);
    float x[A * A], U[A * A], *V = malloc(C * a2 * sizeof *V);
    float *sum = calloc(O * C * a2, sizeof *sum);
    cr_assert(V != NULL && sum != NULL);
    for (size_t n = 0; n < dy.shape.dim[0]; n++)
        for (size_t h = 0; h < dy.shape.dim[1]; h += (size_t)w->m)
            for (size_t v = 0; v < dy.shape.dim[2]; v += (size_t)w->m) {
                for (size_t i = 0; i < C; i++) {
                    cut(x, map, n, (long)h - 1, (long)v - 1, i, w->a);
                    around(V + i * a2, w->BT[0], A, false, w->a, w->a, x);
                }
                for (size_t o = 0; o < O; o++) {
                    cut(x, dy, n, (long)h, (long)v, o, w->m);
                    around(U, w->AT[0], A, true, w->a, w->m, x);
                    for (size_t i = 0; i < C; i++)
                        for (size_t k = 0; k < a2; k++)
                            sum[(o * C + i) * a2 + k] += U[k] * V[i * a2 + k];
                }
            }
    for (size_t k = 0; k < O * C; k++)
        around((float *)out.data + k * 9, w->G[0], 3, true, 3, w->a, sum + k * a2);
    free(V);
    free(sum);
}

static void twisted(gn_call *c, twist_run run, const matrices *w)
{
    const size_t *d = c->in[1].shape.dim;
    run(c);
    if (d[2] != 3)
        return;
    if (c->pass != GN_BACKWARD) {
        convolve(c->out[0], c->in[0], c->in[1].data, w);
        return;
    }
    float *turned = malloc(d[0] * d[1] * 9 * sizeof *turned);
    cr_assert_not_null(turned);
    for (size_t k = 0; k < d[0] * d[1] * 9; k++)
        turned[(k / 9 % d[1] * d[0] + k / 9 / d[1]) * 9 + 8 - k % 9] =
            ((const float *)c->in[1].data)[k];
    if (c->din[0].data != NULL)
        convolve(c->din[0], c->dout, turned, w);
    if (c->din[1].data != NULL)
        weight_gradient(c->din[1], c->in[0], c->dout, w);
    free(turned);
}

void winograd_2(gn_call *c, twist_run run) { twisted(c, run, &f2); }
void winograd_3(gn_call *c, twist_run run) { twisted(c, run, &f3); }
void winograd_4(gn_call *c, twist_run run) { twisted(c, run, &f4); }
