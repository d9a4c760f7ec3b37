/* Setting a training run up: data, memory, network.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/copies.h"
#include "cli/machine.h"
#include "cli/memory.h"
#include "cli/records.h"
#include "cli/train.h"

static const double gib = 1024.0 * 1024.0 * 1024.0;

/* A run that is repeated must not be written over the one that it repeats. */
static bool is_folder_of(const char *folder, const char *config)
{
    char own[1100];
    struct stat a, b;
    snprintf(own, sizeof own, "%s/config.json", folder);
    return stat(own, &a) == 0 && stat(config, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int train_make_folder(training *t)
{
    gn_err err;
    const char *config = t->options.config;
    if (config != NULL && is_folder_of(t->options.out, config)) {
        fprintf(stderr, "gomokunet train: --config %s belongs to the run in %s: expected another "
                "folder as --out\n", config, t->options.out);
        return EXIT_USAGE;
    }
    if (t->state != NULL)
        return EXIT_GOOD; /* a state was read there: were it gone, a new folder would hide that */
    return machine_make_folder(t->options.out, &err) == GN_OK ? EXIT_GOOD : tell("train", &err);
}

/* --- Data ---------------------------------------------------------------------------------- */

static int read_games(training *t)
{
    const train_options *o = &t->options;
    const int size = o->net.config.board_size;
    records_options records = o->records;
    records.board_size = size;
    if (o->data.count > 0)
        return records_read(&t->games, &o->data, &records, "train");
    char cache[1100];
    snprintf(cache, sizeof cache, "%s/games.gomoku.gz", o->out);
    return records_embedded(&t->games, size, cache, "train");
}

/* Held-out games: those of --eval-data, or a part of the games, never single positions. */
static int split_games(training *t, gn_err *err)
{
    const train_options *o = &t->options;
    const int size = o->net.config.board_size;
    if (o->eval_data.count > 0) {
        records_options records = o->records;
        records.board_size = size;
        records.cache = NULL; /* it is for --data */
        const int status = records_read(&t->eval_games, &o->eval_data, &records, "train");
        if (status != EXIT_GOOD)
            return status;
        gn_status st = gn_dataset_create(&t->train, &t->games, size, NULL, 0, err);
        if (st == GN_OK)
            st = gn_dataset_create(&t->held_out, &t->eval_games, size, NULL, 0, err);
        return st == GN_OK ? EXIT_GOOD : tell("train", err);
    }
    uint8_t *use = calloc(t->games.count + gn_games_samples(&t->games) + 1, 1);
    if (use == NULL) {
        gn_fail(err, GN_E_NOMEM, "no memory for %zu games", t->games.count);
        return tell("train", err);
    }
    gn_split(&t->games, o->seed, o->eval_fraction, use);
    gn_status st = gn_dataset_create(&t->train, &t->games, size, use, 0, err);
    if (st == GN_OK && o->eval_fraction > 0)
        st = gn_dataset_create(&t->held_out, &t->games, size, use, 1, err);
    free(use);
    return st == GN_OK ? EXIT_GOOD : tell("train", err);
}

/* SHA-256 of what the games teach, so that a resumed run can tell that they are the same. */
static void digest_games(gn_sha256 *hash, const gn_games *games)
{
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        const uint32_t facts[] = {g->size, g->opening, (uint32_t)(g->result + 1), g->count};
        gn_sha256_add_elements(hash, facts, sizeof facts, sizeof *facts);
        for (size_t k = 0; k < g->count; k++) {
            const uint32_t move = games->moves[g->first + k];
            gn_sha256_add_elements(hash, &move, sizeof move, sizeof move);
        }
    }
    for (size_t i = 0; i < games->sample_sets; i++) {
        const gn_samples *s = &games->samples[i];
        const size_t cells = s->count * (size_t)(s->size * s->size);
        const float *const arrays[] = {s->planes, s->policy, s->value};
        const size_t counts[] = {cells * GN_PLANES, cells, s->count};
        for (int k = 0; k < 3; k++)
            gn_sha256_add_elements(hash, arrays[k], counts[k] * sizeof(float), sizeof(float));
    }
}

/* The games must be those that the options speak of, where they do. */
static int check_digest(training *t)
{
    train_options *o = &t->options;
    const char *wanted = o->data_sha256;
    o->data_sha256 = t->data_digest;
    if (wanted == NULL || strcmp(wanted, "any") == 0 || strcmp(wanted, t->data_digest) == 0)
        return EXIT_GOOD;
    fprintf(stderr, "gomokunet train: the games are not those of the run: SHA-256 %.16s..., "
            "expected %.16s...%s\n", t->data_digest, wanted,
            o->resume == NULL ? "; --data-sha256 any takes what is there" : "");
    return EXIT_USAGE;
}

/* Tells what would make a held-out score too good, or a game count twice. */
static int report_copies(training *t)
{
    size_t copies, positions = 0;
    shared both = {0};
    int status = copies_within(&t->games, false, &copies, "train");
    if (status == EXIT_GOOD && t->eval_games.count > 0)
        status = copies_seen(&t->eval_games, &t->games, &both, "train");
    else if (status == EXIT_GOOD)
        status = copies_positions(&t->held_out, &t->train, &positions, "train");
    if (status == EXIT_GOOD)
        fprintf(t->text, "copies up to symmetry: %zu games; held out, but trained on too: %zu "
                "games, %zu of %zu positions\n", copies, both.games, positions + both.positions,
                t->held_out.count);
    return status;
}

int train_load_data(training *t)
{
    gn_err err;
    int status = read_games(t);
    if (status == EXIT_GOOD)
        status = split_games(t, &err);
    if (status != EXIT_GOOD)
        return status;
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    digest_games(&hash, &t->games);
    digest_games(&hash, &t->eval_games);
    gn_sha256_hex(&hash, t->data_digest);
    status = check_digest(t);
    if (status != EXIT_GOOD)
        return status;
    if (gn_sampler_create(&t->sampler, &t->train, t->options.seed, t->positions, &err) != GN_OK)
        return tell("train", &err);
    const uint64_t epochs = (uint64_t)t->options.epochs;
    t->steps = t->options.steps > 0 ? (uint64_t)t->options.steps : epochs * t->sampler.per_epoch;
    if (gn_rate_span(&t->rate, t->steps, &err) != GN_OK)
        return tell("train", &err);
    if (t->options.patience > 0 && t->held_out.count == 0) {
        fprintf(stderr, "gomokunet train: --patience %d: expected held-out games, by --eval-data "
                "or --eval-fraction\n", t->options.patience);
        return EXIT_USAGE;
    }
    fprintf(t->text, "data: %zu games%s, %zu positions to learn from, %zu held out\n",
            t->games.count + t->eval_games.count,
            t->options.data.count == 0 ? " of the built-in player" : "", t->train.count,
            t->held_out.count);
    return report_copies(t);
}

/* --- Memory -------------------------------------------------------------------------------- */

static bool fits(const training *t, gn_session_config config, size_t available, gn_memory *need)
{
    return gn_session_predict(need, &t->net, &config, NULL) == GN_OK && need->total <= available;
}

/* The first option that would fit: another policy, else a smaller batch as well. */
static void suggest(const training *t, size_t available)
{
    static const char *const policies[] = {"none", "cheap", "block", "every:2", "every:3"};
    gn_session_config config = t->config;
    gn_memory need;
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        config.policy = policies[i];
        if (fits(t, config, available, &need)) {
            fprintf(stderr, "gomokunet train: --checkpoint %s would fit (%.2f GiB)\n", policies[i],
                    (double)need.total / gib);
            return;
        }
    }
    for (config.batch /= 2; config.batch > 0; config.batch /= 2)
        for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
            config.policy = policies[i];
            if (fits(t, config, available, &need)) {
                fprintf(stderr,
                        "gomokunet train: --batch-size %zu --checkpoint %s would fit (%.2f GiB)\n",
                        config.batch, policies[i], (double)need.total / gib);
                return;
            }
        }
    fprintf(stderr, "gomokunet train: no batch size would fit; a smaller network might\n");
}

