/* The files of golden/pytorch; see oracle.h.  SPDX-License-Identifier: MIT */
#include "support/oracle.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const oracle_files[ORACLE_FILES] = {
    "dense_5x5_c3_b2", "separable_7x7_c5_b1", "separable_5x5_c33_b1", "checkpoint_5x5_c2_b3",
    "checkpoint_5x5_c2_b1"};

/* As in make_oracle.py. */
enum { LARGE = 16384, STRIDE = 97 };
static const double tolerance = 1e-10;

void oracle_fault(oracle *o, const char *format, ...)
{
    if (o->faults++ > 0)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(o->first, sizeof o->first, format, list);
    va_end(list);
}

/* --- Opening -------------------------------------------------------------------------------- */

static bool says(const oracle *o, const char *key)
{
    const char *text = gn_reader_metadata(o->file, key);
    cr_assert(text != NULL && (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0),
              "metadata %s is no yes or no", key);
    return strcmp(text, "yes") == 0;
}

static int number(const oracle *o, const char *key)
{
    const char *text = gn_reader_metadata(o->file, key);
    cr_assert_not_null(text, "metadata %s is missing", key);
    return atoi(text);
}

static const void *input(oracle *o, const char *name, gn_shape want)
{
    const gn_entry *e = oracle_entry(o, "input", name);
    cr_assert(e != NULL && e->type == GN_F32 && e->rank == want.rank, "input/%s", name);
    for (int i = 0; i < want.rank; i++)
        cr_assert_eq(e->dim[i], want.dim[i], "input/%s", name);
    return e->data;
}

static void read_inputs(oracle *o)
{
    const size_t size = (size_t)o->net.config.board_size, squares = size * size;
    const float *planes = input(o, "planes", gn_shape_of(4, o->batch, 5, size, size));
    o->policy = input(o, "policy", gn_shape_of(2, o->batch, squares, 0, 0));
    o->value = input(o, "value", gn_shape_of(1, o->batch, 0, 0, 0));
    o->planes = malloc(o->batch * 5 * squares * sizeof *o->planes);
    cr_assert_not_null(o->planes);
    for (size_t n = 0; n < o->batch; n++)
        for (size_t c = 0; c < 5; c++)
            for (size_t i = 0; i < squares; i++)
                o->planes[(n * squares + i) * 5 + c] = planes[(n * 5 + c) * squares + i];
}

oracle oracle_open(const char *name)
{
    oracle o = {0};
    gn_err err = {0};
    char path[128];
    snprintf(path, sizeof path, "golden/pytorch/%s.safetensors", name);
    cr_assert(gn_reader_open(&o.file, path, &err) == GN_OK, "%s", err.text);
    const char *conv = gn_reader_metadata(o.file, "conv");
    cr_assert_not_null(conv);
    const gn_net_config config = {.board_size = number(&o, "board_size"),
                                  .num_blocks = number(&o, "num_blocks"),
                                  .channels = number(&o, "channels"),
                                  .conv = strcmp(conv, "dense") == 0 ? GN_DENSE : GN_SEPARABLE};
    cr_assert(gn_net_create(&o.net, &config, &err) == GN_OK, "%s", err.text);
    cr_assert_str_eq(conv, gn_conv_name(config.conv));
    o.batch = (size_t)number(&o, "batch");
    o.trace = says(&o, "trace");
    o.eval = says(&o, "eval");
    o.second_step = says(&o, "second_step");
    o.checkpoint = says(&o, "checkpoint");
    o.used = calloc(gn_reader_count(o.file), sizeof *o.used);
    cr_assert_not_null(o.used);
    read_inputs(&o);
    return o;
}

void oracle_close(oracle *o)
{
    free(o->planes);
    free(o->used);
    gn_net_destroy(&o->net);
    gn_reader_close(o->file);
}

/* --- Entries -------------------------------------------------------------------------------- */

static const gn_entry *find(const oracle *o, const char *group, const char *name, const char *end)
{
    char full[200];
    snprintf(full, sizeof full, "%s/%s%s", group, name, end);
    return gn_reader_find(o->file, full);
}

static const gn_entry *use(oracle *o, const char *group, const char *name, const char *end)
{
    const gn_entry *e = find(o, group, name, end);
    if (e == NULL)
        oracle_fault(o, "%s/%s%s is missing", group, name, end);
    for (size_t i = 0; e != NULL && i < gn_reader_count(o->file); i++)
        if (gn_reader_at(o->file, i) == e)
            o->used[i] = true;
    return e;
}

bool oracle_has(const oracle *o, const char *group, const char *name)
{
    return find(o, group, name, "") != NULL;
}

const gn_entry *oracle_entry(oracle *o, const char *group, const char *name)
{
    return use(o, group, name, "");
}

void oracle_expect_all_used(oracle *o)
{
    for (size_t i = 0; i < gn_reader_count(o->file); i++)
        if (!o->used[i])
            oracle_fault(o, "%s: nothing of ours to compare it with",
                         gn_reader_at(o->file, i)->name);
}

/* --- Filling -------------------------------------------------------------------------------- */

