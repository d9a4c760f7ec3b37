/* Random trials of the judge; see trials.h.
 *
 * A tape of three records: one that makes the op's input, so that it has a gradient, the op, and a
 * way to a loss.  Only the op is computed; the others are not in the file and judged as missing.
 * SPDX-License-Identifier: MIT */
#include "support/trials.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "golden/audit.h"
#include "support/draw.h"

enum { VALUES = 32 };

typedef enum data_kind {
    ZERO_MEAN,
    RECTIFIED,
    POSITIVE,
    CONSTANT,
    SPARSE,
    DENORMAL_EDGE,
    FAR_FROM_ZERO,
    DATA_KINDS
} data_kind;
static const char *const kind_names[DATA_KINDS] = {
    "zero-mean", "rectified", "positive", "constant", "sparse", "denormal edge", "far from zero"};

static void fill(float *to, size_t count, data_kind kind)
{
    const float constant = number(USUAL);
    for (size_t i = 0; i < count; i++) {
        const float x = number(USUAL);
        switch (kind) {
        case RECTIFIED:
            to[i] = x > 0 ? x : 0;
            break;
        case POSITIVE:
            to[i] = 1.5f + x / 2;
            break;
        case CONSTANT:
            to[i] = constant;
            break;
        case SPARSE:
            to[i] = draw(10) == 0 ? x : 0;
            break;
        case DENORMAL_EDGE:
            to[i] = x * 0x1p-63f;
            break;
        case FAR_FROM_ZERO:
            to[i] = 100 + x;
            break;
        default:
            to[i] = x;
            break;
        }
    }
}

/* What a trial is made of. */
typedef struct bench {
    gn_net net;
    gn_value x, pre, out;
    int record;
    size_t batch;
    gn_program *program;
    void *data[VALUES], *grad[VALUES];
    char text[160];
} bench;

static const char *const sum_ops[] = {"conv2d",          "depthwise_conv2d", "linear",
                                      "global_avg_pool", "channel_scale",    "batch_norm"};

static gn_value parameter(gn_tape *t, const char *name, size_t a, size_t b, size_t c)
{
    const gn_shape shape = c > 0   ? gn_shape_of(4, a, b, c, c)
                           : b > 0 ? gn_shape_of(2, a, b, 0, 0)
                                   : gn_shape_of(1, a, 0, 0, 0);
    return gn_tape_param(t, name, shape, GN_UNIFORM, 1);
}

/* The op on the map or row `pre`. */
static gn_value add_op(gn_tape *t, const char *op, gn_value pre, size_t S, size_t C, size_t O)
{
    const size_t K = draw(3) == 0 ? 1 : 3;
    if (strcmp(op, "conv2d") == 0)
        return gn_tape_conv2d(t, "op", pre, parameter(t, "w", O, C, K));
    if (strcmp(op, "depthwise_conv2d") == 0)
        return gn_tape_depthwise_conv2d(t, "op", pre, parameter(t, "w", C, 1, 3));
    if (strcmp(op, "linear") == 0)
        return gn_tape_linear(t, "op", gn_tape_flatten(t, "flat", pre),
                              parameter(t, "w", O, S * S * C, 0), parameter(t, "b", O, 0, 0));
    if (strcmp(op, "global_avg_pool") == 0)
        return gn_tape_global_avg_pool(t, "op", pre);
    if (strcmp(op, "channel_scale") == 0)
        return gn_tape_channel_scale(t, "op", pre, gn_tape_global_avg_pool(t, "gate", pre));
    return gn_tape_batch_norm(t, "op", pre, parameter(t, "w", C, 0, 0), parameter(t, "b", C, 0, 0),
                              gn_tape_buffer(t, "mean", gn_shape_of(1, C, 0, 0, 0), GN_ZEROS),
                              gn_tape_buffer(t, "var", gn_shape_of(1, C, 0, 0, 0), GN_ONES), 1e-5);
}

