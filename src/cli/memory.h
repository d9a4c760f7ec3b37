/* How much memory there is, and how much this process has.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_MEMORY_H
#define GN_CLI_MEMORY_H

#include <stddef.h>

/* Bytes that this process may still take: the least of what the system has free, what the limit of
 * the address space leaves (`ulimit -v`) and what its control groups leave (a container's memory).
 * SIZE_MAX: unknown. */
size_t memory_available(void);

size_t memory_resident(void); /* this process's resident bytes; 0: unknown */
size_t memory_resident_peak(void);

/* What the memory control groups listed in the file `list` (/proc/self/cgroup), and those above
 * them, may still take; they are folders below `mounted` (/sys/fs/cgroup), of version 1 or 2.  Files
 * that the system holds in memory and would give up count as free.  SIZE_MAX: no limit. */
size_t memory_left_in_groups(const char *list, const char *mounted);

#endif
