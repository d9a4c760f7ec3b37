/* A session: network, memory, optimiser; and one training step with it.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"
#include "base/threads.h"
#include "gomokunet/io.h"
#include "train/running.h"
#include "train/session.h"

gn_session_config gn_session_default(void)
{
    return (gn_session_config){.table = gn_table_fast(), .batch = 64,
                               .threads = gn_threads_available(), .seed = 1,
                               .optimizer = gn_optimizer_default()};
}

static gn_status bind(gn_program **out, const gn_net *net, const gn_session_config *c, gn_err *err)
{
    return (c->unfused ? gn_program_bind : gn_program_fuse)(out, net->tape, c->table, c->batch,
                                                            c->threads, true, err);
}

/* --- Memory -------------------------------------------------------------------------------- */

static size_t parts_of(const gn_session_config *c)
{
    return c->accumulate > 1 ? c->accumulate : 1;
}

static gn_memory sum_memory(gn_memory m, const gn_session_config *c)
{
    m.gradients *= parts_of(c) > 1 ? 2 : 1;
    m.total = m.parameters + m.gradients + m.optimizer + m.activations;
    return m;
}

gn_status gn_session_predict(gn_memory *out, const gn_net *net, const gn_session_config *config,
                             gn_err *err)
{
    gn_program *program = NULL;
    gn_schedule schedule = {0};
    gn_plan plan = {0};
    gn_usage usage = {0};
    gn_status st = bind(&program, net, config, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, net, config->policy, err);
    if (st == GN_OK) st = gn_plan_create(&plan, program, &schedule, err);
    if (st == GN_OK) st = gn_plan_measure(&plan, &usage, err);
    *out = (gn_memory){.optimizer = gn_optimizer_bytes(net->tape, config->table,
                                                       &config->optimizer),
                       .saved = usage.saved, .activations = usage.peak};
    gn_store_sizes(net->tape, config->table, &out->parameters, &out->gradients);
    *out = sum_memory(*out, config);
    gn_plan_free(&plan);
    gn_schedule_free(&schedule);
    gn_program_destroy(program);
    return st;
}

gn_memory gn_session_memory(const gn_session *s)
{
    const gn_usage usage = gn_engine_measured(s->engine);
    return sum_memory((gn_memory){
        .parameters = gn_store_data_bytes(s->store), .gradients = gn_store_grad_bytes(s->store),
        .optimizer = gn_optimizer_bytes(s->net->tape, s->config.table, &s->config.optimizer),
        .saved = usage.saved, .activations = usage.peak}, &s->config);
}

/* --- Building ------------------------------------------------------------------------------ */

static gn_status build(gn_session *s, gn_err *err)
{
    const gn_session_config *c = &s->config;
    gn_schedule schedule = {0};
    gn_status st = gn_net_schedule(&schedule, s->net, c->policy, err);
    s->recomputes = st == GN_OK && gn_schedule_recomputes(&schedule);
    if (st == GN_OK) st = gn_store_create(&s->store, s->net->tape, c->table, true, err);
    if (st == GN_OK) st = bind(&s->program, s->net, c, err);
    if (st == GN_OK) st = gn_pool_create(&s->pool, err);
    if (st == GN_OK)
        st = gn_engine_create(&s->engine, s->program, &schedule, s->store, s->pool, err);
    if (st == GN_OK)
        st = gn_optimizer_create(&s->optimizer, s->net->tape, c->table, &c->optimizer, err);
    if (st == GN_OK && parts_of(c) > 1) {
        s->sum = gn_aligned(gn_store_grad_bytes(s->store));
        if (s->sum == NULL)
            st = gn_fail(err, GN_E_NOMEM, "session: no memory to accumulate gradients (%zu bytes)",
                         gn_store_grad_bytes(s->store));
    }
    if (st == GN_OK) {
        gn_store_init(s->store, c->seed);
        if (c->debug && !gn_engine_debug(s->engine, true))
            st = gn_fail(err, GN_E_NOMEM, "session: no memory for debug mode");
    }
    gn_schedule_free(&schedule);
    return st;
}

gn_status gn_session_create(gn_session **out, const gn_net *net, const gn_session_config *config,
                            gn_err *err)
{
    *out = NULL;
    gn_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return gn_fail(err, GN_E_NOMEM, "session: no memory for the handle");
    s->net = net;
    s->config = *config;
    const gn_status st = build(s, err);
    if (st != GN_OK) {
        gn_session_destroy(s);
        return st;
    }
    *out = s;
    return GN_OK;
}

