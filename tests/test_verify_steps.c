/* What a step leaves behind is judged from the state and the gradients before it; what a candidate
 * declares must be complete; what nobody can judge is told with its distance.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/folder.h"
#include "support/golden_copy.h"

TestSuite(verify_steps, .init = folder_enter, .fini = folder_leave);

static gn_verification copy_verified(const change *changes, size_t count)
{
    golden_copy(changes, count);
    return golden_verify("copy.safetensors");
}

Test(verify_steps, ten_steps_of_our_own_have_the_same_bits)
{
    const gn_optimizer_kind kinds[] = {GN_ADAMW, GN_SGD};
    for (int i = 0; i < 2; i++) {
        golden_write(GN_DENSE, 10, kinds[i]);
        gn_verification v = golden_verify("golden.safetensors");
        cr_expect_eq(v.verdict, GN_VERDICT_BITS);
        cr_expect_eq(golden_finding(&v, "step/10/after/policy_fc.weight")->verdict,
                     GN_VERDICT_BITS);
        cr_expect_eq(golden_finding(&v, "step/7/grad/input_conv.0.weight")->verdict,
                     GN_VERDICT_BITS);
        cr_expect_eq(v.unseen, 0);
        gn_verification_free(&v);
    }
}

static void shifted(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] += 1e-5f;
}
static void hundredth(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] *= 1.01f;
}

/* Each state tensor of each kind, changed, is wrong by itself; what comes after it in the same step
 * is not, since it is judged by its own inputs. */
Test(verify_steps, a_changed_state_is_wrong)
{
    static const struct {
        const char *name;
        void (*values)(float *, size_t);
    } tried[] = {{"after/blocks.0.conv1.conv.weight", shifted},
                 {"after/input_conv.1.bias", nudge},
                 {"after_exp_avg/value_fc.0.weight", hundredth},
                 {"after_exp_avg_sq/policy_fc.weight", hundredth},
                 {"after_exp_avg_sq/policy_fc.weight", nothing},
                 {"after/blocks.1.conv2.bn.running_mean", nudge_last},
                 {"after/blocks.0.conv1.bn.running_var", hundredth},
                 {"step/2/after/policy_fc.weight", shifted},
                 {"step/2/after_exp_avg/policy_fc.weight", hundredth}};
    golden_write(GN_DENSE, 2, GN_ADAMW);
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        gn_verification v =
            copy_verified(&(change){.name = tried[i].name, .values = tried[i].values}, 1);
        const gn_finding *f = golden_finding(&v, tried[i].name);
        cr_expect_eq(f->verdict, GN_VERDICT_WRONG, "%s: %s", tried[i].name,
                     gn_verdict_name(f->verdict));
        cr_expect_eq(v.verdict, GN_VERDICT_WRONG);
        size_t wrong = 0;
        for (size_t k = 0; k < v.count; k++)
            wrong += v.finding[k].verdict == GN_VERDICT_WRONG;
        /* The second step of a changed first one, or nothing else. */
        cr_expect(wrong >= 1 && wrong <= 3, "%s: %zu wrong", tried[i].name, wrong);
        gn_verification_free(&v);
    }
}

Test(verify_steps, a_unit_in_the_last_place_of_the_state_is_rounding)
{
    static const char *const names[] = {"after/policy_fc.weight", "after_exp_avg/policy_fc.weight",
                                        "after_exp_avg_sq/policy_fc.weight",
                                        "after/blocks.0.conv1.bn.running_mean",
                                        "after/blocks.0.conv1.bn.running_var"};
    golden_write(GN_SEPARABLE, 1, GN_ADAMW);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        gn_verification v = copy_verified(&(change){.name = names[i], .values = one_ulp}, 1);
        cr_expect_eq(golden_finding(&v, names[i])->verdict, GN_VERDICT_BOUND, "%s: %s", names[i],
                     gn_verdict_name(golden_finding(&v, names[i])->verdict));
        gn_verification_free(&v);
    }
}

static void once_more(int64_t *data, size_t count) { data[count - 1]++; }

Test(verify_steps, a_counter_counts_every_step_once)
{
    static const char name[] = "after/blocks.0.conv1.bn.num_batches_tracked";
    golden_write(GN_DENSE, 1, GN_ADAMW);
    gn_verification v = copy_verified(&(change){.name = name, .counters = once_more}, 1);
    cr_expect_eq(golden_finding(&v, name)->verdict, GN_VERDICT_WRONG);
    cr_expect_str_eq(golden_finding(&v, name)->note, "2 batches counted, expected 1");
    gn_verification_free(&v);
}

