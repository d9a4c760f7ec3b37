/* Verification: the golden file against itself, and against copies of it in which one thing is
 * wrong.  A candidate's own inputs are what an op is judged on, so a fault is named where it is.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/folder.h"
#include "support/golden_copy.h"

TestSuite(verify, .init = folder_enter, .fini = folder_leave);

Test(verify, the_golden_file_has_its_own_bits)
{
    const gn_conv kinds[] = {GN_DENSE, GN_SEPARABLE};
    const size_t counts[] = {282, 310};
    for (int i = 0; i < 2; i++) {
        golden_write(kinds[i], 1, GN_ADAMW);
        gn_verification v = golden_verify("golden.safetensors");
        cr_expect_eq(v.verdict, GN_VERDICT_BITS);
        cr_expect_eq(v.count, counts[i], "%zu", v.count);
        for (size_t k = 0; k < v.count; k++)
            cr_expect_eq(v.finding[k].verdict, GN_VERDICT_BITS, "%s", v.finding[k].name);
        gn_verification_free(&v);
    }
}

static void not_a_number(float *data, size_t count) { data[count - 1] = NAN; }
static void all_not_numbers(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = NAN;
}
static void infinite(float *data, size_t count) { data[count / 3] = INFINITY; }
static void truncated(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t u;
        memcpy(&u, &data[i], sizeof u);
        u &= 0xffff0000;
        memcpy(&data[i], &u, sizeof u);
    }
}

/* One tensor changed: it is wrong, and no op before it is. */
static void expect_wrong(const char *name, void (*values)(float *, size_t))
{
    golden_copy(&(change){.name = name, .values = values}, 1);
    gn_verification v = golden_verify("copy.safetensors");
    const gn_finding *f = golden_finding(&v, name);
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG, "%s", name);
    cr_expect(f->verdict > GN_VERDICT_BOUND, "%s: %s", name, gn_verdict_name(f->verdict));
    cr_expect(f->different > 0 && *f->index == '[', "%s", name);
    for (const gn_finding *before = v.finding; before < f; before++)
        if (strncmp(before->name, "forward/", 8) == 0 && strncmp(name, "forward/", 8) == 0)
            cr_expect_eq(before->verdict, GN_VERDICT_BITS, "%s: %s", name, before->name);
    gn_verification_free(&v);
}

Test(verify, a_changed_tensor_is_wrong)
{
    static const char *const names[] = {
        "forward/input_conv.0", "forward/blocks.0.conv1.bn", "forward/blocks.1.relu1",
        "forward/blocks.0.se.mean", "forward/blocks.0.se.gate", "forward/blocks.1.se",
        "forward/blocks.0.add", "forward/policy_logits", "forward/value", "loss/policy",
        "loss/total", "stats/blocks.1.conv1.bn.mean", "stats/policy_conv.1.invstd",
        "eval_forward/blocks.1.conv2.conv", "grad_forward/blocks.0", "grad_forward/policy_conv",
        "grad_forward/blocks.0.conv2.bn", "grad/input_conv.0.weight", "grad/policy_fc.bias",
        "grad/blocks.0.conv1.bn.weight", "grad/blocks.0.se.excitation.0.weight"};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect_wrong(names[i], nudge);
    expect_wrong("forward/blocks.1.conv2.conv", nudge_last);
    expect_wrong("grad_forward/blocks.0.relu1", nudge_last);
    expect_wrong("grad/blocks.1.conv2.conv.weight", nudge_last);
    expect_wrong("grad/blocks.0.conv1.conv.weight", twice);
    expect_wrong("grad/blocks.0.conv1.conv.weight", nothing);
    expect_wrong("forward/policy_conv.0", nothing);
}

/* NaN fails every comparison, and one matching infinity must not switch the others off. */
Test(verify, numbers_that_are_none)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    expect_wrong("forward/policy_logits", not_a_number);
    expect_wrong("grad/value_fc.2.weight", all_not_numbers);
    expect_wrong("grad_forward/blocks.0", infinite);
}

Test(verify, a_unit_in_the_last_place_is_no_bits_and_no_error)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    golden_copy(&(change){.name = "grad/blocks.0.conv1.conv.weight", .values = one_ulp}, 1);
    gn_verification v = golden_verify("copy.safetensors");
    const gn_finding *f = golden_finding(&v, "grad/blocks.0.conv1.conv.weight");
    cr_expect_eq(v.verdict, GN_VERDICT_BOUND, "%s", gn_verdict_name(v.verdict));
    cr_expect(f->verdict == GN_VERDICT_BOUND && f->different == 1 && f->max_ulp == 1);
    cr_expect(f->histogram[0] == f->elements - 1 && f->histogram[1] == 1);
    gn_verification_free(&v);
}

Test(verify, a_narrow_format_is_named)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    golden_copy(&(change){.name = "forward/value_fc.0", .values = truncated}, 1);
    gn_verification v = golden_verify("copy.safetensors");
    const gn_verdict verdict = golden_finding(&v, "forward/value_fc.0")->verdict;
    cr_expect(verdict != GN_VERDICT_BITS && verdict != GN_VERDICT_BOUND, "%s",
              gn_verdict_name(verdict));
    gn_verification_free(&v);
}

Test(verify, what_is_missing_or_shaped_otherwise_is_said)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    golden_copy(&(change){.name = "forward/blocks.0", .leave_out = true}, 1);
    gn_verification v = golden_verify("copy.safetensors");
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG);
    cr_expect(strstr(golden_finding(&v, "forward/blocks.0")->note, "missing") != NULL);
    /* Its reader cannot be judged; it has the golden file's bits, or has not. */
    cr_expect_eq(golden_finding(&v, "forward/blocks.1.conv1.conv")->verdict, GN_VERDICT_BITS);
    gn_verification_free(&v);

    golden_copy((change[]){{.name = "forward/blocks.0", .leave_out = true},
                           {.name = "forward/blocks.1.conv1.conv", .values = one_ulp}}, 2);
    v = golden_verify("copy.safetensors");
    cr_expect_eq(golden_finding(&v, "forward/blocks.1.conv1.conv")->verdict, GN_VERDICT_UNJUDGED);
    gn_verification_free(&v);

    golden_copy(&(change){.name = "forward/blocks.0", .swap_dims = true}, 1);
    v = golden_verify("copy.safetensors");
    cr_expect(strstr(golden_finding(&v, "forward/blocks.0")->note, "[N,H,W,C]") != NULL, "%s",
              golden_finding(&v, "forward/blocks.0")->note);
    gn_verification_free(&v);

    golden_copy(&(change){.extra = "forward/blocks.7"}, 1);
    v = golden_verify("copy.safetensors");
    cr_expect(v.verdict == GN_VERDICT_WRONG && v.extra == 1);
    cr_expect_str_eq(v.first_extra, "forward/blocks.7");
    gn_verification_free(&v);
}

Test(verify, what_is_no_golden_file_is_refused)
{
    gn_verification v;
    gn_err err = {0};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    golden_copy(&(change){.name = NULL}, 1); /* copies the tensors, not the metadata */
    cr_expect_eq(gn_verify(&v, "copy.safetensors", "golden.safetensors", 1, &err), GN_E_FORMAT);
    cr_expect(strstr(err.text, "board_size") != NULL, "%s", err.text);
    cr_expect_eq(gn_verify(&v, "none.safetensors", "golden.safetensors", 1, &err), GN_E_IO);
}
