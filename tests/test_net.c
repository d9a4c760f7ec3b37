/* The network: counts, names, shapes, configuration, initialisation, board sizes.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/rig.h"

static gn_net net_of(gn_net_config config)
{
    gn_net net;
    gn_err err = {0};
    cr_assert(gn_net_create(&net, &config, &err) == GN_OK, "%s", err.text);
    return net;
}

static size_t parameters(gn_net_config config)
{
    gn_net net = net_of(config);
    const size_t count = gn_tape_parameters(net.tape);
    gn_net_destroy(&net);
    return count;
}

/* --- Counts ----------------------------------------------------------------------------------- */

Test(net, parameters_of_the_large_networks)
{
    gn_net_config config = gn_net_default();
    cr_assert(config.board_size == 15 && config.num_blocks == 30 && config.channels == 192 &&
              config.conv == GN_DENSE && !config.use_checkpoint);
    cr_assert_eq(parameters(config), 22628514);
    config.conv = GN_SEPARABLE;
    cr_assert_eq(parameters(config), 5037474);
}

Test(net, parameters_by_formula)
{
    for (int conv = 0; conv < 2; conv++)
        for (int size = 5; size <= 25; size += 10)
            for (int channels = 1; channels <= 65; channels += 16) {
                const size_t C = (size_t)channels, A = (size_t)(size * size), B = 2;
                const size_t hidden = C < 16 ? 1 : C / 16;
                const size_t half = (conv == GN_DENSE ? 9 * C * C : 9 * C + C * C) + 2 * C;
                const size_t trunk = 45 * C + 2 * C + B * (2 * half + 2 * C * hidden);
                const size_t policy = 32 * C + 64 + 32 * A * A + A;
                const size_t value = 16 * C + 32 + 16 * A * 256 + 256 + 257;
                cr_assert_eq(parameters(small_net(size, (int)B, channels, (gn_conv)conv)),
                             trunk + policy + value, "%d, %d, %d", conv, size, channels);
            }
}

Test(net, the_explanations_arithmetic)
{
    const gn_net_config config = gn_net_default();
    const gn_textbook t = gn_net_textbook(&config, 1024);
    char text[64];
    cr_assert_eq(t.map_bytes, (size_t)176947200);
    cr_assert(t.normal_maps == 180 && t.checkpoint_maps == 30);
    const double gib = (double)t.map_bytes / 0x1p30;
    snprintf(text, sizeof text, "%.2f %.2f %.0f%%", gib * 180, gib * 30,
             100 * (1 - 30.0 / 180.0));
    cr_assert_str_eq(text, "29.66 4.94 83%");
}

/* --- Names and shapes ------------------------------------------------------------------------- */

typedef struct line {
    const char *name, *shape;
} line;

/* The parameters and buffers of the tape, in order. */
static void lists(gn_conv conv, const line *want, size_t count)
{
    gn_net net = net_of(small_net(5, 1, 32, conv));
    size_t at = 0;
    for (int v = 0; v < gn_tape_values(net.tape); v++) {
        const gn_value_info *info = gn_tape_value(net.tape, v);
        char shape[64];
        if (info->kind != GN_PARAM && info->kind != GN_BUFFER)
            continue;
        cr_assert_lt(at, count, "%s is too much", info->name);
        cr_assert_str_eq(info->name, want[at].name);
        cr_assert_str_eq(gn_shape_text(info->shape, shape, sizeof shape), want[at].shape, "%s",
                         info->name);
        const bool running = strstr(info->name, ".running_") != NULL;
        cr_assert_eq(info->kind == GN_BUFFER, running, "%s", info->name);
        at++;
    }
    cr_assert_eq(at, count);
    gn_net_destroy(&net);
}

#define BN(name, channels)                                                                        \
    {name ".weight", channels}, {name ".bias", channels}, {name ".running_mean", channels},       \
        {name ".running_var", channels}
#define STEM_LINES {"input_conv.0.weight", "[32,5,3,3]"}, BN("input_conv.1", "[32]")
#define SE_LINES                                                                                  \
    {"blocks.0.se.excitation.0.weight", "[2,32]"}, {"blocks.0.se.excitation.2.weight", "[32,2]"}
#define HEAD_LINES                                                                                \
    {"policy_conv.0.weight", "[32,32,1,1]"}, BN("policy_conv.1", "[32]"),                         \
        {"policy_fc.weight", "[25,800]"}, {"policy_fc.bias", "[25]"},                             \
        {"value_conv.0.weight", "[16,32,1,1]"}, BN("value_conv.1", "[16]"),                       \
        {"value_fc.0.weight", "[256,400]"}, {"value_fc.0.bias", "[256]"},                         \
        {"value_fc.2.weight", "[1,256]"}, {"value_fc.2.bias", "[1]"}

