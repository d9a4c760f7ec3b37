/* Model files: the round trip, and one broken file for each message.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "gomokunet/io.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/rig.h"

TestSuite(model, .init = folder_enter, .fini = folder_leave);

static const gn_tracked seen = {7, 5};

typedef struct saved {
    gn_net net;
    gn_store *store;
} saved;

/* A network of 1 block at 5x5 with parameters of `seed`. */
static saved saved_open(int channels, gn_conv conv, const gn_table *table, uint64_t seed)
{
    const gn_net_config config = small_net(5, 1, channels, conv);
    saved m = {0};
    cr_assert_eq(gn_net_create(&m.net, &config, NULL), GN_OK);
    cr_assert_eq(gn_store_create(&m.store, m.net.tape, table, false, NULL), GN_OK);
    gn_store_init(m.store, seed);
    return m;
}

static void saved_close(saved *m)
{
    gn_store_destroy(m->store);
    gn_net_destroy(&m->net);
}

/* Writes m.safetensors. */
static void write_model(int channels, gn_conv conv)
{
    gn_err err = {0};
    saved m = saved_open(channels, conv, &gn_plain, 1);
    cr_assert(gn_model_save("m.safetensors", &m.net, m.store, seen, &err) == GN_OK, "%s",
              err.text);
    saved_close(&m);
}

/* --- The round trip --------------------------------------------------------------------------- */

Test(model, round_trip_gives_the_same_bytes)
{
    static char first[1 << 20];
    for (int conv = 0; conv < 2; conv++) {
        gn_err err = {0};
        gn_net_config config;
        gn_tracked tracked = {0};
        write_model(4, (gn_conv)conv);
        saved m = saved_open(4, (gn_conv)conv, &gn_plain, 99);
        cr_assert_eq(gn_model_load("m.safetensors", &m.net, m.store, &tracked, &err),
                     GN_OK, "%s", err.text);
        cr_assert(tracked.blocks == seen.blocks && tracked.others == seen.others);
        cr_assert_eq(gn_model_save("again", &m.net, m.store, tracked, &err), GN_OK);
        const size_t count = folder_read("m.safetensors", first, sizeof first);
        static char second[1 << 20];
        cr_assert_eq(folder_read("again", second, sizeof second), count);
        cr_assert_eq(memcmp(first, second, count), 0);
        cr_assert_eq(gn_model_config(&config, "again", &err), GN_OK, "%s", err.text);
        cr_assert(config.board_size == 5 && config.num_blocks == 1 && config.channels == 4 &&
                  config.conv == (gn_conv)conv && !config.use_checkpoint);
        saved_close(&m);
    }
}

/* The same state dict as arrays of numpy, where the build reads them. */
Test(model, reads_npz)
{
    static char first[1 << 20], second[1 << 20];
    gn_err err = {0};
    gn_net_config config;
    gn_tracked tracked = {0};
    write_model(4, GN_DENSE);
    saved m = saved_open(4, GN_DENSE, &gn_plain, 1), other = saved_open(4, GN_DENSE, &gn_plain, 9);
    cr_assert_eq(gn_model_save("m.npz", &m.net, m.store, seen, &err), GN_OK, "%s", err.text);
    const gn_status st = gn_model_config(&config, "m.npz", &err);
    if (st != GN_E_FORMAT || strstr(err.text, "expected one with libzip") == NULL) {
        cr_assert_eq(st, GN_OK, "%s", err.text);
        cr_expect(config.board_size == 5 && config.num_blocks == 1 && config.channels == 4);
        cr_assert_eq(gn_model_load("m.npz", &other.net, other.store, &tracked, &err), GN_OK, "%s",
                     err.text);
        cr_assert_eq(gn_model_save("again", &other.net, other.store, tracked, &err), GN_OK);
        const size_t count = folder_read("m.safetensors", first, sizeof first);
        cr_assert_eq(folder_read("again", second, sizeof second), count);
        cr_expect_eq(memcmp(first, second, count), 0);
    }
    saved_close(&m);
    saved_close(&other);
}