/* A free run that is off by rounding cannot be judged later: each step starts from another state.
 * One who restarts each step from the golden file's state is judged step by step. */
Test(verify_steps, restarted_steps_are_judged_from_the_golden_state)
{
    golden_write(GN_DENSE, 3, GN_ADAMW);
    const change off[] = {{.name = "after/policy_fc.weight", .values = one_ulp},
                          {.name = "step/2/grad/policy_fc.weight", .values = one_ulp},
                          {.name = "step/2/loss/total", .leave_out = true},
                          {.key = "state", .meaning = "golden"}};
    gn_verification v = copy_verified(off, 4);
    cr_expect_eq(v.verdict, GN_VERDICT_BOUND, "%s", gn_verdict_name(v.verdict));
    cr_expect_eq(golden_finding(&v, "step/2/grad/policy_fc.weight")->verdict, GN_VERDICT_UNJUDGED);
    cr_expect(golden_finding(&v, "step/2/after/policy_fc.weight")->verdict <= GN_VERDICT_BOUND);
    cr_expect_eq(v.unseen, 1);
    gn_verification_free(&v);

    v = copy_verified(off, 2); /* the same as a run of its own */
    cr_expect_eq(v.verdict, GN_VERDICT_UNJUDGED, "%s", gn_verdict_name(v.verdict));
    gn_verification_free(&v);
}

/* --- What a candidate declares ---------------------------------------------------------------- */

static const change only_outputs[] = {
    {.key = "level", .meaning = "outputs"},      {.name = "forward/blocks*", .leave_out = true},
    {.name = "forward/*conv*", .leave_out = true}, {.name = "forward/value_fc*", .leave_out = true},
    {.name = "stats/*", .leave_out = true},      {.name = "grad*", .leave_out = true},
    {.name = "after*", .leave_out = true},       {.name = "eval_forward/*", .leave_out = true}};
enum { OUTPUTS = sizeof only_outputs / sizeof *only_outputs };

Test(verify_steps, outputs_alone_have_bits_or_a_distance)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    gn_verification v = copy_verified(only_outputs, OUTPUTS);
    cr_expect_eq(v.verdict, GN_VERDICT_BITS, "%s", gn_verdict_name(v.verdict));
    cr_expect_eq(v.count, 5, "%zu", v.count);
    cr_expect_eq(v.level, GN_LEVEL_OUTPUTS);
    cr_expect_eq(v.unseen, 282 - 5, "%zu", v.unseen);
    gn_verification_free(&v);

    change more[OUTPUTS + 1];
    memcpy(more, only_outputs, sizeof only_outputs);
    more[OUTPUTS] = (change){.name = "forward/value", .values = one_ulp};
    v = copy_verified(more, OUTPUTS + 1);
    const gn_finding *f = golden_finding(&v, "forward/value");
    cr_expect_eq(f->verdict, GN_VERDICT_UNJUDGED);
    cr_expect_eq(v.verdict, GN_VERDICT_UNJUDGED);
    cr_expect(f->reference_rms_error > 0 && f->reference_rms_error < 1e-6);
    cr_expect(f->rms_error > 0 && f->rms_error < 1e-6);
    gn_verification_free(&v);
}

Test(verify_steps, what_is_declared_must_be_complete)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    change incomplete[OUTPUTS + 1];
    memcpy(incomplete, only_outputs, sizeof only_outputs);
    incomplete[OUTPUTS] = (change){.name = "forward/value", .leave_out = true};
    gn_verification v = copy_verified(incomplete, OUTPUTS + 1);
    cr_expect_eq(golden_finding(&v, "forward/value")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);

    incomplete[0].meaning = "gradients"; /* and there are none */
    v = copy_verified(incomplete, OUTPUTS);
    cr_expect_eq(golden_finding(&v, "grad/input_conv.0.weight")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);

    /* A group that is begun. */
    v = copy_verified(&(change){.name = "after/value_fc.2.bias", .leave_out = true}, 1);
    cr_expect_eq(golden_finding(&v, "after/value_fc.2.bias")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);

    v = copy_verified((change[]){{.name = "after*", .leave_out = true}}, 1);
    cr_expect_eq(v.verdict, GN_VERDICT_BITS, "%s", gn_verdict_name(v.verdict));
    cr_expect(v.unseen > 100, "%zu", v.unseen);
    gn_verification_free(&v);
}

