/* Model files: the parameters and running statistics of a GomokuNet, under PyTorch's names.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_MODEL_H
#define GOMOKUNET_MODEL_H

#include "gomokunet/io.h"
#include "gomokunet/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many batches the batch norms have seen: those of the blocks, and the others.  The two differ
 * only where the running statistics of recomputed blocks are updated twice. */
typedef struct gn_tracked {
    uint64_t blocks, others;
} gn_tracked;

/* Writes parameters and buffers under their PyTorch names, with num_batches_tracked for each batch
 * norm and the configuration in the metadata.  Same network, same bytes.  float32 stores only. */
gn_status gn_model_save(const char *path, const gn_net *net, const gn_store *store,
                        gn_tracked tracked, gn_err *err);

/* Reads the configuration of a model file: from the tensors' shapes, so that a state dict which
 * PyTorch wrote will do; safetensors, or npz as gn_tensors_open reads it.  GN_E_FORMAT: no
 * GomokuNet, or the metadata say something else. */
gn_status gn_model_config(gn_net_config *out, const char *path, gn_err *err);

/* Fills a store from a model file; every tensor of the net must be there with its shape, and no
 * other.  GN_E_SHAPE names the tensor.  float32 files fill both kinds of store.  On failure neither
 * the store nor *tracked has changed. */
gn_status gn_model_load(const char *path, const gn_net *net, gn_store *store,
                        gn_tracked *tracked, gn_err *err);

#ifdef __cplusplus
}
#endif
#endif
