/* The network of docs/numerics.md, section 20: its layers, written down once, in the order in which
 * they run forward.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

enum { PLANES = 5, POLICY_CHANNELS = 32, VALUE_CHANNELS = 16, VALUE_HIDDEN = 256, SE_SHARE = 16 };

static net *n; /* the one that is being built */

static void *zeros(size_t count, size_t size)
{
    void *block = calloc(count, size);
    if (block == NULL)
        stop(3, "no memory");
    return block;
}

/* --- Parameters ------------------------------------------------------------------------------- */

/* All that the golden file has; use() asks for those that the network wants. */
static void load_params(void)
{
    n->params = zeros(golden_tensors(), sizeof *n->params);
    for (size_t i = 0; i < golden_tensors(); i++) {
        int dim[4];
        const char *name = golden_name(i, "param/");
        if (name == NULL)
            continue;
        int64_t count = 1;
        for (int k = golden_shape(text("param/%s", name), dim); k-- > 0;)
            count *= dim[k];
        param *p = param_new(&n->params[n->param_count++], name, count);
        golden_load(text("param/%s", name), p->value, count);
    }
}

static param *use(const char *module, const char *part, int64_t count)
{
    const char *name = text("%s.%s", module, part);
    for (int i = 0; i < n->param_count; i++)
        if (strcmp(n->params[i].name, name) == 0 && n->params[i].count == count) {
            n->params[i].used = true;
            return &n->params[i];
        }
    golden_load(text("param/%s", name), NULL, count); /* says what is wrong, and ends */
    return NULL;
}

/* --- Layers ----------------------------------------------------------------------------------- */

/* Its output has C channels, each of side * side squares. */
static layer *append(const op *which, const char *name, map *x, int C, int side)
{
    layer *l = &n->layers[n->layer_count++];
    l->op = which;
    l->x = x;
    l->y = map_new(n->ops.N, C, side, side, true);
    snprintf(l->name, sizeof l->name, "%s", name);
    return l;
}

static map *plain(const op *which, const char *name, map *x, map *side) /* y is like x */
{
    layer *l = append(which, name, x, x->C, x->H);
    l->side = side;
    return l->y;
}

static map *conv(const char *name, map *x, int O, int K, int groups)
{
    layer *l = append(&conv2d, name, x, O, n->size);
    l->K = K;
    l->groups = groups;
    l->weight = use(l->name, "weight", (int64_t)O * (x->C / groups) * K * K);
    return l->y;
}

static map *norm(const char *name, map *x)
{
    layer *l = append(&batch_norm, name, x, x->C, n->size);
    layer_buffers(&n->ops, l);
    l->weight = use(l->name, "weight", x->C);
    l->bias = use(l->name, "bias", x->C);
    golden_load(text("buffer/%s.running_mean", l->name), l->running_mean, x->C);
    golden_load(text("buffer/%s.running_var", l->name), l->running_var, x->C);
    l->tracked = golden_counter(text("buffer/%s.num_batches_tracked", l->name));
    return l->y;
}

static map *dense(const char *name, map *x, int O, bool bias)
{
    layer *l = append(&linear, name, x, O, 1);
    const char *module = strcmp(name, "policy_logits") == 0 ? "policy_fc" : l->name;
    l->weight = use(module, "weight", O * (x->count / n->ops.N));
    l->bias = bias ? use(module, "bias", O) : NULL;
    return l->y;
}

static map *loss(const op *which, const char *name, map *x, map *target)
{
    layer *l = append(which, name, x, 1, 1);
    l->y->count = 1; /* not one an image */
    l->side = target;
    layer_buffers(&n->ops, l);
    return l->y;
}

/* --- The network ------------------------------------------------------------------------------ */

static map *conv_norm_relu(const char *name, map *x, int O, int K)
{
    x = norm(text("%s.1", name), conv(text("%s.0", name), x, O, K, 1));
    return plain(&relu, name, x, NULL);
}

static map *conv_norm(int i, int k, map *x)
{
    const int C = n->channels;
    if (n->separable) {
        x = conv(text("blocks.%d.conv%d.depthwise", i, k), x, C, 3, C);
        x = conv(text("blocks.%d.conv%d.pointwise", i, k), x, C, 1, 1);
    } else {
        x = conv(text("blocks.%d.conv%d.conv", i, k), x, C, 3, 1);
    }
    return norm(text("blocks.%d.conv%d.bn", i, k), x);
}

