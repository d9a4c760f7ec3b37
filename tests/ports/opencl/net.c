/* The network of docs/numerics.md, section 20: its layers, written down once in the order in which
 * they run forward.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

enum { PLANES = 5, POLICY_CHANNELS = 32, VALUE_CHANNELS = 16, VALUE_HIDDEN = 256 };

static net *n; /* the one being built */
static int64_t leaf_room, map_room;

static void *zeros(size_t count, size_t size)
{
    void *block = calloc(count, size);
    if (block == NULL)
        stop(3, "no memory");
    return block;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* All parameters that the file has; use() says whether the network wants them so. */
static void load_params(void)
{
    n->params = zeros(golden_tensors(), sizeof *n->params);
    for (size_t i = 0; i < golden_tensors(); i++) {
        const char *name = golden_name(i, "param/");
        if (name == NULL)
            continue;
        param *p = &n->params[n->param_count++];
        snprintf(p->name, sizeof p->name, "%s", name);
        p->count = golden_count(text("param/%s", name));
        p->value = buffer_new(p->count);
        p->grad = buffer_new(p->count);
        p->first = buffer_new(p->count);
        p->second = buffer_new(p->count);
        golden_load(text("param/%s", name), p->value, p->count);
        leaf_room = larger(leaf_room, (p->count + 4095) / 4096);
    }
}

static param *use(const char *name, int64_t count)
{
    for (int i = 0; i < n->param_count; i++)
        if (strcmp(n->params[i].name, name) == 0 && n->params[i].count == count)
            return &n->params[i];
    stop(2, "param/%s of %lld elements is not in the golden file", name, (long long)count);
    return NULL;
}

static map *input(int C, int side)
{
    map *x = zeros(1, sizeof *x);
    *x = (map){.C = C, .S = side, .count = (int64_t)n->ops.N * C * side * side};
    x->data = buffer_new(x->count);
    return x;
}

/* A layer whose output has C channels, each of side * side squares. */
static layer *append(const op *op, const char *name, map *x, int C, int side)
{
    layer *l = &n->layers[n->layer_count++];
    l->op = op;
    snprintf(l->name, sizeof l->name, "%s", name);
    l->x = x;
    l->y = input(C, side);
    l->y->grad = buffer_new(l->y->count);
    map_room = larger(map_room, l->y->count);
    return l;
}

static map *conv(const char *name, map *x, int O, int K, int groups)
{
    layer *l = append(&conv2d, name, x, O, n->S);
    l->K = K;
    l->groups = groups;
    l->weight = use(text("%s.weight", l->name), (int64_t)O * (x->C / groups) * K * K);
    leaf_room = larger(leaf_room, n->ops.N * l->weight->count);
    return l->y;
}

static map *norm(const char *name, map *x)
{
    const int C = x->C;
    layer *l = append(&batch_norm, name, x, C, x->S);
    l->weight = use(text("%s.weight", l->name), C);
    l->bias = use(text("%s.bias", l->name), C);
    l->mean = buffer_new(C);
    l->m2 = buffer_new(C);
    l->inv = buffer_new(C);
    l->running_mean = buffer_new(C);
    l->running_var = buffer_new(C);
    golden_load(text("buffer/%s.running_mean", l->name), l->running_mean, C);
    golden_load(text("buffer/%s.running_var", l->name), l->running_var, C);
    l->tracked = golden_counter(text("buffer/%s.num_batches_tracked", l->name));
    leaf_room = larger(leaf_room, (int64_t)n->ops.N * C);
    return l->y;
}

static map *plain(const op *op, const char *name, map *x, map *side) /* an output like its input */
{
    layer *l = append(op, name, x, x->C, x->S);
    l->side = side;
    return l->y;
}

static map *dense(const char *name, const char *module, map *x, int O, bool bias)
{
    layer *l = append(&linear, name, x, O, 1);
    l->weight = use(text("%s.weight", module), (int64_t)O * x->C * x->S * x->S);
    l->bias = bias ? use(text("%s.bias", module), O) : NULL;
    leaf_room = larger(leaf_room, (n->ops.N + 7) / 8 * l->weight->count);
    return l->y;
}

static map *conv_norm(const char *name, map *x)
{
    if (n->separable) {
        x = conv(text("%s.depthwise", name), x, n->channels, 3, n->channels);
        x = conv(text("%s.pointwise", name), x, n->channels, 1, 1);
    } else {
        x = conv(text("%s.conv", name), x, n->channels, 3, 1);
    }
    return norm(text("%s.bn", name), x);
}

static map *squeeze_excite(const char *name, map *x)
{
    const int hidden = n->channels < 16 ? 1 : n->channels / 16;
    map *gate = append(&global_avg_pool, text("%s.mean", name), x, n->channels, 1)->y;
    const char *first = text("%s.excitation.0", name), *second = text("%s.excitation.2", name);
    gate = dense(first, first, gate, hidden, false);
    gate = plain(&relu, text("%s.excitation.1", name), gate, NULL);
    gate = dense(second, second, gate, n->channels, false);
    gate = plain(&sigmoid, text("%s.gate", name), gate, NULL);
    return plain(&channel_scale, name, x, gate);
}

static map *block(int i, map *x)
{
    char name[TEXT], part[2 * TEXT];
    snprintf(name, sizeof name, "blocks.%d", i);
    snprintf(part, sizeof part, "%s.conv1", name);
    map *y = plain(&relu, text("%s.relu1", name), conv_norm(part, x), NULL);
    snprintf(part, sizeof part, "%s.conv2", name);
    y = conv_norm(part, y);
    snprintf(part, sizeof part, "%s.se", name);
    y = plain(&add, text("%s.add", name), squeeze_excite(part, y), x);
    return plain(&relu, name, y, NULL);
}

static map *conv_norm_relu(const char *name, map *x, int O, int K)
{
    x = conv(text("%s.0", name), x, O, K, 1);
    x = norm(text("%s.1", name), x);
    return plain(&relu, name, x, NULL);
}

/* A loss is one number. */
static map *loss(const op *op, const char *name, map *x, map *target)
{
    layer *l = append(op, name, x, 1, 1);
    l->y->count = 1;
    l->side = target;
    l->probability = buffer_new(x->count);
    l->total = buffer_new(n->ops.N);
    l->known = buffer_new(1);
    return l->y;
}

void net_build(net *made)
{
    n = made;
    const int blocks = (int)golden_number("num_blocks", 1, 1000);
    n->S = (int)golden_number("board_size", 1, 64);
    n->channels = (int)golden_number("channels", 1, 4096);
    n->ops.N = (int)golden_number("batch_size", 1, 65536);
    n->separable = strcmp(golden_word("conv"), "separable") == 0;
    if (!n->separable && strcmp(golden_word("conv"), "dense") != 0)
        stop(2, "metadata conv is %s, expected dense or separable", golden_word("conv"));
    load_params();
    n->layers = zeros((size_t)(20 * blocks + 20), sizeof *n->layers);
    n->planes = input(PLANES, n->S);
    n->policy = input(n->S * n->S, 1);
    n->value = input(1, 1);

    map *x = conv_norm_relu("input_conv", n->planes, n->channels, 3);
    for (int i = 0; i < blocks; i++)
        x = block(i, x);
    map *logits = conv_norm_relu("policy_conv", x, POLICY_CHANNELS, 1);
    logits = dense("policy_logits", "policy_fc", logits, n->S * n->S, true);
    x = conv_norm_relu("value_conv", x, VALUE_CHANNELS, 1);
    x = plain(&relu, "value_fc.1", dense("value_fc.0", "value_fc.0", x, VALUE_HIDDEN, true), NULL);
    x = plain(&hyperbolic_tangent, "value", dense("value_fc.2", "value_fc.2", x, 1, true), NULL);
    n->first_loss = n->layer_count;
    logits = loss(&policy_loss, "loss/policy", logits, n->policy);
    x = loss(&value_loss, "loss/value", x, n->value);
    n->total = plain(&add, "loss/total", logits, x);
    n->total->count = 1;

    n->sums = buffer_new(n->param_count);
    n->norm = buffer_new(1);
    n->coef = buffer_new(1);
    n->beta1_power = n->beta2_power = 1;
    n->ops.leaf[0] = buffer_new(leaf_room);
    n->ops.leaf[1] = buffer_new(leaf_room);
    n->ops.contribution = buffer_new(map_room);
}
