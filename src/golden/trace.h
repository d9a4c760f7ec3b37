/* The walk through a run that declares or writes every golden tensor.
 * SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_TRACE_H
#define GN_GOLDEN_TRACE_H

#include "golden/sink.h"
#include "gomokunet/golden.h"

typedef struct gn_trace {
    const gn_golden *g;
    const gn_tape *tape;
    gn_session *session;
    gn_sampler sampler;
    float *planes, *policy, *value;
    gn_program *eval_program;
    gn_engine *eval_engine;
    gn_sink *sink;
    bool declaring;
    uint64_t step;    /* from 1 */
    const char *pass; /* "forward" or "eval_forward" */
    float *image;     /* one image, turned to channels first */
    size_t done;
    gn_err *err;
    gn_status status; /* the first failure; later calls do nothing */
} gn_trace;

/* All steps: declares their tensors where `declaring`, else runs them.  Read the status. */
void gn_trace_run(gn_trace *trace);

/* The engines' hook: puts what a record computed, or the gradient of its output. */
void gn_trace_watch(void *trace, const gn_event *event);

#endif
