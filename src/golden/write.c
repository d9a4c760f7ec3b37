/* A golden file from its configuration: building what a trace needs, and its metadata.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/flush.h"
#include "golden/trace.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"
#include "train/session.h"

gn_golden gn_golden_default(void)
{
    gn_golden g = {.session = gn_session_default(), .rate = 1e-3, .steps = 1, .inference = true};
    return g;
}

/* Greedy with one step back: the last * swallows one character more where a match fails. */
bool gn_golden_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *after = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            after = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++after;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool gn_golden_wants(const gn_golden *g, const char *name)
{
    bool wanted = g->only == NULL || gn_golden_matches(g->only, name);
    for (size_t i = 0; i < g->excepts; i++)
        wanted = wanted && !gn_golden_matches(g->except[i], name);
    return wanted;
}

/* --- Building and writing ------------------------------------------------------------------- */

static gn_status metadata(gn_trace *t, const char *flush_safe)
{
    const gn_net_config *c = &t->g->net->config;
    const gn_optimizer_config *o = &t->g->session.optimizer;
    char text[13][32];
    snprintf(text[0], sizeof text[0], "%d", c->board_size);
    snprintf(text[1], sizeof text[1], "%d", c->num_blocks);
    snprintf(text[2], sizeof text[2], "%d", c->channels);
    snprintf(text[3], sizeof text[3], "%zu", t->g->session.batch);
    snprintf(text[4], sizeof text[4], "%llu", (unsigned long long)t->g->session.seed);
    snprintf(text[5], sizeof text[5], "%llu", (unsigned long long)t->g->steps);
    snprintf(text[6], sizeof text[6], "%.17g", t->g->rate);
    const double hyper[] = {o->beta1, o->beta2, o->eps, o->momentum, o->weight_decay, o->clip};
    for (int i = 0; i < 6; i++)
        snprintf(text[7 + i], sizeof text[0], "%.17g", hyper[i]);
    const char *const pairs[][2] = {
        {"gomokunet", "order v1"}, {"level", t->g->steps > 0 ? "trace" : "outputs"},
        {"command", t->g->command == NULL ? "" : t->g->command}, {"board_size", text[0]},
        {"num_blocks", text[1]}, {"channels", text[2]}, {"conv", gn_conv_name(c->conv)},
        {"batch_size", text[3]}, {"seed", text[4]}, {"steps", text[5]}, {"lr", text[6]},
        {"optimizer", o->kind == GN_ADAMW ? "adamw" : "sgd"}, {"beta1", text[7]},
        {"beta2", text[8]}, {"eps", text[9]}, {"momentum", text[10]},
        {"nesterov", o->nesterov ? "true" : "false"}, {"weight_decay", text[11]},
        {"clip", text[12]}};
    gn_status st = GN_OK;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && st == GN_OK; i++)
        st = gn_sink_metadata(t->sink, pairs[i][0], pairs[i][1], t->err);
    return st == GN_OK && flush_safe != NULL
               ? gn_sink_metadata(t->sink, "ftz-safe", flush_safe, t->err)
               : st;
}

static gn_status build_eval(gn_trace *t)
{
    gn_schedule schedule = {0};
    const gn_session_config *c = &t->g->session;
    gn_status st = gn_program_bind(&t->eval_program, t->tape, c->table, c->batch, c->threads,
                                   false, t->err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, t->g->net, "inference", t->err);
    if (st == GN_OK)
        st = gn_engine_create(&t->eval_engine, t->eval_program, &schedule, t->session->store,
                              t->session->pool, t->err);
    if (st == GN_OK) gn_engine_hook(t->eval_engine, gn_trace_watch, t);
    gn_schedule_free(&schedule);
    return st;
}

/* The largest number of elements that leave at once: one image, or one row of a parameter. */
static size_t largest_piece(const gn_trace *t)
{
    size_t most = 1;
    for (int v = 0; v < gn_tape_values(t->tape); v++) {
        const gn_shape s = gn_program_shape(t->session->program, v);
        const size_t count = s.rank == 0 ? 1 : gn_shape_count(s) / s.dim[0];
        most = count > most ? count : most;
    }
    return most;
}

static gn_status build(gn_trace *t)
{
    const gn_golden *g = t->g;
    const size_t batch = g->session.batch;
    const size_t cells = (size_t)g->net->config.board_size * (size_t)g->net->config.board_size;
    if (g->session.table->elem != sizeof(float))
        return gn_fail(t->err, GN_E_CONFIG, "golden files are float32, table %s is not",
                       g->session.table->name);
    gn_session_config config = g->session;
    config.unfused = true; /* a trace has every value */
    gn_status st = gn_selftest(t->err);
    if (st == GN_OK) st = gn_session_create(&t->session, g->net, &config, t->err);
    if (st == GN_OK && g->model != NULL) st = gn_session_load(t->session, g->model, t->err);
    if (st == GN_OK && g->inference) st = build_eval(t);
    if (st == GN_OK)
        st = gn_sampler_create(&t->sampler, g->dataset, g->session.seed, batch, t->err);
    if (st != GN_OK)
        return st;
    t->planes = malloc(batch * cells * GN_PLANES * sizeof(float));
    t->policy = malloc(batch * cells * sizeof(float));
    t->value = malloc(batch * sizeof(float));
    t->image = malloc(largest_piece(t) * sizeof(float));
    if (t->planes == NULL || t->policy == NULL || t->value == NULL || t->image == NULL)
        return gn_fail(t->err, GN_E_NOMEM, "golden: no memory for a batch of %zu", batch);
    return GN_OK;
}

static void release(gn_trace *t)
{
    gn_engine_destroy(t->eval_engine);
    gn_program_destroy(t->eval_program);
    gn_session_destroy(t->session);
    gn_sampler_free(&t->sampler);
    free(t->planes);
    free(t->policy);
    free(t->value);
    free(t->image);
}

static gn_status walk(gn_sink *sink, const gn_golden *golden, const char *flush_safe, gn_err *err)
{
    gn_trace t = {
        .g = golden, .tape = golden->net->tape, .sink = sink, .err = err, .declaring = true};
    t.status = build(&t);
    if (t.status == GN_OK) t.status = metadata(&t, flush_safe);
    if (t.status == GN_OK) gn_trace_run(&t);
    if (t.status == GN_OK && gn_sink_tensors(t.sink) == 0)
        t.status = gn_fail(err, GN_E_CONFIG, "only \"%s\": no tensor has such a name",
                           golden->only == NULL ? "*" : golden->only);
    t.declaring = false;
    if (t.status == GN_OK) gn_trace_run(&t);
    release(&t);
    return t.status;
}

gn_status gn_golden_file(const char *path, gn_golden_walk walk_all, const gn_golden *golden,
                         gn_err *err)
{
    gn_sink *sink = NULL;
    const char *flush_safe = NULL;
    gn_status st = gn_sink_open(&sink, path, err);
    if (st == GN_OK && golden->check_flush)
        st = gn_flush_safe(&flush_safe, walk_all, golden, err);
    if (st == GN_OK) st = walk_all(sink, golden, flush_safe, err);
    if (st == GN_OK)
        return gn_sink_close(sink, err);
    gn_sink_abandon(sink);
    return st;
}

gn_status gn_golden_write(const char *path, const gn_golden *golden, gn_err *err)
{
    return gn_golden_file(path, walk, golden, err);
}
