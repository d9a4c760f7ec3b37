/* The judge judged, on whole traces: what another precision computes is named, what is a mistake is
 * wrong, in whatever precision it was made.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/folder.h"
#include "support/golden_copy.h"
#include "support/mistakes.h"
#include "support/trials.h"
#include "support/winograd.h"

TestSuite(judge, .init = folder_enter, .fini = folder_leave);

/* A number or two may be of several formats: they have the one of the larger tensors, or a note
 * says so. */
static void expect_honest(const gn_finding *f, gn_verdict expected, const char *what)
{
    const bool format = f->verdict >= GN_VERDICT_TF32 && f->verdict <= GN_VERDICT_BF16;
    cr_expect(!format || f->verdict == expected || *f->note != '\0', "%s: %s is %s", what, f->name,
              gn_verdict_name(f->verdict));
    cr_expect(!format || (f->formats >> f->verdict & 1) != 0);
}

/* How many findings have each verdict; those that are worse than `worst` are told. */
typedef struct tally {
    size_t of[GN_VERDICT_WRONG + 1];
} tally;

static tally count_verdicts(const char *candidate, const char *what, gn_verdict worst)
{
    tally t = {{0}};
    gn_verification v = trace_verify(candidate);
    for (size_t i = 0; i < v.count; i++) {
        if (v.finding[i].elements < 4) {
            expect_honest(&v.finding[i], worst, what);
            continue;
        }
        t.of[v.finding[i].verdict]++;
        if (v.finding[i].verdict > GN_VERDICT_BOUND && v.finding[i].verdict != worst)
            fprintf(stderr, "%s: %s is %s\n", what, v.finding[i].name,
                    gn_verdict_name(v.finding[i].verdict));
    }
    gn_verification_free(&v);
    return t;
}

/* --- Precisions are named --------------------------------------------------------------------- */

/* Rounded: the factors of products, the inputs of every op. */
#define FACTORS .narrow = true, .products = true, .activations = true, .parameters = true
#define INPUTS .narrow = true, .activations = true, .parameters = true
#define TF32(how) .precision = GN_TF32_##how
#define BF16 .precision = GN_BF16_NEAREST
#define FP16 .precision = GN_FP16_NEAREST

static const struct precision_case {
    twist twist;
    gn_verdict verdict;
    size_t least; /* so many tensors must be named */
} precisions[] = {
    {{.name = "TF32", FACTORS, TF32(NEAREST)}, GN_VERDICT_TF32, 30},
    {{.name = "TF32, away from zero", FACTORS, TF32(AWAY)}, GN_VERDICT_TF32, 30},
    {{.name = "TF32, truncated", FACTORS, TF32(TRUNCATED)}, GN_VERDICT_TF32, 30},
    {{.name = "BF16 everywhere", INPUTS, .stored = true, .stored_parameters = true, BF16},
     GN_VERDICT_BF16, 70},
    {{.name = "BF16, gradients of weights kept", INPUTS, .stored = true, BF16},
     GN_VERDICT_BF16, 55},
    {{.name = "BF16 weights", .narrow = true, .products = true, .parameters = true, BF16},
     GN_VERDICT_BF16, 15},
    {{.name = "BF16 activations", .narrow = true, .products = true, .activations = true, BF16},
     GN_VERDICT_BF16, 30},
    {{.name = "BF16 inputs, all ops", INPUTS, BF16}, GN_VERDICT_BF16, 55},
    {{.name = "BF16 outputs", .narrow = true, .stored = true, BF16}, GN_VERDICT_BF16, 55},
    {{.name = "BF16 truncated", INPUTS, .stored = true, .stored_parameters = true,
      .precision = GN_BF16_TRUNCATED}, GN_VERDICT_BF16, 70},
    {{.name = "BF16 of float64 sums", .wide = true, INPUTS, .stored = true, BF16},
     GN_VERDICT_BF16, 55},
    {{.name = "FP16 everywhere", INPUTS, .stored = true, .stored_parameters = true, FP16},
     GN_VERDICT_FP16, 70},
    {{.name = "FP16 outputs", .narrow = true, .stored = true, FP16}, GN_VERDICT_FP16, 55},
};

static void name_precisions(gn_conv conv)
{
    rig_trace trace;
    trace_open(&trace, conv, 1, 32);
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        const struct precision_case *p = &precisions[i];
        trace_write(&trace, "candidate.safetensors", twist_table(&p->twist));
        const tally t = count_verdicts("candidate.safetensors", p->twist.name, p->verdict);
        cr_expect(t.of[p->verdict] >= p->least, "%s: only %zu named", p->twist.name,
                  t.of[p->verdict]);
        for (int other = GN_VERDICT_BOUND + 1; other <= GN_VERDICT_WRONG; other++)
            cr_expect(other == (int)p->verdict || t.of[other] == 0, "%s: %zu are %s", p->twist.name,
                      t.of[other], gn_verdict_name((gn_verdict)other));
    }
    trace_close(&trace);
}

