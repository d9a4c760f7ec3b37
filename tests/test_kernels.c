/* The fast tables: each row gives the bits of the plain op, on chosen shapes; fuzz_exact.c looks at
 * random ones.
 *
 * The oracle of the larger shapes is the plain rows that were compiled for the same instruction set
 * (table->under): they may have a hardware fma.  That those agree with gn_plain itself is tested on
 * small shapes, op by op.  A table that this processor does not run is left out.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/draw.h"

#define S(rank, ...) {{__VA_ARGS__}, rank}

/* --- One case ------------------------------------------------------------------------------- */

static void fill_pair(gn_tensor a, gn_tensor b, values kind)
{
    const size_t count = gn_shape_count(a.shape);
    float *x = a.data, *y = b.data;
    for (size_t i = 0; i < count; i++)
        x[i] = y[i] = number(kind);
}

typedef struct op_case {
    const char *op;
    int nin;
    gn_shape in[GN_MAX_IN];
} op_case;

static void describe(char *text, size_t room, const op_case *k, const op_run *r, values kind)
{
    char x[64], w[64];
    snprintf(text, room, "%s %s %s %s threads %d add %u values %d", r->table->name, k->op,
             gn_shape_text(k->in[0], x, sizeof x),
             k->nin > 1 ? gn_shape_text(k->in[1], w, sizeof w) : "", r->call.threads,
             (unsigned)r->call.add, (int)kind);
}

static void compare(const char *text, const char *what, int index, gn_tensor got, gn_tensor want)
{
    char name[384];
    if (got.data == NULL)
        return;
    snprintf(name, sizeof name, "%s: %s %d", text, what, index);
    same_bits(name, got.data, want.data, gn_shape_count(got.shape));
}

static void one_case(const gn_table *table, const gn_table *oracle, const op_case *k, int threads,
                     uint32_t add, values kind)
{
    op_run got = op_open(table, k->op, k->nin, k->in);
    op_run want = op_open(oracle, k->op, k->nin, k->in);
    char text[300];
    got.call.threads = threads;
    want.call.threads = 1;
    got.call.add = want.call.add = add;
    describe(text, sizeof text, k, &got, kind);
    for (int i = 0; i < k->nin; i++)
        fill_pair(got.call.in[i], want.call.in[i], kind);
    fill_pair(got.call.dout, want.call.dout, kind);
    for (int i = 0; i < k->nin; i++)
        if (got.call.din[i].data != NULL)
            fill_pair(got.call.din[i], want.call.din[i], kind);
    if (strcmp(k->op, "batch_norm") == 0) /* a variance is not negative */
        for (size_t i = 0; i < gn_shape_count(k->in[4]); i++)
            ((float *)got.call.in[4].data)[i] = ((float *)want.call.in[4].data)[i] = 0.5f;

    op_forward(&got);
    op_forward(&want);
    for (int j = 0; j < got.call.nout; j++)
        compare(text, "output", j, got.call.out[j], want.call.out[j]);
    op_backward(&got);
    op_backward(&want);
    for (int i = 0; i < k->nin; i++)
        compare(text, "gradient", i, got.call.din[i], want.call.din[i]);
    op_close(&got);
    op_close(&want);
}

/* For each instruction set that runs here. */
#define EACH_TABLE(table)                                                       \
    for (size_t set_ = 0; gn_table_float(set_) != &gn_plain; set_++)            \
        for (const gn_table *table = gn_table_float(set_); table != NULL; table = NULL)

/* --- Tests ---------------------------------------------------------------------------------- */

