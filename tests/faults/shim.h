/* What the two halves of the shim share: shim.c counts, shim_files.c stands before files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_FAULTS_SHIM_H
#define GN_TESTS_FAULTS_SHIM_H

#include <dlfcn.h>
#include <stddef.h>

/* LOOK opens a file to read it, LIST a folder; from OPEN on they change something.  END is the end
 * of the program: power may be lost there too. */
enum call {
    MEMORY, LIST, READ, LOOK, OPEN, WRITE, SYNC, RENAME, CLOSE, TRUNCATE, MKDIR, REMOVE, END,
    CHANGE
};
enum { CALLS = CHANGE + 1, ALL_WELL = 0, SHORT = -1, KILL = -2, POWER = -3, MOVE = -4 };

extern struct fault {
    int call, effect;
    long number;
    int for_good;
    long budget; /* bytes left on the disk, or -1 */
} fault;

int strike(int call); /* counts; ALL_WELL, SHORT, or the errno that this call shall fail with */
int failed(int call); /* the same where a call can only fail; sets errno */
void lose_power(void);
void state_renamed(const char *path); /* a file has got its final name */

/* `real`: the function behind this one; NULL while it is being looked for. */
#define NEXT(type, name)                                                                          \
    static __typeof__(type) real;                                                                 \
    static int looking;                                                                           \
    if (real == NULL && !looking) {                                                               \
        looking = 1;                                                                              \
        real = (__typeof__(type))dlsym(RTLD_NEXT, name);                                          \
    }

#endif