Test(judge, precisions_are_named_dense)
{
    name_precisions(GN_DENSE);
}
Test(judge, precisions_are_named_separable)
{
    name_precisions(GN_SEPARABLE);
}

/* Where numbers are neither large nor small, factors in half precision are those of TF32; gradients
 * below 2^-14 lose more, each element another part. */
Test(judge, half_precision_factors_are_named)
{
    static const twist half = {.name = "FP16 factors", FACTORS, FP16};
    rig_trace trace;
    trace_open(&trace, GN_DENSE, 1, 32);
    trace_write(&trace, "candidate.safetensors", twist_table(&half));
    const tally t = count_verdicts("candidate.safetensors", half.name, GN_VERDICT_FP16);
    cr_expect_eq(t.of[GN_VERDICT_WRONG], 0);
    cr_expect(t.of[GN_VERDICT_FP16] >= 1 && t.of[GN_VERDICT_FP16] + t.of[GN_VERDICT_TF32] >= 30,
              "%zu and %zu named", t.of[GN_VERDICT_FP16], t.of[GN_VERDICT_TF32]);

    /* One element more that is off, the last: no format excuses it. */
    gn_verification v = trace_verify("candidate.safetensors");
    cr_assert(rename("golden.safetensors", "kept") == 0 &&
              rename("candidate.safetensors", "golden.safetensors") == 0);
    size_t tried = 0;
    for (size_t i = 0; i < v.count && tried == 0; i++) {
        const gn_finding *f = &v.finding[i];
        if (f->verdict != GN_VERDICT_FP16 || f->elements < 1000) /* all are looked at, of so few */
            continue;
        golden_copy(&(change){.name = f->name, .values = nudge_last}, 1);
        cr_assert(rename("golden.safetensors", "candidate") == 0 &&
                  rename("kept", "golden.safetensors") == 0);
        gn_verification copy = trace_verify("copy.safetensors");
        cr_expect_eq(golden_finding(&copy, f->name)->verdict, GN_VERDICT_WRONG, "%s", f->name);
        gn_verification_free(&copy);
        tried++;
    }
    cr_expect_eq(tried, 1);
    gn_verification_free(&v);
    trace_close(&trace);
}

/* --- Mistakes are wrong ----------------------------------------------------------------------- */

/* A candidate with the mistake, in float32 or in a format: at least one tensor is wrong. */
static void expect_mistakes_wrong(const twist *format, const char *what)
{
    rig_trace trace;
    trace_open(&trace, GN_DENSE, 1, 8);
    cr_assert(mistakes_count >= 30);
    for (size_t i = 0; i < mistakes_count; i++) {
        twist t = mistakes[i];
        t.narrow = format->narrow;
        t.products = format->products;
        t.activations = t.parameters = format->activations;
        t.stored = format->stored;
        t.precision = format->precision;
        trace_write(&trace, "candidate.safetensors", twist_table(&t));
        gn_verification v = trace_verify("candidate.safetensors");
        cr_expect_eq(v.verdict, GN_VERDICT_WRONG, "%s%s: %s", t.name, what,
                     gn_verdict_name(v.verdict));
        gn_verification_free(&v);
    }
    trace_close(&trace);
}

Test(judge, mistakes_are_wrong)
{
    expect_mistakes_wrong(&(twist){.narrow = false}, "");
}
Test(judge, mistakes_in_bfloat16_are_wrong)
{
    expect_mistakes_wrong(&(twist){INPUTS, .stored = true, BF16}, " in bf16");
}
Test(judge, mistakes_in_float16_factors_are_wrong)
{
    expect_mistakes_wrong(&(twist){FACTORS, FP16}, " in fp16");
}

/* --- Differences of a few bits are neither bits nor wrong ------------------------------------- */

Test(judge, other_orders_are_bound)
{
    rig_trace trace;
    trace_open(&trace, GN_DENSE, 1, 8);
    for (size_t i = 0; i < variations_count; i++) {
        trace_write(&trace, "candidate.safetensors", twist_table(&variations[i]));
        gn_verification v = trace_verify("candidate.safetensors");
        cr_expect_eq(v.verdict, GN_VERDICT_BOUND, "%s: %s", variations[i].name,
                     gn_verdict_name(v.verdict));
        for (size_t k = 0; k < v.count; k++)
            if (v.finding[k].verdict > GN_VERDICT_BOUND)
                fprintf(stderr, "%s: %s is %s\n", variations[i].name, v.finding[k].name,
                        gn_verdict_name(v.finding[k].verdict));
        gn_verification_free(&v);
    }
    trace_close(&trace);
}

/* --- Transformed convolutions ----------------------------------------------------------------- */

static void (*under)(gn_call *call, twist_run run); /* the algorithm that a mistake is made in */

static bool three(const gn_call *c)
{
    return c->in[1].shape.dim[2] == 3;
}

static void tap_dropped(gn_call *c, twist_run run)
{
    for (size_t k = 8; three(c) && k < gn_shape_count(c->in[1].shape); k += 9)
        ((float *)c->in[1].data)[k] = 0;
    under(c, run);
}

