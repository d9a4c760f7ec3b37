/* How much memory there is.  SPDX-License-Identifier: MIT */
#include "cli/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number behind a key at the start of a line.  false: no such file, line or number. */
static bool read_number(const char *path, const char *key, size_t *number)
{
    FILE *f = fopen(path, "r");
    char line[256];
    bool found = false;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strncmp(line, key, strlen(key)) == 0 &&
                sscanf(line + strlen(key), "%zu", number) == 1;
    if (f != NULL)
        fclose(f);
    return found;
}

static size_t kilobytes(const char *path, const char *key)
{
    size_t number = 0;
    return read_number(path, key, &number) ? number * 1024 : 0;
}

static size_t difference(size_t a, size_t b) { return a > b ? a - b : 0; }
static size_t lesser(size_t a, size_t b) { return a < b ? a : b; }

/* --- Control groups ------------------------------------------------------------------------ */

/* The files of a group, and the keys of what it holds of files. */
typedef struct group_files {
    const char *limit, *usage, *cached[2];
} group_files;

static const group_files version_1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                      {"total_active_file ", "total_inactive_file "}};
static const group_files version_2 = {"memory.max", "memory.current",
                                      {"active_file ", "inactive_file "}};

static bool group_number(const char *folder, const char *file, const char *key, size_t *number)
{
    char path[1200];
    const int length = snprintf(path, sizeof path, "%s/%s", folder, file);
    return length < (int)sizeof path && read_number(path, key, number);
}

/* What one group leaves. */
static size_t left_in_group(const char *folder, const group_files *files)
{
    size_t limit, usage, cached;
    if (!group_number(folder, files->limit, "", &limit) ||
        !group_number(folder, files->usage, "", &usage))
        return SIZE_MAX; /* no such group, or "max" */
    for (int i = 0; i < 2; i++)
        if (group_number(folder, "memory.stat", files->cached[i], &cached))
            usage = difference(usage, cached);
    return difference(limit, usage);
}

/* What a group and all above it leave, up to where they are mounted.  In a container the group may
 * be listed by a name that only the host knows, and lie right there. */
static size_t left_in_branch(const char *mounted, const char *name, const group_files *files)
{
    char folder[1024];
    const size_t end = strlen(mounted);
    size_t left = SIZE_MAX;
    if (snprintf(folder, sizeof folder, "%s%s", mounted, name) >= (int)sizeof folder)
        return SIZE_MAX;
    for (;;) {
        left = lesser(left, left_in_group(folder, files));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + end)
            return left;
        *slash = '\0';
    }
}

size_t memory_left_in_groups(const char *list, const char *mounted)
{
    FILE *f = fopen(list, "r");
    char line[1024], root[256];
    size_t left = SIZE_MAX;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *controllers = strchr(line, ':'); /* NUMBER:CONTROLLERS:NAME */
        char *name = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (name == NULL)
            continue;
        *name++ = '\0';
        name[strcspn(name, "\n")] = '\0';
        if (strcmp(controllers, ":") == 0) {
            left = lesser(left, left_in_branch(mounted, name, &version_2));
        } else if (strstr(controllers, "memory") != NULL) {
            snprintf(root, sizeof root, "%s/memory", mounted);
            left = lesser(left, left_in_branch(root, name, &version_1));
        }
    }
    if (f != NULL)
        fclose(f);
    return left;
}

/* --- All limits ---------------------------------------------------------------------------- */

size_t memory_available(void)
{
    const size_t system = kilobytes("/proc/meminfo", "MemAvailable:");
    size_t left = memory_left_in_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        left = lesser(left, difference((size_t)limit.rlim_cur,
                                       kilobytes("/proc/self/status", "VmSize:")));
    return system > 0 ? lesser(system, left) : left;
}

size_t memory_resident(void) { return kilobytes("/proc/self/status", "VmRSS:"); }

size_t memory_resident_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}
