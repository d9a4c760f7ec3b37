/* Tapes: building, the first mistake, an op of one's own, and how gradients meet.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "gomokunet/checkpoint.h"
#include "support/check.h"

/* --- An op of one's own: y = eps * x, dx = eps * dy ------------------------------------------- */

static gn_status times_shape(gn_call *c, gn_err *err)
{
    (void)err;
    c->out[0].shape = c->in[0].shape;
    return GN_OK;
}

static void times_forward(const gn_call *c)
{
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++)
        ((float *)c->out[0].data)[i] = (float)c->attr.eps * ((const float *)c->in[0].data)[i];
}

static void times_backward(const gn_call *c)
{
    float *dx = c->din[0].data;
    for (size_t i = 0; i < gn_shape_count(c->in[0].shape); i++) {
        const float g = (float)c->attr.eps * ((const float *)c->dout.data)[i];
        dx[i] = (c->add & 1) != 0 ? dx[i] + g : g;
    }
}

static const gn_op times = {.name = "times", .min_in = 1, .max_in = 1, .nout = 1,
                            .shape = times_shape};
static const gn_row times_row = {.op = &times, .forward = times_forward,
                                 .backward = times_backward};
static const gn_row *const rows[] = {&times_row};
static const gn_table mine = {.name = "mine", .elem = sizeof(float), .row = rows, .count = 1,
                              .under = &gn_plain};

static const gn_row one_way_row = {.op = &times, .forward = times_forward};
static const gn_row *const one_way_rows[] = {&one_way_row};
static const gn_table one_way = {.name = "one way", .elem = sizeof(float), .row = one_way_rows,
                                 .count = 1, .under = &gn_plain};

static gn_value scaled(gn_tape *t, const char *name, gn_value x, double factor)
{
    return gn_tape_record(t, &mine, "times", name, (gn_attr){.eps = factor}, &x, 1);
}

/* --- Helpers ---------------------------------------------------------------------------------- */

static gn_tape *tape_new(void)
{
    gn_tape *t;
    cr_assert_eq(gn_tape_create(&t, NULL), GN_OK);
    return t;
}

static gn_shape vector(size_t n)
{
    return gn_shape_of(1, n, 0, 0, 0);
}

static gn_shape matrix(size_t n, size_t c)
{
    return gn_shape_of(2, n, c, 0, 0);
}

static void good(const gn_tape *t)
{
    gn_err err = {0};
    cr_assert(gn_tape_check(t, &err) == GN_OK, "%s", err.text);
}

/* The tape's mistake must have this status and this text in it; the tape is destroyed. */
static void mistake(gn_tape *t, gn_status status, const char *part)
{
    gn_err err = {0};
    cr_assert_eq(gn_tape_check(t, &err), status, "%s", err.text);
    cr_assert(strstr(err.text, part) != NULL, "\"%s\" does not say \"%s\"", err.text, part);
    gn_program *p = NULL;
    cr_assert_eq(gn_program_bind(&p, t, &mine, 1, 1, true, &err), status);
    cr_assert_null(p);
    gn_tape_destroy(t);
}

/* --- Building --------------------------------------------------------------------------------- */

