/* A file of tensors being written, whatever its format: what writer.c and the formats share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_WRITER_H
#define GN_IO_WRITER_H

#include "file.h"
#include "header.h"

/* What makes a format.  Each fills w->fault where it fails and returns its status; `state` is the
 * format's own, NULL at first.  Everything is declared by the time of `begin`. */
typedef struct gn_writer_format {
    gn_status (*begin)(gn_writer *w);
    /* The next tensor, in the order declared; the one before it is complete. */
    gn_status (*tensor)(gn_writer *w, const gn_entry *entry);
    /* Bytes of that tensor, little-endian. */
    gn_status (*put)(gn_writer *w, const void *bytes, size_t count);
    gn_status (*end)(gn_writer *w);
    void (*release)(gn_writer *w);
} gn_writer_format;

struct gn_writer {
    gn_temp file;
    gn_err fault; /* the first failure; it dooms the file and comes back from every later call */
    gn_header header; /* its strings are copies, freed here */
    size_t declared, written;
    bool begun;         /* nothing more can be declared */
    size_t entered;     /* tensors that were begun */
    uint8_t element[8]; /* big-endian hosts: the one that is being turned around */
    const gn_writer_format *format;
    void *state;
    uint64_t wide; /* npz: from this many bytes on, fields of 64 bits */
};

extern const gn_writer_format gn_safetensors_format, gn_npz_format;

/* A writer of that format; `wide` is for tests, UINT32_MAX elsewhere. */
gn_status gn_writer_create(gn_writer **out, const char *path, const gn_writer_format *format,
                           uint64_t wide, gn_err *err);

/* {"key":"value",...} in JSON, with the escapes that serde_json writes. */
void gn_writer_put_pairs(FILE *to, const gn_header *header);

/* Dooms the file: no memory. */
gn_status gn_writer_no_memory(gn_writer *w);

#endif
