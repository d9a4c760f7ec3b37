/* Cases of single ops: the same bytes in every table, T0 exact, and what other implementations are
 * told: their order of summation, a formula mistake, a flush to zero.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/cases.h"
#include "golden/orders.h"
#include "golden/probe.h"
#include "support/folder.h"
#include "support/golden_copy.h"

TestSuite(cases, .init = folder_enter, .fini = folder_leave);

static const char *write_cases(const char *path, const gn_table *table, const char *only)
{
    gn_err err = {0};
    gn_golden g = gn_golden_default();
    g.session.table = table;
    g.only = only;
    cr_assert(gn_golden_write_cases(path, &g, &err) == GN_OK, "%s", err.text);
    return path;
}

static void golden(const char *only)
{
    write_cases("golden.safetensors", gn_table_fast(), only);
}

static gn_verification judged(const change *c)
{
    golden_copy(c, 1);
    return golden_verify("copy.safetensors");
}

Test(cases, same_bytes_in_every_table)
{
    static char a[1 << 20], b[1 << 20];
    const size_t n = folder_read(write_cases("a.safetensors", &gn_plain, NULL), a, sizeof a);
    for (size_t i = 0; gn_table_float(i) != NULL; i++) {
        const size_t m = folder_read(write_cases("b.safetensors", gn_table_float(i), NULL), b,
                                     sizeof b);
        cr_assert(n == m && memcmp(a, b, n) == 0, "%s", gn_table_float(i)->name);
    }
}

/* --- T0 --------------------------------------------------------------------------------------- */

/* Float64 gives the same; given numbers are integers of 8 bits; so are sums, or halves of them. */
Test(cases, t0_is_exact)
{
    size_t tensors = 0;
    for (size_t k = 0; k < gn_cases(); k++) {
        gn_case_run run[2];
        gn_case_tensor list[2][GN_CASE_TENSORS];
        int count = 0;
        if (strncmp(gn_case_at(k)->name, "T0/", 3) != 0)
            continue;
        for (int i = 0; i < 2; i++) {
            const gn_table *table = i == 0 ? &gn_plain : &gn_double;
            cr_assert(gn_case_open(&run[i], gn_case_at(k), table, NULL) == GN_OK);
            cr_assert(gn_case_pass(&run[i], GN_FORWARD, NULL) == GN_OK);
            cr_assert(gn_case_pass(&run[i], GN_BACKWARD, NULL) == GN_OK);
            count = gn_case_tensors(&run[i], list[i]);
        }
        for (int t = 0; t < count; t++, tensors++)
            for (size_t e = 0; e < gn_shape_count(list[0][t].at.shape); e++) {
                const double x = (double)((const float *)list[0][t].at.data)[e];
                cr_assert_eq(x, ((const double *)list[1][t].at.data)[e], "%s", list[0][t].name);
                cr_assert(fabs(x) <= 256 && x * 64 == nearbyint(x * 64), "%s: %g", list[0][t].name,
                          x);
                if (list[0][t].role == GN_ROLE_GIVEN)
                    cr_assert(x == nearbyint(x) && fabs(x) <= 2, "%s: %g", list[0][t].name, x);
            }
        gn_case_close(&run[0]);
        gn_case_close(&run[1]);
    }
    cr_assert_geq(tensors, 40);
}

Test(cases, t0_tells_a_transform_from_a_mistake)
{
    golden("case/T0/*");
    gn_verification v = judged(&(change){.name = "case/T0/conv2d_3x3/y", .values = one_ulp});
    const gn_finding *f = golden_finding(&v, "case/T0/conv2d_3x3/y");
    cr_expect_eq(f->verdict, GN_VERDICT_BOUND);
    cr_expect(strstr(f->note, "no direct sum") != NULL, "%s", f->note);
    gn_verification_free(&v);
    v = judged(&(change){.name = "case/T0/linear/dweight", .values = nudge});
    cr_expect_eq(golden_finding(&v, "case/T0/linear/dweight")->verdict, GN_VERDICT_WRONG);
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);
}

/* --- T1 --------------------------------------------------------------------------------------- */