Test(verify_steps, fused_spans_are_declared)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    const change fused[] = {{.name = "forward/blocks.?.relu1", .leave_out = true},
                            {.name = "forward/blocks.0.conv2.conv", .values = one_ulp},
                            {.key = "fused", .meaning = "forward/blocks.?.conv1.bn,*.relu1"}};
    gn_verification v = copy_verified(fused, 3);
    cr_expect_eq(v.unseen, 2, "%zu", v.unseen);
    cr_expect_eq(v.verdict, GN_VERDICT_UNJUDGED, "%s", gn_verdict_name(v.verdict));
    const gn_finding *f = golden_finding(&v, "forward/blocks.0.conv2.conv");
    cr_expect(f->verdict == GN_VERDICT_UNJUDGED && f->reference_rms_error > 0);
    gn_verification_free(&v);

    v = copy_verified(fused, 2); /* not declared */
    cr_expect_eq(golden_finding(&v, "forward/blocks.1.relu1")->verdict, GN_VERDICT_WRONG);
    gn_verification_free(&v);
}

Test(verify_steps, unknown_words_are_refused)
{
    static const char *const keys[] = {"level", "state", "steps"};
    gn_verification v;
    gn_err err = {0};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    for (int i = 0; i < 3; i++) {
        golden_copy(&(change){.key = keys[i], .meaning = "tensors"}, 1);
        cr_expect_eq(gn_verify(&v, "golden.safetensors", "copy.safetensors", 1, &err),
                     GN_E_FORMAT, "%s", keys[i]);
        cr_expect(strstr(err.text, keys[i]) != NULL && strstr(err.text, "\"tensors\"") != NULL,
                  "%s", err.text);
    }
}

/* A golden file whose metadata are these beside the network's; what verify says of it. */
static gn_status with_metadata(const char *key, const char *meaning, gn_err *err)
{
    static const char *const needed[][2] = {{"board_size", "5"}, {"num_blocks", "2"},
                                            {"channels", "6"}, {"conv", "dense"},
                                            {"batch_size", "3"}};
    change all[6] = {{.key = key, .meaning = meaning}};
    size_t count = 1;
    for (size_t i = 0; i < 5; i++)
        if (strcmp(needed[i][0], key) != 0)
            all[count++] = (change){.key = needed[i][0], .meaning = needed[i][1]};
    golden_copy(all, count);
    gn_verification v;
    const gn_status st = gn_verify(&v, "copy.safetensors", "golden.safetensors", 1, err);
    if (st == GN_OK)
        gn_verification_free(&v);
    return st;
}

/* None of them counts as the default, or as the number that it begins with. */
Test(verify_steps, malformed_numbers_of_a_golden_file_are_refused)
{
    static const char *const numbers[] = {"lr",      "beta1",        "beta2", "eps",
                                          "momentum", "weight_decay", "clip",  "steps",
                                          "batch_size", "board_size", "num_blocks", "channels"};
    static const char *const bad[] = {"",     "x",    "0.001x", " 1",   "1 ",   "nan", "inf",
                                      "-inf", "-0.5", "1e999",  "0x1",  "1e40", "1,5", "1e",
                                      "--1",  "."};
    gn_err err;
    golden_write(GN_DENSE, 1, GN_ADAMW);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            err = (gn_err){0};
            cr_expect_eq(with_metadata(numbers[i], bad[k], &err), GN_E_FORMAT, "%s \"%s\"",
                         numbers[i], bad[k]);
            char stands[60];
            snprintf(stands, sizeof stands, "metadata %s is \"%s\", expected a ", numbers[i], bad[k]);
            cr_expect(strstr(err.text, "copy.safetensors: ") == err.text &&
                      strstr(err.text, stands) != NULL, "%s", err.text);
        }
}