void gn_session_destroy(gn_session *s)
{
    if (s == NULL)
        return;
    gn_engine_destroy(s->engine);
    gn_optimizer_destroy(s->optimizer);
    gn_program_destroy(s->program);
    gn_store_destroy(s->store);
    gn_pool_destroy(s->pool);
    free(s->sum);
    free(s);
}

gn_store *gn_session_store(const gn_session *s) { return s->store; }
gn_engine *gn_session_engine(const gn_session *s) { return s->engine; }

/* --- A step -------------------------------------------------------------------------------- */

/* The best logit; the first of equals. */
static size_t best_cell(const gn_session *s, size_t n, size_t cells)
{
    size_t best = 0;
    double top = gn_engine_read(s->engine, s->net->logits, n * cells);
    for (size_t i = 1; i < cells; i++) {
        const double logit = gn_engine_read(s->engine, s->net->logits, n * cells + i);
        if (logit > top) {
            top = logit;
            best = i;
        }
    }
    return best;
}

/* Adds what a micro-batch came to. */
static void read_result(const gn_session *s, const float *policy, gn_step_result *r)
{
    const gn_net *net = s->net;
    const size_t cells = (size_t)net->config.board_size * (size_t)net->config.board_size;
    r->loss += gn_engine_read(s->engine, net->loss, 0);
    r->loss_policy += gn_engine_read(s->engine, net->loss_policy, 0);
    r->loss_value += gn_engine_read(s->engine, net->loss_value, 0);
    for (size_t n = 0; n < s->config.batch; n++) {
        const float *target = policy + n * cells;
        float sum = 0, most = 0;
        for (size_t i = 0; i < cells; i++) {
            sum += target[i];
            most = target[i] > most ? target[i] : most;
        }
        if (!(sum > 0))
            continue;
        r->targets++;
        r->top1 += target[best_cell(s, n, cells)] == most;
    }
}

static bool finite(double x)
{
    return x - x == 0;
}

static void update_running(gn_session *s)
{
    const bool twice = s->config.torch_compat_bn && s->recomputes;
    const gn_guard guard = gn_guard_enter(s->config.threads);
    gn_running_update(s->engine, s->store, s->program, twice);
    gn_guard_leave(&guard);
    s->tracked.others++;
    s->tracked.blocks += twice ? 2 : 1;
}

/* Adds the gradients of micro-batch `part` to the sum; the last leaves the mean in the store. */
static void add_gradients(gn_session *s, size_t part, size_t parts)
{
    const gn_update *update = gn_table_update(s->config.table);
    const gn_guard guard = gn_guard_enter(s->config.threads);
    char *sum = s->sum;
    for (int v = 0; v < gn_tape_values(s->net->tape) && parts > 1; v++) {
        void *grad = gn_store_grad(s->store, v);
        if (grad == NULL)
            continue;
        const size_t bytes = gn_program_bytes(s->program, v), count = bytes / s->config.table->elem;
        if (part == 0)
            memcpy(sum, grad, bytes);
        else if (part + 1 < parts)
            update->add(sum, grad, count, 1);
        else
            update->add(grad, sum, count, 1.0 / (double)parts);
        sum += gn_align(bytes);
    }
    gn_guard_leave(&guard);
}

/* Forward and backward of all micro-batches, up to a loss that is not finite.  With `track`, the
 * running statistics take in all but the last one, whose update waits for the step. */
static gn_status run_parts(gn_session *s, const float *planes, const float *policy,
                           const float *value, bool track, gn_step_result *r, gn_err *err)
{
    const size_t parts = parts_of(&s->config), batch = s->config.batch;
    const size_t cells = (size_t)s->net->config.board_size * (size_t)s->net->config.board_size;
    for (size_t part = 0; part < parts; part++) {
        const size_t first = part * batch;
        gn_engine_feed(s->engine, s->net->planes, planes + first * cells * GN_PLANES);
        gn_engine_feed(s->engine, s->net->target_policy, policy + first * cells);
        gn_engine_feed(s->engine, s->net->target_value, value + first);
        const gn_status st = gn_engine_run(s->engine, err);
        if (st != GN_OK)
            return st;
        read_result(s, policy + first * cells, r);
        if (!finite(r->loss))
            return GN_OK;
        add_gradients(s, part, parts);
        if (track && part + 1 < parts)
            update_running(s);
    }
    r->loss /= (double)parts;
    r->loss_policy /= (double)parts;
    r->loss_value /= (double)parts;
    return GN_OK;
}

