/* Tests of the numeric functions: Philox, fma, exp, log, tanh, and their double versions.
 *
 * With -DHAVE_MPFR (and -lmpfr -lgmp) the functions are compared with MPFR on strided samples.
 * Without it stand the inputs nearest to a rounding boundary (hard_cases.h) and digests of a
 * large sample, from a run in which MPFR confirmed every value (exhaustive.c).
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef HAVE_MPFR
#include <mpfr.h>
#endif

#include "base/fma.h"
#include "gomokunet/numeric.h"
#include "support/exact_digest.h"
#include "support/hard_cases.h"
#include "support/triples.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7fc00000u : bits; /* NaN is a class */
}

static double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void expect_float(const char *name, float x, float got, float want)
{
    cr_expect(to_bits(got) == to_bits(want), "%s(%a): got %a (%08x), want %a (%08x)", name,
              (double)x, (double)got, to_bits(got), (double)want, to_bits(want));
}

/* --- Random numbers ----------------------------------------------------------------------- */

/* The known-answer vectors of Random123 1.14, philox4x32 with 10 rounds. */
Test(random, known_answers)
{
    static const struct {
        uint64_t seed, stream, index;
        uint32_t want[4];
    } cases[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t got[4];
        gn_philox(got, cases[i].seed, cases[i].stream, cases[i].index);
        cr_expect_arr_eq(got, cases[i].want, sizeof got, "vector %zu", i);
    }
}

Test(random, helpers_follow_the_words)
{
    for (uint64_t index = 0; index < 1000; index++) {
        uint32_t block[4];
        gn_philox(block, 7, 9, index / 4);
        const uint32_t word = block[index % 4];
        cr_assert_eq(gn_random_u32(7, 9, index), word);
        cr_assert_eq(gn_random_below(7, 9, index, 1), 0);
        cr_assert_eq(gn_random_below(7, 9, index, 0x80000000u), word >> 1);
        cr_assert_eq(gn_random_below(7, 9, index, 225), (uint32_t)((uint64_t)word * 225 >> 32));
        const double exact = (word >> 8) / 8388608.0 - 1.0;
        cr_assert_eq((double)gn_random_symmetric(7, 9, index), exact);
    }
}

/* --- fma ---------------------------------------------------------------------------------- */

static void expect_fma(float a, float b, float c, float want)
{
    const float got[2] = {gn_fmaf(a, b, c), gn_fmaf_soft(a, b, c)};
    for (int i = 0; i < 2; i++)
        cr_assert(to_bits(got[i]) == to_bits(want), "%s(%a, %a, %a): got %a, want %a",
                  i == 0 ? "gn_fmaf" : "gn_fmaf_soft", (double)a, (double)b, (double)c,
                  (double)got[i], (double)want);
}

/* Vectors that the fmaf of msun and of musl fail, and the special values. */
Test(fma, vectors)
{
    const float inf = INFINITY, tiny = 0x1p-149f;
    expect_fma(0.9474001f, 4.639901e-7f, -0.24325085f, -0x1.f22d46p-3f);
    expect_fma(from_bits(0x97000800), from_bits(0x1cfff001), from_bits(0x00010002),
               from_bits(0x00010001));
    expect_fma(0x1.000002p+0f, 0x1.000002p+0f, -0x1.000004p+0f, 0x1p-46f);
    expect_fma(1.0f, 0x1p-24f, 1.0f, 1.0f);               /* a tie, to even */
    expect_fma(0x1.000002p-24f, 1.0f, 1.0f, 0x1.000002p+0f);
    expect_fma(tiny, tiny, 1.0f, 1.0f);
    expect_fma(tiny, 0.5f, tiny, 0x1p-148f);              /* 1.5 denormal steps: to even */
    expect_fma(FLT_MAX, 2.0f, -FLT_MAX, FLT_MAX);         /* no overflow in between */
    expect_fma(FLT_MAX, FLT_MAX, -inf, -inf);
    expect_fma(inf, 1.0f, -inf, NAN);
    expect_fma(inf, 0.0f, 1.0f, NAN);
    expect_fma(inf, -1.0f, 3.0f, -inf);
    expect_fma(-0.0f, 1.0f, -0.0f, -0.0f);
    expect_fma(-0.0f, 1.0f, 0.0f, 0.0f);
    expect_fma(1.0f, 1.0f, -1.0f, 0.0f);
    expect_fma(NAN, 1.0f, 1.0f, NAN);
}

static void philox_words(uint32_t r[4], uint64_t index)
{
    gn_philox(r, 20, 1, index);
}