static void image_dropped(gn_call *c, twist_run run)
{
    const size_t count = gn_shape_count(c->dout.shape) / TRACE_BATCH;
    if (three(c))
        memset((float *)c->dout.data + count, 0, count * sizeof(float));
    under(c, run);
}

static void element_off(gn_call *c, twist_run run)
{
    under(c, run);
    if (three(c))
        ((float *)c->out[0].data)[77] += 2e-5f;
}

static void a_ten_thousandth_more(gn_call *c, twist_run run)
{
    under(c, run);
    for (size_t i = 0; three(c) && i < gn_shape_count(c->din[1].shape); i++)
        ((float *)c->din[1].data)[i] *= 1.0001f;
}

/* The verdicts of all 3x3 convolutions' tensors; others must be bits. */
static tally transformed(const rig_trace *trace, const twist *t)
{
    trace_write(trace, "candidate.safetensors", twist_table(t));
    gn_verification v = trace_verify("candidate.safetensors");
    tally result = {{0}};
    for (size_t i = 0; i < v.count; i++)
        result.of[v.finding[i].verdict]++;
    gn_verification_free(&v);
    return result;
}

Test(judge, transformed_convolutions_are_told)
{
    static void (*const algorithms[])(gn_call *, twist_run) = {winograd_2, winograd_3, winograd_4};
    rig_trace trace;
    trace_open(&trace, GN_DENSE, 1, 8);
    for (int i = 0; i < 3; i++)
        for (int back = 0; back < 2; back++) {
            twist t = {
                .name = "Winograd", .op = "conv2d", .backward = back == 1, .change = algorithms[i]};
            tally found = transformed(&trace, &t);
            const bool fine = i == 0 && back == 0; /* F(2,3) may be as good as a direct sum */
            cr_expect(found.of[fine ? GN_VERDICT_BOUND : GN_VERDICT_TRANSFORM] > 0,
                      "%d, backward %d: none", i, back);
            for (int worse = GN_VERDICT_TRANSFORM + 1; worse <= GN_VERDICT_WRONG; worse++)
                cr_expect_eq(found.of[worse], 0, "%d, backward %d: %zu are %s", i, back,
                             found.of[worse], gn_verdict_name((gn_verdict)worse));
            under = algorithms[i];
            t.change = back == 1 ? image_dropped : tap_dropped;
            cr_expect(transformed(&trace, &t).of[GN_VERDICT_WRONG] > 0);
            t.change = back == 1 ? a_ten_thousandth_more : element_off;
            cr_expect(transformed(&trace, &t).of[GN_VERDICT_WRONG] > 0);
        }
    trace_close(&trace);
}

/* --- Rates ------------------------------------------------------------------------------------ */

/* A sample of what `make rates` does ten thousand times. */
Test(judge, rounding_alone_is_never_wrong)
{
    for (size_t i = 0; i < roundings_count; i++) {
        trial t = {.spread = 0};
        for (uint64_t k = 0; k < 4; k++)
            trial_run(&t, &roundings[i], 1000 * i + k, false);
        cr_expect_str_empty(t.worst, "%s", t.worst);
        cr_expect(t.verdicts[GN_VERDICT_BITS] + t.verdicts[GN_VERDICT_BOUND] +
                          t.verdicts[GN_VERDICT_TRANSFORM] >
                      0,
                  "%s: nothing was judged", roundings[i].name);
    }
}

/* Denormals taken for zero, on data whose products are at the edge of them. */
Test(judge, flushing_to_zero_is_named)
{
    const rounding_only flush = {.name = "flushed", .flush = true};
    trial t = {.spread = 0};
    for (uint64_t k = 0; k < 300; k++)
        trial_run(&t, &flush, 77 + k, false);
    cr_expect(t.verdicts[GN_VERDICT_FTZ] >= 8, "%zu named", t.verdicts[GN_VERDICT_FTZ]);
    for (int v = GN_VERDICT_TF32; v <= GN_VERDICT_WRONG; v++)
        cr_expect_eq(t.verdicts[v], 0, "%zu are %s (%s)", t.verdicts[v],
                     gn_verdict_name((gn_verdict)v), t.worst);
}

/* One image of 200 to 256 left out of a weight's gradient: inside the bound of sums that long, and
 * told by the other gates. */
static void first_image_dropped(gn_call *c, twist_run run)
{
    memset(c->dout.data, 0,
           gn_shape_count(c->dout.shape) / c->dout.shape.dim[0] * sizeof(float));
    run(c);
}

Test(judge, an_image_dropped_from_long_sums_is_wrong)
{
    const rounding_only mistake = {.name = "an image dropped", .op = "conv2d",
                                   .backward = first_image_dropped};
    for (uint64_t k = 0; k < 6; k++) {
        trial t = {.spread = 0};
        trial_run(&t, &mistake, 5 + k, true);
        cr_expect(t.verdicts[GN_VERDICT_WRONG] >= 2, "%zu wrong: gradients of input and weight",
                  t.verdicts[GN_VERDICT_WRONG]);
    }
}
