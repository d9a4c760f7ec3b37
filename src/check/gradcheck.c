/* Gradient check: backward against central finite differences, in float64, on the live code.
 *
 * Every value keeps its memory, so a forward pass is just the tape from top to bottom and a
 * backward pass the tape from bottom to top: the whole of backpropagation without any memory plan.
 * A rectifier has no derivative at 0, so an element whose two points see different signs in any
 * rectifier is skipped, and counted.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"
#include "base/streams.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"

typedef struct bench {
    const gn_tape *tape;
    gn_program *program;
    gn_store *store;
    gn_places at;
    char *memory; /* workspace, then the values and gradients that the store does not hold */
} bench;

static void bench_close(bench *b)
{
    free(b->at.data);
    free(b->at.grad);
    free(b->memory);
    gn_store_destroy(b->store);
    gn_program_destroy(b->program);
}

static size_t largest_work(const gn_program *p)
{
    size_t largest = 0;
    for (int k = 0; k < gn_tape_records(gn_program_tape(p)); k++)
        for (int pass = GN_FORWARD; pass <= GN_BACKWARD; pass++) {
            const size_t bytes = gn_program_work(p, k, (gn_pass)pass);
            largest = bytes > largest ? bytes : largest;
        }
    return largest;
}

/* Gives each value and each gradient a place of its own; returns the bytes of `memory` that are
 * in use.  Without memory it only measures. */
static size_t lay_out(bench *b)
{
    size_t used = largest_work(b->program);
    for (int v = 0; v < gn_tape_values(b->tape); v++) {
        const size_t bytes = gn_align(gn_program_bytes(b->program, v));
        b->at.data[v] = gn_store_data(b->store, v);
        b->at.grad[v] = gn_store_grad(b->store, v);
        for (int which = 0; which < 2; which++) {
            void **place = which == 0 ? &b->at.data[v] : &b->at.grad[v];
            if (*place != NULL)
                continue;
            *place = b->memory == NULL ? NULL : b->memory + used;
            used += bytes;
        }
    }
    return used;
}

static gn_status bench_open(bench *b, const gn_tape *tape, const gn_gradcheck *check, gn_err *err)
{
    const gn_table *table = check->table != NULL ? check->table : &gn_double;
    *b = (bench){.tape = tape};
    gn_status st = gn_tape_check(tape, err);
    if (st == GN_OK && gn_tape_loss_value(tape) == GN_NONE)
        st = gn_fail(err, GN_E_CONFIG, "gradcheck: the tape has no loss");
    if (st == GN_OK && table->elem != sizeof(double))
        st = gn_fail(err, GN_E_CONFIG, "gradcheck: table %s is not float64", table->name);
    if (st == GN_OK) st = gn_program_bind(&b->program, tape, table, check->batch, 1, true, err);
    if (st == GN_OK) st = gn_store_create(&b->store, tape, table, true, err);
    if (st != GN_OK)
        return st;
    b->at.data = calloc((size_t)gn_tape_values(tape), sizeof *b->at.data);
    b->at.grad = calloc((size_t)gn_tape_values(tape), sizeof *b->at.grad);
    if (b->at.data != NULL && b->at.grad != NULL)
        b->memory = gn_aligned_zeros(lay_out(b));
    if (b->memory == NULL)
        return gn_fail(err, GN_E_NOMEM, "gradcheck: no memory");
    lay_out(b);
    return GN_OK;
}

static void forward(const bench *b)
{
    for (int k = 0; k < gn_tape_records(b->tape); k++)
        gn_program_run(b->program, k, GN_FORWARD, b->at, b->memory);
}

static void backward(const bench *b)
{
    const gn_value loss = gn_tape_loss_value(b->tape);
    *(double *)b->at.grad[loss] = 1;
    for (int k = gn_tape_records(b->tape) - 1; k >= 0; k--)
        if (gn_program_has_backward(b->program, k))
            gn_program_run(b->program, k, GN_BACKWARD, b->at, b->memory);
}

static double loss_of(const bench *b)
{
    return *(double *)b->at.data[gn_tape_loss_value(b->tape)];
}

