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
        cr_assert_eq(gn_model_load("m.safetensors", &m.net, m.store, &gn_plain, &tracked, &err),
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

Test(model, fills_a_double_store)
{
    write_model(4, GN_DENSE);
    saved m = saved_open(4, GN_DENSE, &gn_plain, 1), wide = saved_open(4, GN_DENSE, &gn_double, 9);
    gn_tracked tracked;
    cr_assert_eq(gn_model_load("m.safetensors", &wide.net, wide.store, &gn_double, &tracked, NULL),
                 GN_OK);
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
} change;

static const char *value_of(const gn_reader *r, const change *c, const char *key)
{
    const bool mine = c->key != NULL && strcmp(key, c->key) == 0;
    return mine ? c->text : gn_reader_metadata(r, key);
}

static bool is(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
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
        const gn_entry *e = gn_reader_at(r, i);
        if (!is(e->name, c.skip))
            gn_writer_declare(w, e->name, is(e->name, c.retype) ? GN_I32 : e->type, e->rank,
                              e->dim, NULL);
    }
    if (c.extra != NULL)
        gn_writer_declare(w, c.extra, GN_F32, 1, &one, NULL);
    for (size_t i = 0; i < gn_reader_count(r); i++)
        if (!is(gn_reader_at(r, i)->name, c.skip))
            gn_writer_put(w, gn_reader_at(r, i)->data, gn_reader_at(r, i)->bytes, NULL);
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
    cr_assert_eq(gn_model_load(path, &m.net, m.store, &gn_plain, &tracked, &err), status, "%s",
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

Test(model, metadata_must_be_there_and_make_sense)
{
    write_model(4, GN_DENSE);
    config_says((change){.key = "board_size"},
                "metadata board_size is missing, expected a number");
    config_says((change){.key = "num_blocks"}, "metadata num_blocks is missing");
    config_says((change){.key = "channels", .text = "4x"},
                "metadata channels is 4x, expected a number");
    config_says((change){.key = "channels", .text = "-4"}, "metadata channels is -4");
    config_says((change){.key = "channels", .text = ""}, "metadata channels is ");
    config_says((change){.key = "channels", .text = "99999999999999999999"}, "metadata channels");
    config_says((change){.key = "conv"},
                "metadata conv is missing, expected dense or separable");
    config_says((change){.key = "conv", .text = "sparse"}, "metadata conv is sparse");
    config_says((change){.key = "board_size", .text = "26"},
                "network: board-size 26, expected 5 to 25");
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
