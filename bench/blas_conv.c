/* Convolutions by im2col and OpenBLAS's sgemm, beside whom the library's are measured.
 *
 * A row of `col` is what one square sees, [tap][channel]: the channel is last, so a copy moves runs
 * of C numbers.  Weights are transposed to [O][tap][C] for it, and dW is transposed back.
 * SPDX-License-Identifier: MIT */
#include "blas_conv.h"

#ifndef BENCH_HAVE_OPENBLAS

bool blas_here(void) { return false; }
const char *blas_name(void) { return "none"; }
size_t blas_work(const free_conv *c) { return c->N * 0; }
void blas_prepare(const free_conv *c) { (void)c; }
void blas_forward(const free_conv *c) { (void)c; }
void blas_weight_gradient(const free_conv *c) { (void)c; }
void blas_whole_forward(const free_conv *c) { (void)c; }
void blas_whole_weight_gradient(const free_conv *c) { (void)c; }

#else

#include <cblas.h>
#include <omp.h>
#include <string.h>

bool blas_here(void) { return true; }
const char *blas_name(void) { return openblas_get_config(); }

static size_t terms_of(const free_conv *c) { return c->K * c->K * c->C; }
static size_t squares_of(const free_conv *c) { return c->H * c->W; }

/* Weights, then dW of each thread, then im2col of all images. */
static float *own_sum(const free_conv *c, int thread)
{
    return c->work + (1 + (size_t)thread) * c->O * terms_of(c);
}

static float *columns(const free_conv *c) { return own_sum(c, c->threads); }

size_t blas_work(const free_conv *c)
{
    return (1 + (size_t)c->threads) * c->O * terms_of(c) + c->N * squares_of(c) * terms_of(c);
}

/* weight [O][C][tap] to [O][tap][C], or back. */
static void transpose(float *to, const float *from, size_t O, size_t rows, size_t cols)
{
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < O; o++)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++)
                to[(o * cols + j) * rows + i] = from[(o * rows + i) * cols + j];
}

static void im2col(const free_conv *c, float *col, const float *x)
{
    const size_t P = c->K / 2;
    for (size_t h = 0; h < c->H; h++)
        for (size_t w = 0; w < c->W; w++)
            for (size_t kh = 0; kh < c->K; kh++)
                for (size_t kw = 0; kw < c->K; kw++, col += c->C) {
                    const size_t i = h + kh - P, j = w + kw - P; /* wraps round when negative */
                    if (i < c->H && j < c->W)
                        memcpy(col, x + (i * c->W + j) * c->C, c->C * sizeof *col);
                    else
                        memset(col, 0, c->C * sizeof *col);
                }
}

/* y [squares, O] = col [squares, terms] W [O, terms]^T. */
static void product(const free_conv *c, float *y, const float *col, size_t squares)
{
    const int terms = (int)terms_of(c), O = (int)c->O;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)squares, O, terms, 1, col, terms,
                c->work, terms, 0, y, O);
}

/* sum [O, terms] = dy [squares, O]^T col, or added to what it holds. */
static void gradient(const free_conv *c, float *sum, const float *dy, const float *col,
                     size_t squares, bool add)
{
    const int terms = (int)terms_of(c), O = (int)c->O;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, O, terms, (int)squares, 1, dy, O, col,
                terms, add ? 1 : 0, sum, terms);
}

/* What im2col of image n is: a 1x1 convolution needs no copy. */
static const float *copied(const free_conv *c, float *col, size_t n)
{
    const float *x = c->x + n * squares_of(c) * c->C;
    if (c->K == 1)
        return x;
    im2col(c, col, x);
    return col;
}

void blas_prepare(const free_conv *c)
{
    transpose(c->work, c->weight, c->O, c->C, c->K * c->K);
    for (size_t n = 0; n < c->N; n++)
        im2col(c, columns(c) + n * squares_of(c) * terms_of(c), c->x + n * squares_of(c) * c->C);
}

void blas_forward(const free_conv *c)
{
    product(c, c->y, columns(c), c->N * squares_of(c));
}

void blas_weight_gradient(const free_conv *c)
{
    gradient(c, own_sum(c, 0), c->dy, columns(c), c->N * squares_of(c), false);
    transpose(c->dweight, own_sum(c, 0), c->O, c->K * c->K, c->C);
}

void blas_whole_forward(const free_conv *c)
{
    transpose(c->work, c->weight, c->O, c->C, c->K * c->K);
    openblas_set_num_threads(1);
#pragma omp parallel for schedule(dynamic)
    for (size_t n = 0; n < c->N; n++) {
        float *mine = columns(c) + (size_t)omp_get_thread_num() * squares_of(c) * terms_of(c);
        product(c, c->y + n * squares_of(c) * c->O, copied(c, mine, n), squares_of(c));
    }
    openblas_set_num_threads(c->threads);
}

void blas_whole_weight_gradient(const free_conv *c)
{
    enum { MOST_THREADS = 256 };
    bool worked[MOST_THREADS] = {false};
    openblas_set_num_threads(1);
#pragma omp parallel for schedule(dynamic)
    for (size_t n = 0; n < c->N; n++) {
        const int me = omp_get_thread_num();
        float *mine = columns(c) + (size_t)me * squares_of(c) * terms_of(c);
        gradient(c, own_sum(c, me), c->dy + n * squares_of(c) * c->O, copied(c, mine, n),
                 squares_of(c), worked[me]);
        worked[me] = true;
    }
    openblas_set_num_threads(c->threads);
    float *sum = c->work; /* the weights are not needed here */
    memset(sum, 0, c->O * terms_of(c) * sizeof *sum);
    for (int t = 0; t < c->threads; t++)
        for (size_t i = 0; worked[t] && i < c->O * terms_of(c); i++)
            sum[i] += own_sum(c, t)[i];
    transpose(c->dweight, sum, c->O, c->K * c->K, c->C);
}

#endif
