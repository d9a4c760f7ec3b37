/* Computing as a machine that flushes denormals does; see flush.h.
 *
 * The library's guard makes denormals live, whatever its host does, and no option changes that.
 * Here the processor's flags are set inside of it, around each single op, and not for the engine
 * between them. SPDX-License-Identifier: MIT */
#include "golden/flush.h"

#include <string.h>

#if defined(__SSE__)

#include <xmmintrin.h>

enum { CAN_FLUSH = 1 };
typedef unsigned flags;
static const flags flushing = 0x8040; /* results; inputs */
static flags get(void)
{
    return _mm_getcsr();
}
static void set(flags to)
{
    _mm_setcsr(to);
}

#elif defined(__aarch64__)

enum { CAN_FLUSH = 1 };
typedef uint64_t flags;
static const flags flushing = 1 << 24;
static flags get(void)
{
    flags now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    return now;
}
static void set(flags to)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(to) : "memory");
}

#else

enum { CAN_FLUSH = 0 };
typedef int flags;
static const flags flushing = 0;
static flags get(void)
{
    return 0;
}
static void set(flags to)
{
    (void)to;
}

#endif

/* For the whole team, and once more for this thread: src/base/guard.c says why. */
static void set_team(flags to)
{
#pragma omp parallel
    set(to);
    set(to);
}

static flags begin(void)
{
    const flags before = get();
    set_team(before | flushing);
    return before;
}

static void end(flags before)
{
    set_team(before);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void forward(const gn_call *c)
{
    const gn_row *row = gn_table_find(gn_table_fast(), c->op->name);
    const flags before = begin();
    row->forward(c);
    end(before);
}

static void backward(const gn_call *c)
{
    const gn_row *row = gn_table_find(gn_table_fast(), c->op->name);
    const flags before = begin();
    row->backward(c);
    end(before);
}

/* --- Updates ---------------------------------------------------------------------------------- */

static const gn_update *real(void)
{
    return gn_table_update(gn_table_fast());
}

static double sum_squares(const void *gradient, size_t count, void *work)
{
    const flags before = begin();
    const double sum = real()->sum_squares(gradient, count, work);
    end(before);
    return sum;
}

static double clip(double *sums, size_t count, double max_norm, double *norm)
{
    const flags before = begin();
    const double factor = real()->clip(sums, count, max_norm, norm);
    end(before);
    return factor;
}

static void add(void *to, const void *from, size_t count, double scale)
{
    const flags before = begin();
    real()->add(to, from, count, scale);
    end(before);
}

static void adamw(void *param, void *first, void *second, const void *gradient, size_t count,
                  double coef, const gn_adamw *a)
{
    const flags before = begin();
    real()->adamw(param, first, second, gradient, count, coef, a);
    end(before);
}

static void sgd(void *param, void *velocity, const void *gradient, size_t count, double coef,
                double rate, double momentum, double decay, bool nesterov)
{
    const flags before = begin();
    real()->sgd(param, velocity, gradient, count, coef, rate, momentum, decay, nesterov);
    end(before);
}

static void running(void *running_mean, void *running_var, const void *mean, const void *m2,
                    size_t channels, size_t count, double momentum)
{
    const flags before = begin();
    real()->running(running_mean, running_var, mean, m2, channels, count, momentum);
    end(before);
}

static const gn_update updates = {sum_squares, clip, add, adamw, sgd, running};

gn_status gn_flush_make(gn_flush *out, gn_err *err)
{
    size_t count = 0;
    if (!CAN_FLUSH)
        return gn_fail(err, GN_E_PLATFORM, "flush: this processor's flags are not known");
    for (const gn_table *t = gn_table_fast(); t != NULL; t = t->under)
        for (size_t i = 0; i < t->count; i++) {
            bool known = false; /* the first table that has a row counts */
            for (size_t k = 0; k < count; k++)
                known = known || strcmp(out->row[k].op->name, t->row[i]->op->name) == 0;
            if (known)
                continue;
            if (count == GN_FLUSH_ROWS)
                return gn_fail(err, GN_E_CONFIG, "flush: more than %d rows", GN_FLUSH_ROWS);
            out->row[count] = *t->row[i];
            out->row[count].forward = forward;
            out->row[count].backward = backward;
            out->list[count] = &out->row[count];
            count++;
        }
    out->table = (gn_table){.name = "flush",
                            .elem = sizeof(float),
                            .row = out->list,
                            .count = count,
                            .update = &updates};
    return GN_OK;
}

/* --- Twice ------------------------------------------------------------------------------------ */

static gn_status digest(char hex[65], gn_golden_walk walk, const gn_golden *golden, gn_err *err)
{
    gn_sink *sink;
    gn_status st = gn_sink_open(&sink, NULL, err);
    if (st != GN_OK)
        return st;
    st = walk(sink, golden, NULL, err);
    if (st == GN_OK)
        return gn_sink_digest(sink, hex, err);
    gn_sink_abandon(sink);
    return st;
}

gn_status gn_flush_safe(const char **out, gn_golden_walk walk, const gn_golden *golden, gn_err *err)
{
    gn_flush flush;
    gn_golden once = *golden;
    char living[65], flushed[65];
    once.progress = NULL;
    gn_status st = gn_flush_make(&flush, err);
    if (st == GN_OK)
        st = digest(living, walk, &once, err);
    once.session.table = &flush.table;
    if (st == GN_OK)
        st = digest(flushed, walk, &once, err);
    if (st == GN_OK)
        *out = strcmp(living, flushed) == 0 ? "yes" : "no";
    return st;
}