Test(model, fills_a_double_store)
{
    write_model(4, GN_DENSE);
    saved m = saved_open(4, GN_DENSE, &gn_plain, 1), wide = saved_open(4, GN_DENSE, &gn_double, 9);
    gn_tracked tracked;
    cr_assert_eq(gn_model_load("m.safetensors", &wide.net, wide.store, &tracked, NULL), GN_OK);
    for (int v = 0; v < gn_tape_values(m.net.tape); v++) {
        const float *x = gn_store_data(m.store, v);
        const double *y = gn_store_data(wide.store, v);
        for (size_t i = 0; x != NULL && i < gn_shape_count(gn_tape_value(m.net.tape, v)->shape);
             i++)
            cr_assert_eq(y[i], (double)x[i], "%s", gn_tape_value(m.net.tape, v)->name);
    }
    saved_close(&m);
    saved_close(&wide);
}

/* The order and the types of a state dict: a counter behind each running_var. */
Test(model, is_a_state_dict)
{
    static const char *const names[] = {
        "input_conv.0.weight", "input_conv.1.weight", "input_conv.1.bias",
        "input_conv.1.running_mean", "input_conv.1.running_var", "input_conv.1.num_batches_tracked",
        "blocks.0.conv1.conv.weight", "blocks.0.conv1.bn.weight"};
    gn_reader *r;
    write_model(4, GN_DENSE);
    cr_assert_eq(gn_reader_open(&r, "m.safetensors", NULL), GN_OK);
    cr_assert_str_eq(gn_reader_metadata(r, "format"), "pt");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_str_eq(gn_reader_at(r, i)->name, names[i]);
    cr_assert_eq(gn_reader_count(r), 6 + 2 * 6 + 2 + 8 + 6 + 4);
    static const struct {
        const char *name;
        int64_t count;
    } counters[] = {{"input_conv.1.num_batches_tracked", 5},
                    {"blocks.0.conv1.bn.num_batches_tracked", 7},
                    {"blocks.0.conv2.bn.num_batches_tracked", 7},
                    {"policy_conv.1.num_batches_tracked", 5},
                    {"value_conv.1.num_batches_tracked", 5}};
    for (int i = 0; i < 5; i++) {
        const gn_entry *e = gn_reader_find(r, counters[i].name);
        cr_assert(e != NULL && e->type == GN_I64 && e->rank == 0, "%s", counters[i].name);
        cr_assert_eq(memcmp(e->data, &counters[i].count, sizeof(int64_t)), 0, "%s",
                     counters[i].name);
    }
    gn_reader_close(r);
}

/* --- Broken files ----------------------------------------------------------------------------- */

/* What to change while m.safetensors is written anew as "broken". */
typedef struct change {
    const char *skip;       /* a tensor left out */
    const char *extra;      /* a tensor put in */
    const char *retype;     /* a tensor declared as I32 */
    const char *key, *text; /* a metadata key with another text; NULL: without it */
    bool bare;              /* no metadata at all */
    bool backwards;         /* the last tensor first */
    const char *prefix;     /* before every name */
} change;

static const char *value_of(const gn_reader *r, const change *c, const char *key)
{
    if (c->bare)
        return NULL;
    const bool mine = c->key != NULL && strcmp(key, c->key) == 0;
    return mine ? c->text : gn_reader_metadata(r, key);
}

static bool is(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static const gn_entry *entry_at(const gn_reader *r, const change *c, size_t i)
{
    return gn_reader_at(r, c->backwards ? gn_reader_count(r) - 1 - i : i);
}

static void rewrite(change c)
{
    static const char *const keys[] = {"format", "gomokunet", "board_size", "num_blocks",
                                       "channels", "conv"};
    const size_t one = 1;
    const float zero = 0;
    gn_reader *r;
    gn_writer *w;
    gn_err err = {0};
    cr_assert_eq(gn_reader_open(&r, "m.safetensors", &err), GN_OK, "%s", err.text);
    cr_assert_eq(gn_writer_open(&w, "broken", &err), GN_OK);
    for (int i = 0; i < 6; i++)
        if (value_of(r, &c, keys[i]) != NULL)
            gn_writer_metadata(w, keys[i], value_of(r, &c, keys[i]), NULL);
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const gn_entry *e = entry_at(r, &c, i);
        char name[128];
        snprintf(name, sizeof name, "%s%s", c.prefix != NULL ? c.prefix : "", e->name);
        if (!is(e->name, c.skip))
            gn_writer_declare(w, name, is(e->name, c.retype) ? GN_I32 : e->type, e->rank, e->dim,
                              NULL);
    }
    if (c.extra != NULL)
        gn_writer_declare(w, c.extra, GN_F32, 1, &one, NULL);
    for (size_t i = 0; i < gn_reader_count(r); i++)
        if (!is(entry_at(r, &c, i)->name, c.skip))
            gn_writer_put(w, entry_at(r, &c, i)->data, entry_at(r, &c, i)->bytes, NULL);
    if (c.extra != NULL)
        gn_writer_put(w, &zero, sizeof zero, NULL);
    cr_assert_eq(gn_writer_close(w, &err), GN_OK, "%s", err.text);
    gn_reader_close(r);
}

