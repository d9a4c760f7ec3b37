/* The golden file of cases.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "golden/cases_update.h"
#include "golden/flush.h"
#include "gomokunet/golden.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"

/* As the file has it: channels first, and one NaN. */
static gn_status put(gn_sink *sink, const gn_case_tensor *t, gn_err *err)
{
    static const uint32_t nan_bits = 0x7fc00000;
    const size_t count = gn_shape_count(t->at.shape);
    const float *from = t->at.data;
    float *to = malloc((count + 1) * sizeof *to);
    if (to == NULL)
        return gn_fail(err, GN_E_NOMEM, "golden: no memory for %s", t->name);
    for (size_t e = 0; e < count; e++) {
        float *at = &to[gn_case_place(t, e)];
        if (from[e] == from[e])
            *at = from[e];
        else
            memcpy(at, &nan_bits, sizeof *at);
    }
    gn_status st = gn_sink_begin(sink, t->name, err);
    if (st == GN_OK)
        st = gn_sink_put(sink, to, count * sizeof *to, err);
    free(to);
    return st;
}

static gn_status declare(gn_sink *sink, const gn_case_tensor *t, gn_err *err)
{
    const gn_shape s = gn_case_file_shape(t);
    return gn_sink_declare(sink, t->name, GN_F32, s.rank, s.dim, err);
}

static gn_status one_case(gn_sink *sink, const gn_case *c, const gn_golden *g, bool declaring,
                          gn_err *err)
{
    gn_case_run run;
    gn_case_tensor list[GN_CASE_TENSORS];
    gn_status st = gn_case_open(&run, c, g->session.table, err);
    const int count = st == GN_OK ? gn_case_tensors(&run, list) : 0;
    if (st == GN_OK && !declaring)
        st = gn_case_pass(&run, GN_FORWARD, err);
    if (st == GN_OK && !declaring && !c->inference)
        st = gn_case_pass(&run, GN_BACKWARD, err);
    for (int i = 0; i < count && st == GN_OK; i++)
        if (gn_golden_wants(g, list[i].name))
            st = declaring ? declare(sink, &list[i], err) : put(sink, &list[i], err);
    gn_case_close(&run);
    return st;
}

static gn_status walk(gn_sink *sink, const gn_golden *g, const char *flush_safe, gn_err *err)
{
    const char *const pairs[][2] = {{"gomokunet", "order v1"},
                                    {"level", "cases"},
                                    {"command", g->command == NULL ? "" : g->command},
                                    {"updates", gn_case_update_numbers},
                                    {"ftz-safe", flush_safe}};
    gn_status st = gn_selftest(err);
    if (st == GN_OK && g->session.table->elem != sizeof(float))
        st = gn_fail(err, GN_E_CONFIG, "golden files are float32, table %s is not",
                     g->session.table->name);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && st == GN_OK; i++)
        if (pairs[i][1] != NULL)
            st = gn_sink_metadata(sink, pairs[i][0], pairs[i][1], err);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < gn_cases() && st == GN_OK; i++)
            st = one_case(sink, gn_case_at(i), g, pass == 0, err);
        if (st == GN_OK && gn_sink_tensors(sink) == 0)
            st = gn_fail(err, GN_E_CONFIG, "only \"%s\": no tensor has such a name",
                         g->only == NULL ? "*" : g->only);
    }
    return st;
}

gn_status gn_golden_write_cases(const char *path, const gn_golden *g, gn_err *err)
{
    return gn_golden_file(path, walk, g, err);
}
