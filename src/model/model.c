/* Model files: safetensors with PyTorch's state-dict names.
 *
 * The tape's order of parameters and buffers is the state dict's order.  num_batches_tracked, which
 * PyTorch keeps for every batch norm, is two counters here, written out for each.
 * SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/model.h"

static const char running_var[] = ".running_var";
static const char counter[] = ".num_batches_tracked";

static bool in_file(const gn_value_info *info)
{
    return info->kind == GN_PARAM || info->kind == GN_BUFFER;
}

/* The counter stands behind each running_var.  false: this value is none. */
static bool counter_name(const char *name, char *out, size_t room)
{
    const size_t length = strlen(name), tail = sizeof running_var - 1;
    if (length <= tail || strcmp(name + length - tail, running_var) != 0)
        return false;
    snprintf(out, room, "%.*s%s", (int)(length - tail), name, counter);
    return true;
}

/* What the metadata says of a network. */
enum { FACTS = 4 };
static const char *const facts[FACTS] = {"board_size", "num_blocks", "channels", "conv"};

static void fact_texts(const gn_net_config *c, char text[FACTS][16])
{
    const int numbers[] = {c->board_size, c->num_blocks, c->channels};
    for (int i = 0; i < FACTS - 1; i++)
        snprintf(text[i], sizeof text[i], "%d", numbers[i]);
    snprintf(text[FACTS - 1], sizeof text[FACTS - 1], "%s", gn_conv_name(c->conv));
}

static gn_status put_metadata(gn_writer *w, const gn_net_config *c, gn_err *err)
{
    char text[FACTS][16];
    fact_texts(c, text);
    gn_status st = gn_writer_metadata(w, "format", "pt", err);
    if (st == GN_OK) st = gn_writer_metadata(w, "gomokunet", "order v1", err);
    for (int i = 0; i < FACTS && st == GN_OK; i++)
        st = gn_writer_metadata(w, facts[i], text[i], err);
    return st;
}

static gn_status declare_all(gn_writer *w, const gn_tape *t, gn_err *err)
{
    gn_status st = GN_OK;
    for (int v = 0; v < gn_tape_values(t) && st == GN_OK; v++) {
        const gn_value_info *info = gn_tape_value(t, v);
        char name[128];
        if (!in_file(info))
            continue;
        st = gn_writer_declare(w, info->name, GN_F32, info->shape.rank, info->shape.dim, err);
        if (st == GN_OK && counter_name(info->name, name, sizeof name))
            st = gn_writer_declare(w, name, GN_I64, 0, NULL, err);
    }
    return st;
}

static uint64_t *counter_of(gn_tracked *tracked, const char *name)
{
    return strncmp(name, "blocks.", 7) == 0 ? &tracked->blocks : &tracked->others;
}

static gn_status put_counter(gn_writer *w, uint64_t count, gn_err *err)
{
    return gn_writer_put(w, &count, sizeof count, err);
}

static gn_status put_all(gn_writer *w, const gn_tape *t, const gn_store *store,
                         gn_tracked tracked, gn_err *err)
{
    gn_status st = GN_OK;
    for (int v = 0; v < gn_tape_values(t) && st == GN_OK; v++) {
        const gn_value_info *info = gn_tape_value(t, v);
        char name[128];
        if (!in_file(info))
            continue;
        st = gn_writer_put(w, gn_store_data(store, v),
                           gn_shape_count(info->shape) * sizeof(float), err);
        if (st == GN_OK && counter_name(info->name, name, sizeof name))
            st = put_counter(w, *counter_of(&tracked, name), err);
    }
    return st;
}

