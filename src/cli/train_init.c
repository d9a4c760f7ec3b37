/* --init: a run that starts from the weights of a model file, ours or PyTorch's, with a fresh
 * optimiser.  The file says which network it is.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/train.h"

enum { NAMES = 4, ROOM = 64 };
static const char *const names[NAMES] = {"board-size", "num-blocks", "channels", "conv"};

static int find_option(const command *c, const char *name)
{
    int i = 0;
    while (strcmp(c->options[i].name, name) != 0)
        i++;
    return i;
}

/* An option given that asks for another network than the file's is a mistake. */
int train_init_network(training *t)
{
    const command *c = t->command;
    net_options *net = &t->options.net;
    char asked[NAMES][ROOM], found[ROOM];
    for (int i = 0; i < NAMES; i++)
        option_text(&c->options[find_option(c, names[i])], asked[i], ROOM);

    gn_err err;
    const bool use_checkpoint = net->config.use_checkpoint;
    if (gn_model_config(&net->config, t->options.init, &err) != GN_OK)
        return tell("train", &err);
    net->config.use_checkpoint = use_checkpoint;
    net->conv = gn_conv_name(net->config.conv);

    for (int i = 0; i < NAMES; i++) {
        const int k = find_option(c, names[i]);
        option_text(&c->options[k], found, ROOM);
        if (c->given[k] && strcmp(asked[i], found) != 0) {
            fprintf(stderr, "gomokunet train: --%s %s: the network of %s has %s\n", names[i],
                    asked[i], t->options.init, found);
            return EXIT_USAGE;
        }
    }
    return EXIT_GOOD;
}

int train_init_weights(training *t)
{
    gn_err err;
    if (gn_session_load(t->session, t->options.init, &err) != GN_OK)
        return tell("train", &err);
    fprintf(t->text, "weights: %s\n", t->options.init);
    return EXIT_GOOD;
}