static void build(bench *b, const char *op, bool large)
{
    gn_err err = {0};
    const size_t S = large ? 15 : 3 + draw(5), C = large ? 1 + draw(2) : 1 + draw(12);
    const size_t O = large ? 1 + draw(2) : 1 + draw(12);
    b->batch = large ? 200 + draw(57) : 1 + draw(9);
    cr_assert(gn_tape_create(&b->net.tape, &err) == GN_OK);
    gn_tape *t = b->net.tape;
    gn_tape_stage(t, "all");
    b->x = gn_tape_input(t, "input/x", gn_shape_of(4, GN_BATCH, S, S, C));
    const gn_value target = gn_tape_input(t, "input/t", gn_shape_of(1, GN_BATCH, 0, 0, 0));
    b->pre = gn_tape_depthwise_conv2d(t, "pre", b->x, parameter(t, "first", C, 1, 1));
    b->out = add_op(t, op, b->pre, S, C, O);
    b->record = gn_tape_value(t, b->out)->producer;
    const gn_shape shape = gn_tape_value(t, b->out)->shape;
    const gn_value row = shape.rank == 4 ? gn_tape_flatten(t, "row", b->out) : b->out;
    const size_t width = shape.rank == 4 ? shape.dim[1] * shape.dim[2] * shape.dim[3]
                                         : shape.dim[1];
    const gn_value last = gn_tape_linear(t, "last", row, parameter(t, "second", 1, width, 0),
                                         parameter(t, "third", 1, 0, 0));
    gn_tape_loss(t, gn_tape_mean_squared_error(t, "loss/value", last, target));
    b->net.value = GN_NONE;
    cr_assert(gn_tape_values(t) <= VALUES);
    snprintf(b->text, sizeof b->text, "%s N %zu S %zu C %zu O %zu", op, b->batch, S, C, O);
}

/* --- Computing and writing -------------------------------------------------------------------- */

static void run(bench *b, int record, gn_pass pass)
{
    void *work = calloc(1, gn_program_work(b->program, record, pass) + 64);
    const gn_guard guard = gn_guard_enter(1);
    gn_program_run(b->program, record, pass, (gn_places){b->data, b->grad}, work);
    gn_guard_leave(&guard);
    free(work);
}

static void compute(bench *b, const rounding_only *r)
{
    gn_err err = {0};
    twist t = {.name = r->name,
               .wide = r->wide,
               .op = r->op,
               .change = r->forward,
               .narrow = r->flush,
               .activations = true,
               .parameters = true,
               .stored = true,
               .stored_parameters = true,
               .precision = GN_FLUSH};
    cr_assert(gn_program_bind(&b->program, b->net.tape, twist_table(&t), b->batch, 1, true, &err) ==
                  GN_OK,
              "%s", err.text);
    const data_kind kinds[] = {(data_kind)draw(DATA_KINDS), (data_kind)draw(DATA_KINDS - 1),
                               (data_kind)draw(DATA_KINDS - 1)};
    for (int v = 0; v < gn_tape_values(b->net.tape); v++) {
        const size_t bytes = gn_program_bytes(b->program, v), count = bytes / sizeof(float);
        b->data[v] = calloc(1, bytes + 64);
        b->grad[v] = calloc(1, bytes + 64);
        cr_assert(b->data[v] != NULL && b->grad[v] != NULL);
        fill(b->data[v], count, kinds[v == b->pre ? 0 : 1]);
        fill(b->grad[v], count, kinds[2]);
    }
    for (int k = 0; k < b->record; k++) /* a flattened copy, or a gate */
        if (k > gn_tape_value(b->net.tape, b->pre)->producer)
            run(b, k, GN_FORWARD);
    run(b, b->record, GN_FORWARD);
    t.change = r->backward;
    t.backward = true;
    twist_table(&t);
    run(b, b->record, GN_BACKWARD);
    const int flat = gn_tape_find(b->net.tape, "flat");
    if (flat != GN_NONE)
        run(b, gn_tape_value(b->net.tape, flat)->producer, GN_BACKWARD);
    snprintf(b->text + strlen(b->text), sizeof b->text - strlen(b->text), ", %s, x %s, w %s, dy %s",
             r->name, kind_names[kinds[0]], kind_names[kinds[1]], kind_names[kinds[2]]);
}

/* One tensor, declared or put; maps channels first. */
static void put(const bench *b, gn_writer *w, bool declare, const char *group, const char *name,
                gn_value v, const void *from)
{
    char full[64];
    gn_shape s = gn_program_shape(b->program, v);
    const bool map = s.rank == 4 && gn_tape_value(b->net.tape, v)->kind != GN_PARAM;
    const size_t count = gn_shape_count(s);
    snprintf(full, sizeof full, "%s%s", group, name);
    if (declare) {
        const size_t dim[] = {s.dim[0], map ? s.dim[3] : s.dim[1], map ? s.dim[1] : s.dim[2],
                              map ? s.dim[2] : s.dim[3]};
        gn_writer_declare(w, full, GN_F32, s.rank, dim, NULL);
        return;
    }
    float *to = malloc(count * sizeof *to + 1);
    const size_t squares = map ? s.dim[1] * s.dim[2] : 1, C = map ? s.dim[3] : 1;
    for (size_t i = 0; i < count; i++) {
        const size_t n = i / (squares * C), c = i / squares % C, at = i % squares;
        to[i] = ((const float *)from)[map ? (n * squares + at) * C + c : i];
    }
    gn_writer_put(w, to, count * sizeof *to, NULL);
    free(to);
}