Test(net, names_and_shapes_dense)
{
    static const line want[] = {
        STEM_LINES,
        {"blocks.0.conv1.conv.weight", "[32,32,3,3]"}, BN("blocks.0.conv1.bn", "[32]"),
        {"blocks.0.conv2.conv.weight", "[32,32,3,3]"}, BN("blocks.0.conv2.bn", "[32]"),
        SE_LINES, HEAD_LINES,
    };
    lists(GN_DENSE, want, sizeof want / sizeof *want);
}

Test(net, names_and_shapes_separable)
{
    static const line want[] = {
        STEM_LINES,
        {"blocks.0.conv1.depthwise.weight", "[32,1,3,3]"},
        {"blocks.0.conv1.pointwise.weight", "[32,32,1,1]"}, BN("blocks.0.conv1.bn", "[32]"),
        {"blocks.0.conv2.depthwise.weight", "[32,1,3,3]"},
        {"blocks.0.conv2.pointwise.weight", "[32,32,1,1]"}, BN("blocks.0.conv2.bn", "[32]"),
        SE_LINES, HEAD_LINES,
    };
    lists(GN_SEPARABLE, want, sizeof want / sizeof *want);
}

Test(net, outputs_of_each_op_have_the_names_of_golden_files)
{
    static const char *const names[] = {
        "input_conv.0", "input_conv.1", "input_conv", "blocks.1.conv1.conv", "blocks.1.conv1.bn",
        "blocks.1.relu1", "blocks.1.conv2.conv", "blocks.1.conv2.bn", "blocks.1.se.mean",
        "blocks.1.se.excitation.0", "blocks.1.se.excitation.1", "blocks.1.se.excitation.2",
        "blocks.1.se.gate", "blocks.1.se", "blocks.1.add", "blocks.1", "policy_conv.0",
        "policy_conv.1", "policy_conv", "policy_logits", "value_conv.0", "value_conv.1",
        "value_conv", "value_fc.0", "value_fc.1", "value_fc.2", "value", "loss/policy",
        "loss/value", "loss/total"};
    gn_net net = net_of(small_net(5, 2, 4, GN_DENSE));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_neq(gn_tape_find(net.tape, names[i]), GN_NONE, "%s", names[i]);
    cr_assert_eq(gn_tape_stages(net.tape), 4);
    cr_assert_str_eq(gn_tape_stage_name(net.tape, 0), "stem");
    cr_assert_str_eq(gn_tape_stage_name(net.tape, 2), "blocks.1");
    cr_assert_str_eq(gn_tape_stage_name(net.tape, 3), "heads");
    gn_net_destroy(&net);
}

/* --- Configuration ---------------------------------------------------------------------------- */

static void faults(gn_net_config config, const char *want)
{
    gn_err err = {0};
    gn_net net;
    cr_assert_eq(gn_net_validate(&config, &err), GN_E_CONFIG);
    cr_assert_str_eq(err.text, want);
    cr_assert_eq(gn_net_create(&net, &config, NULL), GN_E_CONFIG);
    cr_assert_null(net.tape);
    gn_net_destroy(&net);
}

Test(net, every_fault_is_named_at_once)
{
    faults((gn_net_config){.board_size = 4, .num_blocks = 0, .channels = -3, .conv = (gn_conv)2},
           "network: board-size 4, expected 5 to 25; num-blocks 0, expected 1 to 1000; "
           "channels -3, expected 1 to 4096; conv (0 dense, 1 separable) 2, expected 0 to 1");
    faults(small_net(26, 1001, 4097, GN_DENSE),
           "network: board-size 26, expected 5 to 25; num-blocks 1001, expected 1 to 1000; "
           "channels 4097, expected 1 to 4096");
    faults(small_net(15, 0, 64, GN_DENSE), "network: num-blocks 0, expected 1 to 1000");
    const gn_net_config limits[] = {small_net(5, 1, 1, GN_DENSE),
                                    small_net(25, 1000, 4096, GN_SEPARABLE)};
    for (int i = 0; i < 2; i++)
        cr_assert_eq(gn_net_validate(&limits[i], NULL), GN_OK);
}

/* --- Boards ----------------------------------------------------------------------------------- */

/* `uniform`: the cross-entropy of a network that knows nothing, log(size * size). */
static void any_board(int size, double uniform, gn_conv conv, const char *policy)
{
    rig r = rig_open(small_net(size, 2, 3, conv), gn_table_fast(), 2, 2, policy);
    samples x = samples_make(&r.net.config, 2, 4);
    rig_feed(&r, &x);
    rig_run(&r);
    const size_t cells = (size_t)(size * size);
    cr_assert_eq(gn_shape_count(gn_program_shape(r.program, r.net.logits)), 2 * cells);
    const double policy_loss = gn_engine_read(r.engine, r.net.loss_policy, 0);
    const double value_loss = gn_engine_read(r.engine, r.net.loss_value, 0);
    cr_assert(policy_loss > uniform - 1 && policy_loss < uniform + 2, "%d: %g", size, policy_loss);
    cr_assert(value_loss >= 0 && value_loss < 4, "%d: %g", size, value_loss);
    const double total = gn_engine_read(r.engine, r.net.loss, 0);
    cr_assert_eq(total, (double)((float)policy_loss + (float)value_loss));
    for (size_t n = 0; n < 2; n++)
        cr_assert_leq(fabs(gn_engine_read(r.engine, r.net.value, n)), 1);
    samples_free(&x);
    rig_close(&r);
}

