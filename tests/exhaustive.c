/* exp, log and tanh for all 2^32 floats: is every value the correctly rounded one?
 *
 *     exhaustive [exp|log|tanh]
 *
 * The truth is the C library's double function wherever no boundary between two floats'
 * territories lies within 2^-45 of it (256 times the error of a good double), else MPFR, which
 * rounds correctly.  How far the double functions are really off is measured beside, on every
 * 65,537th input: were it near the margin, the run would fail.  NaN, infinities, zeros and the
 * stretches where the answer is obvious are not left out.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "support/exact_digest.h"

enum { BLOCKS = 1 << 12, INPUTS = 1 << 20, SHOWN = 20, AUDIT_STEP = 65537 };

static const double MARGIN = 0x1p-45;

typedef int (*mpfr_function)(mpfr_t, const mpfr_t, mpfr_rnd_t);

static const struct {
    double (*f)(double);
    mpfr_function exactly;
} truths[EXACT_FUNCTIONS] = {{exp, mpfr_exp}, {log, mpfr_log}, {tanh, mpfr_tanh}};

typedef struct count {
    uint64_t done, wrong, mpfr, all, sample;
    double worst; /* relative error of the double function */
} count;

/* Rounded once to float, denormals included. */
static float rounded_by_mpfr(mpfr_function function, float x)
{
    mpfr_t in, out;
    mpfr_inits2(24, in, out, (mpfr_ptr)0);
    mpfr_set_flt(in, x, MPFR_RNDN);
    mpfr_set_emin(-148);
    mpfr_set_emax(128);
    int inexact = function(out, in, MPFR_RNDN);
    inexact = mpfr_check_range(out, inexact, MPFR_RNDN);
    mpfr_subnormalize(out, inexact, MPFR_RNDN);
    const float y = mpfr_get_flt(out, MPFR_RNDN);
    mpfr_clears(in, out, (mpfr_ptr)0);
    return y;
}

/* The relative error of the double y; 0 where it is no normal number. */
static double error_of(mpfr_function function, float x, double y)
{
    if (!isnormal(y))
        return 0;
    mpfr_t in, out;
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
    mpfr_inits2(120, in, out, (mpfr_ptr)0);
    mpfr_set_flt(in, x, MPFR_RNDN);
    function(out, in, MPFR_RNDN);
    mpfr_sub_d(in, out, y, MPFR_RNDN);
    mpfr_div(in, in, out, MPFR_RNDN);
    const double error = fabs(mpfr_get_d(in, MPFR_RNDN));
    mpfr_clears(in, out, (mpfr_ptr)0);
    return error;
}

static void check_input(count *c, int which, uint32_t bits)
{
    const float x = exact_input(bits);
    const uint32_t got = exact_bits(exact_digests[which].f(x));
    const double y = truths[which].f((double)x);
    const uint32_t below = exact_bits((float)(y * (1 - MARGIN)));
    uint32_t want = exact_bits((float)(y * (1 + MARGIN)));
    if (want != below) {
        want = exact_bits(rounded_by_mpfr(truths[which].exactly, x));
        c->mpfr++;
    }
    if (got != want) {
        if (c->wrong++ < SHOWN)
            printf("%s(%a) is %a, should be %a\n", exact_digests[which].name, (double)x,
                   (double)exact_input(got), (double)exact_input(want));
    }
    const uint64_t mixed = exact_mix(bits, got);
    c->all += mixed;
    c->sample += bits % SAMPLE_STEP == 0 ? mixed : 0;
    c->done++;
    if (bits % AUDIT_STEP == 0) {
        const double error = error_of(truths[which].exactly, x, y);
        c->worst = error > c->worst ? error : c->worst;
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A block's counts into the whole; integers and a maximum, so the order of blocks is free. */
static void add_block(count *whole, const count *block, const char *name)
{
    whole->wrong += block->wrong;
    whole->mpfr += block->mpfr;
    whole->all += block->all;
    whole->sample += block->sample;
    whole->worst = block->worst > whole->worst ? block->worst : whole->worst;
    whole->done += block->done;
    if (whole->done % ((uint64_t)INPUTS * BLOCKS / 16) == 0)
        fprintf(stderr, "%s: %d of 16\n", name, (int)(whole->done / INPUTS * 16 / BLOCKS));
}

static int check_function(int which)
{
    const char *name = exact_digests[which].name;
    const double started = seconds();
    count whole = {.done = 0};
#pragma omp parallel
    {
#pragma omp for schedule(dynamic)
        for (int b = 0; b < BLOCKS; b++) {
            count block = {.done = 0};
            for (uint32_t i = 0; i < INPUTS; i++)
                check_input(&block, which, (uint32_t)b * INPUTS + i);
#pragma omp critical
            add_block(&whole, &block, name);
        }
        mpfr_free_cache();
    }
    const int recorded = whole.all == exact_digests[which].all &&
                         whole.sample == exact_digests[which].sample;
    const int trusted = whole.worst < MARGIN / 16;
    printf("%-4s  %llu inputs, %llu by MPFR, wrong: %llu\n"
           "      digest %016llx, of the sample %016llx: %s\n"
           "      the double function is off by 2^%.2f at most%s; %.0f s\n",
           name, (unsigned long long)whole.done, (unsigned long long)whole.mpfr,
           (unsigned long long)whole.wrong, (unsigned long long)whole.all,
           (unsigned long long)whole.sample,
           recorded ? "as recorded" : "NOT what tests/support/exact_digest.h says",
           log2(whole.worst), trusted ? "" : ", TOO MUCH for the margin 2^-45",
           seconds() - started);
    fflush(stdout);
    return whole.done == UINT64_C(1) << 32 && whole.wrong == 0 && recorded && trusted;
}

int main(int argc, char **argv)
{
    int checked = 0, good = 0;
    for (int i = 0; i < EXACT_FUNCTIONS; i++) {
        if (argc > 1 && strcmp(argv[1], exact_digests[i].name) != 0)
            continue;
        checked++;
        good += check_function(i);
    }
    if (checked == 0)
        fprintf(stderr, "exhaustive: %s: expected exp, log, tanh, or nothing for all\n", argv[1]);
    return checked == 0 ? 2 : good != checked;
}
