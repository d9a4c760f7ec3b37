/* gomokunet eval.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/copies.h"
#include "cli/json.h"
#include "cli/predictions.h"
#include "cli/records.h"

typedef struct eval_options {
    const char *model, *write;
    text_list data, seen;
    int batch, threads;
    records_options records;
    bool json;
} eval_options;

static void print_scores(const gn_scores *s, bool json, const char *prefix)
{
    if (!json) {
        printf("%s%zu positions: top-1 %.4f, top-5 %.4f, cross-entropy %.4f, value mse %.4f, mean "
               "value error %.4f\n", prefix, s->positions, s->top1, s->top5, s->loss_policy,
               s->loss_value, s->value_error);
        return;
    }
    const struct {
        const char *key;
        double value;
    } members[] = {{"loss_policy", s->loss_policy}, {"loss_value", s->loss_value},
                   {"top1", s->top1}, {"top5", s->top5}, {"value_error", s->value_error}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        printf("\"%s%s\":", prefix, members[i].key);
        json_number(stdout, members[i].value);
        putchar(',');
    }
    printf("\"%spositions\":%zu", prefix, s->positions);
}

static gn_status score(const eval_options *o, const gn_predictions *keep, const gn_net *net,
                       gn_store *store, const gn_dataset *dataset, gn_scores *scores, gn_err *err)
{
    gn_pool *pool = NULL;
    gn_status st = gn_pool_create(&pool, err);
    if (st == GN_OK)
        st = gn_evaluate(scores, keep, net, store, gn_table_fast(), pool, o->threads,
                         (size_t)o->batch, dataset, err);
    gn_pool_destroy(pool);
    return st;
}

/* Scores all positions; with --write, keeps and writes what the network says of them. */
static gn_status score_all(const eval_options *o, const gn_net *net, gn_store *store,
                           const gn_dataset *all, gn_scores *scores, gn_err *err)
{
    const size_t cells = (size_t)all->size * (size_t)all->size;
    if (o->write == NULL)
        return score(o, NULL, net, store, all, scores, err);
    const gn_predictions keep = {.logits = malloc(all->count * cells * sizeof *keep.logits),
                                 .value = malloc(all->count * sizeof *keep.value)};
    gn_status st = keep.logits != NULL && keep.value != NULL
                       ? score(o, &keep, net, store, all, scores, err)
                       : gn_fail(err, GN_E_NOMEM, "no memory for %zu predictions", all->count);
    if (st == GN_OK)
        st = predictions_write(o->write, all, &keep, err);
    free(keep.logits);
    free(keep.value);
    return st;
}

/* Copies among the games, and the games that --seen holds too. */
static int compare(const eval_options *o, gn_games *games, const gn_games *seen)
{
    size_t copies;
    shared both = {0};
    int status = copies_within(games, false, &copies, "eval");
    if (status == EXIT_GOOD && o->seen.count > 0)
        status = copies_seen(games, seen, &both, "eval");
    if (status != EXIT_GOOD)
        return status;
    const char *text = o->json ? "{\"games\":%zu,\"copies\":%zu,\"seen_games\":%zu,"
                                 "\"seen_positions\":%zu,"
                               : "%zu games, copies of others %zu; in --seen too: %zu games, %zu "
                                 "positions\n";
    printf(text, games->count, copies, both.games, both.positions);
    return EXIT_GOOD;
}

/* Scores all positions, and those that --seen does not hold. */
static int score_games(const eval_options *o, const gn_net *net, gn_store *store,
                       gn_games *games, const gn_games *seen)
{
    gn_err err;
    gn_dataset all = {0}, theirs = {0};
    gn_scores scores, fresh_scores;
    const bool split = o->seen.count > 0;
    gn_status st = gn_dataset_create(&all, games, net->config.board_size, NULL, 0, &err);
    if (st == GN_OK && all.count == 0)
        st = gn_fail(&err, GN_E_DATA, "no position to score in the games given");
    if (st == GN_OK) st = score_all(o, net, store, &all, &scores, &err);
    if (st == GN_OK && split)
        st = gn_dataset_create(&theirs, seen, net->config.board_size, NULL, 0, &err);
    if (st == GN_OK && split) st = gn_dataset_remove_seen(&all, &theirs, &err);
    if (st == GN_OK && split) st = score(o, NULL, net, store, &all, &fresh_scores, &err);
    int status = st == GN_OK ? compare(o, games, seen) : tell("eval", &err);
    if (status == EXIT_GOOD) {
        print_scores(&scores, o->json, "");
        if (split && o->json)
            putchar(',');
        if (split)
            print_scores(&fresh_scores, o->json, o->json ? "unseen_" : "never seen: ");
        if (o->json)
            puts("}");
    }
    gn_dataset_free(&all);
    gn_dataset_free(&theirs);
    return status;
}

static int run(const eval_options *o)
{
    gn_err err;
    gn_net_config config;
    gn_net net = {0};
    gn_store *store = NULL;
    gn_tracked tracked;
    gn_games games = {0}, seen = {0};
    gn_status st = gn_model_config(&config, o->model, &err);
    if (st == GN_OK) st = gn_net_create(&net, &config, &err);
    if (st == GN_OK) st = gn_store_create(&store, net.tape, gn_table_fast(), false, &err);
    if (st == GN_OK) st = gn_model_load(o->model, &net, store, &tracked, &err);
    records_options records = o->records;
    records.board_size = config.board_size;
    int status = EXIT_GOOD;
    if (st != GN_OK)
        status = tell_input("eval", o->model, &err);
    if (status == EXIT_GOOD)
        status = records_read(&games, &o->data, &records, "eval");
    records.cache = NULL; /* it is for --data */
    if (status == EXIT_GOOD && o->seen.count > 0)
        status = records_read(&seen, &o->seen, &records, "eval");
    if (status == EXIT_GOOD)
        status = score_games(o, &net, store, &games, &seen);
    gn_games_free(&games);
    gn_games_free(&seen);
    gn_store_destroy(store);
    gn_net_destroy(&net);
    return status;
}

int command_eval(int argc, char **argv)
{
    eval_options o = {.batch = 64, .threads = gn_threads_available()};
    const option list[] = {
        {"model", OPT_TEXT, &o.model, 0, 0, "FILE",
         "a model.safetensors of a run, or a state dict that PyTorch wrote"},
        {"data", OPT_LIST, &o.data, 0, 0, "PATH", "game records, file or folder; repeatable"},
        {"seen", OPT_LIST, &o.seen, 0, 0, "PATH",
         "records trained on: also score what they do not hold"},
        {"write", OPT_TEXT, &o.write, 0, 0, "FILE",
         "write positions and predictions as safetensors"},
        {"batch-size", OPT_INT, &o.batch, 1, 1 << 20, "N", "positions at a time"},
        {"threads", OPT_INT, &o.threads, 1, 256, "N", "threads"},
        RECORDS_OPTIONS(&o.records),
        {"json", OPT_FLAG, &o.json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"eval", "score a model on game records", NULL, list,
                       (int)(sizeof list / sizeof *list), NULL};
    const parsed p = options_parse(&c, argc, argv, NULL);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (o.model == NULL || o.data.count == 0) {
        fprintf(stderr, "gomokunet eval: --model FILE and --data PATH are needed\n");
        return EXIT_USAGE;
    }
    return run(&o);
}