/* The first tensor that is not finite in forward.  A span's inside has no tensors, so it is looked
 * for once more in a program of single records; where there is no memory for that, in the spans. */
static const char *first_not_finite(const gn_session *s)
{
    gn_session_config config = s->config;
    gn_program *program = NULL;
    gn_pool *pool = NULL;
    gn_engine *engine = NULL;
    gn_schedule schedule = {0};
    const char *name = NULL;
    config.unfused = true;
    gn_status st = bind(&program, s->net, &config, NULL);
    if (st == GN_OK) st = gn_net_schedule(&schedule, s->net, config.policy, NULL);
    if (st == GN_OK) st = gn_pool_create(&pool, NULL);
    if (st == GN_OK) st = gn_engine_create(&engine, program, &schedule, s->store, pool, NULL);
    const gn_value inputs[] = {s->net->planes, s->net->target_policy, s->net->target_value};
    for (size_t i = 0; st == GN_OK && i < sizeof inputs / sizeof *inputs; i++)
        memcpy(gn_engine_data(engine, inputs[i]), gn_engine_data(s->engine, inputs[i]),
               gn_program_bytes(program, inputs[i]));
    if (st == GN_OK) name = gn_first_not_finite(engine);
    gn_engine_destroy(engine);
    gn_pool_destroy(pool);
    gn_program_destroy(program);
    gn_schedule_free(&schedule);
    return st == GN_OK ? name : gn_first_not_finite(s->engine);
}

static gn_status gather(gn_session *s, const float *planes, const float *policy,
                        const float *value, bool track, gn_step_result *result, gn_err *err)
{
    *result = (gn_step_result){0};
    const gn_status st = run_parts(s, planes, policy, value, track, result, err);
    if (st != GN_OK)
        return st;
    const gn_guard guard = gn_guard_enter(s->config.threads);
    result->grad_norm = gn_optimizer_measure(s->optimizer, s->store);
    gn_guard_leave(&guard);
    if (finite(result->loss) && finite(result->grad_norm))
        return GN_OK;
    const char *name = finite(result->loss) ? gn_first_bad_gradient(s->program, s->store)
                                            : first_not_finite(s);
    if (name == NULL)
        return gn_fail(err, GN_E_NUMERIC, "loss %g, gradient norm %g: every gradient is finite, "
                       "but the sum of their squares is not", result->loss, result->grad_norm);
    return gn_fail(err, GN_E_NUMERIC, "loss %g, gradient norm %g: the first tensor that is not "
                   "finite is %s%s", result->loss, result->grad_norm,
                   finite(result->loss) ? "the gradient of " : "", name);
}

gn_status gn_session_gradients(gn_session *s, const float *planes, const float *policy,
                               const float *value, gn_step_result *result, gn_err *err)
{
    return gather(s, planes, policy, value, false, result, err);
}

gn_status gn_session_step(gn_session *s, const float *planes, const float *policy,
                          const float *value, double rate, gn_step_result *result, gn_err *err)
{
    const gn_status st = gather(s, planes, policy, value, true, result, err);
    if (st != GN_OK)
        return st;
    update_running(s);
    const gn_guard guard = gn_guard_enter(s->config.threads);
    gn_optimizer_step(s->optimizer, s->store, rate);
    gn_guard_leave(&guard);
    return GN_OK;
}

void gn_session_gradient_digest(const gn_session *s, char hex[65])
{
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    for (int v = 0; v < gn_tape_values(s->net->tape); v++)
        if (gn_store_grad(s->store, v) != NULL)
            gn_sha256_add_elements(&hash, gn_store_grad(s->store, v),
                                   gn_program_bytes(s->program, v), s->config.table->elem);
    gn_sha256_hex(&hash, hex);
}

gn_status gn_session_save(const gn_session *s, const char *path, gn_err *err)
{
    return gn_model_save(path, s->net, s->store, s->tracked, err);
}

gn_status gn_session_load(gn_session *s, const char *path, gn_err *err)
{
    return gn_model_load(path, s->net, s->store, &s->tracked, err);
}

gn_status gn_session_evaluate(gn_session *s, const gn_dataset *dataset, gn_scores *out,
                              gn_err *err)
{
    return gn_evaluate(out, NULL, s->net, s->store, s->config.table, s->pool, s->config.threads,
                       s->config.batch, dataset, err);
}
