/* Verification: the golden file against itself, and against copies of it in which one thing is
 * wrong.  A candidate's own inputs are what an op is judged on, so a fault is named where it is.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/golden.h"
#include "support/folder.h"

TestSuite(verify, .init = folder_enter, .fini = folder_leave);

enum { SIZE = 5, BATCH = 3 };

static void write_golden(gn_conv conv)
{
    gn_err err = {0};
    gn_net net;
    gn_games games = {0};
    gn_dataset dataset;
    const gn_net_config config = {SIZE, 2, 6, conv, false};
    cr_assert(gn_net_create(&net, &config, &err) == GN_OK, "%s", err.text);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(gn_player_game(&games, 1, i, SIZE, &err) == GN_OK, "%s", err.text);
    cr_assert(gn_dataset_create(&dataset, &games, SIZE, NULL, 0, &err) == GN_OK, "%s", err.text);
    gn_golden g = gn_golden_default();
    g.net = &net;
    g.dataset = &dataset;
    g.session.batch = BATCH;
    cr_assert(gn_golden_write("golden.safetensors", &g, &err) == GN_OK, "%s", err.text);
    gn_dataset_free(&dataset);
    gn_games_free(&games);
    gn_net_destroy(&net);
}

/* What a copy does to one tensor. */
typedef struct change {
    const char *name;
    void (*values)(float *data, size_t count); /* NULL: none */
    bool leave_out, swap_dims;
    const char *extra; /* another tensor of this name */
} change;

static void copy_with(const change *c)
{
    gn_reader *r;
    gn_writer *w;
    gn_err err = {0};
    bool found = c->name == NULL;
    cr_assert(gn_reader_open(&r, "golden.safetensors", &err) == GN_OK, "%s", err.text);
    cr_assert(gn_writer_open(&w, "copy.safetensors", &err) == GN_OK, "%s", err.text);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < gn_reader_count(r); i++) {
            const gn_entry *e = gn_reader_at(r, i);
            const bool here = c->name != NULL && strcmp(e->name, c->name) == 0;
            found = found || here;
            if (here && c->leave_out)
                continue;
            size_t dim[8];
            memcpy(dim, e->dim, sizeof dim);
            if (here && c->swap_dims) {
                dim[1] = e->dim[2];
                dim[2] = e->dim[3];
                dim[3] = e->dim[1];
            }
            if (pass == 0) {
                gn_writer_declare(w, e->name, e->type, e->rank, dim, NULL);
                continue;
            }
            float *data = malloc(e->bytes + 1);
            memcpy(data, e->data, e->bytes);
            if (here && c->values != NULL)
                c->values(data, e->bytes / sizeof *data);
            gn_writer_put(w, data, e->bytes, NULL);
            free(data);
        }
        static const float one = 1;
        if (c->extra != NULL && pass == 0)
            gn_writer_declare(w, c->extra, GN_F32, 0, NULL, NULL);
        if (c->extra != NULL && pass == 1)
            gn_writer_put(w, &one, sizeof one, NULL);
    }
    cr_assert(gn_writer_close(w, &err) == GN_OK, "%s", err.text);
    gn_reader_close(r);
    cr_assert(found, "%s is not in the file", c->name);
}

static gn_verification verify(const char *candidate)
{
    gn_verification v;
    gn_err err = {0};
    cr_assert(gn_verify(&v, "golden.safetensors", candidate, 1, &err) == GN_OK, "%s", err.text);
    return v;
}

static const gn_finding *find(const gn_verification *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->finding[i].name, name) == 0)
            return &v->finding[i];
    cr_assert(false, "no finding %s", name);
    return NULL;
}

Test(verify, the_golden_file_has_its_own_bits)
{
    const gn_conv kinds[] = {GN_DENSE, GN_SEPARABLE};
    const size_t counts[] = {168, 184};
    for (int i = 0; i < 2; i++) {
        write_golden(kinds[i]);
        gn_verification v = verify("golden.safetensors");
        cr_expect_eq(v.verdict, GN_VERDICT_BITS);
        cr_expect_eq(v.count, counts[i], "%zu", v.count);
        for (size_t k = 0; k < v.count; k++)
            cr_expect_eq(v.finding[k].verdict, GN_VERDICT_BITS, "%s", v.finding[k].name);
        gn_verification_free(&v);
    }
}