Test(tape, holds_what_was_written)
{
    gn_tape *t = tape_new();
    const gn_value x = gn_tape_input(t, "x", gn_shape_of(4, GN_BATCH, 5, 7, 3));
    const gn_value w = gn_tape_param(t, "w", gn_shape_of(4, 8, 3, 3, 3), GN_UNIFORM, 27);
    const gn_value g = gn_tape_param(t, "g", vector(8), GN_ONES, 0);
    const gn_value b = gn_tape_param(t, "b", vector(8), GN_ZEROS, 0);
    const gn_value m = gn_tape_buffer(t, "m", vector(8), GN_ZEROS);
    const gn_value v = gn_tape_buffer(t, "v", vector(8), GN_ONES);
    gn_tape_stage(t, "first");
    const gn_value y = gn_tape_conv2d(t, "conv", x, w);
    gn_tape_stage(t, "second");
    const gn_value z = gn_tape_batch_norm(t, "bn", y, g, b, m, v, 0.5);
    const gn_value f = gn_tape_flatten(t, "flat", gn_tape_relu(t, "relu", z));
    good(t);

    cr_assert_eq(gn_tape_values(t), 13); /* 6 named, conv, bn with three more, relu, flat */
    cr_assert_eq(gn_tape_records(t), 4);
    cr_assert_eq(gn_tape_stages(t), 2);
    cr_assert_eq(gn_tape_parameters(t), 8 * 27 + 16);
    cr_assert_str_eq(gn_tape_stage_name(t, 1), "second");
    cr_assert_eq(gn_tape_find(t, "bn"), z);
    cr_assert_eq(gn_tape_find(t, "nothing"), GN_NONE);
    cr_assert_eq(gn_tape_loss_value(t), GN_NONE);
    char text[64];
    cr_assert_str_eq(gn_shape_text(gn_tape_value(t, z)->shape, text, sizeof text), "[N,5,7,8]");
    cr_assert_str_eq(gn_shape_text(gn_tape_value(t, f)->shape, text, sizeof text), "[N,280]");

    const gn_record *r = gn_tape_record_at(t, 1);
    cr_assert_str_eq(r->op->name, "batch_norm");
    cr_assert_eq(r->attr.eps, 0.5);
    cr_assert(r->stage == 1 && r->nin == 5 && r->nout == 4 && r->in[0] == y && r->out[0] == z);
    const gn_value_info *mean = gn_tape_value(t, r->out[1]);
    cr_assert_str_eq(mean->name, "bn:1");
    cr_assert(mean->pinned && mean->producer == 1 && mean->kind == GN_ACTIVATION);
    cr_assert(!gn_tape_value(t, z)->pinned);
    gn_tape_pin(t, z);
    cr_assert(gn_tape_value(t, z)->pinned);
    gn_tape_destroy(t);
    gn_tape_destroy(NULL);
}

Test(tape, records_before_any_stage_stand_in_one)
{
    gn_tape *t = tape_new();
    gn_tape_relu(t, "y", gn_tape_input(t, "x", vector(3)));
    good(t);
    cr_assert_eq(gn_tape_stages(t), 1);
    cr_assert_str_eq(gn_tape_stage_name(t, 0), "all");
    gn_tape_destroy(t);
}

/* --- Mistakes --------------------------------------------------------------------------------- */

Test(tape, the_first_mistake_stays)
{
    gn_tape *t = tape_new();
    const gn_value x = gn_tape_input(t, "x", matrix(GN_BATCH, 3));
    const gn_value w = gn_tape_param(t, "w", matrix(2, 4), GN_UNIFORM, 4);
    cr_assert_eq(gn_tape_linear(t, "fc", x, w, GN_NONE), GN_NONE);
    const int values = gn_tape_values(t), records = gn_tape_records(t);
    cr_assert_eq(gn_tape_relu(t, "later", x), GN_NONE);
    cr_assert_eq(gn_tape_input(t, "x", vector(1)), GN_NONE); /* a second mistake */
    gn_tape_loss(t, x);
    gn_tape_pin(t, GN_NONE);
    gn_tape_stage(t, "later");
    cr_assert_eq(gn_tape_values(t), values);
    cr_assert_eq(gn_tape_records(t), records);
    mistake(t, GN_E_SHAPE, "fc: linear: input [N,3] and weight [2,4]");
}

Test(tape, a_name_is_taken_once)
{
    gn_tape *t = tape_new();
    gn_tape_input(t, "x", vector(1));
    cr_assert_eq(gn_tape_param(t, "x", vector(1), GN_ZEROS, 0), GN_NONE);
    mistake(t, GN_E_CONFIG, "the name x is taken");

    t = tape_new();
    const gn_value y = gn_tape_relu(t, "y", gn_tape_input(t, "x", vector(1)));
    cr_assert_eq(gn_tape_relu(t, "y", y), GN_NONE);
    cr_assert_eq(gn_tape_records(t), 1);
    mistake(t, GN_E_CONFIG, "the name y is taken");
}

Test(tape, inputs_must_be_values_of_it)
{
    gn_tape *t = tape_new();
    gn_tape_relu(t, "y", 5);
    mistake(t, GN_E_CONFIG, "y (relu): input 0 is no value");

    t = tape_new();
    const gn_value x = gn_tape_input(t, "x", vector(1));
    gn_tape_add(t, "y", x, GN_NONE);
    mistake(t, GN_E_CONFIG, "y (add): input 1 is no value");

    t = tape_new();
    const gn_value one = gn_tape_input(t, "x", vector(1));
    gn_tape_record(t, &mine, "add", "y", (gn_attr){0}, &one, 1);
    mistake(t, GN_E_CONFIG, "y (add) has 1 inputs, expected 2 to 2");
}