Test(cases, the_contract_s_orders_are_named)
{
    static const char *const names[][2] = {
        {"conv2d_y/y", "one chain, fused; taps upward, in each all channels upward"},
        {"conv2d_dx/dx", "one chain, fused; taps upward, in each all channels upward"},
        {"conv2d_dweight/dweight",
         "chains of 9, merged by a tree, fused; images upward, in each all squares upward"},
        {"depthwise_conv2d_y/y", "one chain, fused; taps upward"},
        {"depthwise_conv2d_dx/dx", "one chain, fused; taps upward"},
        {"depthwise_conv2d_dweight/dweight",
         "chains of 9, merged by a tree, fused; images upward, in each all squares upward"},
        {"linear_y/y", "one chain, fused; channels upward"},
        {"linear_dx/dx", "one chain, fused; channels upward"},
        {"linear_dweight/dweight", "chains of 8, merged by a tree, fused; images upward"},
        {"linear_dbias/dbias", "chains of 8, merged by a tree; images upward"},
        {"global_avg_pool_y/y", "one chain; squares upward"},
        {"channel_scale_dgate/dgate", "one chain, fused; squares upward"},
        {"batch_norm_dbias/dbias",
         "chains of 9, merged by a tree; images upward, in each all squares upward"}};
    enum { COUNT = sizeof names / sizeof *names };
    golden("case/T1/*");
    gn_verification v = golden_verify("golden.safetensors");
    cr_assert_eq(v.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char full[96];
        snprintf(full, sizeof full, "case/T1/%s", names[i][0]);
        const gn_finding *f = golden_finding(&v, full);
        cr_expect_eq(f->verdict, GN_VERDICT_BITS);
        cr_expect_str_eq(f->note, names[i][1], "%s: %s", full, f->note);
    }
    gn_verification_free(&v);
}

/* Another implementation: channels outside, taps inside, products rounded before they are added. */
static void other_convolution(float *y, size_t count)
{
    gn_reader *r;
    cr_assert(gn_reader_open(&r, "golden.safetensors", NULL) == GN_OK);
    const gn_entry *ex = gn_reader_find(r, "case/T1/conv2d_y/x");
    const gn_entry *ew = gn_reader_find(r, "case/T1/conv2d_y/weight");
    const size_t C = ex->dim[1], H = ex->dim[2], W = ex->dim[3], O = ew->dim[0];
    for (size_t e = 0; e < count; e++) {
        const size_t n = e / (O * H * W), o = e / (H * W) % O, h = e / W % H, w = e % W;
        float sum = 0;
        for (size_t c = 0; c < C; c++)
            for (size_t t = 0; t < 9; t++) {
                const size_t i = h + t / 3 - 1, j = w + t % 3 - 1;
                if (i >= H || j >= W)
                    continue;
                const float product = ((const float *)ex->data)[((n * C + c) * H + i) * W + j] *
                                      ((const float *)ew->data)[(o * C + c) * 9 + t];
                sum += product;
            }
        y[e] = sum;
    }
    gn_reader_close(r);
}

/* Two lanes of images, and fused. */
static void other_gradient(float *dw, size_t count)
{
    gn_reader *r;
    cr_assert(gn_reader_open(&r, "golden.safetensors", NULL) == GN_OK);
    const gn_entry *ex = gn_reader_find(r, "case/T1/linear_dweight/x");
    const gn_entry *ey = gn_reader_find(r, "case/T1/linear_dweight/dy");
    const size_t N = ex->dim[0], K = ex->dim[1], O = ey->dim[1];
    for (size_t e = 0; e < count; e++) {
        float lane[2] = {0, 0};
        for (size_t n = 0; n < N; n++)
            lane[n % 2] = fmaf(((const float *)ey->data)[n * O + e / K],
                               ((const float *)ex->data)[n * K + e % K], lane[n % 2]);
        dw[e] = lane[0] + lane[1];
    }
    gn_reader_close(r);
}

