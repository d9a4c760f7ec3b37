/* A small golden file, and copies of it in which one thing is other.  SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_GOLDEN_COPY_H
#define TESTS_SUPPORT_GOLDEN_COPY_H

#include "gomokunet/golden.h"

/* golden.safetensors in the current folder: 5x5, 2 blocks of 6 channels, batch 3. */
void golden_write(gn_conv conv, uint64_t steps, gn_optimizer_kind optimizer);

/* What a copy does to one tensor. */
typedef struct change {
    const char *name; /* its name, or a pattern that fits several; NULL: none */
    void (*values)(float *data, size_t count); /* NULL: none */
    void (*counters)(int64_t *data, size_t count);
    bool leave_out, swap_dims;
    const char *extra;         /* another tensor of this name */
    const char *key, *meaning; /* another metadata entry */
} change;

/* copy.safetensors, with the changes one after another; every name must fit something. */
void golden_copy(const change *changes, size_t count);

gn_verification golden_verify(const char *candidate);
const gn_finding *golden_finding(const gn_verification *verification, const char *name);

/* Values to give to a change. */
void one_ulp(float *data, size_t count);
void nudge(float *data, size_t count);
void nudge_last(float *data, size_t count); /* the last image, channel and square */
void twice(float *data, size_t count);
void nothing(float *data, size_t count);

#endif