static void one_ulp(float *data, size_t count) { data[count / 2] = nextafterf(data[count / 2], 9e9f); }
static void nudge(float *data, size_t count)
{
    data[count / 2] += 0.01f * (fabsf(data[count / 2]) + 1);
}
static void nudge_last(float *data, size_t count) /* the last image, channel and square */
{
    data[count - 1] += 0.01f * (fabsf(data[count - 1]) + 1);
}
static void not_a_number(float *data, size_t count) { data[count - 1] = NAN; }
static void all_not_numbers(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = NAN;
}
static void infinite(float *data, size_t count) { data[count / 3] = INFINITY; }
static void nothing(float *data, size_t count) { memset(data, 0, count * sizeof *data); }
static void twice(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] *= 2;
}
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
    copy_with(&(change){.name = name, .values = values});
    gn_verification v = verify("copy.safetensors");
    const gn_finding *f = find(&v, name);
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG, "%s: %s", name, gn_verdict_name(v.verdict));
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
    write_golden(GN_DENSE);
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
    write_golden(GN_DENSE);
    expect_wrong("forward/policy_logits", not_a_number);
    expect_wrong("grad/value_fc.2.weight", all_not_numbers);
    expect_wrong("grad_forward/blocks.0", infinite);
}

Test(verify, a_unit_in_the_last_place_is_no_bits_and_no_error)
{
    write_golden(GN_DENSE);
    copy_with(&(change){.name = "grad/blocks.0.conv1.conv.weight", .values = one_ulp});
    gn_verification v = verify("copy.safetensors");
    const gn_finding *f = find(&v, "grad/blocks.0.conv1.conv.weight");
    cr_expect_eq(v.verdict, GN_VERDICT_BOUND, "%s", gn_verdict_name(v.verdict));
    cr_expect(f->verdict == GN_VERDICT_BOUND && f->different == 1 && f->max_ulp == 1);
    cr_expect(f->histogram[0] == f->elements - 1 && f->histogram[1] == 1);
    gn_verification_free(&v);
}

Test(verify, a_narrow_format_is_named)
{
    write_golden(GN_DENSE);
    copy_with(&(change){.name = "forward/value_fc.0", .values = truncated});
    gn_verification v = verify("copy.safetensors");
    const gn_verdict verdict = find(&v, "forward/value_fc.0")->verdict;
    cr_expect(verdict != GN_VERDICT_BITS && verdict != GN_VERDICT_BOUND, "%s",
              gn_verdict_name(verdict));
    gn_verification_free(&v);
}

Test(verify, what_is_missing_or_shaped_otherwise_is_said)
{
    write_golden(GN_DENSE);
    copy_with(&(change){.name = "forward/blocks.0", .leave_out = true});
    gn_verification v = verify("copy.safetensors");
    cr_expect_eq(v.verdict, GN_VERDICT_WRONG);
    cr_expect(strstr(find(&v, "forward/blocks.0")->note, "missing") != NULL);
    cr_expect_eq(find(&v, "forward/blocks.1.conv1.conv")->verdict, GN_VERDICT_UNJUDGED);
    gn_verification_free(&v);

    copy_with(&(change){.name = "forward/blocks.0", .swap_dims = true});
    v = verify("copy.safetensors");
    cr_expect(strstr(find(&v, "forward/blocks.0")->note, "[N,H,W,C]") != NULL, "%s",
              find(&v, "forward/blocks.0")->note);
    gn_verification_free(&v);

    copy_with(&(change){.extra = "forward/blocks.7"});
    v = verify("copy.safetensors");
    cr_expect(v.verdict == GN_VERDICT_WRONG && v.extra == 1);
    cr_expect_str_eq(v.first_extra, "forward/blocks.7");
    gn_verification_free(&v);
}

Test(verify, what_is_no_golden_file_is_refused)
{
    gn_verification v;
    gn_err err = {0};
    write_golden(GN_DENSE);
    copy_with(&(change){.name = NULL}); /* copies the tensors, not the metadata */
    cr_expect_eq(gn_verify(&v, "copy.safetensors", "golden.safetensors", 1, &err), GN_E_FORMAT);
    cr_expect(strstr(err.text, "board_size") != NULL, "%s", err.text);
    cr_expect_eq(gn_verify(&v, "none.safetensors", "golden.safetensors", 1, &err), GN_E_IO);
}
