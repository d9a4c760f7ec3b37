/* Files: safetensors, npz, and SHA-256 of tensor bytes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_IO_H
#define GOMOKUNET_IO_H

#include <stddef.h>
#include <stdint.h>

#include "gomokunet/status.h"
#include "gomokunet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- SHA-256 ------------------------------------------------------------------------------ */

typedef struct gn_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
} gn_sha256;

void gn_sha256_begin(gn_sha256 *hash);
void gn_sha256_add(gn_sha256 *hash, const void *bytes, size_t count);
/* Elements as a file holds them, little-endian, whatever the host: digests agree everywhere.
 * `element` is 1, 4 or 8; `bytes` a multiple of it. */
void gn_sha256_add_elements(gn_sha256 *hash, const void *data, size_t bytes, size_t element);
/* Writes 64 lower-case hex digits and a NUL; the hash must be begun again afterwards. */
void gn_sha256_hex(gn_sha256 *hash, char hex[65]);

/* --- Reading ------------------------------------------------------------------ */

typedef enum gn_dtype { GN_F32, GN_F64, GN_I32, GN_I64, GN_U8, GN_BOOL } gn_dtype;
size_t gn_dtype_size(gn_dtype type);
const char *gn_dtype_name(gn_dtype type); /* "F32", ... as the file spells it */

/* A tensor of an open file.  `data` is never NULL, aligned to 64 bytes whatever the file's offsets
 * are, in the byte order of the host, and valid until gn_reader_close.  A BOOL is a byte 0 or 1. */
typedef struct gn_entry {
    const char *name; /* 1 to 255 bytes of UTF-8, no control character, no '\\', no "..", "." or
                       * empty part between its '/' */
    gn_dtype type;
    int rank; /* 0 to 8 */
    size_t dim[8];
    const void *data;
    size_t bytes;
} gn_entry;

typedef struct gn_reader gn_reader;

/* Reads and checks a whole safetensors file: header (at most 16 MiB), every offset, every size, no
 * gap, no overlap, no byte uncovered.  GN_OK: *out is yours, release with gn_reader_close().
 * Otherwise *out is NULL and err names the file and the byte or tensor.  GN_E_IO unreadable or no
 * regular file, GN_E_FORMAT malformed or of a type that we do not have, GN_E_NOMEM. */
gn_status gn_reader_open(gn_reader **out, const char *path, gn_err *err);
void gn_reader_close(gn_reader *reader); /* NULL is fine */

/* The same for an npz file of numpy: its arrays under their names without ".npy", little-endian, in
 * C order; headers of at most 64 KiB, at most 65,534 arrays, every byte of the file accounted for.
 * An array "__metadata__" of u1 holds a JSON object of strings, which become metadata.
 * GN_E_FORMAT also in a build without libzip. */
gn_status gn_npz_open(gn_reader **out, const char *path, gn_err *err);

/* Either: npz where the name ends in .npz or the file begins with a zip's entry whose name ends in
 * .npy, else safetensors. */
gn_status gn_tensors_open(gn_reader **out, const char *path, gn_err *err);

size_t gn_reader_count(const gn_reader *reader);
/* In the order of their data, which may differ from the header's; NULL beyond the last. */
const gn_entry *gn_reader_at(const gn_reader *reader, size_t index);
const gn_entry *gn_reader_find(const gn_reader *reader, const char *name); /* NULL: not there */
/* The metadata value of a key, NULL where there is none. */
const char *gn_reader_metadata(const gn_reader *reader, const char *key);

/* --- Writing --------------------------------------------------------------------------------- */

typedef struct gn_writer gn_writer;

/* Declares a file tensor by tensor, then streams the data in the same order; the same calls give
 * the same bytes.  A path that ends in .npz makes an npz file, deflated, metadata in an array
 * "__metadata__" (as gn_npz_open reads it), 64-bit sizes from 4 GiB on; it needs no libzip, and
 * another zlib may give other bytes around the same arrays.  Any other path makes safetensors.
 * Everything goes to `path` + ".tmp"; gn_writer_close syncs and renames, and until then whatever
 * stood at `path` is untouched.  All metadata and declarations come before the first data.  What
 * the reader would refuse is refused here (GN_E_FORMAT).  After one failure every later call fails
 * with the same text, so that only gn_writer_close must be looked at. */
gn_status gn_writer_open(gn_writer **out, const char *path, gn_err *err);
gn_status gn_writer_metadata(gn_writer *w, const char *key, const char *value, gn_err *err);
gn_status gn_writer_declare(gn_writer *w, const char *name, gn_dtype type, int rank,
                            const size_t *dim, gn_err *err);
/* Appends the next bytes of the declared tensors, in their order and in the byte order of the host,
 * in pieces of any size. */
gn_status gn_writer_put(gn_writer *w, const void *bytes, size_t count, gn_err *err);
/* Checks that all declared bytes came, syncs, renames; frees the writer in every case.  Where it
 * fails the temporary file is removed. */
gn_status gn_writer_close(gn_writer *w, gn_err *err);
/* Gives up: removes the temporary file, frees the writer.  NULL is fine. */
void gn_writer_abandon(gn_writer *w);

/* --- Whole files --------------------------------------------------------------------------- */

/* Writes bytes under a temporary name (`path` + ".tmp"), syncs, renames: the file appears complete
 * or not at all.  Two processes must not write the same path at once. */
gn_status gn_file_write(const char *path, const void *bytes, size_t count, gn_err *err);

#ifdef __cplusplus
}
#endif
#endif
