/* Every table against the plain one, bit for bit, on random cases: any op, shape, channel tail,
 * batch, team of 1 to 33 threads, and numbers of every kind (support/draw.h).
 *
 * And on random spans (support/span_case.h): a table's fused program against the plain records.
 *
 * The tables are those that run here and, for the kernels' block sizes, three more that are
 * compiled for this test with other sizes (Makefile, BLOCKS_*).  A case is a function of the seed
 * and its number; one that fails is printed with the options that repeat it.
 *
 *     fuzz_exact [--cases N | --seconds S] [--seed S] [--first N] [--table NAME] [--triples N]
 *
 * No Criterion and nothing but the core is linked, so that it runs under emulators too.
 * SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/guard.h"
#include "gomokunet/op.h"
#include "support/draw_shapes.h"
#include "support/guarded.h"
#include "support/span_case.h"
#include "support/triples.h"

/* --- A random case -------------------------------------------------------------------------- */

typedef struct op_case {
    shapes of;
    values kind;
    uint32_t add;
    bool training;
    int threads;
} op_case;

/* One in fifty is large. */
static op_case draw_case(void)
{
    const double most = draw(50) == 0 ? 2e6 : 1e5;
    op_case k;
    do {
        k.of = draw(3) > 0 ? draw_product() : draw_other();
    } while (work_of(&k.of) > most);
    k.kind = (values)draw(KINDS);
    k.add = draw(3) == 0 ? draw_word() & 31 : 0;
    k.training = draw(4) > 0;
    k.threads = draw(3) == 0 ? 1 + (int)draw(33) : 1 + (int)draw(4);
    return k;
}

/* --- Running it ----------------------------------------------------------------------------- */

static size_t bytes_of(gn_tensor t) { return gn_shape_count(t.shape) * sizeof(float); }

static gn_tensor tensor(gn_shape shape)
{
    gn_tensor t = {NULL, shape};
    t.data = memory(bytes_of(t));
    return t;
}

static void fill(gn_tensor t, values kind)
{
    for (size_t i = 0; i < gn_shape_count(t.shape); i++)
        ((float *)t.data)[i] = number(kind);
}

typedef struct trial {
    const gn_row *row;
    gn_call call;
    bool intact;
} trial;

/* All tensors; the numbers follow from `state`, so two trials of one state have the same. */
static trial trial_open(const gn_table *table, const op_case *k, int threads)
{
    trial t = {.row = gn_table_find(table, k->of.op), .intact = true};
    gn_call *c = &t.call;
    *c = (gn_call){.op = t.row->op, .attr = {1e-5}, .nin = k->of.nin, .nout = t.row->op->nout,
                   .add = k->add, .training = k->training, .threads = threads};
    gn_err err;
    for (int i = 0; i < k->of.nin; i++) {
        c->in[i] = tensor(k->of.in[i]);
        fill(c->in[i], k->kind);
    }
    if (t.row->op->shape(c, &err) != GN_OK) {
        fprintf(stderr, "fuzz_exact: %s\n", err.text);
        exit(2);
    }
    for (int j = 0; j < c->nout; j++)
        c->out[j] = tensor(c->out[j].shape);
    c->dout = tensor(c->out[0].shape);
    fill(c->dout, k->kind);
    /* The network's first product, whichever it is, has an input that wants no gradient. */
    const int unwanted = strcmp(k->of.op, "linear") == 0 || strstr(k->of.op, "conv2d") != NULL
                             ? (int)draw(8)
                             : GN_MAX_IN;
    for (int i = 0; i < k->of.nin; i++)
        if ((t.row->op->constant & GN_IN(i)) == 0 && i != unwanted) {
            c->din[i] = tensor(k->of.in[i]);
            fill(c->din[i], k->kind);
        }
    return t;
}

static void trial_close(trial *t)
{
    for (int i = 0; i < t->call.nin; i++) {
        free(t->call.in[i].data);
        free(t->call.din[i].data);
    }
    for (int j = 0; j < t->call.nout; j++)
        free(t->call.out[j].data);
    free(t->call.dout.data);
}

static void run(trial *t, gn_pass pass)
{
    gn_call *c = &t->call;
    c->pass = pass;
    const size_t bytes = t->row->work != NULL ? t->row->work(c) : 0;
    c->work = memory(bytes);
    const gn_guard guard = gn_guard_enter(c->threads);
    if (pass == GN_BACKWARD)
        t->row->backward(c);
    else
        t->row->forward(c);
    gn_guard_leave(&guard);
    t->intact = t->intact && intact(c->work, bytes) && intact(c->dout.data, bytes_of(c->dout));
    for (int i = 0; i < c->nin; i++)
        t->intact = t->intact && intact(c->in[i].data, bytes_of(c->in[i])) &&
                    intact(c->din[i].data, bytes_of(c->din[i]));
    for (int j = 0; j < c->nout; j++)
        t->intact = t->intact && intact(c->out[j].data, bytes_of(c->out[j]));
    free(c->work);
}