Test(cases, other_orders_are_named)
{
    golden("case/T1/*");
    gn_verification v = judged(
        &(change){.name = "case/T1/conv2d_y/y", .values = other_convolution});
    const gn_finding *f = golden_finding(&v, "case/T1/conv2d_y/y");
    cr_expect_eq(f->verdict, GN_VERDICT_BOUND);
    cr_expect_str_eq(f->note,
                     "one chain, products rounded; channels upward, in each all taps "
                     "upward",
                     "%s", f->note);
    gn_verification_free(&v);
    v = judged(&(change){.name = "case/T1/linear_dweight/dweight", .values = other_gradient});
    f = golden_finding(&v, "case/T1/linear_dweight/dweight");
    cr_expect_eq(f->verdict, GN_VERDICT_BOUND);
    cr_expect_str_eq(f->note, "2 lanes, merged by neighbours, fused; images upward", "%s", f->note);
    gn_verification_free(&v);
}

/* What an order of sums of `outer` times `inner` terms shows, and the name that this gets. */
static const char *name_of(gn_order_probe *p, size_t order, char text[160])
{
    enum { MOST = 128 };
    static float seen[MOST], terms[MOST], scratch[2 * MOST + 64];
    const size_t K = p->outer * p->inner;
    cr_assert_leq(K, MOST);
    for (size_t j = 1; j < K; j++) {
        for (size_t k = 0; k < K; k++)
            terms[k] = k == 0 ? GN_PROBE_LARGE : k == j ? -GN_PROBE_LARGE : 1;
        seen[j - 1] = gn_order_take(p, order, terms, scratch);
    }
    p->seen = seen;
    cr_assert(gn_order_name(text, 160, p, NULL) == GN_OK);
    return text;
}

/* Every known order is recognised as itself or as one that shows the same numbers; most are told
 * from all others. */
Test(cases, known_orders_are_told_apart)
{
    gn_order_probe p = {NULL, 9, 8, "tap", "channel", true, true};
    static char names[1024][160];
    size_t distinct = 0;
    cr_assert_lt(gn_orders_known(&p), 1024);
    for (size_t order = 0; order < gn_orders_known(&p); order++) {
        const char *text = name_of(&p, order, names[order]);
        cr_expect(strstr(text, "no known") == NULL, "order %zu: %s", order, text);
        bool seen = false;
        for (size_t i = 0; i < order; i++)
            seen = seen || strcmp(names[i], text) == 0;
        distinct += !seen;
    }
    cr_expect_geq(distinct, 150, "%zu of %zu", distinct, gn_orders_known(&p));
}

/* Three terms at a time, the groups by halves: nobody's, so it is described. */
Test(cases, an_unknown_order_is_described)
{
    float seen[11];
    for (size_t j = 1; j < 12; j++)
        seen[j - 1] = j < 5 ? 7 : j < 7 ? 5 : 0;
    const gn_order_probe p = {seen, 1, 12, "", "square", false, false};
    char text[160];
    cr_assert(gn_order_name(text, sizeof text, &p, NULL) == GN_OK);
    cr_expect_str_eq(text,
                     "no known order; the first term meets 4 in a sum of 5, 2 in a sum of 7, "
                     "5 in a sum of 12",
                     "%s", text);
}

/* --- Updates ---------------------------------------------------------------------------------- */

Test(cases, updates_are_judged)
{
    static const char *const names[] = {
        "adamw/after",      "adamw/after_exp_avg", "adamw/after_exp_avg_sq",
        "sgd/after",        "sgd/after_velocity",  "nesterov/after",
        "clip/norm",        "clip/coef",           "running/after_mean",
        "running/after_var"};
    golden("case/T2/*");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char full[96];
        snprintf(full, sizeof full, "case/T2/%s", names[i]);
        gn_verification v = judged(&(change){.name = full, .values = one_ulp});
        cr_expect_eq(golden_finding(&v, full)->verdict, GN_VERDICT_BOUND, "%s: %s", full,
                     gn_verdict_name(golden_finding(&v, full)->verdict));
        gn_verification_free(&v);
        v = judged(&(change){.name = full, .values = nudge});
        cr_expect_eq(golden_finding(&v, full)->verdict, GN_VERDICT_WRONG, "%s: %s", full,
                     gn_verdict_name(golden_finding(&v, full)->verdict));
        gn_verification_free(&v);
    }
}

