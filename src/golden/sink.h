/* Where golden tensors go: a safetensors or npz file, or the SHA-256 of each in a text file.
 *
 * Every tensor is declared first, then given in the same order, in pieces; all kinds of file are
 * streamed.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_SINK_H
#define GN_GOLDEN_SINK_H

#include "gomokunet/io.h"

typedef struct gn_sink gn_sink;

/* The kind is told by the ending of the path; GN_E_CONFIG names the endings there are.  NULL: no
 * file, only gn_sink_digest. */
gn_status gn_sink_open(gn_sink **out, const char *path, gn_err *err);
gn_status gn_sink_metadata(gn_sink *sink, const char *key, const char *value, gn_err *err);
gn_status gn_sink_declare(gn_sink *sink, const char *name, gn_dtype type, int rank,
                          const size_t *dim, gn_err *err);
/* Begins the next tensor, whose name must be the next one declared (GN_E_CONFIG: it is not). */
gn_status gn_sink_begin(gn_sink *sink, const char *name, gn_err *err);
gn_status gn_sink_put(gn_sink *sink, const void *elements, size_t bytes, gn_err *err);
size_t gn_sink_tensors(const gn_sink *sink);

/* Completes the file, which appears only now; frees in every case. */
gn_status gn_sink_close(gn_sink *sink, gn_err *err);
/* Of a sink without a path: SHA-256 of the lines that the digest file would hold; frees. */
gn_status gn_sink_digest(gn_sink *sink, char hex[65], gn_err *err);
/* Gives up: nothing is left.  NULL is fine. */
void gn_sink_abandon(gn_sink *sink);

#endif
