/* What checkpointing saves and costs here.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/compare.h"
#include "cli/machine.h"

enum { PASSES = 5 };

typedef struct mode {
    const char *name;
    gn_session *session;
    double seconds[PASSES];
    char digest[65];
} mode;

static void copy_parameters(gn_session *to, const gn_store *from, const gn_net *net)
{
    for (int v = 0; v < gn_tape_values(net->tape); v++)
        if (gn_store_data(from, v) != NULL)
            memcpy(gn_store_data(gn_session_store(to), v), gn_store_data(from, v),
                   gn_shape_count(gn_tape_value(net->tape, v)->shape) * sizeof(float));
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, PASSES, sizeof *values, by_value);
    return values[PASSES / 2];
}

static void report(FILE *out, mode *normal, mode *checkpointed)
{
    const double mib = 1024.0 * 1024.0;
    const gn_memory n = gn_session_memory(normal->session);
    const gn_memory c = gn_session_memory(checkpointed->session);
    const double a = median(normal->seconds), b = median(checkpointed->seconds);
    fprintf(out, "activations: normal mode %.1f MiB, checkpoint %s %.1f MiB: %.0f %% less "
            "(saved between forward and backward: %.1f and %.1f MiB)\n",
            (double)n.activations / mib, checkpointed->name, (double)c.activations / mib,
            100 * (1 - (double)c.activations / (double)n.activations), (double)n.saved / mib,
            (double)c.saved / mib);
    fprintf(out, "speed: forward and backward %.3f s in normal mode, %.3f s with checkpointing: "
            "%.0f %% of the speed (75 %% by counting passes)\n", a, b, 100 * a / b);
    fprintf(out, "gradients with and without checkpointing: %s SHA-256\n  %s\n",
            strcmp(normal->digest, checkpointed->digest) == 0 ? "same" : "DIFFERENT",
            normal->digest);
    if (strcmp(normal->digest, checkpointed->digest) != 0)
        fprintf(out, "  %s\n", checkpointed->digest);
}

static gn_status run_passes(mode *modes, const gn_dataset *dataset, size_t batch, gn_err *err)
{
    const size_t cells = (size_t)dataset->size * (size_t)dataset->size;
    float *planes = malloc(batch * cells * GN_PLANES * sizeof *planes);
    float *policy = malloc(batch * cells * sizeof *policy);
    float *value = malloc(batch * sizeof *value);
    gn_status st = GN_OK;
    if (planes == NULL || policy == NULL || value == NULL)
        st = gn_fail(err, GN_E_NOMEM, "comparison: no memory for a batch of %zu", batch);
    else
        gn_dataset_batch(dataset, 0, batch, planes, policy, value);
    for (int pass = -1; pass < PASSES && st == GN_OK; pass++) /* the first one warms up */
        for (int i = 0; i < 2 && st == GN_OK; i++) {
            gn_step_result result;
            const double before = machine_seconds();
            st = gn_session_gradients(modes[i].session, planes, policy, value, &result, err);
            if (pass >= 0)
                modes[i].seconds[pass] = machine_seconds() - before;
        }
    free(planes);
    free(policy);
    free(value);
    return st;
}

int compare_modes(FILE *out, const gn_net *net, const gn_session_config *config,
                  const gn_store *store, const gn_dataset *dataset, gn_err *err)
{
    gn_session_config configs[2] = {*config, *config};
    configs[0].policy = "none";
    configs[0].accumulate = configs[1].accumulate = 1;
    mode modes[2] = {{.name = "none"}, {.name = config->policy}};
    gn_status st = GN_OK;
    for (int i = 0; i < 2 && st == GN_OK; i++) {
        st = gn_session_create(&modes[i].session, net, &configs[i], err);
        if (st == GN_OK)
            copy_parameters(modes[i].session, store, net);
    }
    if (st == GN_OK)
        st = run_passes(modes, dataset, config->batch, err);
    for (int i = 0; i < 2 && st == GN_OK; i++)
        gn_session_gradient_digest(modes[i].session, modes[i].digest);
    int status = EXIT_GOOD;
    if (st == GN_OK) {
        report(out, &modes[0], &modes[1]);
        status = strcmp(modes[0].digest, modes[1].digest) == 0 ? EXIT_GOOD : EXIT_NEGATIVE;
    } else {
        status = tell("train", err);
    }
    gn_session_destroy(modes[0].session);
    gn_session_destroy(modes[1].session);
    return status;
}