static map *squeeze_excite(int i, map *x)
{
    const int C = n->channels, hidden = C < SE_SHARE ? 1 : C / SE_SHARE;
    map *gate = append(&global_avg_pool, text("blocks.%d.se.mean", i), x, C, 1)->y;
    gate = dense(text("blocks.%d.se.excitation.0", i), gate, hidden, false);
    gate = plain(&relu, text("blocks.%d.se.excitation.1", i), gate, NULL);
    gate = dense(text("blocks.%d.se.excitation.2", i), gate, C, false);
    gate = plain(&sigmoid, text("blocks.%d.se.gate", i), gate, NULL);
    return plain(&channel_scale, text("blocks.%d.se", i), x, gate);
}

static map *block(int i, map *x)
{
    map *y = plain(&relu, text("blocks.%d.relu1", i), conv_norm(i, 1, x), NULL);
    y = squeeze_excite(i, conv_norm(i, 2, y));
    y = plain(&add, text("blocks.%d.add", i), y, x);
    return plain(&relu, text("blocks.%d", i), y, NULL);
}

static void layers(int blocks)
{
    const int squares = n->size * n->size;
    map *x = conv_norm_relu("input_conv", n->planes, n->channels, 3);
    for (int i = 0; i < blocks; i++)
        x = block(i, x);
    map *logits = conv_norm_relu("policy_conv", x, POLICY_CHANNELS, 1);
    logits = dense("policy_logits", logits, squares, true);
    map *v = conv_norm_relu("value_conv", x, VALUE_CHANNELS, 1);
    v = plain(&relu, "value_fc.1", dense("value_fc.0", v, VALUE_HIDDEN, true), NULL);
    v = plain(&hyperbolic_tangent, "value", dense("value_fc.2", v, 1, true), NULL);
    n->first_loss = n->layer_count;
    logits = loss(&policy_loss, "loss/policy", logits, n->policy);
    v = loss(&value_loss, "loss/value", v, n->value);
    n->total = plain(&add, "loss/total", logits, v);
    n->total->count = 1;
}

static rule rule_of(void)
{
    const rule r = {
        .sgd = strcmp(golden_word("optimizer"), "sgd") == 0,
        .nesterov = strcmp(golden_word("nesterov"), "true") == 0,
        .lr = golden_number("lr", 0, 1e9), .decay = golden_number("weight_decay", 0, 1e9),
        .momentum = golden_number("momentum", 0, 1), .beta1 = golden_number("beta1", 0, 1),
        .beta2 = golden_number("beta2", 0, 1), .eps = golden_number("eps", 0, 1),
        .max_norm = golden_number("clip", -1e38, 1e38), .beta1_power = 1, .beta2_power = 1,
    };
    return r;
}

/* Scratch, as much as the layer or parameter needs that needs most. */
static void scratch(void)
{
    int64_t leaves = 1, most = 1;
    for (const layer *l = n->layers; l < n->layers + n->layer_count; l++) {
        leaves = leaves > layer_leaves(&n->ops, l) ? leaves : layer_leaves(&n->ops, l);
        most = most > l->y->count ? most : l->y->count;
    }
    n->ops.leaf[0] = buffer_new(leaves);
    n->ops.leaf[1] = buffer_new(leaves);
    n->ops.contribution = buffer_new(most);
    n->sums = buffer_new(n->param_count);
    n->norm = buffer_new(1);
    n->coef = buffer_new(1);
}

void net_build(net *made)
{
    n = made;
    const int blocks = (int)golden_number("num_blocks", 1, 1000);
    n->ops.N = (int)golden_number("batch_size", 1, 65536);
    n->size = (int)golden_number("board_size", 1, 64);
    n->channels = (int)golden_number("channels", 1, 4096);
    n->separable = strcmp(golden_word("conv"), "separable") == 0;
    if (!n->separable && strcmp(golden_word("conv"), "dense") != 0)
        stop(2, "%s: metadata conv is \"%s\", expected dense or separable", golden_path(),
             golden_word("conv"));
    n->rule = rule_of();
    n->planes = map_new(n->ops.N, PLANES, n->size, n->size, false);
    n->policy = map_new(n->ops.N, n->size * n->size, 1, 1, false);
    n->value = map_new(n->ops.N, 1, 1, 1, false);
    n->layers = zeros((size_t)(20 * blocks + 20), sizeof *n->layers);
    load_params();
    layers(blocks);
    for (const param *p = n->params; p < n->params + n->param_count; p++)
        if (!p->used)
            stop(2, "%s: tensor param/%s is of no layer of this network", golden_path(), p->name);
    scratch();
}
