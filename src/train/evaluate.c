/* Evaluation in inference mode: losses, top-1, top-5, value error; predictions where wanted.
 *
 * A short last batch is a program of its own over the same tape and memory.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/guard.h"
#include "gomokunet/train.h"

typedef struct evaluation {
    const gn_net *net;
    gn_store *store;
    const gn_table *table;
    gn_pool *pool;
    int threads;
    const gn_dataset *dataset;
    const gn_predictions *keep; /* NULL: nothing */
    float *planes, *policy, *value;
    size_t cells;
    gn_scores sum;            /* sums, divided at the end */
    size_t policies, values;  /* positions with a target of each kind */
} evaluation;

/* How many cells the net likes better than the target; ties go by number. */
static size_t rank_of(const gn_engine *e, const gn_net *net, size_t n, size_t cells,
                      size_t target)
{
    const double wanted = gn_engine_read(e, net->logits, n * cells + target);
    size_t better = 0;
    for (size_t i = 0; i < cells; i++) {
        const double logit = gn_engine_read(e, net->logits, n * cells + i);
        better += logit > wanted || (logit == wanted && i < target);
    }
    return better;
}

static void score_position(evaluation *v, const gn_engine *e, size_t n)
{
    const float *policy = v->policy + n * v->cells;
    size_t target = 0;
    for (size_t i = 1; i < v->cells; i++)
        if (policy[i] > policy[target])
            target = i;
    if (policy[target] > 0) {
        const size_t rank = rank_of(e, v->net, n, v->cells, target);
        v->sum.top1 += rank < 1;
        v->sum.top5 += rank < 5;
        v->policies++;
    }
    const double z = (double)v->value[n];
    if (z == z) {
        const double d = gn_engine_read(e, v->net->value, n) - z;
        v->sum.value_error += d < 0 ? -d : d;
        v->values++;
    }
}

/* Position `n` of the batch is number `index` of the dataset. */
static void keep_position(const evaluation *v, const gn_engine *e, size_t n, size_t index)
{
    for (size_t i = 0; i < v->cells; i++)
        v->keep->logits[index * v->cells + i] =
            (float)gn_engine_read(e, v->net->logits, n * v->cells + i);
    v->keep->value[index] = (float)gn_engine_read(e, v->net->value, n);
}

/* Runs `batch` positions at a time from `first` on, as long as whole batches are left. */
static gn_status run_batches(evaluation *v, size_t *first, size_t batch, gn_err *err)
{
    gn_program *program = NULL;
    gn_engine *engine = NULL;
    gn_schedule schedule = {0};
    gn_status st = gn_program_fuse(&program, v->net->tape, v->table, batch, v->threads, false, err);
    if (st == GN_OK) st = gn_net_schedule(&schedule, v->net, "inference", err);
    if (st == GN_OK) st = gn_engine_create(&engine, program, &schedule, v->store, v->pool, err);
    for (; st == GN_OK && v->dataset->count - *first >= batch; *first += batch) {
        const size_t policies = v->policies, values = v->values;
        gn_dataset_batch(v->dataset, *first, batch, v->planes, v->policy, v->value);
        gn_engine_feed(engine, v->net->planes, v->planes);
        gn_engine_feed(engine, v->net->target_policy, v->policy);
        gn_engine_feed(engine, v->net->target_value, v->value);
        st = gn_engine_run(engine, err);
        for (size_t n = 0; n < batch && st == GN_OK; n++) {
            score_position(v, engine, n);
            if (v->keep != NULL)
                keep_position(v, engine, n, *first + n);
        }
        /* The losses are means over the positions of the batch that have a target. */
        v->sum.loss_policy += gn_engine_read(engine, v->net->loss_policy, 0) *
                              (double)(v->policies - policies);
        v->sum.loss_value +=
            gn_engine_read(engine, v->net->loss_value, 0) * (double)(v->values - values);
    }
    gn_engine_destroy(engine);
    gn_schedule_free(&schedule);
    gn_program_destroy(program);
    return st;
}

gn_status gn_evaluate(gn_scores *out, const gn_predictions *predictions, const gn_net *net,
                      gn_store *store, const gn_table *table, gn_pool *pool, int threads,
                      size_t batch, const gn_dataset *dataset, gn_err *err)
{
    *out = (gn_scores){0};
    const size_t size = (size_t)net->config.board_size, cells = size * size;
    if (dataset->size != net->config.board_size)
        return gn_fail(err, GN_E_DATA, "evaluation: the games are %dx%d, the network is %dx%d",
                       dataset->size, dataset->size, net->config.board_size,
                       net->config.board_size);
    evaluation v = {.net = net, .store = store, .table = table, .pool = pool, .threads = threads,
                    .dataset = dataset, .keep = predictions, .cells = cells};
    v.planes = malloc(batch * cells * GN_PLANES * sizeof *v.planes);
    v.policy = malloc(batch * cells * sizeof *v.policy);
    v.value = malloc(batch * sizeof *v.value);
    gn_status st = v.planes != NULL && v.policy != NULL && v.value != NULL
                       ? GN_OK
                       : gn_fail(err, GN_E_NOMEM, "evaluation: no memory for %zu positions", batch);
    size_t first = 0;
    const gn_guard guard = gn_guard_enter(1); /* the sums below; the engine has its own */
    if (st == GN_OK && dataset->count >= batch)
        st = run_batches(&v, &first, batch, err);
    if (st == GN_OK && first < dataset->count)
        st = run_batches(&v, &first, dataset->count - first, err);
    const double policies = v.policies > 0 ? (double)v.policies : 1;
    const double values = v.values > 0 ? (double)v.values : 1;
    *out = (gn_scores){.loss_policy = v.sum.loss_policy / policies,
                       .loss_value = v.sum.loss_value / values,
                       .top1 = v.sum.top1 / policies, .top5 = v.sum.top5 / policies,
                       .value_error = v.sum.value_error / values, .positions = dataset->count};
    gn_guard_leave(&guard);
    free(v.planes);
    free(v.policy);
    free(v.value);
    return st;
}
