/* Optimisers and learning rates, worked by hand; every number here is exact in float32 unless the
 * test says how it is rounded.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "support/check.h"
#include "support/rig.h"

/* A tape of nothing but two parameters, a store, an optimiser. */
typedef struct two {
    gn_tape *tape;
    gn_store *store;
    gn_optimizer *optimizer;
    gn_value a, b;
} two;

static two two_open(size_t count_a, size_t count_b, const gn_optimizer_config *config)
{
    two t;
    gn_err err = {0};
    cr_assert_eq(gn_tape_create(&t.tape, &err), GN_OK);
    t.a = gn_tape_param(t.tape, "a", gn_shape_of(1, count_a, 0, 0, 0), GN_ZEROS, 0);
    t.b = gn_tape_param(t.tape, "b", gn_shape_of(1, count_b, 0, 0, 0), GN_ZEROS, 0);
    cr_assert_eq(gn_store_create(&t.store, t.tape, &gn_plain, true, &err), GN_OK);
    const gn_status st = gn_optimizer_create(&t.optimizer, t.tape, &gn_plain, config, &err);
    cr_assert(st == GN_OK, "%s", err.text);
    return t;
}

static void two_close(two *t)
{
    gn_optimizer_destroy(t->optimizer);
    gn_store_destroy(t->store);
    gn_tape_destroy(t->tape);
}

static void step(const two *t, double rate)
{
    gn_optimizer_measure(t->optimizer, t->store);
    gn_optimizer_step(t->optimizer, t->store, rate);
}

/* --- AdamW and SGD ---------------------------------------------------------------------------- */

/* lr .5, decay factor 1 - .5*.5 = .75.  Step 1, p = 1, g = 3: m = .5*3, v = .25*9,
 * correction sqrt(1 - .75) = .5, rate .5/.5 = 1: p = .75 - 1.5 / (1.5/.5 + 1) = .375. */
Test(optimizer, adamw_worked_by_hand)
{
    const gn_optimizer_config config = {.kind = GN_ADAMW, .beta1 = 0.5, .beta2 = 0.75, .eps = 1,
                                        .weight_decay = 0.5};
    two t = two_open(1, 17, &config);
    float *p = gn_store_data(t.store, t.a), *g = gn_store_grad(t.store, t.a);
    float *last = (float *)gn_store_data(t.store, t.b) + 16;
    float *last_g = (float *)gn_store_grad(t.store, t.b) + 16;
    *p = *last = 1;
    *g = *last_g = 3;
    step(&t, 0.5);
    same_bits("step 1", p, (float[]){0.375f}, 1);
    same_bits("step 1, the other tensor", last, (float[]){0.375f}, 1);
    same_bits("no gradient", gn_store_data(t.store, t.b), (float[16]){0}, 16);

    /* Step 2, g = 1.5: m = .75 + .75, v = .75*2.25 + .25*2.25 = 2.25; the coefficients of the step
     * are doubles rounded once: sqrt(1 - .5625) and .5 / (1 - .25). */
    *g = 1.5f;
    step(&t, 0.5);
    const float correction = (float)sqrt(0.4375), rate = (float)(0.5 / 0.75);
    const float d = 1.5f / correction + 1, q = 1.5f / d;
    same_bits("step 2", p, (float[]){gn_fmaf(-rate, q, 0.28125f)}, 1);
    two_close(&t);
}

/* lr .5, momentum .5, decay .25.  p = 2, g = 1: m = 1.5, p = 1.25; then m = .75 + 1.3125,
 * p = 1.25 - 1.03125. */
Test(optimizer, sgd_worked_by_hand)
{
    const gn_optimizer_config config = {.kind = GN_SGD, .eps = 1, .momentum = 0.5,
                                        .weight_decay = 0.25};
    two t = two_open(3, 1, &config);
    float *p = (float *)gn_store_data(t.store, t.a) + 2;
    *p = 2;
    ((float *)gn_store_grad(t.store, t.a))[2] = 1;
    step(&t, 0.5);
    same_bits("step 1", p, (float[]){1.25f}, 1);
    step(&t, 0.5);
    same_bits("step 2", p, (float[]){0.21875f}, 1);
    same_bits("the others", gn_store_data(t.store, t.a), (float[2]){0}, 2);
    two_close(&t);
}

