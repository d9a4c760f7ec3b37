/* What the library computes, for the fresh implementation beside this file to be held against:
 * small networks train a step or two, and every value, gradient, parameter and moment of every step
 * goes into safetensors files.  The fast table, two threads, checkpointing: none may matter.
 *
 * dump FOLDER.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/io.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"

enum { SIZE = 5, CELLS = SIZE * SIZE, BLOCKS = 2, CHANNELS = 5, THREADS = 2, MOST = 24 };
enum { PLANES = 1000, POLICY = 2000, VALUE = 3000 }; /* streams of the inputs */
enum { DATA, GRAD, PASSES };
static const char *const group[PASSES] = {"data", "grad"};

typedef struct dump_case {
    const char *name;
    gn_conv conv;
    size_t batch;
    int steps;
    gn_optimizer_kind optimizer;
    double clip;
    const char *policy;
} dump_case;

static const dump_case cases[] = {
    {"dense-1", GN_DENSE, 1, 1, GN_ADAMW, 1.0, "none"},
    {"separable-2", GN_SEPARABLE, 2, 1, GN_ADAMW, 0, "block"},
    {"dense-3", GN_DENSE, 3, 2, GN_ADAMW, 1.0, "block"},
    {"separable-3", GN_SEPARABLE, 3, 2, GN_SGD, 0.25, "none"},
    {"separable-5", GN_SEPARABLE, 5, 1, GN_SGD, 100, "none"},
    {"dense-24", GN_DENSE, MOST, 1, GN_ADAMW, 1.0, "every:2"},
    {"separable-24", GN_SEPARABLE, MOST, 1, GN_ADAMW, 1.0, "block"},
};

static const double rates[] = {1e-3, 7e-4};

/* Copies by value number; NULL: not seen yet. */
typedef struct values {
    const gn_program *program;
    void **copy[PASSES];
} values;

static void keep(values *v, int pass, gn_value value, const void *from)
{
    const size_t bytes = gn_program_bytes(v->program, value);
    void **to = &v->copy[pass][value];
    if (*to == NULL) *to = malloc(bytes);
    if (*to == NULL) {
        fputs("dump: out of memory\n", stderr);
        exit(3);
    }
    memcpy(*to, from, bytes);
}

/* An output is copied as soon as it is there: the next record may overwrite it in place. */
static void watch(void *user, const gn_event *event)
{
    values *v = user;
    v->program = event->program;
    const gn_record *r = gn_tape_record_at(gn_program_tape(v->program), event->record);
    if (event->pass == GN_BACKWARD)
        keep(v, GRAD, r->out[0], event->places.grad[r->out[0]]);
    else
        for (int j = 0; j < r->nout; j++)
            keep(v, DATA, r->out[j], event->places.data[r->out[j]]);
}

/* --- Inputs --------------------------------------------------------------------------------- */

typedef struct inputs {
    float planes[MOST * CELLS * GN_PLANES], policy[MOST * CELLS], value[MOST];
} inputs;

/* Stones in the even images, any numbers in the odd ones; a target on one cell or spread over all.
 * Of four images, the last has no policy target and the one before it no value target. */
static void fill(inputs *in, size_t batch, uint64_t seed)
{
    memset(in, 0, sizeof *in);
    for (size_t i = 0; i < batch * CELLS * GN_PLANES; i++)
        in->planes[i] = i / (CELLS * GN_PLANES) % 2 == 1
                            ? gn_random_symmetric(seed, PLANES, i)
                            : (float)(gn_random_below(seed, PLANES, i, 3) == 0);
    for (size_t n = 0; n < batch; n++) {
        in->value[n] = (float)gn_random_below(seed, VALUE, n, 3) - 1;
        float *policy = in->policy + n * CELLS;
        if (n % 2 == 0)
            policy[gn_random_below(seed, POLICY, n, CELLS)] = 1;
        else
            for (size_t i = 0; i < CELLS; i++)
                policy[i] = (gn_random_symmetric(seed, POLICY, n * CELLS + i) + 1) / CELLS;
        if (n % 4 == 3) memset(policy, 0, CELLS * sizeof *policy);
        if (n % 4 == 2) in->value[n] = (float)(1e300 * 1e300 * 0);
    }
}