/* In software and in the vectors of the instruction set that this file is compiled for: SSE2's
 * on x86-64.  `make fuzz-exact` does a hundred million. */
Test(fma, random_triples_as_hardware)
{
    if (!hardware_has_fma())
        cr_skip_test("no hardware fma");
    for (uint64_t n = 0; n < 1000000; n++) {
        float t[3];
        cr_assert(triples_agree(t, n, philox_words), "vector %llu: (%a, %a, %a)",
                  (unsigned long long)n, (double)t[0], (double)t[1], (double)t[2]);
    }
}

/* --- exp, log, tanh in float -------------------------------------------------------------- */

static void expect_pairs(const char *name, float (*f)(float), const hard_case *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float x = from_bits(pairs[i].x);
        expect_float(name, x, f(x), from_bits(pairs[i].y));
    }
}

Test(exact, hard_cases)
{
    expect_pairs("gn_expf", gn_expf, hard_exp, COUNT(hard_exp));
    expect_pairs("gn_logf", gn_logf, hard_log, COUNT(hard_log));
    expect_pairs("gn_tanhf", gn_tanhf, hard_tanh, COUNT(hard_tanh));
    for (size_t i = 0; i < COUNT(hard_tanh); i++) {
        const float x = -from_bits(hard_tanh[i].x);
        expect_float("gn_tanhf", x, gn_tanhf(x), -from_bits(hard_tanh[i].y));
    }
}

