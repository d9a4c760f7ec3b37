/* The files of golden/pytorch: opening one, filling a store from it, comparing values with it.
 *
 * A comparison that fails is counted and the first is described, so that a test can demand faults
 * as well as none.  A file that cannot be read fails the running test by itself.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_ORACLE_H
#define GN_TESTS_ORACLE_H

#include "gomokunet/io.h"
#include "gomokunet/train.h"

typedef struct oracle {
    gn_reader *file;
    gn_net net;               /* made from the file's metadata */
    size_t batch;
    bool trace, eval;         /* forward/ and stats/; eval_forward/ and grad_forward/ are there */
    bool second_step;         /* after2/ is there */
    bool checkpoint;          /* PyTorch ran each block under its checkpointing */
    float *planes;            /* [N,S,S,5], as the engine wants them */
    const float *policy, *value;
    bool *used;               /* by entry: compared with, or read */
    size_t faults;
    char first[256];          /* the first fault */
} oracle;

enum { ORACLE_FILES = 5 };
extern const char *const oracle_files[ORACLE_FILES]; /* names without folder and ending */

/* Opens golden/pytorch/NAME.safetensors (tests run in the repository's root) and makes the net. */
oracle oracle_open(const char *name);
void oracle_close(oracle *o);

/* Whether a file has the entry; the entry, which must be there and is then used. */
bool oracle_has(const oracle *o, const char *group, const char *name);
const gn_entry *oracle_entry(oracle *o, const char *group, const char *name);

/* Parameters and buffers from the file, into a store of the table's type. */
void oracle_fill(oracle *o, const gn_store *store, const gn_table *table);

/* Compares with GROUP/NAME, or with its sketch: each element within 1e-10 of the largest.  A map
 * [N,H,W,C] is compared with a file's [N,C,H,W].  A missing tensor or another shape is a fault. */
void oracle_compare(oracle *o, const char *group, const char *name, gn_shape shape,
                    const double *got);

/* A fault of the caller's own. */
void oracle_fault(oracle *o, const char *format, ...) GN_PRINTF(2, 3);

/* Every tensor that the file has and nobody used is a fault. */
void oracle_expect_all_used(oracle *o);

#endif
