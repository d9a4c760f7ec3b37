/* Diagnosis: every mistake of the catalogue, made again in float32 by rows, networks and updates
 * that are not the catalogue's, is named; what is no mistake is not.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/diagnose.h"
#include "gomokunet/model.h"
#include "support/folder.h"
#include "support/golden_copy.h"
#include "support/mistaken_net.h"
#include "support/mistaken_rows.h"

TestSuite(diagnose, .init = folder_enter, .fini = folder_leave);

enum { SIZE = 5, CELLS = SIZE * SIZE, BATCH = 4 };
/* Each test is a process of its own, so that these may be others there. */
static gn_net_config config = {SIZE, 2, 6, GN_DENSE, false};
static gn_optimizer_config optimizer;
static uint64_t steps = 1;

/* --- Candidates ------------------------------------------------------------------------------- */

/* Four positions, one without a policy, one without a value: stones by a simple rule. */
static void fill(gn_games *games)
{
    gn_samples *s = calloc(1, sizeof *s);
    *s = (gn_samples){SIZE, BATCH, calloc(BATCH * GN_PLANES * CELLS, sizeof(float)),
                      calloc(BATCH * CELLS, sizeof(float)), calloc(BATCH, sizeof(float))};
    for (size_t i = 0; i < BATCH * CELLS; i++) {
        const size_t n = i / CELLS, e = i % CELLS, stone = (i * 7 + i * i / 3) % 5;
        if (stone < 2)
            s->planes[(n * GN_PLANES + stone) * CELLS + e] = 1;
        s->planes[(n * GN_PLANES + 4) * CELLS + e] = 1;
    }
    static const float value[BATCH] = {1, -1, NAN, 0.5f};
    memcpy(s->value, value, sizeof value);
    for (size_t n = 0; n < BATCH - 1; n++)
        s->policy[n * CELLS + 5 * n + 3] = 1;
    games->samples = s;
    games->sample_sets = 1;
}

/* Parameters as the seed has them, but for batch norms: gamma and beta of a trained network, and
 * one channel of 0, so that a ReLU reads zeros. */
static void write_model(void)
{
    gn_err err = {0};
    gn_net net;
    gn_store *store;
    cr_assert(gn_net_create(&net, &config, &err) == GN_OK, "%s", err.text);
    cr_assert(gn_store_create(&store, net.tape, &gn_plain, false, &err) == GN_OK, "%s", err.text);
    gn_store_init(store, 1);
    for (int v = 0; v < gn_tape_values(net.tape); v++) {
        const gn_value_info *info = gn_tape_value(net.tape, v);
        float *data = gn_store_data(store, v);
        const bool first = strncmp(info->name, "blocks.0.conv1.bn.", 18) == 0;
        for (size_t c = 0; info->kind == GN_PARAM && info->shape.rank == 1 &&
                           c < info->shape.dim[0] && info->init != GN_UNIFORM;
             c++)
            data[c] = first && c == 0 ? 0 : data[c] + 0.1f * (float)(c % 4) - 0.2f;
    }
    cr_assert(gn_model_save("model.safetensors", &net, store, (gn_tracked){0}, &err) == GN_OK, "%s",
              err.text);
    gn_store_destroy(store);
    gn_net_destroy(&net);
}

typedef struct recipe {
    const gn_table *table; /* NULL: the fast one */
    edit edit;
    bool twice; /* running statistics of recomputed blocks */
} recipe;

