/* What other comparators let through, one test for each: the verdict must not.
 *
 * The holes were read in ggml, llm.c, XLA, Polygraphy, PyTorch's dynamo, cosine gates and RepDL.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "golden/judge.h"

TestSuite(holes);

/* A tensor of an op that sums nothing, right to the bit; bounds of two units. */
typedef struct tensor {
    size_t count, channels;
    float *got, *same;
    double *want, *bound;
} tensor;

static tensor right(size_t count, size_t channels)
{
    tensor t = {count, channels, malloc(count * sizeof(float)), malloc(count * sizeof(float)),
                malloc(count * sizeof(double)), malloc(count * sizeof(double))};
    for (size_t i = 0; i < count; i++) {
        t.same[i] = t.got[i] = (float)(1 + (i * 2654435761u % 1000)) / 512;
        t.want[i] = (double)t.same[i];
        t.bound[i] = 0x1p-22 * t.want[i];
    }
    return t;
}

static void reference(tensor *t, size_t i, double want)
{
    t->want[i] = want;
    t->same[i] = t->got[i] = (float)want;
    t->bound[i] = isfinite(want) ? 0x1p-22 * fabs(want) : 0;
}

static gn_verdict verdict(tensor *t)
{
    gn_finding f = {.verdict = GN_VERDICT_UNJUDGED};
    const gn_evidence e = {.got = t->got, .same = t->same, .want = t->want, .bound = t->bound,
                           .count = t->count, .channels = t->channels};
    cr_assert(gn_judge(&f, &e, NULL) == GN_OK);
    free(t->got);
    free(t->same);
    free(t->want);
    free(t->bound);
    return f.verdict;
}

