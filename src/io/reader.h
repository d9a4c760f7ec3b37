/* An open file of tensors, whatever its format.  SPDX-License-Identifier: MIT */
#ifndef GN_IO_READER_H
#define GN_IO_READER_H

#include "header.h"

struct gn_reader {
    char *text; /* what names and metadata point into */
    gn_header header;
    uint8_t *data;
};

/* Any other byte in a C bool is undefined behaviour, so it must not come in. */
gn_status gn_reader_check_bool(const gn_entry *entry, const char *path, gn_err *err);

#endif
