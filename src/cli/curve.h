/* Learning curves: reading the metrics of runs, and drawing them.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_CURVE_H
#define GN_CLI_CURVE_H

#include <stdbool.h>
#include <stddef.h>

#include "gomokunet/status.h"

/* What is drawn of a run, by the keys of its metrics. */
typedef enum curve_key {
    CURVE_POLICY, CURVE_VALUE, CURVE_RATE, CURVE_EVAL_POLICY, CURVE_EVAL_VALUE, CURVE_TOP1,
    CURVE_TOP5, CURVE_KEYS
} curve_key;

enum { CURVE_BUCKETS = 600, CURVE_RUNS = 6 };

/* One quantity over the run.  Each point stands for one or more neighbouring steps: however long
 * a run is, it has no more points than a picture has columns. */
typedef struct curve_series {
    size_t count;
    double step[CURVE_BUCKETS], mean[CURVE_BUCKETS], low[CURVE_BUCKETS], high[CURVE_BUCKETS];
    double weight[CURVE_BUCKETS]; /* how many steps */
} curve_series;

typedef struct curve_run {
    double last; /* the last step */
    curve_series series[CURVE_KEYS];
} curve_run;

/* The program links no libm. */
static inline double lesser(double a, double b) { return a < b ? a : b; }
static inline double greater(double a, double b) { return a > b ? a : b; }

/* Reads FOLDER/metrics.jsonl.  Lines that are not whole, and values that are not finite, are left
 * out.  GN_E_DATA: no such file, or no step in it. */
gn_status curve_read(curve_run *out, const char *folder, gn_err *err);

/* Draws one run, or up to CURVE_RUNS of them over each other, into an SVG file, which is replaced
 * whole or not at all.  GN_E_DATA, GN_E_IO, GN_E_NOMEM. */
gn_status curve_draw(const char *const *folder, int count, const char *path, gn_err *err);

#endif