gn_status gn_model_save(const char *path, const gn_net *net, const gn_store *store,
                        gn_tracked tracked, gn_err *err)
{
    gn_writer *w;
    if (gn_store_elem(store) != sizeof(float))
        return gn_fail(err, GN_E_CONFIG, "%s: a model file holds float32, this store does not",
                       path);
    gn_status st = gn_writer_open(&w, path, err);
    if (st != GN_OK)
        return st;
    st = put_metadata(w, &net->config, err);
    if (st == GN_OK) st = declare_all(w, net->tape, err);
    if (st == GN_OK) st = put_all(w, net->tape, store, tracked, err);
    if (st == GN_OK)
        return gn_writer_close(w, err);
    gn_writer_abandon(w);
    return st;
}

/* --- Reading ------------------------------------------------------------------------------- */

/* Wrappers put a prefix before every name: DataParallel "module.", torch.compile "_orig_mod.". */
static gn_status tensor_missing(const gn_reader *r, const char *path, const char *name,
                                gn_err *err)
{
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const char *other = gn_reader_at(r, i)->name;
        const size_t more = strlen(other) > strlen(name) ? strlen(other) - strlen(name) : 0;
        if (more > 0 && strcmp(other + more, name) == 0)
            return gn_fail(err, GN_E_FORMAT, "%s: tensor %s is missing, %s is there: take the "
                           "prefix \"%.*s\" off every name", path, name, other, (int)more, other);
    }
    return gn_fail(err, GN_E_FORMAT, "%s: tensor %s is missing: no GomokuNet", path, name);
}

static int blocks_of(const gn_reader *r)
{
    int count = 0;
    for (size_t i = 0; i < gn_reader_count(r); i++) {
        const char *name = gn_reader_at(r, i)->name;
        const long block = strncmp(name, "blocks.", 7) == 0 ? strtol(name + 7, NULL, 10) : -1;
        if (block >= count && block < INT_MAX)
            count = (int)block + 1;
    }
    return count;
}

/* The tensors say which network it is, in files of any program; loading checks every shape.
 * Metadata are not needed, but must not say something else. */
static gn_status config_of(gn_net_config *out, const gn_reader *r, const char *path, gn_err *err)
{
    static const char stem[] = "input_conv.0.weight", cells[] = "policy_fc.bias";
    const gn_entry *conv = gn_reader_find(r, stem), *bias = gn_reader_find(r, cells);
    if (conv == NULL || bias == NULL)
        return tensor_missing(r, path, conv == NULL ? stem : cells, err);
    *out = (gn_net_config){.num_blocks = blocks_of(r)};
    if (gn_reader_find(r, "blocks.0.conv1.depthwise.weight") != NULL)
        out->conv = GN_SEPARABLE;
    const size_t channels = conv->rank > 0 ? conv->dim[0] : 0;
    const size_t squares = bias->rank > 0 ? bias->dim[0] : 0;
    out->channels = channels < INT_MAX ? (int)channels : INT_MAX;
    while (out->board_size <= GN_MAX_BOARD &&
           (size_t)(out->board_size * out->board_size) < squares)
        out->board_size++;
    gn_err why;
    if (gn_net_validate(out, &why) != GN_OK)
        return gn_fail(err, GN_E_FORMAT, "%s: %.800s", path, why.text);
    char text[FACTS][16];
    fact_texts(out, text);
    for (int i = 0; i < FACTS; i++) {
        const char *said = gn_reader_metadata(r, facts[i]);
        if (said != NULL && strcmp(said, text[i]) != 0)
            return gn_fail(err, GN_E_FORMAT, "%s: metadata %s is %.60s, the tensors say %s", path,
                           facts[i], said, text[i]);
    }
    return GN_OK;
}

gn_status gn_model_config(gn_net_config *out, const char *path, gn_err *err)
{
    gn_reader *r;
    gn_status st = gn_tensors_open(&r, path, err);
    if (st != GN_OK)
        return st;
    st = config_of(out, r, path, err);
    gn_reader_close(r);
    return st;
}

