/* The worked examples of docs/numerics.md, section 19, read from the page: its numbers are what the
 * plain ops and every fast table give, in every bit, and what the double table gives nearly.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/streams.h"
#include "gomokunet/numeric.h"
#include "support/check.h"
#include "support/page.h"

/* --- Numbers -------------------------------------------------------------------------------- */

/* The largest finite number of an example: what a difference of doubles is measured by. */
static double largest(const page_example *e)
{
    double most = 0;
    for (int k = 0; k < e->fields; k++)
        for (size_t i = 0; i < e->field[k].count; i++) {
            const double size = fabs(e->field[k].number[i]);
            if (isfinite(size) && size > most)
                most = size;
        }
    return most;
}

/* Every bit for floats; doubles nearly, but the same infinities and NaNs. */
static void expect(page_example *e, const char *name, const double *got, size_t count, size_t elem)
{
    const page_field *f = page_get(e, name, count);
    float floats[PAGE_NUMBERS];
    char text[120];
    snprintf(text, sizeof text, "docs/numerics.md:%d: %s: %s", e->line, e->op, name);
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)got[i];
    if (elem == sizeof(float)) {
        same_bits(text, floats, f->real, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const double want = f->number[i];
        const bool same = isnan(want) ? isnan(got[i]) : got[i] == want;
        cr_assert(same || fabs(got[i] - want) <= 0x1p-20 * largest(e),
                  "%s[%zu]: got %a, want about %a", text, i, got[i], want);
    }
}

/* A tensor as the table holds it, from floats or doubles; and back. */
static void store(void *to, const page_field *f, size_t elem)
{
    for (size_t i = 0; i < f->count; i++)
        if (elem == sizeof(float))
            ((float *)to)[i] = f->real[i];
        else
            ((double *)to)[i] = f->number[i];
}

static void expect_array(page_example *e, const char *name, const void *got, size_t count,
                         size_t elem)
{
    double wide[PAGE_NUMBERS] = {0};
    for (size_t i = 0; i < count; i++)
        wide[i] = elem == sizeof(float) ? (double)((const float *)got)[i]
                                        : ((const double *)got)[i];
    expect(e, name, wide, count, elem);
}

/* --- Ops of the tables ---------------------------------------------------------------------- */

/* The page's names.  A gradient is "d" and the input's name. */
static const struct op_names {
    const char *op, *in[GN_MAX_IN], *out[GN_MAX_OUT];
} ops[] = {
    {"conv2d", {"x", "weight"}, {"y"}},
    {"depthwise_conv2d", {"x", "weight"}, {"y"}},
    {"linear", {"x", "weight", "bias"}, {"y"}},
    {"batch_norm", {"x", "gamma", "beta", "running_mean", "running_var"},
     {"y", "mean", "m2", "inv"}},
    {"relu", {"x"}, {"y"}},
    {"add", {"a", "b"}, {"y"}},
    {"global_avg_pool", {"x"}, {"y"}},
    {"channel_scale", {"x", "gate"}, {"y"}},
    {"flatten", {"x"}, {"y"}},
    {"sigmoid", {"x"}, {"y"}},
    {"tanh", {"x"}, {"y"}},
    {"softmax_cross_entropy", {"x", "t"}, {"loss", "p"}},
    {"mean_squared_error", {"v", "z"}, {"loss"}},
};
enum { OPS = sizeof ops / sizeof *ops };

/* What an input's gradient holds before, where the example says: then the op must add to it. */
static void set_before(page_example *e, const struct op_names *names, op_run *r)
{
    for (int i = 0; i < r->call.nin; i++) {
        char name[40];
        snprintf(name, sizeof name, "d%s_before", names->in[i]);
        const page_field *before = page_find(e, name);
        if (before == NULL)
            continue;
        op_set(r, r->call.din[i], before->real);
        r->call.add |= GN_IN(i);
    }
}

static void run_backward(page_example *e, const struct op_names *names, op_run *r)
{
    char name[32];
    double got[PAGE_NUMBERS];
    snprintf(name, sizeof name, "d%s", names->out[0]);
    const page_field *dout = page_find(e, name);
    if (dout == NULL)
        return;
    cr_assert_eq(dout->count, gn_shape_count(r->call.dout.shape), "%s: %s", e->op, name);
    op_set(r, r->call.dout, dout->real);
    set_before(e, names, r);
    op_backward(r);
    for (int i = 0; i < r->call.nin; i++) {
        const gn_tensor din = r->call.din[i];
        snprintf(name, sizeof name, "d%s", names->in[i]);
        const page_field *want = page_find(e, name);
        if (want == NULL)
            continue;
        cr_assert_not_null(din.data, "%s has no gradient %s", e->op, name);
        op_get(r, din, got);
        expect(e, name, got, gn_shape_count(din.shape), r->table->elem);
    }
}