Test(tape, ops_and_losses_must_make_sense)
{
    gn_tape *t = tape_new();
    const gn_value x = gn_tape_input(t, "x", vector(4));
    gn_tape_record(t, &mine, "softplus", "y", (gn_attr){0}, &x, 1);
    mistake(t, GN_E_CONFIG, "y: no op softplus in table mine");

    t = tape_new();
    gn_tape_loss(t, gn_tape_input(t, "x", vector(4)));
    mistake(t, GN_E_SHAPE, "the loss must be a value of one element");

    t = tape_new();
    gn_tape_loss(t, GN_NONE);
    mistake(t, GN_E_SHAPE, "the loss must be a value of one element");
}

/* --- Binding ---------------------------------------------------------------------------------- */

/* loss = times(p), one element. */
static gn_tape *smallest(void)
{
    gn_tape *t = tape_new();
    gn_tape_loss(t, scaled(t, "y", gn_tape_param(t, "p", vector(1), GN_ONES, 0), 3));
    good(t);
    return t;
}

static void refused(const gn_tape *t, const gn_table *table, size_t batch, int threads,
                    const char *part)
{
    gn_err err = {0};
    gn_program *p = NULL;
    cr_assert_eq(gn_program_bind(&p, t, table, batch, threads, true, &err), GN_E_CONFIG);
    cr_assert(strstr(err.text, part) != NULL, "\"%s\" does not say \"%s\"", err.text, part);
    cr_assert_null(p);
}

Test(program, refuses_what_it_cannot_run)
{
    gn_tape *t = smallest();
    refused(t, &gn_plain, 1, 1, "y: table plain has no row for times");
    refused(t, &one_way, 1, 1, "y: table one way has no backward for times");
    refused(t, &mine, 0, 1, "batch 0");
    refused(t, &mine, 1, 0, "threads 0");
    gn_program *p = NULL; /* without training nobody asks for the backward */
    cr_assert_eq(gn_program_bind(&p, t, &one_way, 1, 1, false, NULL), GN_OK);
    gn_program_destroy(p);
    gn_program_destroy(NULL);
    gn_tape_destroy(t);
}

Test(program, binds_shapes_to_the_batch)
{
    gn_tape *t = tape_new();
    const gn_value x = gn_tape_input(t, "x", matrix(GN_BATCH, 3));
    const gn_value w = gn_tape_param(t, "w", matrix(2, 3), GN_UNIFORM, 3);
    const gn_value y = gn_tape_linear(t, "y", x, w, GN_NONE);
    gn_program *p;
    cr_assert_eq(gn_program_bind(&p, t, &gn_double, 7, 2, true, NULL), GN_OK);
    cr_assert(gn_shape_equal(gn_program_shape(p, y), matrix(7, 2)));
    cr_assert_eq(gn_program_bytes(p, x), 7 * 3 * sizeof(double));
    cr_assert(!gn_program_has_grad(p, w), "a tape without a loss has no gradients");
    cr_assert(gn_program_batch(p) == 7 && gn_program_threads(p) == 2 && gn_program_training(p));
    gn_program_destroy(p);
    gn_tape_destroy(t);
}

/* --- Running: how gradients meet -------------------------------------------------------------- */

/* Runs the tape under "none" with poisoned gradients; the gradient of each parameter into grad. */
static void run(const gn_tape *t, bool debug, const char *const *params, float *grad, int count)
{
    gn_err err = {0};
    gn_program *p;
    gn_store *s;
    gn_pool *pool;
    gn_engine *e;
    gn_schedule none;
    cr_assert(gn_program_bind(&p, t, &mine, 1, 1, true, &err) == GN_OK, "%s", err.text);
    cr_assert_eq(gn_store_create(&s, t, &mine, true, &err), GN_OK);
    gn_store_init(s, 1);
    cr_assert_eq(gn_pool_create(&pool, &err), GN_OK);
    cr_assert_eq(gn_schedule_create(&none, "none", gn_tape_stages(t), &err), GN_OK);
    cr_assert_eq(gn_engine_create(&e, p, &none, s, pool, &err), GN_OK);
    gn_engine_debug(e, debug);
    for (int i = 0; i < count; i++)
        *(float *)gn_store_grad(s, gn_tape_find(t, params[i])) = NAN;
    cr_assert(gn_engine_run(e, &err) == GN_OK, "%s", err.text);
    for (int i = 0; i < count; i++)
        grad[i] = *(float *)gn_store_grad(s, gn_tape_find(t, params[i]));
    gn_engine_destroy(e);
    gn_schedule_free(&none);
    gn_pool_destroy(pool);
    gn_store_destroy(s);
    gn_program_destroy(p);
}