static void load_says(const char *path, int channels, gn_status status, const char *want)
{
    static char before[1 << 20];
    gn_err err = {0};
    gn_tracked tracked = {7, 8};
    saved m = saved_open(channels, GN_DENSE, &gn_plain, 99);
    const size_t bytes = gn_store_data_bytes(m.store);
    const void *data = gn_store_data(m.store, gn_tape_find(m.net.tape, "input_conv.0.weight"));
    cr_assert_lt(bytes, sizeof before);
    memcpy(before, data, bytes); /* one block, that parameter first */
    cr_assert_eq(gn_model_load(path, &m.net, m.store, &tracked, &err), status, "%s",
                 err.text);
    cr_assert_eq(memcmp(before, data, bytes), 0, "%s: half of it is loaded", err.text);
    cr_assert(tracked.blocks == 7 && tracked.others == 8, "%s", err.text);
    cr_assert_not_null(strstr(err.text, want), "\"%s\" does not say \"%s\"", err.text, want);
    cr_assert_eq(strncmp(err.text, path, strlen(path)), 0, "%s", err.text);
    saved_close(&m);
}

static void config_says(change c, const char *want)
{
    gn_err err = {0};
    gn_net_config config;
    rewrite(c);
    cr_assert_eq(gn_model_config(&config, "broken", &err), GN_E_FORMAT, "%s", err.text);
    cr_assert_not_null(strstr(err.text, want), "\"%s\" does not say \"%s\"", err.text, want);
    cr_assert_eq(strncmp(err.text, "broken: ", 8), 0, "%s", err.text);
}

Test(model, tensors_must_be_those_of_the_network)
{
    write_model(4, GN_DENSE);
    rewrite((change){0});
    gn_net_config config;
    cr_assert_eq(gn_model_config(&config, "broken", NULL), GN_OK, "nothing is broken yet");
    load_says("m.safetensors", 5, GN_E_SHAPE,
              "tensor input_conv.0.weight has another type or shape, expected F32 [5,5,3,3]");
    rewrite((change){.skip = "policy_fc.bias"});
    load_says("broken", 4, GN_E_SHAPE, "tensor policy_fc.bias is missing, expected F32 [25]");
    rewrite((change){.skip = "policy_conv.1.num_batches_tracked"});
    load_says("broken", 4, GN_E_SHAPE, "tensor policy_conv.1.num_batches_tracked is missing");
    rewrite((change){.retype = "value_fc.2.bias"});
    load_says("broken", 4, GN_E_SHAPE, "tensor value_fc.2.bias has another type or shape");
    rewrite((change){.extra = "blocks.1.conv1.conv.weight"});
    load_says("broken", 4, GN_E_SHAPE, "tensor blocks.1.conv1.conv.weight is none of this");
}

Test(model, the_other_convolution_is_another_network)
{
    write_model(4, GN_SEPARABLE);
    load_says("m.safetensors", 4, GN_E_SHAPE, "tensor blocks.0.conv1.conv.weight is missing");
}