/* AdamW as it is written down, by another hand: the third step, in float64. */
Test(cases, adamw_is_adamw)
{
    golden("case/T2/adamw/*");
    gn_reader *r;
    cr_assert(gn_reader_open(&r, "golden.safetensors", NULL) == GN_OK);
    const float *x[6];
    const char *const names[] = {"param", "exp_avg", "exp_avg_sq", "grad", "coef", "after"};
    for (int i = 0; i < 6; i++) {
        char full[96];
        snprintf(full, sizeof full, "case/T2/adamw/%s", names[i]);
        x[i] = gn_reader_find(r, full)->data;
    }
    for (size_t i = 0; i < 61; i++) {
        const double g = (double)x[3][i] * (double)x[4][0];
        const double m = 0.9 * (double)x[1][i] + 0.1 * g;
        const double v = 0.999 * (double)x[2][i] + 0.001 * g * g;
        const double step = 1e-3 * (m / (1 - 0.9 * 0.9 * 0.9)) /
                            (sqrt(v / (1 - 0.999 * 0.999 * 0.999)) + 1e-8);
        const double after = (double)x[0][i] * (1 - 1e-3 * 1e-4) - step;
        cr_assert(fabs(after - (double)x[5][i]) <= 1e-6 * (fabs(after) + fabs(step)), "%zu", i);
    }
    gn_reader_close(r);
}

/* --- Apart ------------------------------------------------------------------------------------ */

static void flush(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = fabsf(data[i]) < 0x1p-126f ? 0 : data[i];
}

Test(cases, flushing_is_named)
{
    golden("case/denormal/*");
    const char *const names[] = {"case/denormal/relu/y", "case/denormal/linear/y",
                                 "case/denormal/tanh/y"};
    for (int i = 0; i < 3; i++) {
        gn_verification v = judged(&(change){.name = names[i], .values = flush});
        cr_expect_eq(golden_finding(&v, names[i])->verdict, GN_VERDICT_FTZ, "%s", names[i]);
        gn_verification_free(&v);
    }
}

static void no_nan(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = data[i] != data[i] ? 0 : data[i];
}

Test(cases, a_lost_nan_is_wrong)
{
    golden("case/nonfinite/*");
    gn_verification v = judged(&(change){.name = "case/nonfinite/relu/y", .values = no_nan});
    cr_expect_eq(golden_finding(&v, "case/nonfinite/relu/y")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);
}

/* Everything but the nonfinite suite is finite, but for the target that is none. */
Test(cases, the_others_are_finite)
{
    golden(NULL);
    gn_reader *r;
    cr_assert(gn_reader_open(&r, "golden.safetensors", NULL) == GN_OK);
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const gn_entry *e = gn_reader_at(r, i);
        const size_t n = strlen(e->name);
        if (gn_golden_matches("case/nonfinite/*", e->name) ||
            strcmp(e->name + n - 7, "/target") == 0)
            continue;
        for (size_t k = 0; k < e->bytes / sizeof(float); k++)
            cr_assert(isfinite(((const float *)e->data)[k]), "%s", e->name);
    }
    gn_reader_close(r);
}

/* --- Files ------------------------------------------------------------------------------------ */

Test(cases, broken_files_are_refused_or_wrong)
{
    gn_verification v;
    gn_err err;
    golden("case/T2/*");
    const change broken = {
        .name = "case/T2/linear/weight", .leave_out = true, .key = "level", .meaning = "cases"};
    golden_copy(&broken, 1);
    cr_expect_eq(gn_verify(&v, "copy.safetensors", "golden.safetensors", 1, &err), GN_E_FORMAT);
    cr_expect(strstr(err.text, "case/T2/linear/weight") != NULL, "%s", err.text);
    v = judged(&(change){.name = "case/T2/linear/y", .leave_out = true});
    cr_expect_eq(golden_finding(&v, "case/T2/linear/y")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);
    v = judged(&(change){.name = "case/T2/relu/y", .swap_dims = true});
    cr_expect(strstr(golden_finding(&v, "case/T2/relu/y")->note, "[N,H,W,C]") != NULL);
    gn_verification_free(&v);
}

Test(cases, nothing_of_that_name)
{
    gn_err err;
    gn_golden g = gn_golden_default();
    g.only = "case/T9/*";
    cr_expect_eq(gn_golden_write_cases("a.safetensors", &g, &err), GN_E_CONFIG);
    cr_expect(folder_is_empty());
}