static void run_op(page_example *e, const struct op_names *names, const gn_table *table)
{
    gn_shape shape[GN_MAX_IN];
    double got[PAGE_NUMBERS];
    int nin = 0;
    while (nin < GN_MAX_IN && names->in[nin] != NULL && page_find(e, names->in[nin]) != NULL) {
        shape[nin] = page_find(e, names->in[nin])->shape;
        nin++;
    }
    enum { NORM_INPUTS = 5 };
    const bool training = nin != NORM_INPUTS; /* without running statistics */
    for (; strcmp(e->op, "batch_norm") == 0 && nin < NORM_INPUTS; nin++)
        shape[nin] = shape[1];
    op_run r = op_open(table, e->op, nin, shape);
    for (int i = 0; i < nin; i++)
        if (page_find(e, names->in[i]) != NULL)
            op_set(&r, r.call.in[i], page_find(e, names->in[i])->real);
    if (page_find(e, "eps") != NULL)
        r.call.attr.eps = page_number(e, "eps");
    r.call.training = training;
    op_forward(&r);
    for (int j = 0; j < r.call.nout && names->out[j] != NULL; j++) {
        if (page_find(e, names->out[j]) == NULL)
            continue;
        op_get(&r, r.call.out[j], got);
        expect(e, names->out[j], got, gn_shape_count(r.call.out[j].shape), table->elem);
    }
    run_backward(e, names, &r);
    op_close(&r);
}

/* --- What follows backward ------------------------------------------------------------------ */

static void run_running(page_example *e, const gn_table *t)
{
    static const char *const names[4] = {"running_mean", "running_var", "mean", "m2"};
    double array[4][PAGE_NUMBERS];
    const size_t count = page_get(e, "mean", 0)->count;
    for (int k = 0; k < 4; k++)
        store(array[k], page_get(e, names[k], count), t->elem);
    gn_table_update(t)->running(array[0], array[1], array[2], array[3], count,
                                (size_t)page_number(e, "M"), page_number(e, "momentum"));
    expect_array(e, "new_mean", array[0], count, t->elem);
    expect_array(e, "new_var", array[1], count, t->elem);
}

static void run_clip(page_example *e, const gn_table *t)
{
    double g[PAGE_NUMBERS], work[1], sums[3], merged[3], norm;
    size_t count = 0;
    for (const char *const *name = (const char *const[]){"g0", "g1", "g2", NULL};
         *name != NULL && page_find(e, *name) != NULL; name++) {
        store(g, page_find(e, *name), t->elem);
        sums[count++] = gn_table_update(t)->sum_squares(g, page_find(e, *name)->count, work);
    }
    memcpy(merged, sums, sizeof merged);
    const double coef = gn_table_update(t)->clip(merged, count, page_number(e, "max_norm"), &norm);
    expect(e, "sums", sums, count, t->elem);
    expect(e, "norm", &norm, 1, t->elem);
    expect(e, "coef", &coef, 1, t->elem);
}

static gn_adamw adamw_of(page_example *e)
{
    const double lr = page_number(e, "lr");
    gn_adamw a = {.beta1 = page_number(e, "beta1"), .beta2 = page_number(e, "beta2"),
                  .eps = page_number(e, "eps"), .decay = 1 - lr * page_number(e, "decay")};
    double power1 = 1, power2 = 1;
    for (int step = (int)page_number(e, "step"); step > 0; step--) {
        power1 *= a.beta1;
        power2 *= a.beta2;
    }
    a.rest1 = 1 - a.beta1;
    a.rest2 = 1 - a.beta2;
    a.correction2 = __builtin_sqrt(1 - power2);
    a.rate = lr / (1 - power1);
    return a;
}

static void run_optimiser(page_example *e, const gn_table *t)
{
    const bool nesterov = strcmp(e->op, "sgd_nesterov") == 0;
    const bool sgd = nesterov || strcmp(e->op, "sgd") == 0;
    const size_t count = page_get(e, "p", 0)->count;
    const double coef = page_number(e, "coef");
    double p[PAGE_NUMBERS], m[PAGE_NUMBERS], v[PAGE_NUMBERS], g[PAGE_NUMBERS];
    store(p, page_get(e, "p", count), t->elem);
    store(g, page_get(e, "g", count), t->elem);
    store(m, page_get(e, "m", count), t->elem);
    if (sgd) {
        gn_table_update(t)->sgd(p, m, g, count, coef, page_number(e, "lr"), page_number(e, "mu"),
                                page_number(e, "decay"), nesterov);
    } else {
        const gn_adamw a = adamw_of(e);
        store(v, page_get(e, "v", count), t->elem);
        gn_table_update(t)->adamw(p, m, v, g, count, coef, &a);
        expect_array(e, "new_v", v, count, t->elem);
    }
    expect_array(e, "new_m", m, count, t->elem);
    expect_array(e, "new_p", p, count, t->elem);
}

/* --- Functions and random numbers: no table's ------------------------------------------------ */

