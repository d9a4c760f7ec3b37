/* A shim to preload: counts a program's calls and makes the one that is asked for go wrong.
 *
 * Why streams are built here anew: inside the C library, fwrite and fclose reach the system by
 * names that cannot be taken over.  So fopen gives a stream of our own (fopencookie), whose reading
 * and writing comes back to shim_files.c.
 *
 *     FAULT=CALLS:N:EFFECT   the N-th of these calls, from 1; "+" before EFFECT: all behind it too
 *     FAULT_BUDGET=BYTES     the disk is full after so many bytes
 *     FAULT_MEMORY=BYTES     so much address space is left: mmap and brk fail then
 *     FAULT_FOLDER=PATH      what effect "move" moves to PATH.moved
 *     FAULT_COUNTS=PATH      where the numbers of calls are written at the end
 *     FAULT_PROMISED=PATH    where "kill" and "power" write the step of the last state that the
 *                            program counts as saved: it went on to something else behind it
 *
 * CALLS is one name of the list below, or "change": all that change a file or a folder.  EFFECT is
 * a number of errno, "short" (half of the bytes are written), "kill", "power" (what was not synced
 * is lost, then killed) or "move".
 * What it does not do: count what libgomp asks for, which by itself ends a program that has no
 * memory.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shim.h"

static const char *const call_name[CALLS] = {
    "memory", "list",   "read",  "look",     "open",  "write",  "sync",
    "rename", "close", "truncate", "mkdir", "remove", "end", "change"};

struct fault fault = {.call = -1, .budget = -1};
static long counts[CALLS];
static int armed;
static uintptr_t spared_from, spared_to; /* where libgomp's code is */

/* --- States ---------------------------------------------------------------------------------- */

static long renamed, promised;

void state_renamed(const char *path)
{
    const char *name = strstr(path, "/step-");
    if (name != NULL)
        renamed = atol(name + strlen("/step-"));
}

static void write_promised(void)
{
    const char *path = getenv("FAULT_PROMISED");
    armed = 0;
    FILE *f = path != NULL ? fopen(path, "w") : NULL;
    if (f == NULL || fprintf(f, "%ld\n", promised) < 0 || fclose(f) != 0)
        abort();
}

/* --- Counting -------------------------------------------------------------------------------- */

static int is_change(int call)
{
    return call >= OPEN && call <= END;
}

static int move_folder(void)
{
    const char *folder = getenv("FAULT_FOLDER");
    char moved[600];
    snprintf(moved, sizeof moved, "%s.moved", folder);
    NEXT(int (*)(const char *, const char *), "rename")
    return real(folder, moved);
}

int strike(int call)
{
    if (!armed)
        return ALL_WELL;
    long count = __atomic_add_fetch(&counts[call], 1, __ATOMIC_RELAXED);
    if (is_change(call)) {
        if (call != SYNC)
            promised = renamed;
        const long changes = __atomic_add_fetch(&counts[CHANGE], 1, __ATOMIC_RELAXED);
        count = fault.call == CHANGE ? changes : count;
        call = fault.call == CHANGE ? CHANGE : call;
    }
    if (call != fault.call || (count != fault.number && !(fault.for_good && count > fault.number)))
        return ALL_WELL;
    if (fault.effect == POWER)
        lose_power();
    if (fault.effect == POWER || fault.effect == KILL) {
        write_promised();
        raise(SIGKILL);
    }
    if (fault.effect == MOVE)
        return move_folder(), ALL_WELL;
    return fault.effect;
}

int failed(int call)
{
    const int effect = strike(call);
    if (effect > 0)
        errno = effect;
    return effect > 0;
}

static int find_spared(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size, (void)user;
    if (strstr(info->dlpi_name, "libgomp") == NULL && strstr(info->dlpi_name, "libomp") == NULL)
        return 0;
    spared_from = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
                              info->dlpi_phdr[i].p_memsz;
        spared_to = end > spared_to ? end : spared_to;
    }
    return 1;
}

static long mapped_pages(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld", &pages) != 1)
        abort();
    fclose(f);
    return pages;
}

__attribute__((constructor)) static void arm(void)
{
    static const char *const effects[] = {"short", "kill", "power", "move"};
    const char *text = getenv("FAULT"), *budget = getenv("FAULT_BUDGET");
    const char *memory = getenv("FAULT_MEMORY");
    char call[16], effect[16];
    if (text != NULL && sscanf(text, "%15[a-z]:%ld:%15s", call, &fault.number, effect) == 3) {
        const char *what = effect + (effect[0] == '+');
        fault.for_good = effect[0] == '+';
        fault.effect = atoi(what);
        for (int i = 0; i < 4; i++)
            if (strcmp(what, effects[i]) == 0)
                fault.effect = SHORT - i;
        for (int i = 0; i < CALLS; i++)
            if (strcmp(call, call_name[i]) == 0)
                fault.call = i;
    }
    if (budget != NULL)
        fault.budget = atol(budget);
    dl_iterate_phdr(find_spared, NULL);
    if (memory != NULL) {
        const rlim_t most = (rlim_t)(mapped_pages() * sysconf(_SC_PAGESIZE) + atol(memory));
        if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) != 0)
            abort();
    }
    armed = 1;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("FAULT_COUNTS");
    strike(END);
    armed = 0;
    FILE *f = path != NULL ? fopen(path, "w") : NULL;
    for (int i = 0; f != NULL && i < CALLS; i++)
        fprintf(f, "%s %ld\n", call_name[i], counts[i]);
    if (f != NULL)
        fclose(f);
}

/* --- Memory ---------------------------------------------------------------------------------- */

/* dlsym may ask for memory before there is any to give. */
static char early[4096] __attribute__((aligned(16)));
static size_t early_used;

static int no_memory(void *caller)
{
    const uintptr_t from = (uintptr_t)caller;
    return !(from >= spared_from && from < spared_to) && failed(MEMORY);
}

static void *early_bytes(size_t size)
{
    void *place = early + early_used;
    early_used += (size + 15) / 16 * 16;
    return early_used <= sizeof early ? place : NULL;
}

void *malloc(size_t size)
{
    NEXT(void *(*)(size_t), "malloc")
    return real == NULL ? early_bytes(size)
           : no_memory(__builtin_return_address(0)) ? NULL : real(size);
}

void *calloc(size_t count, size_t size)
{
    NEXT(void *(*)(size_t, size_t), "calloc")
    return real == NULL ? early_bytes(count * size)
           : no_memory(__builtin_return_address(0)) ? NULL : real(count, size);
}

void *realloc(void *old, size_t size)
{
    NEXT(void *(*)(void *, size_t), "realloc")
    return no_memory(__builtin_return_address(0)) ? NULL : real(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    NEXT(void *(*)(size_t, size_t), "aligned_alloc")
    return no_memory(__builtin_return_address(0)) ? NULL : real(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    NEXT(int (*)(void **, size_t, size_t), "posix_memalign")
    return no_memory(__builtin_return_address(0)) ? ENOMEM : real(out, alignment, size);
}