/* A state dict that PyTorch wrote: no metadata, any order of the tensors. */
Test(model, the_tensors_say_which_network_it_is)
{
    static const gn_net_config configs[] = {
        {.board_size = 5, .num_blocks = 1, .channels = 1},
        {.board_size = 6, .num_blocks = 11, .channels = 3, .conv = GN_SEPARABLE},
        {.board_size = 15, .num_blocks = 2, .channels = 40}};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        gn_err err = {0};
        gn_net_config found;
        gn_tracked tracked = {0};
        saved m = {0}, again = {0};
        cr_assert_eq(gn_net_create(&m.net, &configs[i], NULL), GN_OK);
        cr_assert_eq(gn_store_create(&m.store, m.net.tape, &gn_plain, false, NULL), GN_OK);
        gn_store_init(m.store, 1);
        cr_assert_eq(gn_model_save("m.safetensors", &m.net, m.store, seen, NULL), GN_OK);
        rewrite((change){.bare = true, .backwards = true});
        cr_assert(gn_model_config(&found, "broken", &err) == GN_OK, "%s", err.text);
        cr_assert(found.board_size == configs[i].board_size &&
                  found.num_blocks == configs[i].num_blocks &&
                  found.channels == configs[i].channels && found.conv == configs[i].conv &&
                  !found.use_checkpoint);
        cr_assert_eq(gn_net_create(&again.net, &found, NULL), GN_OK);
        cr_assert_eq(gn_store_create(&again.store, again.net.tape, &gn_plain, false, NULL), GN_OK);
        cr_assert(gn_model_load("broken", &again.net, again.store, &tracked, &err) == GN_OK, "%s",
                  err.text);
        cr_assert(tracked.blocks == seen.blocks && tracked.others == seen.others);
        for (int v = 0; v < gn_tape_values(m.net.tape); v++)
            if (gn_store_data(m.store, v) != NULL)
                same_bits(gn_tape_value(m.net.tape, v)->name, gn_store_data(again.store, v),
                          gn_store_data(m.store, v),
                          gn_shape_count(gn_tape_value(m.net.tape, v)->shape));
        saved_close(&m);
        saved_close(&again);
    }
}

Test(model, tensors_that_say_nothing_usable)
{
    write_model(4, GN_DENSE);
    config_says((change){.bare = true, .skip = "policy_fc.bias"},
                "tensor policy_fc.bias is missing: no GomokuNet");
    config_says((change){.bare = true, .skip = "input_conv.0.weight"},
                "tensor input_conv.0.weight is missing: no GomokuNet");
    config_says((change){.prefix = "module."},
                "tensor input_conv.0.weight is missing, module.input_conv.0.weight is there: take "
                "the prefix \"module.\" off every name");
    config_says((change){.prefix = "_orig_mod."}, "take the prefix \"_orig_mod.\" off");
    config_says((change){.extra = "blocks.1000.x"},
                "network: num-blocks 1001, expected 1 to 1000");
    /* A number beyond all, and a gap, are found when the tensors are loaded. */
    gn_net_config config;
    rewrite((change){.extra = "blocks.99999999999999999999999.x"});
    cr_assert_eq(gn_model_config(&config, "broken", NULL), GN_OK);
    load_says("broken", 4, GN_E_SHAPE, "tensor blocks.99999999999999999999999.x is none of");
    rewrite((change){.bare = true, .extra = "blocks.2.conv1.conv.weight"});
    cr_assert_eq(gn_model_config(&config, "broken", NULL), GN_OK);
    cr_assert_eq(config.num_blocks, 3);
}

Test(model, metadata_must_not_say_something_else)
{
    gn_net_config config;
    write_model(4, GN_DENSE);
    rewrite((change){.key = "conv"});
    cr_assert_eq(gn_model_config(&config, "broken", NULL), GN_OK, "one key less is no harm");
    config_says((change){.key = "board_size", .text = "6"},
                "metadata board_size is 6, the tensors say 5");
    config_says((change){.key = "num_blocks", .text = "01"},
                "metadata num_blocks is 01, the tensors say 1");
    config_says((change){.key = "channels", .text = "4x"},
                "metadata channels is 4x, the tensors say 4");
    config_says((change){.key = "conv", .text = "separable"},
                "metadata conv is separable, the tensors say dense");
}

Test(model, files_that_are_none)
{
    gn_net_config config;
    gn_err err = {0};
    load_says("nowhere.safetensors", 4, GN_E_IO, "nowhere.safetensors: ");
    folder_put("garbage", "not a model at all", 18);
    load_says("garbage", 4, GN_E_FORMAT, "garbage: ");
    cr_assert_eq(gn_model_config(&config, "garbage", &err), GN_E_FORMAT);
    saved m = saved_open(4, GN_DENSE, &gn_plain, 1);
    cr_assert_eq(gn_model_save("no/such/folder", &m.net, m.store, seen, &err), GN_E_IO);
    cr_assert_not_null(strstr(err.text, "no/such/folder"), "%s", err.text);
    saved_close(&m);
}

Test(model, only_float_stores_are_written)
{
    gn_err err = {0};
    saved m = saved_open(4, GN_DENSE, &gn_double, 1);
    cr_assert_eq(gn_model_save("m.safetensors", &m.net, m.store, seen, &err), GN_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "m.safetensors: a model file holds float32"), "%s",
                       err.text);
    cr_assert(folder_is_empty());
    saved_close(&m);
}