void oracle_fill(oracle *o, const gn_store *store, const gn_table *table)
{
    for (int v = 0; v < gn_tape_values(o->net.tape); v++) {
        const gn_value_info *info = gn_tape_value(o->net.tape, v);
        if (info->kind != GN_PARAM && info->kind != GN_BUFFER)
            continue;
        const char *group = info->kind == GN_PARAM ? "param" : "buffer";
        const size_t count = gn_shape_count(info->shape);
        const bool tiled = count > LARGE;
        const gn_entry *e = use(o, group, info->name, tiled ? ".tile" : "");
        cr_assert(e != NULL && e->type == GN_F32, "%s/%s", group, info->name);
        const size_t period = e->bytes / sizeof(float);
        cr_assert(tiled ? e->rank == 1 && period > 0 : e->rank == info->shape.rank,
                  "%s/%s: rank", group, info->name);
        for (int i = 0; i < e->rank && !tiled; i++)
            cr_assert_eq(e->dim[i], info->shape.dim[i], "%s/%s: shape", group, info->name);
        void *data = gn_store_data(store, v);
        for (size_t i = 0; i < count; i++) {
            const float x = ((const float *)e->data)[i % period];
            if (table->elem == sizeof(float))
                ((float *)data)[i] = x;
            else
                ((double *)data)[i] = (double)x;
        }
    }
}

/* --- Comparing ------------------------------------------------------------------------------ */

static void compare(oracle *o, const gn_entry *e, gn_shape shape, const double *got)
{
    bool same = e->type == GN_F64 && e->rank == shape.rank;
    for (int i = 0; i < e->rank && same; i++)
        same = e->dim[i] == shape.dim[i];
    if (!same) {
        oracle_fault(o, "%s: another type or shape", e->name);
        return;
    }
    const double *want = e->data;
    double largest = 0;
    for (size_t i = 0; i < gn_shape_count(shape); i++)
        largest = fabs(want[i]) > largest ? fabs(want[i]) : largest;
    for (size_t i = 0; i < gn_shape_count(shape); i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * largest)) { /* a NaN is a fault */
            oracle_fault(o, "%s[%zu]: got %.17g, PyTorch has %.17g (largest %g)", e->name, i,
                         got[i], want[i], largest);
            return;
        }
}

static double probe(size_t index)
{
    return (double)((index + 1) * 7919 % 10007 + 1);
}

/* Every 97th element, the rows times the fixed vector, and the fixed vector times the columns. */
static void compare_sketch(oracle *o, const char *group, const char *name, gn_shape shape,
                           const double *got)
{
    const size_t O = shape.dim[0], K = shape.dim[1], count = (O * K + STRIDE - 1) / STRIDE;
    double *sketch = calloc(count + O + K, sizeof *sketch);
    cr_assert_not_null(sketch);
    double *rows = sketch + count, *cols = rows + O;
    for (size_t i = 0; i < count; i++)
        sketch[i] = got[i * STRIDE];
    for (size_t o_ = 0; o_ < O; o_++)
        for (size_t k = 0; k < K; k++) {
            rows[o_] += got[o_ * K + k] * probe(k);
            cols[k] += got[o_ * K + k] * probe(o_);
        }
    const gn_entry *e = use(o, group, name, ".every97");
    if (e != NULL) compare(o, e, gn_shape_of(1, count, 0, 0, 0), sketch);
    e = use(o, group, name, ".rows");
    if (e != NULL) compare(o, e, gn_shape_of(1, O, 0, 0, 0), rows);
    e = use(o, group, name, ".cols");
    if (e != NULL) compare(o, e, gn_shape_of(1, K, 0, 0, 0), cols);
    free(sketch);
}

static void compare_map(oracle *o, const gn_entry *e, gn_shape s, const double *got)
{
    const size_t N = s.dim[0], HW = s.dim[1] * s.dim[2], C = s.dim[3];
    double *turned = malloc(N * HW * C * sizeof *turned);
    cr_assert_not_null(turned);
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < HW; i++)
            for (size_t c = 0; c < C; c++)
                turned[(n * C + c) * HW + i] = got[(n * HW + i) * C + c];
    compare(o, e, gn_shape_of(4, N, C, s.dim[1], s.dim[2]), turned);
    free(turned);
}

void oracle_compare(oracle *o, const char *group, const char *name, gn_shape shape,
                    const double *got)
{
    if (got == NULL) {
        oracle_fault(o, "%s/%s: we have none", group, name);
        return;
    }
    if (shape.rank == 2 && gn_shape_count(shape) > LARGE && !oracle_has(o, group, name)) {
        compare_sketch(o, group, name, shape, got);
        return;
    }
    const gn_entry *e = use(o, group, name, "");
    const gn_value v = gn_tape_find(o->net.tape, name);
    const bool weight = v != GN_NONE && gn_tape_value(o->net.tape, v)->kind == GN_PARAM;
    if (e != NULL && shape.rank == 4 && !weight)
        compare_map(o, e, shape, got);
    else if (e != NULL)
        compare(o, e, shape, got);
}