/* A fingerprint of which rectifier outputs are zero (FNV-1a over the bits). */
static uint64_t rectifier_signs(const bench *b)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int k = 0; k < gn_tape_records(b->tape); k++) {
        const gn_record *r = gn_tape_record_at(b->tape, k);
        if (strcmp(r->op->name, "relu") != 0)
            continue;
        const double *y = b->at.data[r->out[0]];
        const size_t count = gn_shape_count(gn_program_shape(b->program, r->out[0]));
        for (size_t i = 0; i < count; i++)
            hash = (hash ^ (y[i] > 0)) * 0x100000001b3u;
    }
    return hash;
}

static double largest_gradient(const bench *b)
{
    double largest = 0;
    for (int v = 0; v < gn_tape_values(b->tape); v++) {
        const double *g = gn_store_grad(b->store, v);
        const size_t count = g == NULL ? 0 : gn_shape_count(gn_program_shape(b->program, v));
        for (size_t i = 0; i < count; i++) {
            const double size = __builtin_fabs(g[i]);
            largest = size > largest ? size : largest;
        }
    }
    return largest;
}

/* Gammas of 1 and betas of 0 would hide a forgotten factor or term. */
static void unsettle(const bench *b, uint64_t seed)
{
    for (int v = 0; v < gn_tape_values(b->tape); v++) {
        const gn_value_info *info = gn_tape_value(b->tape, v);
        if (info->kind != GN_PARAM || info->init == GN_UNIFORM)
            continue;
        double *x = b->at.data[v];
        for (size_t i = 0; i < gn_shape_count(info->shape); i++)
            x[i] += 0.5 * (double)gn_random_symmetric(seed, gn_stream(GN_STREAM_PROBE, ~0u), i);
    }
}

/* One element of one parameter: the slope between two points against the gradient. */
static void try_element(const bench *b, gn_gradcheck *check, gn_value v, size_t i, double floor)
{
    double *x = (double *)b->at.data[v] + i;
    const double old = *x, gradient = ((const double *)b->at.grad[v])[i];
    *x = old + check->step;
    forward(b);
    const double above = loss_of(b);
    const uint64_t signs = rectifier_signs(b);
    *x = old - check->step;
    forward(b);
    const double below = loss_of(b);
    *x = old;
    if (signs != rectifier_signs(b)) {
        check->skipped++;
        return;
    }
    const double slope = (above - below) / (2 * check->step);
    const double size = __builtin_fabs(gradient) > floor ? __builtin_fabs(gradient) : floor;
    const double error = __builtin_fabs(slope - gradient) / size;
    check->tried++;
    if (!(error <= check->tolerance))
        check->failed++;
    if (!(error <= check->worst)) {
        check->worst = error;
        snprintf(check->where, sizeof check->where, "%s[%zu]", gn_tape_value(b->tape, v)->name, i);
    }
}

gn_status gn_gradcheck_run(const gn_tape *tape, gn_gradcheck *check, gn_err *err)
{
    bench b;
    check->tried = check->skipped = check->failed = 0;
    check->worst = 0;
    check->where[0] = '\0';
    gn_status status = bench_open(&b, tape, check, err);
    if (status != GN_OK) {
        bench_close(&b);
        return status;
    }
    const gn_guard guard = gn_guard_enter(1);
    gn_store_init(b.store, check->seed);
    unsettle(&b, check->seed);
    for (int v = 0; v < gn_tape_values(tape); v++)
        if (gn_tape_value(tape, v)->kind == GN_INPUT)
            check->fill(check->user, tape, v, b.at.data[v],
                        gn_shape_count(gn_program_shape(b.program, v)));
    forward(&b);
    backward(&b);
    const double floor = 1e-3 * largest_gradient(&b) + 1e-12;
    for (int v = 0; v < gn_tape_values(tape); v++) {
        if (gn_store_grad(b.store, v) == NULL || !gn_program_has_grad(b.program, v))
            continue;
        const size_t count = gn_shape_count(gn_program_shape(b.program, v));
        const size_t tries =
            check->per_tensor == 0 || check->per_tensor > count ? count : check->per_tensor;
        const uint64_t stream = gn_stream(GN_STREAM_PROBE, (uint64_t)v);
        for (size_t n = 0; n < tries; n++) {
            const size_t chosen = gn_random_below(check->seed, stream, n, (uint32_t)count);
            try_element(&b, check, v, tries == count ? n : chosen, floor);
        }
    }
    gn_guard_leave(&guard);
    bench_close(&b);
    return GN_OK;
}