/* --- Files ---------------------------------------------------------------------------------- */

static gn_status put_text(gn_writer *w, const char *key, double value, gn_err *err)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    return gn_writer_metadata(w, key, text, err);
}

static gn_status put_header(gn_writer *w, const dump_case *c, int step, double norm, gn_err *err)
{
    const gn_optimizer_config o = gn_optimizer_default();
    const struct {
        const char *key;
        double value;
    } number[] = {{"size", SIZE}, {"blocks", BLOCKS}, {"channels", CHANNELS},
                  {"batch", (double)c->batch}, {"steps", c->steps}, {"rate", rates[step]},
                  {"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps},
                  {"momentum", o.momentum}, {"decay", o.weight_decay}, {"clip", c->clip},
                  {"norm", norm}};
    gn_status st = gn_writer_metadata(w, "conv", gn_conv_name(c->conv), err);
    if (st == GN_OK)
        st = gn_writer_metadata(w, "optimizer", c->optimizer == GN_SGD ? "sgd" : "adamw", err);
    for (size_t i = 0; st == GN_OK && i < sizeof number / sizeof *number; i++)
        st = put_text(w, number[i].key, number[i].value, err);
    return st;
}

static gn_status declare(gn_writer *w, const values *v, gn_err *err)
{
    gn_status st = GN_OK;
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < gn_tape_values(gn_program_tape(v->program)) && st == GN_OK; i++) {
            char name[160];
            const gn_shape shape = gn_program_shape(v->program, i);
            snprintf(name, sizeof name, "%s/%s", group[pass],
                     gn_tape_value(gn_program_tape(v->program), i)->name);
            if (v->copy[pass][i] != NULL)
                st = gn_writer_declare(w, name, GN_F32, shape.rank, shape.dim, err);
        }
    return st;
}

static gn_status write_values(const char *path, const dump_case *c, int step, double norm,
                              const values *v, gn_err *err)
{
    gn_writer *w;
    gn_status st = gn_writer_open(&w, path, err);
    if (st != GN_OK)
        return st;
    st = put_header(w, c, step, norm, err);
    if (st == GN_OK) st = declare(w, v, err);
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < gn_tape_values(gn_program_tape(v->program)) && st == GN_OK; i++)
            if (v->copy[pass][i] != NULL)
                st = gn_writer_put(w, v->copy[pass][i], gn_program_bytes(v->program, i), err);
    if (st == GN_OK)
        return gn_writer_close(w, err);
    gn_writer_abandon(w);
    return st;
}

/* --- A case --------------------------------------------------------------------------------- */

static gn_status run_step(const char *folder, const dump_case *c, int step, const gn_net *net,
                          gn_session *s, values *v, gn_err *err)
{
    static inputs in;
    char path[2][1000];
    gn_step_result result;
    fill(&in, c->batch, (uint64_t)step + 1);
    gn_status st = gn_session_step(s, in.planes, in.policy, in.value, rates[step], &result, err);
    if (st != GN_OK)
        return st;
    keep(v, DATA, net->planes, in.planes);
    keep(v, DATA, net->target_policy, in.policy);
    keep(v, DATA, net->target_value, in.value);
    for (int i = 0; i < gn_tape_values(net->tape); i++)
        if (gn_store_grad(gn_session_store(s), i) != NULL)
            keep(v, GRAD, i, gn_store_grad(gn_session_store(s), i));
    snprintf(path[0], sizeof path[0], "%s/%s.%d.step", folder, c->name, step);
    snprintf(path[1], sizeof path[1], "%s/%s.%d.state", folder, c->name, step);
    st = write_values(path[0], c, step, result.grad_norm, v, err);
    return st == GN_OK ? gn_session_save_state(s, path[1], (uint64_t)step + 1, NULL, 0, err) : st;
}

