/* Files that are read again at once.  SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static char folder[64], path[128];

static void leave(void)
{
    if (folder[0] != '\0') {
        unlink(path);
        rmdir(folder);
    }
}

const char *fuzz_path(const char *ending)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "%s/gn_fuzz_XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        PROMISE(mkdtemp(folder) != NULL);
        atexit(leave);
    }
    if (path[0] != '\0')
        unlink(path);
    snprintf(path, sizeof path, "%s/f%s", folder, ending);
    return path;
}

const char *fuzz_file(const char *ending, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(fuzz_path(ending), "wb");
    PROMISE(file != NULL);
    PROMISE(fwrite(bytes, 1, count, file) == count);
    PROMISE(fclose(file) == 0);
    return path;
}