Test(net, boards_of_5_15_and_25)
{
    static const double uniform[] = {3.2189, 5.4161, 6.4378};
    for (int i = 0; i < 3; i++) {
        any_board(5 + 10 * i, uniform[i], GN_DENSE, "inference");
        any_board(5 + 10 * i, uniform[i], GN_SEPARABLE, "block");
    }
}

/* --- Initialisation --------------------------------------------------------------------------- */

static void check_uniform(const char *name, const float *x, size_t count, size_t fan_in)
{
    const double bound = 1 / sqrt((double)fan_in);
    double largest = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        cr_assert_leq(fabs((double)x[i]), bound * (1 + 1e-7), "%s[%zu]", name, i);
        largest = fabs((double)x[i]) > largest ? fabs((double)x[i]) : largest;
        sum += (double)x[i];
    }
    if (count < 100)
        return;
    cr_assert_gt(largest, 0.93 * bound, "%s", name);
    /* a mean of uniform numbers has the deviation bound / sqrt(3 count) */
    cr_assert_leq(fabs(sum / (double)count), 5 * bound / sqrt(3 * (double)count), "%s", name);
}

static gn_store *store_of(const gn_net *net, const gn_table *table, uint64_t seed)
{
    gn_store *s;
    cr_assert_eq(gn_store_create(&s, net->tape, table, false, NULL), GN_OK);
    gn_store_init(s, seed);
    return s;
}

Test(net, initialisation_is_that_of_pytorch)
{
    gn_net net = net_of(small_net(7, 2, 16, GN_SEPARABLE));
    gn_store *s = store_of(&net, &gn_plain, 1);
    for (int v = 0; v < gn_tape_values(net.tape); v++) {
        const gn_value_info *info = gn_tape_value(net.tape, v);
        const float *x = gn_store_data(s, v);
        if (x == NULL)
            continue;
        const size_t count = gn_shape_count(info->shape), length = strlen(info->name);
        size_t fan_in = 1;
        for (int d = 1; d < info->shape.rank; d++)
            fan_in *= info->shape.dim[d];
        if (strcmp(info->name, "policy_fc.bias") == 0)
            fan_in = 32 * 49;
        if (strcmp(info->name, "value_fc.0.bias") == 0)
            fan_in = 16 * 49;
        if (strcmp(info->name, "value_fc.2.bias") == 0)
            fan_in = 256;
        if (info->init == GN_UNIFORM) {
            check_uniform(info->name, x, count, fan_in);
            continue;
        }
        const bool ones = strcmp(info->name + length - 6, "weight") == 0 ||
                          strcmp(info->name + length - 3, "var") == 0;
        cr_assert_eq(info->shape.rank, 1, "%s", info->name);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(x[i], ones ? 1 : 0, "%s", info->name);
    }
    gn_store_destroy(s);
    gn_net_destroy(&net);
}

Test(net, initialisation_is_a_function_of_the_seed)
{
    gn_net net = net_of(small_net(5, 2, 8, GN_DENSE));
    gn_store *a = store_of(&net, &gn_plain, 1), *b = store_of(&net, gn_table_fast(), 1);
    gn_store *c = store_of(&net, &gn_plain, 2), *wide = store_of(&net, &gn_double, 1);
    const gn_value w1 = gn_tape_find(net.tape, "blocks.1.conv1.conv.weight");
    const gn_value w2 = gn_tape_find(net.tape, "blocks.1.conv2.conv.weight");
    const float *x = gn_store_data(a, w1), *other = gn_store_data(c, w1);
    const float *next = gn_store_data(a, w2);
    same_bits("the same seed", gn_store_data(b, w1), x, 576);
    size_t equal = 0, equal_next = 0;
    for (size_t i = 0; i < 576; i++) {
        cr_assert_eq(((double *)gn_store_data(wide, w1))[i], (double)x[i]);
        equal += x[i] == other[i];
        equal_next += x[i] == next[i];
    }
    cr_assert(equal < 3 && equal_next < 3, "%zu, %zu", equal, equal_next);
    gn_store_destroy(a);
    gn_store_destroy(b);
    gn_store_destroy(c);
    gn_store_destroy(wide);
    gn_net_destroy(&net);
}
