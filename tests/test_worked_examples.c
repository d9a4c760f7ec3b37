/* The worked examples of docs/numerics.md, section 19: the page and the plain ops agree.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/streams.h"
#include "gomokunet/numeric.h"
#include "gomokunet/train.h"
#include "support/check.h"

#define F(...) ((const float[]){__VA_ARGS__})

static gn_shape row(size_t n)
{
    return gn_shape_of(2, 1, n, 0, 0);
}

/* The tree's leaves are the images of a loss: with z = 0 and v = 1 or 2^-12, d*d is 1 or 2^-24.
 * The division by 5 that follows is undone by comparing quotients. */
Test(worked_examples, tree)
{
    const gn_shape five = gn_shape_of(1, 5, 0, 0, 0);
    op_run r = op_open(&gn_plain, "mean_squared_error", 2, (gn_shape[]){five, five});
    op_set(&r, r.call.in[0], F(1, 0x1p-12f, 0x1p-12f, 0x1p-12f, 0x1p-12f));
    op_set(&r, r.call.in[1], F(0, 0, 0, 0, 0));
    op_forward(&r);
    op_expect(&r, "loss", r.call.out[0], F(0x1.000004p+0f / 5));
    op_close(&r);
}

Test(worked_examples, chain_of_fma)
{
    const gn_shape x = gn_shape_of(4, 1, 1, 1, 3), w = gn_shape_of(4, 1, 3, 1, 1);
    op_run r = op_open(&gn_plain, "conv2d", 2, (gn_shape[]){x, w});
    op_set(&r, r.call.in[0], F(0x1.99999ap-4f, 0x1.99999ap-3f, 0x1.333334p-2f));
    op_set(&r, r.call.in[1], F(0x1.333334p-2f, 0x1.99999ap-3f, 0x1.99999ap-4f));
    op_forward(&r);
    op_expect(&r, "y", r.call.out[0], F(0x1.99999ap-4f));
    op_close(&r);
}

/* The statistics of so many images of the example. */
static op_run normalise(size_t first, size_t images)
{
    static const float x[] = {0x1.99999ap-4f, 0x1.99999ap-3f,  0x1.99999ap-2f,
                              0x1.666666p-1f, -0x1.19999ap+0f, 0x1.ccccccp-1f};
    const gn_shape map = gn_shape_of(4, images, 1, 2, 1), one = gn_shape_of(1, 1, 0, 0, 0);
    op_run r = op_open(&gn_plain, "batch_norm", 5, (gn_shape[]){map, one, one, one, one});
    op_set(&r, r.call.in[0], x + 2 * first);
    op_set(&r, r.call.in[1], F(1.5f));
    op_set(&r, r.call.in[2], F(0.25f));
    op_forward(&r);
    return r;
}

static void has_statistics(size_t first, size_t images, float mean, float m2)
{
    op_run r = normalise(first, images);
    op_expect(&r, "mean", r.call.out[1], &mean);
    op_expect(&r, "m2", r.call.out[2], &m2);
    op_close(&r);
}

Test(worked_examples, batch_norm)
{
    has_statistics(0, 1, 0x1.333334p-3f, 0x1.47ae14p-8f);
    has_statistics(1, 1, 0x1.19999ap-1f, 0x1.70a3d4p-5f);
    has_statistics(2, 1, -0x1.9999ap-4f, 0x1p+1f);
    has_statistics(0, 2, 0x1.666668p-2f, 0x1.ae147cp-3f);
    has_statistics(0, 3, 0x1.99999ap-3f, 0x1.3d70a4p+1f);

    op_run r = normalise(0, 3);
    op_set(&r, r.call.dout, F(0x1p+0f, 0x1p-1f, -0x1p-2f, 0x1.99999ap-4f, 0x1.333334p-2f,
                              -0x1.666666p-1f));
    op_backward(&r);
    op_expect(&r, "inv", r.call.out[3], F(0x1.8e2f44p+0f));
    op_expect(&r, "y", r.call.out[0], F(0x1.116d62p-6f, 0x1p-2f, 0x1.6ee92ap-1f, 0x1.6aa374p+0f,
                                        -0x1.643ae4p+1f, 0x1.e21808p+0f));
    op_expect(&r, "dbeta", r.call.din[2], F(0x1.e66668p-1f));
    op_expect(&r, "dgamma", r.call.din[1], F(-0x1.863892p+0f));
    op_expect(&r, "dx", r.call.din[0], F(0x1.df1b4cp+0f, 0x1.9823a6p-1f, -0x1.895ec6p-1f,
                                         0x1.4caa5ap-2f, -0x1.bc6922p-1f, -0x1.5b73c2p+0f));

    float mean = 0, var = 1;
    gn_table_update(&gn_plain)->running(&mean, &var, r.call.out[1].data, r.call.out[2].data, 1, 6,
                                        0.1);
    same_bits("running", F(mean, var), F(0x1.47ae16p-6f, 0x1.e631f8p-1f), 2);
    op_close(&r);
}