Test(exact, special_values)
{
    static const struct {
        const char *name;
        float (*f)(float);
        float x, y;
    } cases[] = {
        {"gn_expf", gn_expf, NAN, NAN},
        {"gn_expf", gn_expf, INFINITY, INFINITY},
        {"gn_expf", gn_expf, -INFINITY, 0.0f},
        {"gn_expf", gn_expf, -0.0f, 1.0f},
        {"gn_expf", gn_expf, 0x1p-149f, 1.0f},
        {"gn_expf", gn_expf, 0x1.62e42ep+6f, 0x1.ffff08p+127f}, /* the last finite one */
        {"gn_expf", gn_expf, 0x1.62e430p+6f, INFINITY},
        {"gn_expf", gn_expf, -0x1.9fe368p+6f, 0x1p-149f}, /* the last one above 0 */
        {"gn_expf", gn_expf, -0x1.9fe36ap+6f, 0.0f},
        {"gn_expf", gn_expf, -FLT_MAX, 0.0f},
        {"gn_logf", gn_logf, NAN, NAN},
        {"gn_logf", gn_logf, 0.0f, -INFINITY},
        {"gn_logf", gn_logf, -0.0f, -INFINITY},
        {"gn_logf", gn_logf, -0x1p-149f, NAN},
        {"gn_logf", gn_logf, -INFINITY, NAN},
        {"gn_logf", gn_logf, INFINITY, INFINITY},
        {"gn_logf", gn_logf, 1.0f, 0.0f},
        {"gn_logf", gn_logf, 0x1p-149f, -0x1.9d1dap+6f},
        {"gn_logf", gn_logf, FLT_MAX, 0x1.62e430p+6f},
        {"gn_logf", gn_logf, 0x1.fffffep-1f, -0x1p-24f},
        {"gn_tanhf", gn_tanhf, NAN, NAN},
        {"gn_tanhf", gn_tanhf, 0.0f, 0.0f},
        {"gn_tanhf", gn_tanhf, -0.0f, -0.0f},
        {"gn_tanhf", gn_tanhf, INFINITY, 1.0f},
        {"gn_tanhf", gn_tanhf, -INFINITY, -1.0f},
        {"gn_tanhf", gn_tanhf, -0x1p-149f, -0x1p-149f},
        {"gn_tanhf", gn_tanhf, 0x1p-12f, 0x1p-12f},
        {"gn_tanhf", gn_tanhf, 0x1p-11f, 0x1.fffffep-12f},
        {"gn_tanhf", gn_tanhf, -10.0f, -1.0f},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_float(cases[i].name, cases[i].x, cases[i].f(cases[i].x), cases[i].y);
}

/* FNV-1a over the bits of the results: the same number on every machine. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ ((word >> (8 * i)) & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static const float odd_values[] = {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 0x1p-149f,
                                   -0x1p-149f, FLT_MIN, FLT_MAX, -FLT_MAX, 1e-30f, -1e-30f, 10.0f,
                                   -10.0f, 20.0f, 89.0f, -103.9f, -104.0f, -200.0f, 1e30f,
                                   0x1.fffffep-1f, 0x1.000002p+0f};

static uint64_t digest_float(float (*f)(float), uint64_t stride)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += stride)
        hash = mix(hash, to_bits(f(from_bits((uint32_t)bits))));
    return hash;
}

static uint64_t digest_double(double (*f)(double))
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint64_t i = 0; i < 1000000; i++) {
        const uint64_t bits = i * UINT64_C(18446744073709);
        const double y = f(double_from_bits(bits)), z = f((double)i * 0x1p-16 - 7.5);
        uint64_t word[2] = {0, 0};
        if (y == y)
            memcpy(&word[0], &y, sizeof y);
        if (z == z)
            memcpy(&word[1], &z, sizeof z);
        hash = mix(mix(hash, word[0]), word[1]);
    }
    return hash;
}

static void expect_digest(const char *name, uint64_t got, uint64_t want)
{
    cr_expect(got == want, "%s: digest %016llx, want %016llx", name, (unsigned long long)got,
              (unsigned long long)want);
}

Test(exact, same_on_every_machine)
{
    for (int i = 0; i < EXACT_FUNCTIONS; i++)
        expect_digest(exact_digests[i].name, exact_digest(exact_digests[i].f, SAMPLE_STEP),
                      exact_digests[i].sample);
    expect_digest("gn_exp", digest_double(gn_exp), UINT64_C(0x1bee6d6e09393666));
    expect_digest("gn_log", digest_double(gn_log), UINT64_C(0xe4aa0e4db32a8051));
    expect_digest("gn_tanh", digest_double(gn_tanh), UINT64_C(0xc684d0c31687e2c5));
}

/* The last rounding is done in integers, so a host's rounding mode changes nothing, and above all
 * no loop runs for ever on a value that the default mode never brings there. */
Test(exact, any_rounding_mode, .timeout = 60)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    float (*const functions[])(float) = {gn_expf, gn_logf, gn_tanhf};
    uint64_t all[COUNT(modes)][4];
    for (size_t i = 0; i < COUNT(modes); i++) {
        cr_assert_eq(fesetround(modes[i]), 0);
        uint64_t special = 0;
        for (size_t f = 0; f < 3; f++) {
            all[i][f] = digest_float(functions[f], 65521);
            for (size_t k = 0; k < COUNT(odd_values); k++)
                special = mix(special, to_bits(functions[f](odd_values[k])));
            for (size_t k = 0; k < COUNT(hard_log); k++)
                special = mix(special, to_bits(functions[f](from_bits(hard_log[k].x))));
            for (size_t k = 0; k < COUNT(hard_exp); k++)
                special = mix(special, to_bits(functions[f](from_bits(hard_exp[k].x))));
            for (size_t k = 0; k < COUNT(hard_tanh); k++)
                special = mix(special, to_bits(functions[f](from_bits(hard_tanh[k].x))));
        }
        all[i][3] = special;
        fesetround(FE_TONEAREST);
        for (size_t f = 0; f < 4; f++)
            cr_expect(all[i][f] == all[0][f], "mode %zu, %s", i,
                      (const char *[]){"exp", "log", "tanh", "special values"}[f]);
    }
}

Test(real_math, special_values)
{
    cr_expect(gn_exp(0.0) == 1.0 && gn_exp(-INFINITY) == 0.0 && gn_exp(INFINITY) == INFINITY);
    cr_expect(gn_exp(0x1.62e42fefa39efp+9) < INFINITY && gn_exp(709.79) == INFINITY);
    cr_expect(gn_exp(-745.13) == 0x1p-1074 && gn_exp(-745.14) == 0.0);
    cr_expect(gn_log(1.0) == 0.0 && gn_log(-0.0) == -INFINITY && gn_log(INFINITY) == INFINITY);
    cr_expect(gn_tanh(30.0) == 1.0 && gn_tanh(-INFINITY) == -1.0 && signbit(gn_tanh(-0.0)));
    cr_expect(gn_tanh(-0x1p-1074) == -0x1p-1074);
    cr_expect(isnan(gn_exp(NAN)) && isnan(gn_log(NAN)) && isnan(gn_tanh(NAN)));
    cr_expect(isnan(gn_log(-1.0)));
}

#ifdef HAVE_MPFR

typedef int (*mpfr_function)(mpfr_t, const mpfr_t, mpfr_rnd_t);

/* MPFR's value rounded once to float, denormals included. */
static float mpfr_float(mpfr_function function, float x)
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