static void write_file(const char *path, recipe r)
{
    gn_err err = {0};
    gn_games games = {0};
    gn_dataset dataset;
    fill(&games);
    cr_assert(gn_dataset_create(&dataset, &games, SIZE, NULL, 0, &err) == GN_OK, "%s", err.text);
    gn_net net;
    if (config.conv == GN_SEPARABLE)
        cr_assert(gn_net_create(&net, &config, &err) == GN_OK, "%s", err.text);
    else
        net = mistaken_net(&config, r.edit);
    gn_golden g = gn_golden_default();
    g.net = &net;
    g.dataset = &dataset;
    g.session.batch = BATCH;
    g.session.table = r.table != NULL      ? r.table
                      : r.edit == AS_IT_IS ? gn_table_fast()
                                           : &mistaken_ops;
    g.session.torch_compat_bn = r.twice;
    g.session.policy = r.twice ? "block" : NULL;
    g.session.optimizer = optimizer.eps > 0 ? optimizer : gn_optimizer_default();
    g.steps = steps;
    g.rate = 0.1;
    g.model = "model.safetensors";
    mistaken_step = (mistaken_params){0};
    for (int v = 0; v < gn_tape_values(net.tape); v++)
        if (gn_tape_value(net.tape, v)->kind == GN_PARAM)
            mistaken_step.rank[mistaken_step.count++] = gn_tape_value(net.tape, v)->shape.rank;
    cr_assert(gn_golden_write(path, &g, &err) == GN_OK, "%s", err.text);
    gn_dataset_free(&dataset);
    gn_games_free(&games);
    gn_net_destroy(&net);
}

static void write_golden(void)
{
    write_model();
    write_file("golden.safetensors", (recipe){0});
}

static gn_diagnosis diagnose(const char *candidate)
{
    gn_diagnosis d;
    gn_err err = {0};
    cr_assert(gn_diagnose(&d, "golden.safetensors", candidate, 1, &err) == GN_OK, "%s", err.text);
    return d;
}

/* One cause, the expected one, that explains everything (but for `others` tensors at most). */
static void expect(const char *name, recipe r, size_t others)
{
    write_file("candidate.safetensors", r);
    gn_diagnosis d = diagnose("candidate.safetensors");
    cr_expect(d.suspects > 0, "%s: nothing is wrong", name);
    cr_expect(d.causes >= 1 && d.unexplained <= others, "%s: %zu causes, %zu of %zu unexplained",
              name, d.causes, d.unexplained, d.suspects);
    if (d.causes >= 1)
        cr_expect_str_eq(gn_mistake_name(d.cause[0].mistake), name);
    if (d.causes >= 1 && d.cause[0].ties > 0)
        cr_expect(false, "%s: cannot be told from %s", name, gn_mistake_name(d.cause[0].tied[0]));
    for (size_t i = 0, shown = 0; i < d.suspects && shown < 4; i++)
        if (d.suspect[i].cause != 0 && ++shown <= 4 && d.unexplained > others)
            cr_expect(false, "%s: %s is off by %.3g", name, d.suspect[i].name, d.suspect[i].off);
    gn_diagnosis_free(&d);
}

/* Those of the update that show in a second step, and all of SGD, come last. */
enum { FIRST_OF_TWO = 49 };

static void expect_tables(size_t first, size_t last)
{
    write_golden();
    for (size_t i = first; i < last && mistaken_table(i) != NULL; i++)
        expect(mistaken_table(i)->name, (recipe){.table = mistaken_table(i)}, 0);
}

Test(diagnose, mistakes_in_convolutions)
{
    expect_tables(0, 9);
}
Test(diagnose, mistakes_in_separable_convolutions)
{
    config.conv = GN_SEPARABLE;
    expect_tables(0, 9);
}
Test(diagnose, mistakes_in_batch_norm)
{
    expect_tables(9, 18);
}
Test(diagnose, mistakes_in_squeeze_and_residual)
{
    expect_tables(18, 25);
}
Test(diagnose, mistakes_in_heads_and_losses)
{
    expect_tables(25, 38);
}
Test(diagnose, mistakes_in_the_update)
{
    expect_tables(38, FIRST_OF_TWO);
}
Test(diagnose, mistakes_in_the_second_step)
{
    steps = 2;
    expect_tables(FIRST_OF_TWO, FIRST_OF_TWO + 1);
}
/* The one that asks for less than it should needs Nesterov's momentum to be asked for. */
static void expect_sgd(bool nesterov, const char *but)
{
    steps = 2;
    optimizer = gn_optimizer_default();
    optimizer.kind = GN_SGD;
    optimizer.nesterov = nesterov;
    write_golden();
    for (size_t i = FIRST_OF_TWO - 1; mistaken_table(i) != NULL; i++)
        if (strcmp(mistaken_table(i)->name, but) != 0)
            expect(mistaken_table(i)->name, (recipe){.table = mistaken_table(i)}, 0);
}
Test(diagnose, mistakes_in_momentum)
{
    expect_sgd(false, "sgd-nesterov-missing");
}
Test(diagnose, mistakes_in_nesterov_momentum)
{
    expect_sgd(true, "sgd-nesterov-extra");
}

