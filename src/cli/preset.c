/* Presets: names for sets of options.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/config.h"

enum { SETTINGS = 4 };

static const struct {
    const char *name;
    struct {
        const char *option, *value;
    } setting[SETTINGS];
} presets[] = {
    {"tiny", {{"num-blocks", "3"}, {"channels", "32"}}},
    {"small", {{"num-blocks", "6"}, {"channels", "64"}}},
    {"medium", {{"num-blocks", "10"}, {"channels", "96"}}},
    {"paper", {{"num-blocks", "30"}, {"channels", "192"}, {"use-checkpoint", "true"}}},
};

bool preset_apply(const command *c, const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) != 0)
            continue;
        for (int k = 0; k < SETTINGS && presets[i].setting[k].option != NULL; k++) {
            const option *o = option_find(c, presets[i].setting[k].option);
            if (o != NULL && !option_store(o, name, presets[i].setting[k].value))
                return false;
        }
        return true;
    }
    fprintf(stderr, "gomokunet %s: --preset \"%s\": expected tiny, small, medium or paper\n",
            c->name, name);
    return false;
}