/* The trained network once more, in inference mode. */
static gn_status infer(const char *folder, const dump_case *c, const gn_net *net, gn_session *s,
                       values *v, gn_err *err)
{
    static inputs in;
    char path[1000];
    gn_program *program = NULL;
    gn_schedule schedule = {0};
    gn_pool *pool = NULL;
    gn_engine *engine = NULL;
    fill(&in, c->batch, 99);
    gn_status st = gn_program_bind(&program, net->tape, gn_table_fast(), c->batch, THREADS, false,
                                   err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, net, "inference", err);
    if (st == GN_OK) st = gn_pool_create(&pool, err);
    if (st == GN_OK)
        st = gn_engine_create(&engine, program, &schedule, gn_session_store(s), pool, err);
    if (st == GN_OK) {
        gn_engine_hook(engine, watch, v);
        gn_engine_feed(engine, net->planes, in.planes);
        gn_engine_feed(engine, net->target_policy, in.policy);
        gn_engine_feed(engine, net->target_value, in.value);
        st = gn_engine_run(engine, err);
    }
    if (st == GN_OK) {
        keep(v, DATA, net->planes, in.planes);
        keep(v, DATA, net->target_policy, in.policy);
        keep(v, DATA, net->target_value, in.value);
        snprintf(path, sizeof path, "%s/%s.inference", folder, c->name);
        st = write_values(path, c, 0, 0, v, err);
    }
    gn_engine_destroy(engine);
    gn_pool_destroy(pool);
    gn_schedule_free(&schedule);
    gn_program_destroy(program);
    return st;
}

static gn_status values_open(values *v, const gn_tape *tape, gn_err *err)
{
    for (int pass = 0; pass < PASSES; pass++) {
        v->copy[pass] = calloc((size_t)gn_tape_values(tape), sizeof(void *));
        if (v->copy[pass] == NULL) {
            snprintf(err->text, sizeof err->text, "no memory");
            return GN_E_NOMEM;
        }
    }
    return GN_OK;
}

static void values_close(values *v, const gn_tape *tape)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; v->copy[pass] != NULL && i < gn_tape_values(tape); i++)
            free(v->copy[pass][i]);
        free(v->copy[pass]);
    }
    *v = (values){0};
}

static gn_status run_case(const char *folder, const dump_case *c, gn_err *err)
{
    const gn_net_config config = {SIZE, BLOCKS, CHANNELS, c->conv, false};
    gn_session_config how = gn_session_default();
    how.batch = c->batch;
    how.threads = THREADS;
    how.policy = c->policy;
    how.optimizer.kind = c->optimizer;
    how.optimizer.clip = c->clip;
    gn_net net;
    gn_session *s = NULL;
    values v = {0};
    gn_status st = gn_net_create(&net, &config, err);
    if (st != GN_OK)
        return st;
    st = values_open(&v, net.tape, err);
    if (st == GN_OK) st = gn_session_create(&s, &net, &how, err);
    if (st == GN_OK) gn_engine_hook(gn_session_engine(s), watch, &v);
    for (int step = 0; step < c->steps && st == GN_OK; step++)
        st = run_step(folder, c, step, &net, s, &v, err);
    values_close(&v, net.tape);
    if (st == GN_OK) st = values_open(&v, net.tape, err);
    if (st == GN_OK) st = infer(folder, c, &net, s, &v, err);
    values_close(&v, net.tape);
    gn_session_destroy(s);
    gn_net_destroy(&net);
    return st;
}

int main(int argc, char **argv)
{
    gn_err err;
    if (argc != 2) {
        fputs("usage: dump FOLDER\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (run_case(argv[1], &cases[i], &err) != GN_OK) {
            fprintf(stderr, "dump: %s: %s\n", cases[i].name, err.text);
            return 3;
        }
    return 0;
}
