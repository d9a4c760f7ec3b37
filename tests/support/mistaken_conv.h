/* A convolution in float32 by definition, every index of which can be wrong.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_MISTAKEN_CONV_H
#define TESTS_SUPPORT_MISTAKEN_CONV_H

#include "gomokunet/op.h"

/* The flaws that it can have. */
typedef enum conv_flaw {
    KERNEL_TURNED,
    ROWS_FOR_COLUMNS,
    IO_SWAPPED,
    CHANNELS_LAST,
    LAST_TAP,
    WINDOW_LATE,
    MAP_LAYOUT,
    LAST_CHANNELS,
    SECOND_IMAGE,
    CONV_FLAWS
} conv_flaw;
void flawed_conv(const gn_call *call, conv_flaw flaw);

#endif