/* Out of what an optimiser, a count or a word may be; and what a good one is. */
Test(verify_steps, metadata_of_a_golden_file_are_within_limits)
{
    static const char *const bad[][2] = {{"steps", "1.5"},      {"steps", "-1"},
                                         {"steps", "18446744073709551617"}, {"beta1", "1"},
                                         {"beta2", "1"},        {"momentum", "1"},
                                         {"weight_decay", "1.1"}, {"eps", "0"},
                                         {"batch_size", "0"},   {"batch_size", "2.5"},
                                         {"batch_size", "4294967299"}, {"optimizer", "lion"},
                                         {"optimizer", ""},     {"nesterov", "1"},
                                         {"nesterov", "true"},  {"conv", "dens"}};
    static const char *const good[][2] = {{"lr", "0"}, {"lr", "1e-3"}, {"lr", "0.001"},
                                          {"steps", "1"}, {"steps", "1000000"}, {"seed", "x"},
                                          {"clip", "0"}, {"nesterov", "false"}};
    gn_err err = {0};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(with_metadata(bad[i][0], bad[i][1], &err), GN_E_FORMAT, "%s %s", bad[i][0],
                     bad[i][1]);
        cr_expect(strstr(err.text, bad[i][0]) != NULL && strstr(err.text, bad[i][1]) != NULL &&
                  strstr(err.text, "expected") != NULL, "%s", err.text);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(with_metadata(good[i][0], good[i][1], &err), GN_OK, "%s", err.text);
}

Test(verify_steps, a_malformed_count_of_a_candidate_is_refused)
{
    static const char *const bad[] = {"", "2x", " 2", "2.5", "-1", "nan", "99999999999999999999"};
    gn_verification v;
    gn_err err = {0};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        golden_copy(&(change){.key = "steps", .meaning = bad[i]}, 1);
        cr_expect_eq(gn_verify(&v, "golden.safetensors", "copy.safetensors", 1, &err),
                     GN_E_FORMAT, "%s", bad[i]);
        cr_expect(strstr(err.text, "copy.safetensors: metadata steps is \"") == err.text, "%s",
                  err.text);
    }
}

/* --- One implementation beside itself ---------------------------------------------------------- */

Test(verify_steps, the_same_or_not)
{
    gn_verification v;
    gn_err err = {0};
    golden_write(GN_DENSE, 1, GN_ADAMW);
    golden_copy(&(change){.name = NULL}, 1); /* without a golden file's metadata */
    cr_assert_eq(gn_verify_same(&v, "golden.safetensors", "copy.safetensors", &err), GN_OK);
    cr_expect(v.verdict == GN_VERDICT_BITS && v.count > 282);
    gn_verification_free(&v);

    golden_copy((change[]){{.name = "grad/value_fc.2.bias", .values = one_ulp},
                           {.name = "*.num_batches_tracked", .counters = once_more},
                           {.name = "forward/value", .leave_out = true},
                           {.extra = "forward/other"}}, 4);
    cr_assert_eq(gn_verify_same(&v, "golden.safetensors", "copy.safetensors", &err), GN_OK);
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG);
    cr_expect_eq(golden_finding(&v, "grad/value_fc.2.bias")->max_ulp, 1);
    cr_expect_str_eq(golden_finding(&v, "forward/value")->note, "missing in B");
    cr_expect_str_eq(golden_finding(&v, "forward/other")->note, "missing in A");
    cr_expect(strstr(golden_finding(&v, "after/value_conv.1.num_batches_tracked")->note,
                     "of type I64 differ") != NULL);
    cr_expect_eq(golden_finding(&v, "forward/blocks.0")->verdict, GN_VERDICT_BITS);
    gn_verification_free(&v);
}

/* --- What a wrong op feeds --------------------------------------------------------------------- */

Test(verify_steps, a_wrong_op_names_what_it_feeds)
{
    golden_write(GN_DENSE, 1, GN_ADAMW);
    gn_verification v = copy_verified(
        (change[]){{.name = "forward/blocks.0.conv2.bn", .values = nudge},
                   {.name = "grad_forward/blocks.0.add", .values = nudge},
                   {.name = "forward/policy_conv", .values = nudge}}, 3);
    cr_expect_str_eq(golden_finding(&v, "forward/blocks.0.conv2.bn")->feeds,
                     "blocks.0.se.mean, blocks.0.se");
    cr_expect_str_eq(golden_finding(&v, "forward/policy_conv")->feeds, "policy_logits");
    cr_expect_str_eq(golden_finding(&v, "grad_forward/blocks.0.add")->feeds,
                     "blocks.0.se, input_conv");
    cr_expect(golden_finding(&v, "forward/blocks.0.conv2.bn")->bound > 0);
    gn_verification_free(&v);
}