static void expect_range(const char *name, float (*f)(float), mpfr_function function, float low,
                         float high, uint32_t count)
{
    const uint32_t first = to_bits(low), last = to_bits(high);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t bits = first + (uint32_t)((uint64_t)(last - first) * i / count);
        const float x = from_bits(bits);
        expect_float(name, x, f(x), mpfr_float(function, x));
    }
}

/* Each stretch in magnitude, of one sign: the whole line first, then where things go wrong. */
Test(mpfr, exp)
{
    expect_range("gn_expf", gn_expf, mpfr_exp, 0x1p-27f, 89.0f, 100000);
    expect_range("gn_expf", gn_expf, mpfr_exp, -0x1p-27f, -104.0f, 100000);
    expect_range("gn_expf", gn_expf, mpfr_exp, 88.7f, 88.73f, 10000);   /* overflow */
    expect_range("gn_expf", gn_expf, mpfr_exp, -87.3f, -104.0f, 50000); /* denormal results */
    expect_range("gn_expf", gn_expf, mpfr_exp, 0.0f, INFINITY, 5000);
}

Test(mpfr, log)
{
    expect_range("gn_logf", gn_logf, mpfr_log, 0.0f, INFINITY, 150000);
    expect_range("gn_logf", gn_logf, mpfr_log, 0x1p-149f, 0x1p-126f, 10000);
    expect_range("gn_logf", gn_logf, mpfr_log, 0.5f, 2.0f, 50000);
    expect_range("gn_logf", gn_logf, mpfr_log, 0x1.ffff00p-1f, 0x1.0000ffp+0f, 400);
}

Test(mpfr, tanh)
{
    expect_range("gn_tanhf", gn_tanhf, mpfr_tanh, 0x1p-14f, 10.0f, 100000);
    expect_range("gn_tanhf", gn_tanhf, mpfr_tanh, -0x1p-14f, -10.0f, 50000);
    expect_range("gn_tanhf", gn_tanhf, mpfr_tanh, 8.0f, 9.5f, 20000);
    expect_range("gn_tanhf", gn_tanhf, mpfr_tanh, 0x1p-13f, 0x1p-11f, 20000);
    expect_range("gn_tanhf", gn_tanhf, mpfr_tanh, 0.0f, INFINITY, 5000);
}

/* The largest error in units of the last place of the result over `count` doubles in between. */
static double worst_ulp(double (*f)(double), mpfr_function function, double low, double high,
                        uint64_t count)
{
    mpfr_t in, out;
    mpfr_init2(in, 53);
    mpfr_init2(out, 120);
    double worst = 0;
    for (uint64_t i = 0; i < count; i++) {
        const double x = low + (high - low) * ((double)gn_random_u32(3, 4, i) * 0x1p-32);
        const double y = f(x);
        int e;
        frexp(y, &e);
        mpfr_set_d(in, x, MPFR_RNDN);
        function(out, in, MPFR_RNDN);
        mpfr_sub_d(out, out, y, MPFR_RNDN);
        const double ulp = ldexp(1, e < -1021 ? -1074 : e - 53);
        const double error = fabs(mpfr_get_d(out, MPFR_RNDN)) / ulp;
        worst = error > worst || error != error ? error : worst;
    }
    mpfr_clears(in, out, (mpfr_ptr)0);
    return worst;
}

Test(mpfr, doubles_within_an_ulp_and_a_half)
{
    static const struct {
        const char *name;
        double (*f)(double);
        mpfr_function function;
        double low, high;
    } cases[] = {
        {"gn_exp", gn_exp, mpfr_exp, -745, 709}, {"gn_exp", gn_exp, mpfr_exp, -1, 1},
        {"gn_log", gn_log, mpfr_log, 0.4, 2.2},  {"gn_log", gn_log, mpfr_log, 0, 0x1p+1023},
        {"gn_log", gn_log, mpfr_log, 0, 0x1p-1021}, {"gn_log", gn_log, mpfr_log, 0.999, 1.001},
        {"gn_tanh", gn_tanh, mpfr_tanh, -1, 1},  {"gn_tanh", gn_tanh, mpfr_tanh, 0.5, 20},
        {"gn_tanh", gn_tanh, mpfr_tanh, 0, 1e-6}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const double worst = worst_ulp(cases[i].f, cases[i].function, cases[i].low,
                                       cases[i].high, 30000);
        cr_expect(worst < 1.5, "%s in [%g, %g]: %g ulp", cases[i].name, cases[i].low,
                  cases[i].high, worst);
    }
}

#endif