/* --- Comparing ------------------------------------------------------------------------------ */

static bool same(const char *what, int index, gn_tensor got, gn_tensor want)
{
    const float *a = got.data, *b = want.data;
    for (size_t i = 0; a != NULL && i < gn_shape_count(got.shape); i++)
        if (bits_of(a[i]) != bits_of(b[i])) {
            printf("%s %d differs at %zu: got %a, want %a\n", what, index, i, (double)a[i],
                   (double)b[i]);
            return false;
        }
    return true;
}

static bool same_outputs(const char *what, const trial *got, const trial *want)
{
    bool good = true;
    for (int j = 0; j < got->call.nout; j++)
        good = same(what, j, got->call.out[j], want->call.out[j]) && good;
    return good;
}

/* Forward, a recompute of the outputs that may be dropped, backward. */
static bool compare(trial *got, trial *want)
{
    const gn_call *c = &got->call;
    bool good;
    run(got, GN_FORWARD);
    run(want, GN_FORWARD);
    good = same_outputs("output", got, want);
    for (int j = 0; j < c->nout; j++)
        if ((c->op->pinned & GN_OUT(j)) == 0)
            memset(c->out[j].data, 0xff, bytes_of(c->out[j]));
    run(got, GN_RECOMPUTE);
    good = same_outputs("recomputed output", got, want) && good;
    if (c->training || strcmp(c->op->name, "batch_norm") != 0) {
        run(got, GN_BACKWARD);
        run(want, GN_BACKWARD);
        for (int i = 0; i < c->nin; i++)
            good = same("gradient", i, c->din[i], want->call.din[i]) && good;
    }
    if (!got->intact)
        printf("written past the end of a tensor or of the workspace\n");
    return good && got->intact;
}

/* --- The tables ----------------------------------------------------------------------------- */

typedef struct candidate {
    const char *name;
    const gn_table *table;
} candidate;

#ifdef GN_HAVE_BLOCKS
extern const gn_table gn_table_small, gn_table_odd, gn_table_large;
#endif

static size_t list_tables(candidate *list, const char *only)
{
    size_t count = 0;
    for (size_t i = 0; gn_table_float(i) != NULL; i++)
        list[count++] = (candidate){gn_table_float(i)->name, gn_table_float(i)};
#ifdef GN_HAVE_BLOCKS
    list[count++] = (candidate){"small", &gn_table_small};
    list[count++] = (candidate){"odd", &gn_table_odd};
    list[count++] = (candidate){"large", &gn_table_large};
#endif
    for (size_t i = 0; only != NULL && i < count; i++)
        if (strcmp(list[i].name, only) == 0) {
            list[0] = list[i];
            return 1;
        }
    return only == NULL ? count : 0;
}

/* The plain ops, compiled for the best instruction set here (with a hardware fma they are faster);
 * every few cases as they are. */
static const gn_table *oracle(void)
{
    const gn_table *fast = gn_table_fast();
    return fast->under == NULL || draw(8) == 0 ? &gn_plain : fast->under;
}

/* Every value and gradient that the fused program has. */
static bool same_values(const char *what, const span_trial *got, const span_trial *want, bool grad)
{
    const gn_tape *t = gn_program_tape(got->program);
    bool good = true;
    for (int v = 0; v < gn_tape_values(t); v++) {
        const gn_value_info *info = gn_tape_value(t, v);
        const gn_shape shape = gn_program_shape(got->program, v);
        const bool made = info->producer != GN_NONE && info->producer < got->end;
        if (grad ? gn_program_has_grad(got->program, v) && (made || info->kind == GN_PARAM) : made)
            good = same(what, v, (gn_tensor){grad ? got->grad[v] : got->data[v], shape},
                        (gn_tensor){grad ? want->grad[v] : want->data[v], shape}) && good;
    }
    return good;
}

static uint64_t fused_records;

static bool compare_spans(span_trial *got, span_trial *want, bool training)
{
    const gn_tape *t = gn_program_tape(got->program);
    for (int k = 0; k < got->end; k++)
        fused_records += gn_tape_record_at(t, k)->op->parts > 0;
    span_run(got, GN_FORWARD);
    span_run(want, GN_FORWARD);
    bool good = same_values("value", got, want, false);
    span_run(got, GN_RECOMPUTE);
    good = same_values("recomputed value", got, want, false) && good;
    if (training) {
        span_run(got, GN_BACKWARD);
        span_run(want, GN_BACKWARD);
        good = same_values("gradient of value", got, want, true) && good;
    }
    if (!got->intact)
        printf("written past the end of a tensor or of the workspace\n");
    return good && got->intact;
}