static void write_file(const bench *b)
{
    gn_err err = {0};
    gn_writer *w;
    const gn_tape *t = b->net.tape;
    const gn_record *r = gn_tape_record_at(t, b->record);
    cr_assert(gn_writer_open(&w, "trial.safetensors", &err) == GN_OK, "%s", err.text);
    for (int pass = 0; pass < 2; pass++) {
        for (int v = 0; v < gn_tape_values(t); v++) {
            const gn_value_info *info = gn_tape_value(t, v);
            const bool read = v == r->in[0] || v == r->in[1];
            if (info->kind != GN_ACTIVATION)
                put(b, w, pass == 0,
                    info->kind == GN_INPUT   ? ""
                    : info->kind == GN_PARAM ? "param/"
                                             : "buffer/",
                    info->name, v, b->data[v]);
            else if ((v == b->pre || v == b->out || read) && strcmp(info->name, "flat") != 0)
                put(b, w, pass == 0, "forward/", info->name, v, b->data[v]);
        }
        if (r->nout == 4) {
            put(b, w, pass == 0, "stats/", "op.mean", r->out[1], b->data[r->out[1]]);
            put(b, w, pass == 0, "stats/", "op.invstd", r->out[3], b->data[r->out[3]]);
        }
        put(b, w, pass == 0, "grad_forward/", "op", b->out, b->grad[b->out]);
        if (strcmp(r->op->name, "channel_scale") == 0)
            put(b, w, pass == 0, "grad_forward/", "gate", r->in[1], b->grad[r->in[1]]);
        else
            put(b, w, pass == 0, "grad_forward/", "pre", b->pre, b->grad[b->pre]);
        for (int i = 1; i < r->nin && i < 3; i++)
            if (gn_tape_value(t, r->in[i])->kind == GN_PARAM)
                put(b, w, pass == 0, "grad/", gn_tape_value(t, r->in[i])->name, r->in[i],
                    b->grad[r->in[i]]);
    }
    cr_assert(gn_writer_close(w, &err) == GN_OK, "%s", err.text);
}

/* --- Judging ---------------------------------------------------------------------------------- */

static bool of_the_op(const char *name)
{
    static const char *const names[] = {"forward/op",     "grad_forward/pre", "grad_forward/gate",
                                        "grad/w",         "grad/b",           "stats/op.mean",
                                        "stats/op.invstd"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void judge(trial *out, const bench *b)
{
    gn_err err = {0};
    gn_reader *file;
    gn_verification v = {0};
    gn_scope scope;
    gn_audit a = {.out = &v, .scope = &scope};
    cr_assert(gn_reader_open(&file, "trial.safetensors", &err) == GN_OK, "%s", err.text);
    cr_assert(gn_scope_read(&scope, file, file, "trial", "trial", &err) == GN_OK, "%s", err.text);
    cr_assert(gn_replay_open(&a.replay, &b->net, b->batch, true, 1, &err) == GN_OK, "%s", err.text);
    a.replay.golden = a.replay.candidate = file;
    gn_audit_forward(&a);
    gn_audit_backward(&a);
    cr_assert(a.replay.status == GN_OK, "%s", err.text);
    for (size_t i = 0; i < v.count; i++) {
        const gn_finding *f = &v.finding[i];
        if (!of_the_op(f->name) || f->elements == 0)
            continue;
        out->verdicts[f->verdict]++;
        if (f->envelope > 0 && f->spread / f->envelope > out->spread)
            out->spread = f->spread / f->envelope;
        if (f->verdict > GN_VERDICT_TRANSFORM && *out->worst == '\0')
            snprintf(out->worst, sizeof out->worst, "%.80s: %.80s is %s", b->text, f->name,
                     gn_verdict_name(f->verdict));
    }
    gn_replay_close(&a.replay);
    gn_verification_free(&v);
    gn_reader_close(file);
    remove("trial.safetensors");
}

void trial_run(trial *out, const rounding_only *r, uint64_t seed, bool large)
{
    bench b = {.batch = 0};
    state = seed;
    build(&b, r->op != NULL ? r->op : sum_ops[draw(COUNT(sum_ops))], large);
    compute(&b, r);
    write_file(&b);
    judge(out, &b);
    for (int v = 0; v < VALUES; v++) {
        free(b.data[v]);
        free(b.grad[v]);
    }
    gn_program_destroy(b.program);
    gn_tape_destroy(b.net.tape);
}