Test(diagnose, mistakes_in_the_graph)
{
    static const struct {
        edit edit;
        const char *name;
        size_t missing; /* gradients of a gate that nothing uses */
    } edits[] = {{SE_BEFORE_BN, "se-before-bn", 0},
                 {SE_AFTER_ADD, "se-after-add", 0},
                 {NO_SE_RELU, "se-relu-missing", 0},
                 {NO_SIGMOID, "se-sigmoid-missing", 0},
                 {SE_NOT_APPLIED, "se-not-applied", 10},
                 {NO_INNER_RELU, "relu-missing", 0},
                 {RELU_BEFORE_ADD, "residual-relu-before-add", 0},
                 {NO_BLOCK_RELU, "residual-relu-missing", 0},
                 {NO_SKIP, "residual-missing", 0},
                 {STALE_MASK, "relu-gradient-from-stale-activation", 0},
                 {NO_HEAD_RELU, "head-relu-missing", 0},
                 {NO_TANH, "value-tanh-missing", 0},
                 {SE_MAX, "se-max-instead-of-mean", 0},
                 {RELU_AT_ZERO, "relu-gradient-at-zero", 0}};
    write_golden();
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        expect(edits[i].name, (recipe){.edit = edits[i].edit}, edits[i].missing);
}

Test(diagnose, running_statistics_of_a_recompute)
{
    write_golden();
    expect("bn-updated-twice", (recipe){.twice = true}, 0);
}

/* --- What is no mistake of the catalogue ------------------------------------------------------ */

static void expect_nothing(const char *candidate)
{
    gn_diagnosis d = diagnose(candidate);
    cr_expect(d.suspects == 0 && d.causes == 0, "%zu suspects, %zu causes", d.suspects, d.causes);
    gn_diagnosis_free(&d);
}

Test(diagnose, rounding_is_no_mistake)
{
    write_golden();
    expect_nothing("golden.safetensors");
    write_file("candidate.safetensors", (recipe){.table = &mistaken_ops}); /* the plain rows */
    expect_nothing("candidate.safetensors");
    golden_copy(&(change){.name = "grad/blocks.0.conv1.conv.weight", .values = one_ulp}, 1);
    expect_nothing("copy.safetensors");
}

Test(diagnose, a_nudge_is_explained_by_nothing)
{
    static const char *const names[] = {"forward/input_conv.0",
                                        "forward/blocks.0.se.gate",
                                        "forward/policy_logits",
                                        "loss/policy",
                                        "stats/blocks.1.conv1.bn.mean",
                                        "stats/policy_conv.1.invstd",
                                        "eval_forward/blocks.1.add",
                                        "grad_forward/blocks.0",
                                        "grad/input_conv.0.weight",
                                        "grad/blocks.0.conv1.bn.weight",
                                        "after/policy_fc.weight",
                                        "after_exp_avg/value_fc.0.weight",
                                        "after/blocks.1.conv2.bn.running_mean"};
    write_golden();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        golden_copy(&(change){.name = names[i], .values = nudge}, 1);
        gn_diagnosis d = diagnose("copy.safetensors");
        cr_expect(d.suspects > 0, "%s: nothing is wrong", names[i]);
        cr_expect_eq(d.causes, 0, "%s is %s", names[i],
                     d.causes > 0 ? gn_mistake_name(d.cause[0].mistake) : "");
        cr_expect_eq(d.unexplained, d.suspects);
        gn_diagnosis_free(&d);
    }
}

/* The loss is near the right one by a part in a thousand: no approximation, since the gradient is
 * not. */