Test(worked_examples, softmax)
{
    op_run r = op_open(&gn_plain, "softmax_cross_entropy", 2, (gn_shape[]){row(3), row(3)});
    op_set(&r, r.call.in[0], F(0.5f, -1, 2));
    op_set(&r, r.call.in[1], F(0, 0.25f, 0.75f));
    op_set(&r, r.call.dout, F(1));
    op_forward(&r);
    op_backward(&r);
    const float e[3] = {gn_expf(-1.5f), gn_expf(-3), gn_expf(0)}, sum = e[0] + e[1] + e[2];
    same_bits("e, sum, log", F(e[0], e[1], e[2], sum, gn_logf(sum)),
              F(0x1.c8f878p-3f, 0x1.97db0cp-5f, 1, 0x1.45dde8p+0f, 0x1.ee34a2p-3f), 5);
    op_expect(&r, "loss", r.call.out[0], F(0x1.fb8d28p-1f));
    op_expect(&r, "p", r.call.out[1], F(0x1.66fea6p-3f, 0x1.406902p-5f, 0x1.9239c6p-1f));
    op_expect(&r, "dx", r.call.din[0], F(0x1.66fea6p-3f, -0x1.afe5cp-3f, 0x1.239c6p-5f));
    op_close(&r);
}

Test(worked_examples, sigmoid)
{
    const gn_shape one = row(1);
    op_run r = op_open(&gn_plain, "sigmoid", 1, &one);
    op_set(&r, r.call.in[0], F(0x1.99999ap-4f));
    op_set(&r, r.call.dout, F(1));
    op_forward(&r);
    op_backward(&r);
    op_expect(&r, "s", r.call.out[0], F(0x1.0cca12p-1f));
    op_expect(&r, "dx", r.call.din[0], F(0x1.feb8dep-3f));
    op_close(&r);
}

Test(worked_examples, clip)
{
    const gn_update *update = gn_table_update(&gn_plain);
    float g[40], work[1];
    double norm, sum = update->sum_squares(F(3, 4), 2, work);
    const float coef = (float)update->clip(&sum, 1, 1.0, &norm);
    same_bits("norm, coef", F((float)norm, coef), F(5, 0x1.999994p-3f), 2);
    for (int i = 0; i < 40; i++)
        g[i] = (float)(i + 1) * 0x1.99999ap-4f;
    same_bits("sum", F((float)update->sum_squares(g, 40, work)), F(0x1.baccccp+7f), 1);
}

Test(worked_examples, optimisers)
{
    const gn_update *update = gn_table_update(&gn_plain);
    const gn_adamw first = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1 - 1e-3 * 1e-4,
                            .rest1 = 1 - 0.9, .rest2 = 1 - 0.999,
                            .correction2 = __builtin_sqrt(1 - 0.999), .rate = 1e-3 / (1 - 0.9)};
    const float g = 0x1.99999ap-4f;
    same_bits("c0 .. c4", F((float)first.decay, (float)first.rest1, (float)first.rest2,
                            (float)first.correction2, (float)first.rate),
              F(0x1.fffffcp-1f, 0x1.99999ap-4f, 0x1.0624dep-10f, 0x1.030dc4p-5f, 0x1.47ae14p-7f),
              5);
    float p = 0.5f, m = 0, v = 0;
    update->adamw(&p, &m, &v, &g, 1, 1, &first);
    same_bits("AdamW m, v, p", F(m, v, p), F(0x1.47ae16p-7f, 0x1.4f8b5ap-17f, 0x1.fef9d8p-2f), 3);

    p = 0.5f;
    m = 0.25f;
    update->sgd(&p, &m, &g, 1, 0.5, 0.1, 0.9, 1e-4, false);
    same_bits("SGD m, p", F(m, p), F(0x1.19a6b4p-2f, 0x1.e3d5bap-2f), 2);
    p = 0.5f;
    m = 0.25f;
    update->sgd(&p, &m, &g, 1, 0.5, 0.1, 0.9, 1e-4, true);
    same_bits("Nesterov m, p", F(m, p), F(0x1.19a6b4p-2f, 0x1.e186bap-2f), 2);
}

Test(worked_examples, cosine)
{
    static const struct {
        uint64_t step;
        double rate;
    } want[] = {{0, 0x1.7d4ce4a19b16fp-14},  {9, 0x1.dca01dca01dcap-11},
                {10, 0x1.0624dd2f1a9fcp-10}, {11, 0x1.0610a0c168692p-10},
                {40, 0x1.8a86d71f36263p-11}, {70, 0x1.0e0221426fe71p-12},
                {99, 0x1.59a98f6751dd5p-17}, {100, 0x1.4f8b588e368f1p-17}};
    gn_rate r;
    cr_assert_eq(gn_rate_parse(&r, "cosine:10:1e-5", 1e-3, NULL), GN_OK);
    cr_assert_eq(gn_rate_span(&r, 100, NULL), GN_OK);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_assert(gn_rate_at(&r, want[i].step) == want[i].rate, "step %d: %a",
                  (int)want[i].step, gn_rate_at(&r, want[i].step));
}

Test(worked_examples, initialisation)
{
    const uint64_t stream = gn_stream(GN_STREAM_INIT, 0);
    static const uint32_t words[4] = {0x98fe481f, 0x93ef27a5, 0x9d4d2358, 0x6d49ffb5};
    const float bound = (float)(1 / __builtin_sqrt(45.0));
    float weight[4];
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert(gn_random_u32(1, stream, i) == words[i], "word %d", (int)i);
        weight[i] = gn_random_symmetric(1, stream, i) * bound;
    }
    same_bits("bound", &bound, F(0x1.314c3ep-3f), 1);
    same_bits("weights", weight,
              F(0x1.dce656p-6f, 0x1.7c5dd4p-6f, 0x1.178d06p-5f, -0x1.65069cp-6f), 4);
}