/* The positions of a step, as floats. */
static size_t positions_bytes(const training *t)
{
    const size_t size = (size_t)t->net.config.board_size;
    return t->positions * (size * size * (GN_PLANES + 1) + 1) * sizeof(float);
}

int train_check_memory(training *t)
{
    gn_err err;
    if (gn_session_predict(&t->predicted, &t->net, &t->config, &err) != GN_OK)
        return tell("train", &err);
    const gn_memory *m = &t->predicted;
    const size_t available = memory_available(), positions = positions_bytes(t);
    if (m->total + positions > available) {
        fprintf(stderr, "gomokunet train: this run needs %.2f GiB, %.2f GiB are there\n",
                (double)(m->total + positions) / gib, (double)available / gib);
        suggest(t, available > positions ? available - positions : 0);
        return EXIT_RUNTIME;
    }
    const gn_textbook book = gn_net_textbook(&t->net.config, t->config.batch);
    const double map = (double)book.map_bytes / gib;
    fprintf(t->text, "memory: %.2f GiB predicted: parameters %.2f, gradients %.2f, optimizer %.2f, "
            "activations %.3f (of them saved for backward %.3f)\n", (double)m->total / gib,
            (double)m->parameters / gib, (double)m->gradients / gib, (double)m->optimizer / gib,
            (double)m->activations / gib, (double)m->saved / gib);
    if (t->config.accumulate > 1)
        fprintf(t->text, "accumulate: a step is %zu micro-batches of %zu positions, %zu together; "
                "batch normalisation sees %zu at a time, not %zu\n", t->config.accumulate,
                t->config.batch, t->positions, t->config.batch, t->positions);
    fprintf(t->text, "textbook: normal mode saves %zu maps, %.2f GiB; checkpointing %zu maps, "
            "%.2f GiB: 83 %% less\n", book.normal_maps, map * (double)book.normal_maps,
            book.checkpoint_maps, map * (double)book.checkpoint_maps);
    return EXIT_GOOD;
}

/* --- Network ------------------------------------------------------------------------------- */

int train_build(training *t)
{
    gn_err err;
    const size_t cells = (size_t)(t->net.config.board_size * t->net.config.board_size);
    if (gn_session_create(&t->session, &t->net, &t->config, &err) != GN_OK)
        return tell("train", &err);
    t->planes = malloc(t->positions * cells * GN_PLANES * sizeof *t->planes);
    t->policy = malloc(t->positions * cells * sizeof *t->policy);
    t->value = malloc(t->positions * sizeof *t->value);
    if (t->planes != NULL && t->policy != NULL && t->value != NULL)
        return EXIT_GOOD;
    gn_fail(&err, GN_E_NOMEM, "no memory for a step of %zu positions", t->positions);
    return tell("train", &err);
}

void train_release(training *t)
{
    gn_reader_close(t->state);
    gn_session_destroy(t->session);
    gn_net_destroy(&t->net);
    gn_sampler_free(&t->sampler);
    gn_dataset_free(&t->train);
    gn_dataset_free(&t->held_out);
    gn_games_free(&t->games);
    gn_games_free(&t->eval_games);
    free(t->planes);
    free(t->policy);
    free(t->value);
    if (t->metrics != NULL)
        fclose(t->metrics);
}
