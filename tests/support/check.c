/* What the tests share; see check.h.  SPDX-License-Identifier: MIT */
#include "support/check.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"

/* --- Numbers -------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014), number `index` of its sequence. */
static uint64_t mix(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float seeded(uint64_t seed, uint64_t index, float low, float high)
{
    const float unit = (float)(mix(seed, index) >> 40) * 0x1p-24f;
    return low + unit * (high - low);
}

void seeded_fill(float *out, size_t count, uint64_t seed, float low, float high)
{
    for (size_t i = 0; i < count; i++)
        out[i] = seeded(seed, i, low, high);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Floats in ascending order as ascending integers. */
static int64_t place(float x)
{
    const int64_t magnitude = bits_of(x) & 0x7fffffff;
    return signbit(x) ? -1 - magnitude : magnitude;
}

uint32_t ulp_distance(float a, float b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? 0 : UINT32_MAX;
    return (uint32_t)llabs(place(a) - place(b));
}

/* --- Comparisons ---------------------------------------------------------------------------- */

void same_bits(const char *name, const float *got, const float *want, size_t count)
{
    size_t different = 0, first = 0;
    for (size_t i = count; i-- > 0;)
        if (bits_of(got[i]) != bits_of(want[i]) && !(isnan(got[i]) && isnan(want[i]))) {
            different++;
            first = i;
        }
    cr_assert(different == 0, "%s: %zu of %zu differ, first [%zu]: got %a (%08x), want %a (%08x), "
              "%u ulp apart", name, different, count, first, (double)got[first],
              bits_of(got[first]), (double)want[first], bits_of(want[first]),
              ulp_distance(got[first], want[first]));
}

void close_to(const char *name, const double *got, const double *want, size_t count,
              double relative, double absolute)
{
    for (size_t i = 0; i < count; i++) {
        const double error = fabs(got[i] - want[i]);
        cr_assert(error <= relative * fabs(want[i]) + absolute,
                  "%s[%zu]: got %.17g, want %.17g, error %g", name, i, got[i], want[i], error);
    }
}

/* --- One op --------------------------------------------------------------------------------- */

enum { GUARD = 64, NOTHING = 0xff, GUARD_BYTE = 0xa5 }; /* bytes of 0xff are a NaN */

static unsigned char *guarded(size_t bytes)
{
    unsigned char *base = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    cr_assert(base != NULL, "no memory for %zu bytes", bytes);
    memset(base, NOTHING, bytes);
    memset(base + bytes, GUARD_BYTE, GUARD);
    return base;
}

static void guard_intact(const unsigned char *base, size_t bytes, const char *op, const char *what)
{
    for (size_t i = 0; i < GUARD; i++)
        cr_assert(base[bytes + i] == GUARD_BYTE, "%s wrote byte %zu behind %s", op, i, what);
}

static void allocate(op_run *run, gn_tensor *tensor, gn_shape shape)
{
    const size_t bytes = gn_shape_count(shape) * run->table->elem;
    tensor->shape = shape;
    tensor->data = guarded(bytes);
    run->array[run->arrays].base = tensor->data;
    run->array[run->arrays++].bytes = bytes;
}

static const gn_op *find_op(const gn_table *table, const char *op)
{
    const gn_row *row = gn_table_find(table, op);
    cr_assert(row != NULL, "table %s has no %s", table->name, op);
    return row->op;
}

gn_status op_shape(const char *op, int nin, const gn_shape *in, gn_err *err)
{
    gn_call call = {.op = find_op(&gn_plain, op), .nin = nin};
    call.nout = call.op->nout;
    for (int i = 0; i < nin; i++)
        call.in[i].shape = in[i];
    return call.op->shape(&call, err);
}

op_run op_open(const gn_table *table, const char *op, int nin, const gn_shape *in)
{
    op_run run = {.table = table, .row = gn_table_find(table, op)};
    gn_call *call = &run.call;
    gn_err err = {0};
    call->op = find_op(table, op);
    cr_assert(nin >= call->op->min_in && nin <= call->op->max_in, "%s: %d inputs", op, nin);
    call->nin = nin;
    call->nout = call->op->nout;
    call->attr.eps = 1e-5;
    call->training = true;
    call->threads = 1;
    for (int i = 0; i < nin; i++)
        call->in[i].shape = in[i];
    const gn_status status = call->op->shape(call, &err);
    cr_assert(status == GN_OK, "%s", err.text);

    for (int i = 0; i < nin; i++)
        allocate(&run, &call->in[i], in[i]);
    for (int j = 0; j < call->nout; j++)
        allocate(&run, &call->out[j], call->out[j].shape);
    allocate(&run, &call->dout, call->out[0].shape);
    for (int i = 0; i < nin; i++)
        if ((call->op->constant & GN_IN(i)) == 0)
            allocate(&run, &call->din[i], in[i]);
    return run;
}

void op_close(op_run *run)
{
    while (run->arrays > 0)
        free(run->array[--run->arrays].base);
}

static void put(const op_run *run, gn_tensor tensor, size_t index, float value)
{
    if (run->table->elem == sizeof(double))
        ((double *)tensor.data)[index] = (double)value;
    else
        ((float *)tensor.data)[index] = value;
}

void op_set(op_run *run, gn_tensor tensor, const float *values)
{
    for (size_t i = 0; i < gn_shape_count(tensor.shape); i++)
        put(run, tensor, i, values[i]);
}

void op_fill(op_run *run, gn_tensor tensor, uint64_t seed, float low, float high)
{
    for (size_t i = 0; i < gn_shape_count(tensor.shape); i++)
        put(run, tensor, i, seeded(seed, i, low, high));
}

void op_get(const op_run *run, gn_tensor tensor, double *values)
{
    const bool wide = run->table->elem == sizeof(double);
    for (size_t i = 0; i < gn_shape_count(tensor.shape); i++)
        values[i] = wide ? ((double *)tensor.data)[i] : (double)((float *)tensor.data)[i];
}

const float *op_floats(const op_run *run, gn_tensor tensor)
{
    cr_assert(run->table->elem == sizeof(float), "%s is no float table", run->table->name);
    return tensor.data;
}

void op_expect(const op_run *run, const char *name, gn_tensor tensor, const float *want)
{
    same_bits(name, op_floats(run, tensor), want, gn_shape_count(tensor.shape));
}

/* FNV-1a over what a run must not change: inputs, and dout, where nothing else lies in them. */
static uint64_t hash_unchanging(const op_run *run, gn_pass pass)
{
    const gn_call *call = &run->call;
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = -1; i < call->nin; i++) {
        const gn_tensor tensor = i < 0 ? call->dout : call->in[i];
        bool shared = tensor.data == NULL || (i >= 0 && tensor.data == call->out[0].data);
        for (int k = 0; i < 0 && pass == GN_BACKWARD && k < call->nin; k++)
            shared = shared || call->din[k].data == tensor.data;
        const unsigned char *byte = tensor.data;
        for (size_t b = 0; !shared && b < gn_shape_count(tensor.shape) * run->table->elem; b++)
            hash = (hash ^ byte[b]) * 0x100000001b3u;
    }
    return hash;
}

static void run_pass(op_run *run, gn_pass pass)
{
    gn_call *call = &run->call;
    call->pass = pass;
    const size_t bytes = run->row->work != NULL ? run->row->work(call) : 0;
    call->work = guarded(bytes);
    const uint64_t before = hash_unchanging(run, pass);

    const gn_guard guard = gn_guard_enter(call->threads);
    if (pass == GN_BACKWARD)
        run->row->backward(call);
    else
        run->row->forward(call);
    gn_guard_leave(&guard);

    guard_intact(call->work, bytes, call->op->name, "its workspace");
    for (int i = 0; i < run->arrays; i++)
        guard_intact(run->array[i].base, run->array[i].bytes, call->op->name, "a tensor");
    cr_assert(hash_unchanging(run, pass) == before, "%s changed an input", call->op->name);
    free(call->work);
    call->work = NULL;
}

void op_forward(op_run *run)
{
    run_pass(run, GN_FORWARD);
}

void op_recompute(op_run *run)
{
    run_pass(run, GN_RECOMPUTE);
}

void op_backward(op_run *run)
{
    run_pass(run, GN_BACKWARD);
}