/* The same beginning: m = 1.5, p = 2 - .5*(1.5 + .5*1.5) = .875; then g' = 1 + .25*.875 = 1.21875,
 * m = .75 + 1.21875 = 1.96875, p = .875 - .5*(1.21875 + .984375) = -.2265625. */
Test(optimizer, nesterov_worked_by_hand)
{
    const gn_optimizer_config config = {.kind = GN_SGD, .eps = 1, .momentum = 0.5,
                                        .weight_decay = 0.25, .nesterov = true};
    two t = two_open(3, 1, &config);
    float *p = (float *)gn_store_data(t.store, t.a) + 2;
    *p = 2;
    ((float *)gn_store_grad(t.store, t.a))[2] = 1;
    step(&t, 0.5);
    same_bits("step 1", p, (float[]){0.875f}, 1);
    step(&t, 0.5);
    same_bits("step 2", p, (float[]){-0.2265625f}, 1);
    same_bits("the others", gn_store_data(t.store, t.a), (float[2]){0}, 2);
    two_close(&t);
}

Test(optimizer, nesterov_needs_sgd_with_momentum)
{
    gn_optimizer_config wrong[2] = {gn_optimizer_default(), gn_optimizer_default()};
    wrong[1].kind = GN_SGD;
    wrong[1].momentum = 0;
    gn_tape *t;
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    for (int i = 0; i < 2; i++) {
        gn_optimizer *o = NULL;
        gn_err err = {0};
        wrong[i].nesterov = true;
        cr_assert_eq(gn_optimizer_create(&o, t, &gn_plain, &wrong[i], &err), GN_E_CONFIG);
        cr_assert_str_eq(err.text,
                         "optimizer: nesterov, expected sgd with momentum above 0");
    }
    gn_tape_destroy(t);
}

Test(optimizer, bytes_are_those_of_the_moments)
{
    gn_optimizer_config config = gn_optimizer_default();
    two t = two_open(17, 1, &config);
    cr_assert_eq(gn_optimizer_bytes(t.tape, &gn_plain, &config), 2 * (128 + 64));
    cr_assert_eq(gn_optimizer_bytes(t.tape, &gn_double, &config), 2 * (192 + 64));
    config.kind = GN_SGD;
    cr_assert_eq(gn_optimizer_bytes(t.tape, &gn_plain, &config), 128 + 64);
    two_close(&t);
    gn_optimizer_destroy(NULL);
}

/* --- The clip --------------------------------------------------------------------------------- */

/* Squares of 2^24 and 1, placed so that another order of addition gives another sum:
 * lanes of block 0:  lane 0 is 2^24 + 1 = 2^24; (2^24 + 1) + (1 + 1) = 2^24 + 2
 * blocks:            (2^24+2 + 1) + (1 + 1) = (2^24+4) + 2 = 2^24 + 6
 * tensors:           5 + (2^24 + 6) = 2^24 + 12 */
static void place_gradients(const two *t)
{
    float *a = gn_store_grad(t->store, t->a), *b = gn_store_grad(t->store, t->b);
    a[0] = a[1] = a[2] = a[3] = a[4] = 1;
    b[0] = 4096;
    b[16] = b[1] = b[2] = b[3] = 1;
    b[4096] = 1;
    b[8192] = b[8193] = -1;
}

enum { LONG = 8200 };
#define NORM (4096 + 0x1.8p-10) /* sqrt(2^24 + 12), rounded */