/* Checks a tensor; copies it where `to` is not NULL. */
static gn_status load_value(const gn_reader *r, const char *path, const gn_value_info *info,
                            void *to, size_t elem, gn_err *err)
{
    const gn_entry *entry = gn_reader_find(r, info->name);
    char want[64];
    gn_shape_text(info->shape, want, sizeof want);
    if (entry == NULL)
        return gn_fail(err, GN_E_SHAPE, "%s: tensor %s is missing, expected F32 %s", path,
                       info->name, want);
    bool same = entry->type == GN_F32 && entry->rank == info->shape.rank;
    for (int i = 0; i < entry->rank && same; i++)
        same = entry->dim[i] == info->shape.dim[i];
    if (!same)
        return gn_fail(err, GN_E_SHAPE, "%s: tensor %s has another type or shape, expected F32 %s",
                       path, info->name, want);
    if (to == NULL)
        return GN_OK;
    const float *from = entry->data;
    if (elem == sizeof(float)) {
        memcpy(to, from, entry->bytes);
        return GN_OK;
    }
    for (size_t i = 0; i < gn_shape_count(info->shape); i++)
        ((double *)to)[i] = (double)from[i];
    return GN_OK;
}

static gn_status load_counter(const gn_reader *r, const char *path, const char *name,
                              gn_tracked *tracked, gn_err *err)
{
    const gn_entry *entry = gn_reader_find(r, name);
    if (entry == NULL || entry->type != GN_I64 || entry->rank != 0)
        return gn_fail(err, GN_E_SHAPE, "%s: tensor %s is missing, expected a single I64", path,
                       name);
    int64_t value;
    memcpy(&value, entry->data, sizeof value);
    *counter_of(tracked, name) = value < 0 ? 0 : (uint64_t)value;
    return GN_OK;
}

static bool belongs(const gn_tape *t, const char *name)
{
    char count[128];
    for (int v = 0; v < gn_tape_values(t); v++) {
        const gn_value_info *info = gn_tape_value(t, v);
        if (in_file(info) && (strcmp(info->name, name) == 0 ||
                              (counter_name(info->name, count, sizeof count) &&
                               strcmp(count, name) == 0)))
            return true;
    }
    return false;
}

/* Every tensor of the network is there, and no other. */
static gn_status check_all(const gn_reader *r, const char *path, const gn_net *net,
                           gn_tracked *tracked, gn_err *err)
{
    size_t known = 0;
    for (int v = 0; v < gn_tape_values(net->tape); v++) {
        const gn_value_info *info = gn_tape_value(net->tape, v);
        char name[128];
        if (!in_file(info))
            continue;
        gn_status st = load_value(r, path, info, NULL, 0, err);
        known++;
        if (st == GN_OK && counter_name(info->name, name, sizeof name)) {
            st = load_counter(r, path, name, tracked, err);
            known++;
        }
        if (st != GN_OK)
            return st;
    }
    for (size_t i = 0; known != gn_reader_count(r) && i < gn_reader_count(r); i++)
        if (!belongs(net->tape, gn_reader_at(r, i)->name))
            return gn_fail(err, GN_E_SHAPE, "%s: tensor %s is none of this network's", path,
                           gn_reader_at(r, i)->name);
    return GN_OK;
}

gn_status gn_model_load(const char *path, const gn_net *net, gn_store *store,
                        gn_tracked *tracked, gn_err *err)
{
    gn_reader *r;
    gn_tracked counts = {0};
    gn_status st = gn_tensors_open(&r, path, err);
    if (st != GN_OK)
        return st;
    st = check_all(r, path, net, &counts, err);
    for (int v = 0; v < gn_tape_values(net->tape) && st == GN_OK; v++)
        if (in_file(gn_tape_value(net->tape, v)))
            st = load_value(r, path, gn_tape_value(net->tape, v), gn_store_data(store, v),
                            gn_store_elem(store), err);
    if (st == GN_OK)
        *tracked = counts;
    gn_reader_close(r);
    return st;
}
