/* Predictions as a file.
 *
 * A tensor after the other, a position at a time: the positions are made from their games once a
 * tensor, so that a large dataset never stands in memory as planes.
 * SPDX-License-Identifier: MIT */
#include "cli/predictions.h"

enum { CELLS = GN_MAX_BOARD * GN_MAX_BOARD };

enum { PLANES, POLICY, VALUE, INPUTS };

static gn_status declare(gn_writer *w, const gn_dataset *dataset, gn_err *err)
{
    const size_t n = dataset->count, s = (size_t)dataset->size;
    const size_t planes[] = {n, GN_PLANES, s, s}, policy[] = {n, s * s};
    gn_status st = gn_writer_metadata(w, "gomokunet", "order v1", err);
    if (st == GN_OK) st = gn_writer_declare(w, "input/planes", GN_F32, 4, planes, err);
    if (st == GN_OK) st = gn_writer_declare(w, "input/policy", GN_F32, 2, policy, err);
    if (st == GN_OK) st = gn_writer_declare(w, "input/value", GN_F32, 1, &n, err);
    if (st == GN_OK)
        st = gn_writer_declare(w, "eval_forward/policy_logits", GN_F32, 2, policy, err);
    if (st == GN_OK) st = gn_writer_declare(w, "eval_forward/value", GN_F32, 1, &n, err);
    return st;
}

/* The library's planes have the channel last, files have it first. */
static void channel_first(float *to, const float *from, size_t cells)
{
    for (size_t i = 0; i < cells; i++)
        for (size_t c = 0; c < GN_PLANES; c++)
            to[c * cells + i] = from[i * GN_PLANES + c];
}

static gn_status put_input(gn_writer *w, const gn_dataset *dataset, int which, gn_err *err)
{
    float planes[CELLS * GN_PLANES], turned[CELLS * GN_PLANES], policy[CELLS], value;
    const size_t cells = (size_t)dataset->size * (size_t)dataset->size;
    const void *const data[INPUTS] = {turned, policy, &value};
    const size_t count[INPUTS] = {cells * GN_PLANES, cells, 1};
    gn_status st = GN_OK;
    for (size_t n = 0; n < dataset->count && st == GN_OK; n++) {
        gn_dataset_batch(dataset, n, 1, planes, policy, &value);
        channel_first(turned, planes, cells);
        st = gn_writer_put(w, data[which], count[which] * sizeof(float), err);
    }
    return st;
}

gn_status predictions_write(const char *path, const gn_dataset *dataset,
                            const gn_predictions *predictions, gn_err *err)
{
    gn_writer *w;
    const size_t n = dataset->count, cells = (size_t)dataset->size * (size_t)dataset->size;
    gn_status st = gn_writer_open(&w, path, err);
    if (st != GN_OK)
        return st;
    st = declare(w, dataset, err);
    for (int which = PLANES; which < INPUTS && st == GN_OK; which++)
        st = put_input(w, dataset, which, err);
    if (st == GN_OK)
        st = gn_writer_put(w, predictions->logits, n * cells * sizeof(float), err);
    if (st == GN_OK)
        st = gn_writer_put(w, predictions->value, n * sizeof(float), err);
    if (st == GN_OK)
        return gn_writer_close(w, err);
    gn_writer_abandon(w);
    return st;
}