Test(optimizer, norm_worked_by_hand)
{
    const gn_optimizer_config config = {.kind = GN_SGD, .eps = 1, .clip = 1};
    two t = two_open(5, LONG, &config);
    place_gradients(&t);
    const double norm = gn_optimizer_measure(t.optimizer, t.store);
    cr_assert_eq(norm, NORM, "%.12g", norm);
    gn_optimizer_step(t.optimizer, t.store, 1);
    const float coef = 1 / 4096.00146484375f; /* 1e-6 vanishes beside the norm */
    const float *p = gn_store_data(t.store, t.b);
    same_bits("p", (float[]){p[0], p[1], p[5], p[8193]},
              (float[]){-(4096 * coef), -coef, 0, coef}, 4);
    two_close(&t);
}

Test(optimizer, clip_leaves_small_norms_alone)
{
    static const double limits[] = {0, 4097}; /* 0: no clipping */
    for (int i = 0; i < 2; i++) {
        const gn_optimizer_config config = {.kind = GN_SGD, .eps = 1, .clip = limits[i]};
        two t = two_open(5, LONG, &config);
        place_gradients(&t);
        cr_assert_eq(gn_optimizer_measure(t.optimizer, t.store), NORM);
        gn_optimizer_step(t.optimizer, t.store, 0.5);
        same_bits("p", gn_store_data(t.store, t.b), (float[]){-2048, -0.5f, -0.5f, -0.5f, 0}, 5);
        two_close(&t);
    }
}

Test(optimizer, norm_is_not_finite_where_a_gradient_is_not)
{
    const gn_optimizer_config config = gn_optimizer_default();
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    two t = two_open(5, LONG, &config);
    for (int i = 0; i < 3; i++) {
        ((float *)gn_store_grad(t.store, t.b))[LONG - 1] = bad[i];
        const double norm = gn_optimizer_measure(t.optimizer, t.store);
        cr_assert(!(norm - norm == 0), "%g", norm);
    }
    two_close(&t);
}

/* --- Configuration ---------------------------------------------------------------------------- */

Test(optimizer, every_fault_is_named_at_once)
{
    const gn_optimizer_config wrong = {.kind = (gn_optimizer_kind)2, .beta1 = 1, .beta2 = -0.5,
                                       .eps = 0, .momentum = 1.5, .weight_decay = NAN,
                                       .clip = -1};
    gn_tape *t;
    gn_optimizer *o = NULL;
    gn_err err = {0};
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    cr_assert_eq(gn_optimizer_create(&o, t, &gn_plain, &wrong, &err), GN_E_CONFIG);
    cr_assert_null(o);
    cr_assert_str_eq(err.text, "optimizer: kind (0 adamw, 1 sgd) 2, expected 0 to 1; "
                     "beta1 1, expected 0 to 0.999999; beta2 -0.5, expected 0 to 0.9999999; "
                     "eps 0, expected 1e-30 to 1; momentum 1.5, expected 0 to 0.999999; "
                     "weight-decay nan, expected 0 to 1; clip -1, expected 0 to 1e+30");
    const gn_optimizer_config d = gn_optimizer_default();
    cr_assert(d.kind == GN_ADAMW && d.beta1 == 0.9 && d.beta2 == 0.999 && d.eps == 1e-8 &&
              d.momentum == 0.9 && d.weight_decay == 1e-4 && d.clip == 1);
    gn_tape_destroy(t);
}

/* --- The learning rate ------------------------------------------------------------------------ */

static gn_rate rate_of(const char *text, double base)
{
    gn_rate r;
    gn_err err = {0};
    cr_assert(gn_rate_parse(&r, text, base, &err) == GN_OK, "%s", err.text);
    return r;
}

Test(rate, constant_and_steps)
{
    const gn_rate constant = rate_of("constant", 1e-3), steps = rate_of("step:10:0.1", 1e-3);
    cr_assert(gn_rate_at(&constant, 0) == 1e-3 && gn_rate_at(&constant, 1000000) == 1e-3);
    cr_assert(gn_rate_at(&steps, 0) == 1e-3 && gn_rate_at(&steps, 9) == 1e-3);
    cr_assert(gn_rate_at(&steps, 10) == 1e-3 * 0.1 && gn_rate_at(&steps, 19) == 1e-3 * 0.1);
    cr_assert_eq(gn_rate_at(&steps, 29), 1e-3 * 0.1 * 0.1, "by products, from the left");
    const gn_rate same = rate_of("step:1:1", 0.5);
    cr_assert_eq(gn_rate_at(&same, 1000), 0.5);
}

