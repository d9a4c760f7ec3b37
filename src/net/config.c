/* The configuration of a network, checked as a whole.  SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "gomokunet/net.h"

enum { MAX_BLOCKS = 1000, MAX_CHANNELS = 4096, MAPS_NORMAL = 6 };

gn_net_config gn_net_default(void)
{
    return (gn_net_config){.board_size = 15, .num_blocks = 30, .channels = 192, .conv = GN_DENSE};
}

const char *gn_conv_name(gn_conv conv)
{
    return conv == GN_SEPARABLE ? "separable" : "dense";
}

/* One fault more in the list. */
static void fault(char *text, size_t room, size_t *used, const char *name, int value, int low,
                  int high)
{
    if (value >= low && value <= high)
        return;
    const int n = snprintf(text + *used, room - *used, "%s%s %d, expected %d to %d",
                           *used > 0 ? "; " : "", name, value, low, high);
    if (n > 0 && (size_t)n < room - *used)
        *used += (size_t)n;
}

gn_status gn_net_validate(const gn_net_config *config, gn_err *err)
{
    char text[400];
    size_t used = 0;
    fault(text, sizeof text, &used, "board-size", config->board_size, GN_MIN_BOARD,
          GN_MAX_BOARD);
    fault(text, sizeof text, &used, "num-blocks", config->num_blocks, 1, MAX_BLOCKS);
    fault(text, sizeof text, &used, "channels", config->channels, 1, MAX_CHANNELS);
    fault(text, sizeof text, &used, "conv (0 dense, 1 separable)", (int)config->conv, 0, 1);
    return used == 0 ? GN_OK : gn_fail(err, GN_E_CONFIG, "network: %s", text);
}

gn_textbook gn_net_textbook(const gn_net_config *config, size_t batch)
{
    const size_t squares = (size_t)config->board_size * (size_t)config->board_size;
    const size_t blocks = (size_t)config->num_blocks;
    return (gn_textbook){.map_bytes = batch * (size_t)config->channels * squares * sizeof(float),
                         .normal_maps = MAPS_NORMAL * blocks,
                         .checkpoint_maps = blocks};
}