Test(kernels, tables)
{
    cr_assert(gn_table_named("plain") == &gn_plain);
    cr_assert(gn_table_named("double") == &gn_double);
    cr_assert(gn_table_named("fast") == gn_table_fast());
    cr_assert(gn_table_named("sse9") == NULL);
    const gn_table *fast = gn_table_fast();
    cr_assert(fast->elem == sizeof(float));
    for (size_t i = 0; i < gn_plain.count; i++) {
        const gn_row *plain = gn_plain.row[i], *row = gn_table_find(fast, plain->op->name);
        cr_assert(row != NULL, "no %s", plain->op->name);
        cr_expect(row->op->reads == plain->op->reads && row->op->pinned == plain->op->pinned);
        cr_expect(row->forward_in_place == plain->forward_in_place, "%s", plain->op->name);
        cr_expect(row->backward_in_place == plain->backward_in_place, "%s", plain->op->name);
    }
    EACH_TABLE(table)
        cr_expect(gn_table_named(table->name) == table, "%s", table->name);
#if defined(__x86_64__)
    cr_expect(gn_table_named("sse2") != NULL);
    cr_expect(gn_table_named("neon") == NULL);
    cr_expect((gn_table_named("avx2") != NULL) ==
              (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
#elif defined(__aarch64__)
    cr_expect(gn_table_named("neon") == fast && gn_table_named("avx2") == NULL);
#endif
}

/* Every op, whoever computes it, against the table compiled for the baseline processor. */
static const op_case small[] = {
    {"relu", 1, {S(4, 3, 5, 5, 3)}},
    {"add", 2, {S(4, 3, 5, 5, 3), S(4, 3, 5, 5, 3)}},
    {"conv2d", 2, {S(4, 3, 4, 5, 3), S(4, 5, 3, 3, 3)}},
    {"conv2d", 2, {S(4, 5, 3, 3, 7), S(4, 18, 7, 1, 1)}},
    {"conv2d", 2, {S(4, 9, 5, 5, 7), S(4, 17, 7, 3, 3)}},
    {"conv2d", 2, {S(4, 2, 7, 6, 3), S(4, 2, 3, 5, 5)}},
    {"depthwise_conv2d", 2, {S(4, 5, 5, 4, 9), S(4, 9, 1, 3, 3)}},
    {"depthwise_conv2d", 2, {S(4, 3, 9, 9, 40), S(4, 40, 1, 3, 3)}},
    {"batch_norm", 5, {S(4, 7, 3, 5, 5), S(1, 5), S(1, 5), S(1, 5), S(1, 5)}},
    {"batch_norm", 5, {S(4, 6, 5, 5, 37), S(1, 37), S(1, 37), S(1, 37), S(1, 37)}},
    {"global_avg_pool", 1, {S(4, 5, 3, 5, 37)}},
    {"linear", 3, {S(2, 21, 67), S(2, 3, 67), S(1, 3)}},
    {"linear", 3, {S(2, 3, 300), S(2, 19, 300), S(1, 19)}},
    {"linear", 2, {S(2, 5, 9), S(2, 1, 9)}},
    {"sigmoid", 1, {S(2, 7, 19)}},
    {"tanh", 1, {S(2, 7, 19)}},
    {"channel_scale", 2, {S(4, 5, 3, 5, 21), S(2, 5, 21)}},
    {"flatten", 1, {S(4, 3, 2, 3, 5)}},
    {"softmax_cross_entropy", 2, {S(2, 7, 11), S(2, 7, 11)}},
    {"mean_squared_error", 2, {S(2, 9, 1), S(1, 9)}},
};

Test(kernels, all_ops_equal_the_plain_table)
{
    EACH_TABLE(table)
        for (size_t i = 0; i < COUNT(small); i++)
            for (int kind = 0; kind < KINDS; kind++) {
                state = i * 100 + (size_t)kind;
                one_case(table, &gn_plain, &small[i], 1 + (int)i % 3,
                         (uint32_t)kind % 3 == 1 ? 7 : 0, (values)kind);
            }
}

static const int teams[] = {1, 2, 3, 8};

/* Batches whose tree is not whole, wide enough for several panels. */
Test(kernels, conv_batches)
{
    static const size_t batches[] = {1, 5, 8, 15, 16, 17, 24, 33, 40};
    EACH_TABLE(table)
        for (size_t i = 0; i < COUNT(batches); i++)
            for (size_t K = 1; K <= 3; K += 2) {
                const op_case k = {"conv2d", 2, {S(4, batches[i], 5, 5, 55), S(4, 20, 55, K, K)}};
                state = i;
                one_case(table, table->under, &k, PICK(teams), 0, USUAL);
            }
}

/* The sizes of the network itself, one image. */
Test(kernels, conv_full_width)
{
    EACH_TABLE(table)
        for (size_t K = 1; K <= 3; K += 2) {
            const op_case k = {"conv2d", 2, {S(4, 1, 15, 15, 192), S(4, 192, 192, K, K)}};
            one_case(table, table->under, &k, 2, 2, USUAL);
        }
}

/* A gradient that nobody wants is not computed and costs the others nothing. */
Test(kernels, unwanted_gradients)
{
    static const op_case list[] = {
        {"conv2d", 2, {S(4, 5, 5, 5, 7), S(4, 18, 7, 3, 3)}},
        {"depthwise_conv2d", 2, {S(4, 5, 5, 5, 7), S(4, 7, 1, 3, 3)}},
        {"linear", 2, {S(2, 9, 7), S(2, 5, 7)}},
    };
    EACH_TABLE(table)
        for (int i = 0; i < 2 * (int)COUNT(list); i++) {
            const op_case *k = &list[i / 2];
            const int skip = i % 2;
            op_run got = op_open(table, k->op, k->nin, k->in);
            op_run want = op_open(table->under, k->op, k->nin, k->in);
            for (int j = 0; j < 2; j++)
                fill_pair(got.call.in[j], want.call.in[j], USUAL);
            fill_pair(got.call.dout, want.call.dout, USUAL);
            got.call.din[skip].data = NULL;
            op_backward(&got);
            op_backward(&want);
            compare(k->op, "gradient", !skip, got.call.din[!skip], want.call.din[!skip]);
            op_close(&got);
            op_close(&want);
        }
}
