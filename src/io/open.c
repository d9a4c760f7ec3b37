/* Files of tensors in either format.  SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "file.h"
#include "gomokunet/io.h"

/* A zip whose first entry is an array: torch.save's files are zips too, with none. */
static bool begins_like_npz(FILE *file)
{
    enum { LOCAL = 30, LENGTH = 26 };
    char head[LOCAL + 1024];
    const size_t count = fread(head, 1, sizeof head, file);
    if (count < LOCAL || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    const size_t length = (unsigned char)head[LENGTH] | (size_t)(unsigned char)head[LENGTH + 1]
                                                            << 8;
    return length >= 4 && length <= count - LOCAL &&
           memcmp(head + LOCAL + length - 4, ".npy", 4) == 0;
}

gn_status gn_tensors_open(gn_reader **out, const char *path, gn_err *err)
{
    FILE *file;
    uint64_t size;
    *out = NULL;
    const gn_status st = gn_file_open(&file, &size, path, err);
    if (st != GN_OK)
        return st;
    const bool npz = begins_like_npz(file);
    fclose(file);
    const size_t length = strlen(path);
    return npz || (length > 4 && strcmp(path + length - 4, ".npz") == 0)
               ? gn_npz_open(out, path, err)
               : gn_reader_open(out, path, err);
}