/* The rates of a run of `total` steps against libm's cosine. */
static double farthest_from_libm(uint64_t warmup, uint64_t total)
{
    gn_rate r = {.base = 1, .floor = 0.25, .cosine = true, .warmup = warmup};
    gn_err err = {0};
    cr_assert(gn_rate_span(&r, total, &err) == GN_OK, "%s", err.text);
    double farthest = 0, last = 1;
    for (uint64_t step = warmup; step <= total; step++) {
        const double t = (double)(step - warmup) / (double)(total - warmup);
        const double rate = gn_rate_at(&r, step);
        farthest = fmax(farthest, fabs(rate - (0.25 + 0.375 * (1 + cos(acos(-1) * t)))));
        cr_assert_leq(rate, last, "step %d: it rises", (int)step);
        last = rate;
    }
    cr_assert(gn_rate_at(&r, warmup) == 1 && last == 0.25);
    return farthest;
}

Test(rate, cosine_is_libms)
{
    static const uint64_t lengths[] = {1, 2, 3, 10, 997, 100000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint64_t warmup = 0; warmup < 20; warmup += 7) {
            const double d = farthest_from_libm(warmup, warmup + lengths[i]);
            cr_assert_lt(d, 6e-16, "%d steps: %g", (int)lengths[i], d);
        }
}

Test(rate, cosine_warms_up_and_ends)
{
    gn_rate r = rate_of("cosine:3", 1);
    cr_assert_eq(gn_rate_span(&r, 5, NULL), GN_OK);
    const double want[] = {0.25, 0.5, 0.75, 1, 0x1.0000000000001p-1, 0, 0};
    for (uint64_t step = 0; step < 7; step++)
        cr_assert_eq(gn_rate_at(&r, step), want[step], "step %d: %a", (int)step,
                     gn_rate_at(&r, step));
    gn_err err = {0};
    cr_assert_eq(gn_rate_span(&r, 3, &err), GN_E_CONFIG);
    cr_assert_str_eq(err.text, "lr-schedule cosine: 3 steps of warm-up, expected less than the "
                               "run's 3");
    r = rate_of("constant", 1);
    cr_assert_eq(gn_rate_span(&r, 0, NULL), GN_OK);
}

Test(rate, faults)
{
    static const char *const wrong[] = {
        "", "cosine", "constant ", "step", "step:", "step:10", "step:10:", "step:0:0.5",
        "step:-5:0.5", "step: 5:0.5", "step::0.5", "step:10:0", "step:10:-1", "step:10:1.5",
        "step:10:nan", "step:10:0.5x", "step:1.5:0.5", "step:99999999999999999999:0.5", "cosine:",
        "cosine:x", "cosine:-1", "cosine:5:", "cosine:5:-1e-9", "cosine:5:2e-3", "cosine:5:nan",
        "cosine:5:0x", "cosine:5:0:", "cosine5", "cosine:99999999999999999999"};
    gn_rate r;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        gn_err err = {0};
        cr_assert_eq(gn_rate_parse(&r, wrong[i], 1e-3, &err), GN_E_CONFIG, "\"%s\"", wrong[i]);
        cr_assert_not_null(strstr(err.text, "expected constant or step:N:F"), "%s", err.text);
    }
    const double bases[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        gn_err err = {0};
        cr_assert_eq(gn_rate_parse(&r, "constant", bases[i], &err), GN_E_CONFIG, "%g", bases[i]);
        cr_assert_eq(strncmp(err.text, "lr ", 3), 0, "%s", err.text);
    }
}