Test(diagnose, a_temperature_is_no_fast_exp)
{
    write_golden();
    write_file("candidate.safetensors", (recipe){.table = mistaken_temperature()});
    gn_diagnosis d = diagnose("candidate.safetensors");
    cr_expect_eq(d.suspects, 2, "%zu", d.suspects);
    cr_expect_eq(d.causes, 0, "%s", d.causes > 0 ? gn_mistake_name(d.cause[0].mistake) : "");
    gn_diagnosis_free(&d);
}

Test(diagnose, what_is_missing_is_unexplained)
{
    write_golden();
    golden_copy(&(change){.name = "forward/blocks.0.relu1", .leave_out = true}, 1);
    gn_diagnosis d = diagnose("copy.safetensors");
    cr_expect(d.suspects == 1 && d.unexplained == 1, "%zu, %zu", d.suspects, d.unexplained);
    cr_expect_str_eq(d.suspect[0].name, "forward/blocks.0.relu1");
    gn_diagnosis_free(&d);
}

/* Two mistakes at once: both are named, each for its own tensors. */
Test(diagnose, two_mistakes_are_told_apart)
{
    write_golden();
    for (size_t i = 0; mistaken_table(i) != NULL; i++) {
        if (strcmp(mistaken_table(i)->name, "conv-flipped") != 0)
            continue;
        write_file("candidate.safetensors", (recipe){.table = mistaken_table(i), .twice = true});
        gn_diagnosis d = diagnose("candidate.safetensors");
        cr_assert(d.causes == 2 && d.unexplained == 0, "%zu, %zu", d.causes, d.unexplained);
        cr_expect_str_eq(gn_mistake_name(d.cause[0].mistake), "conv-flipped");
        cr_expect_str_eq(gn_mistake_name(d.cause[1].mistake), "bn-updated-twice");
        cr_expect(d.cause[0].forward > 0 && d.cause[0].backward > 0 && d.cause[0].update == 0);
        cr_expect(d.cause[1].forward == 0 && d.cause[1].backward == 0 && d.cause[1].update > 0);
        gn_diagnosis_free(&d);
    }
}

/* --- Precision -------------------------------------------------------------------------------- */

static void to_bfloat16(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&data[i], &bits, sizeof bits);
    }
}

Test(diagnose, a_precision_that_the_judge_names)
{
    write_golden();
    golden_copy(&(change){.name = "forward/value", .values = to_bfloat16}, 1);
    gn_diagnosis d = diagnose("copy.safetensors");
    cr_assert(d.causes > 0, "%zu suspects", d.suspects);
    cr_expect_str_eq(gn_mistake_name(d.cause[0].mistake), "bf16");
    gn_diagnosis_free(&d);
}

static void positive_zeros(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = data[i] == 0 ? -data[i] : data[i];
}

Test(diagnose, a_sign_of_zero_is_told_and_no_mistake)
{
    write_golden();
    golden_copy(&(change){.name = "forward/value_fc.1", .values = positive_zeros}, 1);
    gn_diagnosis d = diagnose("copy.safetensors");
    cr_expect(d.suspects == 0 && d.zero_signs == 1, "%zu, %zu", d.suspects, d.zero_signs);
    gn_diagnosis_free(&d);
}

/* --- The catalogue ---------------------------------------------------------------------------- */

Test(diagnose, the_catalogue_has_one_name_for_each)
{
    size_t count = 0;
    for (; gn_mistake_name(count) != NULL; count++) {
        cr_expect_not_null(gn_mistake_says(count));
        for (size_t i = 0; i < count; i++)
            cr_expect_str_neq(gn_mistake_name(i), gn_mistake_name(count));
    }
    cr_expect(count >= 60, "%zu", count);
    cr_expect_null(gn_mistake_says(count));
    for (size_t i = 0; mistaken_table(i) != NULL; i++) {
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found = found || strcmp(mistaken_table(i)->name, gn_mistake_name(k)) == 0;
        cr_expect(found, "%s", mistaken_table(i)->name);
    }
}
