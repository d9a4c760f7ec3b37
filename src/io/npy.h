/* The header of an npy array.  SPDX-License-Identifier: MIT */
#ifndef GN_IO_NPY_H
#define GN_IO_NPY_H

#include "gomokunet/io.h"

/* Magic, version and length of the first two versions fit the start; the whole has a cap. */
enum { GN_NPY_START = 12, GN_NPY_CAP = 64 * 1024, GN_NPY_ROOM = 320 };

/* Arrays in an npz file: as many as the end of a zip's directory can count in its 16 bits. */
enum { GN_NPZ_ENTRIES = 65534 };

/* The bytes before the data, from the first GN_NPY_START of them; at least those. */
gn_status gn_npy_length(size_t *length, const char *start, gn_err *err);

/* Type, rank, dimensions and bytes of the array; the name is not touched. */
gn_status gn_npy_parse(gn_entry *entry, const char *header, size_t length, gn_err *err);

/* Writes the header of an array, as numpy does, and tells its bytes: a multiple of 64. */
size_t gn_npy_write(char header[GN_NPY_ROOM], const gn_entry *entry);

#endif
