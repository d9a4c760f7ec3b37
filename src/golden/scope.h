/* What a candidate says it holds: only what it declares can be asked of it; and what the golden file
 * says of its steps.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_SCOPE_H
#define GN_GOLDEN_SCOPE_H

#include "gomokunet/golden.h"
#include "gomokunet/train.h"

typedef struct gn_scope {
    const gn_reader *golden, *candidate; /* borrowed */
    gn_level level;
    const char *fused; /* patterns of tensors that never leave a fused kernel, comma between; or "" */
    uint64_t steps;    /* steps that the candidate went */
    bool restarts;     /* each step from the golden file's state, not from its own */

    gn_optimizer_config optimizer; /* the golden file's: what it does not tell is the default */
    double rate;
    uint64_t golden_steps; /* that it counts and has tensors of */
} gn_scope;

/* Reads the candidate's metadata: level, fused, steps, state; and the golden file's optimiser and
 * steps.  GN_E_FORMAT names the file (they are called as the paths say) and the key. */
gn_status gn_scope_read(gn_scope *out, const gn_reader *golden, const gn_reader *candidate,
                        const char *golden_path, const char *path, gn_err *err);

/* Whether the candidate must have a tensor: the golden file has it, and the level asks for it. */
bool gn_scope_requires(const gn_scope *scope, const char *name);

#endif
