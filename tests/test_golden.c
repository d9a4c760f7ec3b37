/* Golden files: all names, the right layout, the same bytes for every table, policy and number of
 * threads, digests of what the file holds.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/golden.h"
#include "support/folder.h"

TestSuite(golden, .init = folder_enter, .fini = folder_leave);

enum { SIZE = 5, BLOCKS = 2, CHANNELS = 6, BATCH = 3, CELLS = SIZE * SIZE };

typedef struct kit {
    gn_net net;
    gn_games games;
    gn_dataset dataset;
    gn_golden golden;
} kit;

static kit open_kit(gn_conv conv)
{
    kit k = {0};
    gn_err err = {0};
    const gn_net_config config = {SIZE, BLOCKS, CHANNELS, conv, false};
    cr_assert(gn_net_create(&k.net, &config, &err) == GN_OK, "%s", err.text);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(gn_player_game(&k.games, 1, i, SIZE, &err) == GN_OK, "%s", err.text);
    return k;
}

/* Pointers into the kit are set where it lies. */
static void ready(kit *k)
{
    gn_err err = {0};
    cr_assert(gn_dataset_create(&k->dataset, &k->games, SIZE, NULL, 0, &err) == GN_OK, "%s",
              err.text);
    k->golden = gn_golden_default();
    k->golden.net = &k->net;
    k->golden.dataset = &k->dataset;
    k->golden.session.batch = BATCH;
    k->golden.session.threads = 1;
}

static void close_kit(kit *k)
{
    gn_dataset_free(&k->dataset);
    gn_games_free(&k->games);
    gn_net_destroy(&k->net);
}

static const char *write_golden(kit *k, const char *path)
{
    gn_err err = {0};
    k->golden.net = &k->net;
    k->golden.dataset = &k->dataset;
    cr_assert(gn_golden_write(path, &k->golden, &err) == GN_OK, "%s", err.text);
    return path;
}

static char *contents(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    char *bytes = malloc(1 << 24);
    *length = fread(bytes, 1, 1 << 24, f);
    fclose(f);
    return bytes;
}

static void expect_same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = contents(a, &n), *y = contents(b, &m);
    cr_assert(n == m && n > 1000 && memcmp(x, y, n) == 0, "%s and %s differ", a, b);
    free(x);
    free(y);
}

Test(golden, same_bytes_for_tables_threads_and_policies)
{
    const gn_conv kinds[] = {GN_DENSE, GN_SEPARABLE};
    for (int i = 0; i < 2; i++) {
            kit k = open_kit(kinds[i]);
        ready(&k);
        k.golden.steps = 2;
        const char *a = "a.safetensors", *b = "b.safetensors";
        write_golden(&k, a);
        k.golden.session.table = &gn_plain;
        expect_same_file(a, write_golden(&k, b));
        k.golden.session.threads = 3;
        k.golden.session.policy = "block";
        expect_same_file(a, write_golden(&k, b));
        close_kit(&k);
    }
}

