/* What is fuzzed: a function for each kind of file, which libFuzzer and the test of the corpus
 * both call.  It must return for any bytes; a broken promise aborts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_FUZZ_H
#define GN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "gomokunet/io.h"

void fuzz_safetensors(const uint8_t *bytes, size_t count);
void fuzz_npz(const uint8_t *bytes, size_t count);    /* a whole zip */
void fuzz_npy(const uint8_t *bytes, size_t count);    /* an array, in a sound zip */
void fuzz_verify(const uint8_t *bytes, size_t count); /* edits of a good candidate */
void fuzz_psq(const uint8_t *bytes, size_t count);
void fuzz_gomoku(const uint8_t *bytes, size_t count);
void fuzz_json(const uint8_t *bytes, size_t count);
void fuzz_rif(const uint8_t *bytes, size_t count);

/* A promise that NDEBUG does not take away. */
#define PROMISE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The path of a file of these bytes whose name ends so, in memory where there is /dev/shm; valid
 * until the next call.  Readers take paths. */
const char *fuzz_path(const char *ending);
const char *fuzz_file(const char *ending, const uint8_t *bytes, size_t count);

/* What every answer of a reader must be: a reader of sound tensors, or a message and none. */
void fuzz_check_reader(gn_reader *reader, gn_status status, const char *path, const gn_err *err);

#endif