static bool span_case_agrees(const gn_table *table, const gn_table *plain)
{
    const span_case k = draw_span_case();
    gn_value y;
    gn_tape *tape = span_tape(&k, &y);
    const uint64_t start = state;
    span_trial got = span_open(tape, &k, table, true, y);
    state = start;
    span_trial want = span_open(tape, &k, plain, false, y);
    const bool good = compare_spans(&got, &want, k.training);
    if (!good)
        printf("spans %d %d of %d, %zux%zux%zu, channels %zu %zu %zu, hidden %zu, %d threads, "
               "training %d, values %d\n", (int)k.kind[0], (int)k.kind[1], k.spans, k.N, k.H, k.W,
               k.C[0], k.C[1], k.C[2], k.hidden, k.threads, k.training, (int)k.numbers);
    span_close(&got);
    span_close(&want);
    gn_tape_destroy(tape);
    return good;
}

static bool one_case(uint64_t seed, uint64_t number, const candidate *list, size_t tables)
{
    state = seed * UINT64_C(0xd1342543de82ef95) + number;
    const gn_table *plain = oracle();
    const candidate *n = &list[draw(tables)];
    if (draw(5) == 0) {
        const bool agrees = span_case_agrees(n->table, plain);
        if (!agrees)
            printf("case %llu: table %s\nrepeat: --seed %llu --first %llu --cases 1\n",
                   (unsigned long long)number, n->name, (unsigned long long)seed,
                   (unsigned long long)number);
        return agrees;
    }
    const op_case k = draw_case();
    const uint64_t start = state;
    trial got = trial_open(n->table, &k, k.threads);
    state = start;
    trial want = trial_open(plain, &k, 1);
    const bool good = compare(&got, &want);
    if (!good) {
        char text[64];
        printf("case %llu: table %s, %s", (unsigned long long)number, n->name, k.of.op);
        for (int i = 0; i < k.of.nin; i++)
            printf(" %s", gn_shape_text(k.of.in[i], text, sizeof text));
        printf(", %d threads, add %u, training %d, values %d\nrepeat: --seed %llu --first %llu "
               "--cases 1\n", k.threads, (unsigned)k.add, k.training, (int)k.kind,
               (unsigned long long)seed, (unsigned long long)number);
    }
    trial_close(&got);
    trial_close(&want);
    return good;
}

/* --- The program ---------------------------------------------------------------------------- */

static void split_words(uint32_t r[4], uint64_t index)
{
    state = index * 5;
    for (int i = 0; i < 4; i++)
        r[i] = draw_word();
}

static int fuzz_triples(uint64_t count)
{
    if (!hardware_has_fma()) {
        printf("no hardware fma to compare with\n");
        return 0;
    }
    for (uint64_t n = 0; n * TRIPLE_LANES < count; n++) {
        float t[3];
        if (!triples_agree(t, n, split_words)) {
            printf("vector %llu: fma(%a, %a, %a) differs\n", (unsigned long long)n, (double)t[0],
                   (double)t[1], (double)t[2]);
            return 1;
        }
    }
    printf("%llu triples: fma in software and in vectors of %d as in hardware\n",
           (unsigned long long)count, TRIPLE_LANES);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t cases = 2000, seconds = 0, seed = 1, first = 0, triples = 0;
    const char *only = NULL;
    const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--cases", &cases}, {"--seconds", &seconds}, {"--seed", &seed},
                   {"--first", &first}, {"--triples", &triples}};
    for (int i = 1; i < argc; i += 2) {
        bool known = i + 1 < argc && strcmp(argv[i], "--table") == 0;
        if (known)
            only = argv[i + 1];
        for (size_t j = 0; i + 1 < argc && j < COUNT(options); j++)
            if (strcmp(argv[i], options[j].name) == 0) {
                *options[j].value = strtoull(argv[i + 1], NULL, 10);
                known = true;
            }
        if (!known) {
            fprintf(stderr, "fuzz_exact: %s: see the top of tests/fuzz_exact.c\n", argv[i]);
            return 2;
        }
    }
    if (triples > 0)
        return fuzz_triples(triples);
    candidate list[16];
    const size_t tables = list_tables(list, only);
    if (tables == 0) {
        fprintf(stderr, "fuzz_exact: no table %s here\n", only);
        return 2;
    }
    const time_t end = time(NULL) + (time_t)seconds;
    uint64_t done = 0;
    int failed = 0;
    for (; seconds > 0 ? time(NULL) < end : done < cases; done++)
        failed += !one_case(seed, first + done, list, tables);
    printf("seed %llu: %llu cases, %llu spans, %d differ; tables", (unsigned long long)seed,
           (unsigned long long)done, (unsigned long long)fused_records, failed);
    for (size_t i = 0; i < tables; i++)
        printf(" %s", list[i].name);
    printf("\n");
    return failed > 0;
}