/* x = 1*p has three consumers, with factors that tell the order of addition: in reverse tape order
 * (1 + 2^24) - 2^24 is 0, in tape order (-2^24 + 2^24) + 1 is 1. */
static gn_tape *three_consumers(bool of_param)
{
    gn_tape *t = tape_new();
    const gn_value p = gn_tape_param(t, "p", vector(1), GN_ONES, 0);
    const gn_value x = of_param ? p : scaled(t, "x", p, 1);
    const gn_value a = scaled(t, "a", x, -0x1p24);
    const gn_value b = scaled(t, "b", x, 0x1p24);
    const gn_value c = scaled(t, "c", x, 1);
    gn_tape_loss(t, gn_tape_add(t, "loss", gn_tape_add(t, "ab", a, b), c));
    good(t);
    return t;
}

Test(program, gradients_meet_in_reverse_tape_order)
{
    for (int of_param = 0; of_param < 2; of_param++) {
        gn_tape *t = three_consumers(of_param != 0);
        const int first = of_param != 0 ? 0 : 1;
        gn_program *p;
        cr_assert_eq(gn_program_bind(&p, t, &mine, 1, 1, true, NULL), GN_OK);
        cr_assert(gn_program_adds(p, first, 0));
        cr_assert(gn_program_adds(p, first + 1, 0));
        cr_assert(!gn_program_adds(p, first + 2, 0), "the last consumer comes first: it stores");
        gn_program_destroy(p);
        float grad;
        for (int debug = 0; debug < 2; debug++) { /* debug poisons the gradient of x */
            run(t, debug != 0, (const char *const[]){"p"}, &grad, 1);
            same_bits("dp", &grad, &(float){0}, 1);
        }
        gn_tape_destroy(t);
    }
}

Test(program, one_value_twice_in_a_record)
{
    gn_tape *t = tape_new();
    const gn_value x = scaled(t, "x", gn_tape_param(t, "p", vector(1), GN_ONES, 0), 5);
    gn_tape_loss(t, gn_tape_add(t, "loss", x, x));
    float grad;
    run(t, true, (const char *const[]){"p"}, &grad, 1);
    same_bits("dp", &grad, &(float){10}, 1);
    gn_tape_destroy(t);
}

Test(program, what_the_loss_does_not_need_gets_no_gradient)
{
    gn_tape *t = tape_new();
    const gn_value x = gn_tape_input(t, "x", vector(1));
    const gn_value p = gn_tape_param(t, "p", vector(1), GN_ONES, 0);
    const gn_value q = gn_tape_param(t, "q", vector(1), GN_ONES, 0);
    const gn_value fed = scaled(t, "fed", x, 2);      /* depends on no parameter */
    const gn_value y = scaled(t, "y", p, 3);
    const gn_value side = scaled(t, "side", q, 4);    /* does not reach the loss */
    const gn_value side_y = scaled(t, "side_y", y, 4);
    gn_tape_loss(t, gn_tape_add(t, "loss", y, fed));
    good(t);
    gn_program *program;
    cr_assert_eq(gn_program_bind(&program, t, &mine, 1, 1, true, NULL), GN_OK);
    const gn_value without[] = {x, q, fed, side, side_y};
    for (int i = 0; i < 5; i++)
        cr_assert(!gn_program_has_grad(program, without[i]), "value %d", without[i]);
    cr_assert(gn_program_has_grad(program, p) && gn_program_has_grad(program, y));
    const bool back[] = {false, true, false, false, true};
    for (int k = 0; k < 5; k++)
        cr_assert_eq(gn_program_has_backward(program, k), back[k], "record %d", k);
    gn_program_destroy(program);
    float grad[2];
    run(t, true, (const char *const[]){"p", "q"}, grad, 2);
    same_bits("dp", grad, &(float){3}, 1);
    cr_assert(isnan(grad[1]), "nobody writes the gradient of q");
    gn_tape_destroy(t);
}