Test(golden, every_name_of_the_list)
{
    static const char *const ops[] = {
        "input_conv.0", "input_conv.1", "input_conv", "blocks.1.conv1.conv", "blocks.1.conv1.bn",
        "blocks.1.relu1", "blocks.1.conv2.conv", "blocks.1.conv2.bn", "blocks.1.se.mean",
        "blocks.1.se.excitation.0", "blocks.1.se.excitation.1", "blocks.1.se.excitation.2",
        "blocks.1.se.gate", "blocks.1.se", "blocks.1.add", "blocks.1", "policy_conv.0",
        "policy_conv.1", "policy_conv", "policy_logits", "value_conv.0", "value_conv.1",
        "value_conv", "value_fc.0", "value_fc.1", "value_fc.2", "value"};
    static const char *const groups[] = {"forward", "eval_forward", "grad_forward"};
    enum { OPS = sizeof ops / sizeof *ops, HEADS = 14, A_BLOCK = 13 };
    kit k = open_kit(GN_DENSE);
    ready(&k);
    char name[128];
    gn_reader *r;
    cr_assert(gn_reader_open(&r, write_golden(&k, "a.safetensors"), NULL) == GN_OK);
    size_t activations = 0;
    for (int g = 0; g < 3; g++)
        for (size_t i = 0; i < OPS; i++) {
            snprintf(name, sizeof name, "%s/%s", groups[g], ops[i]);
            cr_expect_not_null(gn_reader_find(r, name), "%s", name);
        }
    for (size_t i = 0; i < gn_reader_count(r); i++)
        activations += strncmp(gn_reader_at(r, i)->name, "forward/", 8) == 0;
    cr_expect_eq(activations, HEADS + BLOCKS * A_BLOCK, "%zu", activations);
    static const char *const others[] = {
        "input/planes", "input/policy", "input/value", "loss/policy", "loss/value", "loss/total",
        "stats/blocks.0.conv1.bn.mean", "stats/input_conv.1.invstd", "param/policy_fc.bias",
        "buffer/value_conv.1.running_var", "buffer/input_conv.1.num_batches_tracked",
        "grad/value_fc.2.weight", "after/input_conv.0.weight",
        "after/blocks.1.conv2.bn.num_batches_tracked", "after_exp_avg/policy_fc.weight",
        "after_exp_avg_sq/policy_fc.weight"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_not_null(gn_reader_find(r, others[i]), "%s", others[i]);
    const gn_entry *map = gn_reader_find(r, "forward/blocks.0");
    cr_expect(map->rank == 4 && map->dim[0] == BATCH && map->dim[1] == CHANNELS &&
              map->dim[2] == SIZE && map->dim[3] == SIZE);
    cr_expect_eq(gn_reader_find(r, "forward/value")->rank, 1);
    cr_expect_eq(gn_reader_find(r, "loss/total")->rank, 0);
    gn_reader_close(r);
    close_kit(&k);
}

/* The planes of a position are known, so they show that a map was turned to channels first; and a
 * rectifier's output shows that its own input was, in the same way. */
Test(golden, channels_first)
{
    kit k = open_kit(GN_DENSE);
    ready(&k);
    gn_reader *r;
    float planes[BATCH * CELLS * GN_PLANES], policy[BATCH * CELLS], value[BATCH];
    cr_assert(gn_reader_open(&r, write_golden(&k, "a.safetensors"), NULL) == GN_OK);
    gn_sampler sampler;
    cr_assert(gn_sampler_create(&sampler, &k.dataset, 1, BATCH, NULL) == GN_OK);
    gn_sampler_batch(&sampler, 0, planes, policy, value);
    const float *file = gn_reader_find(r, "input/planes")->data;
    for (size_t n = 0; n < BATCH; n++)
        for (size_t i = 0; i < CELLS; i++)
            for (size_t c = 0; c < GN_PLANES; c++)
                cr_assert_eq(file[(n * GN_PLANES + c) * CELLS + i],
                             planes[(n * CELLS + i) * GN_PLANES + c]);
    const gn_entry *x = gn_reader_find(r, "forward/blocks.1.add");
    const gn_entry *y = gn_reader_find(r, "forward/blocks.1");
    for (size_t i = 0; i < y->bytes / sizeof(float); i++) {
        const float v = ((const float *)x->data)[i];
        cr_assert_eq(((const float *)y->data)[i], v <= 0 ? 0 : v);
    }
    gn_sampler_free(&sampler);
    gn_reader_close(r);
    close_kit(&k);
}

/* The tensors of a file against the lines of digests. */
static void has_digests(const char *path)
{
    char line[400], hex[65], name[300];
    gn_err err = {0};
    gn_reader *r;
    if (gn_tensors_open(&r, path, &err) != GN_OK) {
        cr_assert(strstr(err.text, "this build reads no npz") != NULL, "%s", err.text);
        return;
    }
    cr_expect_str_eq(gn_reader_metadata(r, "board_size"), "5");
    FILE *f = fopen("a.sha256", "r");
    size_t lines = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (*line == '#')
            continue;
        cr_assert_eq(sscanf(line, "%64s  %299s", hex, name), 2);
        const gn_entry *e = gn_reader_at(r, lines++);
        cr_assert(e != NULL && strcmp(e->name, name) == 0, "%s: %s", path, name);
        gn_sha256 hash;
        char want[65];
        gn_sha256_begin(&hash);
        gn_sha256_add_elements(&hash, e->data, e->bytes, gn_dtype_size(e->type));
        gn_sha256_hex(&hash, want);
        cr_assert_str_eq(hex, want, "%s: %s", path, name);
    }
    fclose(f);
    cr_assert_eq(lines, gn_reader_count(r), "%s", path);
    gn_reader_close(r);
}

Test(golden, digests_are_of_the_files)
{
    kit k = open_kit(GN_SEPARABLE);
    ready(&k);
    k.golden.steps = 2;
    write_golden(&k, "a.sha256");
    has_digests(write_golden(&k, "a.safetensors"));
    has_digests(write_golden(&k, "a.npz"));
    close_kit(&k);
}

static bool stop_at_seven(void *user, size_t done, size_t total, const char *tensor)
{
    (void)user;
    (void)tensor;
    return done < 7 || total < 7;
}

Test(golden, stopped_or_refused_leaves_nothing)
{
    kit k = open_kit(GN_DENSE);
    ready(&k);
    gn_err err;
    static const char *const paths[] = {"a.safetensors", "a.npz", "a.sha256"};
    for (int i = 0; i < 3; i++) {
        k.golden.progress = stop_at_seven;
        cr_expect_eq(gn_golden_write(paths[i], &k.golden, &err), GN_E_IO);
        k.golden.progress = NULL;
        k.golden.only = "nothing";
        cr_expect_eq(gn_golden_write(paths[i], &k.golden, &err), GN_E_CONFIG);
        cr_expect(strstr(err.text, "nothing") != NULL, "%s", err.text);
        k.golden.only = NULL;
        cr_expect(folder_is_empty(), "%s", paths[i]);
    }
    k.golden.session.table = &gn_double;
    cr_expect_eq(gn_golden_write("a.safetensors", &k.golden, &err), GN_E_CONFIG);
    cr_expect_eq(gn_golden_write("golden.txt", &k.golden, &err), GN_E_CONFIG);
    cr_expect(folder_is_empty());
    close_kit(&k);
}

Test(golden, patterns)
{
    cr_expect(gn_golden_matches("grad/*", "grad/policy_fc.bias"));
    cr_expect(!gn_golden_matches("grad/*", "grad_forward/value"));
    cr_expect(gn_golden_matches("*.bn.mean", "stats/blocks.0.conv1.bn.mean"));
    cr_expect(gn_golden_matches("blocks.?", "blocks.3"));
    cr_expect(!gn_golden_matches("blocks.?", "blocks.10"));
    cr_expect(gn_golden_matches("*a*b", "xaxbxb"));
    cr_expect(!gn_golden_matches("*a*b", "xaxbxbc"));
    cr_expect(gn_golden_matches("*", ""));
    cr_expect(!gn_golden_matches("?", ""));
}