static void run_function(page_example *e)
{
    const bool fused = strcmp(e->op, "fma") == 0;
    const page_field *x = page_get(e, fused ? "a" : "x", 0);
    float y[PAGE_NUMBERS];
    for (size_t i = 0; i < x->count; i++)
        y[i] = fused ? gn_fmaf(x->real[i], page_get(e, "b", x->count)->real[i],
                               page_get(e, "c", x->count)->real[i])
                     : (strcmp(e->op, "exp") == 0 ? gn_expf : gn_logf)(x->real[i]);
    expect_array(e, "y", y, x->count, sizeof *y);
}

static void run_philox(page_example *e)
{
    const uint64_t seed = (uint64_t)page_number(e, "seed");
    const uint64_t stream = (uint64_t)page_number(e, "stream");
    const uint64_t index = (uint64_t)page_number(e, "index");
    const page_field *bound = page_find(e, "bound");
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq((double)gn_random_u32(seed, stream, index + i),
                     page_get(e, "words", 4)->number[i], "line %d: word %d", e->line, (int)i);
        if (bound != NULL)
            cr_assert_eq(gn_random_below(seed, stream, index + i, (uint32_t)bound->number[i]),
                         page_get(e, "below", 4)->number[i], "line %d: %d", e->line, (int)i);
    }
}

static void run_initialisation(page_example *e)
{
    const uint64_t stream = gn_stream(GN_STREAM_INIT, (uint64_t)page_number(e, "parameter"));
    const float bound = (float)(1 / __builtin_sqrt(page_number(e, "fan_in")));
    const size_t count = page_get(e, "weights", 0)->count;
    float weights[PAGE_NUMBERS];
    for (uint64_t i = 0; i < count; i++)
        weights[i] = gn_random_symmetric((uint64_t)page_number(e, "seed"), stream, i) * bound;
    expect_array(e, "weights", weights, count, sizeof *weights);
}

/* --- The page ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(page_example *e, const gn_table *table);
} updates[] = {{"running_statistics", run_running}, {"clip_norm", run_clip},
               {"adamw", run_optimiser}, {"sgd", run_optimiser},
               {"sgd_nesterov", run_optimiser}};
static const struct {
    const char *name;
    void (*run)(page_example *e);
} functions[] = {{"fma", run_function}, {"exp", run_function}, {"log", run_function},
                 {"philox", run_philox}, {"initialisation", run_initialisation}};

static bool run_example(page_example *e, const gn_table *table)
{
    for (size_t i = 0; i < OPS; i++)
        if (strcmp(ops[i].op, e->op) == 0) {
            run_op(e, &ops[i], table);
            return true;
        }
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        if (strcmp(updates[i].name, e->op) == 0) {
            updates[i].run(e, table);
            return true;
        }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, e->op) == 0) {
            functions[i].run(e);
            return true;
        }
    return false;
}

static void run_page(const gn_table *table)
{
    page *p = page_open();
    for (int i = 0; i < p->examples; i++) {
        page_example *e = &p->example[i];
        cr_assert(run_example(e, table), "docs/numerics.md:%d: no op %s", e->line, e->op);
        page_all_used(e);
    }
    free(p);
}

Test(worked_examples, plain)
{
    run_page(&gn_plain);
}

Test(worked_examples, every_fast_table)
{
    static const char *const sets[] = {"avx2", "avx512", "neon", "fast"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (gn_table_named(sets[i]) != NULL)
            run_page(gn_table_named(sets[i]));
}

Test(worked_examples, double_table)
{
    run_page(&gn_double);
}

static bool has(page *p, const char *op, const char *field)
{
    for (int i = 0; i < p->examples; i++)
        if (strcmp(p->example[i].op, op) == 0 && page_find(&p->example[i], field) != NULL)
            return true;
    return false;
}

/* No op without an example, forward and backward; nor what follows backward. */
Test(worked_examples, every_op_has_one)
{
    page *p = page_open();
    for (size_t k = 0; k < gn_plain.count; k++) {
        const gn_op *op = gn_plain.row[k]->op;
        size_t i = 0;
        while (i < OPS && strcmp(ops[i].op, op->name) != 0)
            i++;
        cr_assert_lt(i, OPS, "%s", op->name);
        cr_assert(has(p, op->name, ops[i].out[0]), "no example of %s", op->name);
        for (int in = 0; in < op->max_in && in < GN_MAX_IN; in++) {
            char name[32];
            snprintf(name, sizeof name, "d%s", ops[i].in[in]);
            cr_assert((op->constant & GN_IN(in)) != 0 || has(p, op->name, name),
                      "no example of %s for %s", op->name, name);
        }
    }
    cr_assert(has(p, "batch_norm", "running_mean"));
    cr_assert(has(p, "running_statistics", "new_var") && has(p, "clip_norm", "coef") &&
              has(p, "adamw", "new_p") && has(p, "sgd", "new_p") &&
              has(p, "sgd_nesterov", "new_p"));
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        cr_assert(has(p, functions[i].name, i < 3 ? "y" : i == 3 ? "below" : "weights"));
    free(p);
}