/* ggml: equal infinities make the error NaN, and NaN > limit is false for the whole tensor. */
Test(holes, ggml_one_matching_infinity_switches_the_check_off)
{
    tensor t = right(1000, 10);
    reference(&t, 3, INFINITY);
    t.got[700] *= 2;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
    t = right(1000, 10);
    reference(&t, 3, INFINITY);
    cr_expect_eq(verdict(&t), GN_VERDICT_BITS);
    t = right(1000, 10);
    reference(&t, 3, INFINITY);
    t.got[3] = -INFINITY;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* ggml: the mean square error of a million numbers does not see one. */
Test(holes, ggml_one_wrong_element_among_a_million)
{
    tensor t = right(1000000, 64);
    t.got[654321] *= 1.001f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* llm.c: `diff > limit` is false where diff is NaN. */
Test(holes, llmc_a_tensor_of_nothing_but_nan)
{
    tensor t = right(512, 8);
    for (size_t i = 0; i < t.count; i++)
        t.got[i] = NAN;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
    t = right(512, 8);
    t.got[511] = NAN;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* llm.c: elements are skipped where the reference is not finite. */
Test(holes, llmc_whatever_stands_where_the_reference_is_not_finite)
{
    tensor t = right(64, 8);
    reference(&t, 9, INFINITY);
    t.got[9] = 3;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
    t = right(64, 8);
    reference(&t, 9, (double)NAN);
    t.got[9] = 3;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* PyTorch's dynamo: NaN on both sides passes, and with it the rest. */
Test(holes, dynamo_nan_on_both_sides_excuses_nothing)
{
    tensor t = right(64, 8);
    reference(&t, 9, (double)NAN);
    t.got[33] += 0.5f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* XLA and Polygraphy: wrong only where the absolute and the relative limit are both exceeded. */
Test(holes, xla_small_numbers_with_large_relative_errors)
{
    tensor t = right(64, 8);
    reference(&t, 5, 1e-6);
    t.got[5] = 9e-4f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
    t = right(64, 8);
    reference(&t, 5, 1e6);
    t.got[5] = 1e6f + 500;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* Cosine gates: .9998 with a channel that is 15 % off. */
Test(holes, cosine_one_channel_of_many)
{
    tensor t = right(64 * 100, 64);
    for (size_t i = 17; i < t.count; i += 64)
        t.got[i] *= 1.15f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* RepDL a: padding taps left out; with an infinite weight they make NaN, else only another zero. */
Test(holes, repdl_padding_left_out)
{
    tensor t = right(64, 8);
    reference(&t, 0, (double)NAN);
    t.got[0] = 1;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* RepDL b: a tile padded with 0 * 0 turns -0 into +0.  No error, but not the same bits. */
Test(holes, repdl_the_sign_of_zero)
{
    tensor t = right(64, 8);
    reference(&t, 7, -0.0);
    t.got[7] = 0.0f;
    cr_expect_eq(verdict(&t), GN_VERDICT_BOUND);
}

/* RepDL d, ggml and llm.c: flags that flush denormals.  That has a name, and it excuses no more. */
Test(holes, denormals_flushed_are_named)
{
    tensor t = right(64, 8);
    reference(&t, 7, 1e-40);
    t.got[7] = 0;
    cr_expect_eq(verdict(&t), GN_VERDICT_FTZ);
    t = right(64, 8);
    reference(&t, 7, 1e-40);
    t.got[7] = 0;
    t.got[8] *= 1.001f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
    t = right(64, 8);
    reference(&t, 7, 1e-37);
    t.got[7] = 0;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* RepDL e: an exp that is not rounded correctly is a unit off: seen, and no error. */
Test(holes, repdl_an_exp_a_unit_off)
{
    tensor t = right(64, 8);
    t.got[7] = nextafterf(t.got[7], 9);
    cr_expect_eq(verdict(&t), GN_VERDICT_BOUND);
    t = right(64, 8);
    t.got[7] *= 1 + 0x1p-20f;
    cr_expect_eq(verdict(&t), GN_VERDICT_WRONG);
}

/* --- A sum that flushes, and more ------------------------------------------------------------- */

enum { IMAGES = 48, TERMS = 400, UNITS = 16, OUTPUTS = IMAGES * UNITS };

/* A linear layer y[n,o] = sum of x[n,k] w[o,k]; image 0 and unit 0 are so small that their sum is
 * denormal. */
typedef struct layer {
    double x[IMAGES * TERMS], w[UNITS * TERMS], want[OUTPUTS], bound[OUTPUTS], quad[OUTPUTS];
    float got[OUTPUTS], same[OUTPUTS];
} layer;

static void take_sums(layer *l)
{
    for (size_t i = 0; i < IMAGES * TERMS; i++)
        l->x[i] = (double)(float)(sin((double)i * 0.7) * (i < TERMS ? 0x1p-68 : 1));
    for (size_t i = 0; i < UNITS * TERMS; i++)
        l->w[i] = (double)(float)(sin((double)i * 0.7) * (i < TERMS ? 0x1p-68 : 1));
    for (size_t e = 0; e < OUTPUTS; e++) {
        double S = 0, Q = 0;
        l->want[e] = 0;
        l->same[e] = 0;
        for (size_t k = 0; k < TERMS; k++) {
            const double a = l->x[e / UNITS * TERMS + k], b = l->w[e % UNITS * TERMS + k];
            l->want[e] += a * b;
            l->same[e] = fmaf((float)a, (float)b, l->same[e]);
            S += fabs(a * b);
            Q += a * b * a * b;
        }
        l->bound[e] = (TERMS + 2) * 0x1p-24 * S + 0x1p-149;
        l->quad[e] = sqrt(Q);
        l->got[e] = l->same[e];
    }
}

static gn_verdict sum_verdict(layer *l)
{
    gn_sums sums = {.count = 1};
    gn_call *c = &sums.call[0];
    *c = (gn_call){.op = gn_table_find(&gn_double, "linear")->op, .nin = 2, .nout = 1};
    c->in[0] = (gn_tensor){.shape = gn_shape_of(2, IMAGES, TERMS, 0, 0), .data = l->x};
    c->in[1] = (gn_tensor){.shape = gn_shape_of(2, UNITS, TERMS, 0, 0), .data = l->w};
    c->out[0].shape = gn_shape_of(2, IMAGES, UNITS, 0, 0);
    const gn_evidence e = {.got = l->got, .same = l->same, .want = l->want, .bound = l->bound,
                           .quad = l->quad, .count = OUTPUTS, .channels = UNITS, .terms = TERMS,
                           .sums = &sums};
    gn_finding f = {.verdict = GN_VERDICT_UNJUDGED};
    cr_assert(gn_judge(&f, &e, NULL) == GN_OK);
    return f.verdict;
}

/* What is off inside of every element's bound, by more than float32 is, hides behind no denormal:
 * everywhere, in one unit, at one place. */
Test(holes, a_flushed_number_hides_nothing)
{
    layer *l = calloc(1, sizeof *l);
    take_sums(l);
    cr_assert(l->want[0] != 0 && fabs(l->want[0]) < 0x1p-126);
    cr_expect_eq(sum_verdict(l), GN_VERDICT_BITS);
    for (size_t step = 1; step <= OUTPUTS; step *= UNITS)
        for (int flushes = 0; flushes < 2; flushes++) {
            take_sums(l);
            if (flushes == 1) {
                l->got[0] = 0;
                cr_expect_eq(sum_verdict(l), GN_VERDICT_FTZ);
            }
            for (size_t i = step < OUTPUTS ? 5 : 77; i < OUTPUTS; i += step)
                l->got[i] += (float)(0.4 * l->bound[i]);
            cr_expect_eq(sum_verdict(l), GN_VERDICT_WRONG, "every %zu, flushed %d: %s", step,
                         flushes, gn_verdict_name(sum_verdict(l)));
        }
    free(l);
}
