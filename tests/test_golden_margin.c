/* No rectifier of a golden file is near its kink: every input of one is over 64 times farther from
 * 0 than float32's own error, so that no correct port can disagree about a mask.
 *
 * The error is the largest of its tensor, against float64 from the same parameters.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/io.h"
#include "support/rig.h"

typedef struct comparison {
    const gn_reader *file;
    const char *group;
    double least; /* of |x| / error over all rectifiers */
    char where[160];
} comparison;

static const float *tensor(const gn_reader *file, const char *group, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    const gn_entry *e = gn_reader_find(file, full);
    cr_assert_not_null(e, "%s", full);
    return e->data;
}

/* Where an element of [N,H,W,C] stands in [N,C,H,W]. */
static size_t turned(gn_shape s, size_t e)
{
    if (s.rank != 4)
        return e;
    const size_t HW = s.dim[1] * s.dim[2], C = s.dim[3];
    return (e / (HW * C) * C + e % C) * HW + e / C % HW;
}

static bool feeds_rectifier(const gn_tape *tape, gn_value v)
{
    for (int k = 0; k < gn_tape_records(tape); k++) {
        const gn_record *r = gn_tape_record_at(tape, k);
        if (strcmp(r->op->name, "relu") == 0 && r->in[0] == v)
            return true;
    }
    return false;
}

/* Looks where the value is made: the rectifier itself may work in place. */
static void compare(void *user, const gn_event *event)
{
    comparison *c = user;
    const gn_tape *tape = gn_program_tape(event->program);
    const gn_value v = gn_tape_record_at(tape, event->record)->out[0];
    if (event->pass != GN_FORWARD || !feeds_rectifier(tape, v))
        return;
    const char *name = gn_tape_value(tape, v)->name;
    const gn_shape s = gn_program_shape(event->program, v);
    const double *truth = event->places.data[v];
    const float *x = tensor(c->file, c->group, name);
    double error = 0, nearest = INFINITY;
    for (size_t e = 0; e < gn_shape_count(s); e++) {
        error = fmax(error, fabs((double)x[turned(s, e)] - truth[e]));
        nearest = fmin(nearest, fabs(truth[e]));
    }
    if (nearest / error < c->least) {
        c->least = nearest / error;
        snprintf(c->where, sizeof c->where, "%s/%s", c->group, name);
    }
}

static int number(const gn_reader *file, const char *key)
{
    const char *text = gn_reader_metadata(file, key);
    cr_assert_not_null(text, "%s", key);
    return atoi(text);
}

static void feed(const rig *r, const gn_reader *file, gn_value input)
{
    const gn_shape s = gn_program_shape(r->program, input);
    const float *from = tensor(file, "", gn_tape_value(r->net.tape, input)->name);
    float *to = malloc(gn_shape_count(s) * sizeof *to);
    for (size_t e = 0; e < gn_shape_count(s); e++)
        to[e] = from[turned(s, e)];
    gn_engine_feed(r->engine, input, to);
    free(to);
}

static void compare_pass(comparison *c, bool training)
{
    const bool separable = strcmp(gn_reader_metadata(c->file, "conv"), "separable") == 0;
    const gn_net_config config = small_net(
        number(c->file, "board_size"), number(c->file, "num_blocks"), number(c->file, "channels"),
        separable ? GN_SEPARABLE : GN_DENSE);
    rig r = rig_open(config, &gn_double, (size_t)number(c->file, "batch_size"), 1,
                     training ? "none" : "inference");
    for (int v = 0; v < gn_tape_values(r.net.tape); v++) {
        const gn_value_info *info = gn_tape_value(r.net.tape, v);
        if (info->kind == GN_INPUT)
            feed(&r, c->file, v);
        if (info->kind != GN_PARAM && info->kind != GN_BUFFER)
            continue;
        const float *from = tensor(c->file, info->kind == GN_PARAM ? "param" : "buffer",
                                   info->name);
        double *to = gn_store_data(r.store, v);
        for (size_t e = 0; e < gn_shape_count(info->shape); e++)
            to[e] = (double)from[e];
    }
    c->group = training ? "forward" : "eval_forward";
    gn_engine_hook(r.engine, compare, c);
    rig_run(&r);
    rig_close(&r);
}

static comparison margin(const char *path)
{
    gn_reader *file;
    gn_err err;
    cr_assert(gn_reader_open(&file, path, &err) == GN_OK, "%s", err.text);
    comparison c = {.file = file, .least = INFINITY};
    compare_pass(&c, true);
    compare_pass(&c, false);
    gn_reader_close(file);
    return c;
}

Test(golden_margin, no_rectifier_is_near_its_kink)
{
    const char *const files[] = {"golden/dense_5x5.safetensors",
                                 "golden/separable_5x5.safetensors"};
    for (int i = 0; i < 2; i++) {
        const comparison c = margin(files[i]);
        cr_expect(c.least > 64 && c.least < 1e9, "%s: %s is only %.3g times its error from 0",
                  files[i], c.where, c.least);
    }
}
