/* Saving and resuming a training run.
 *
 * state/ of the run folder holds the last two states, one file each, named by the steps done.  A
 * torn or damaged newest one is named and passed over.  The options of the run travel in the file;
 * a resumed run may change only those that do not change a bit.  SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/machine.h"
#include "cli/train.h"

enum { GENERATIONS = 2, MAX_STATES = 64, PATH_ROOM = 1100 };

/* What a resumed run may be told anew. */
static const char *const free_options[] = {"threads", "checkpoint", "use-checkpoint", "steps",
                                           "epochs",  "json",       "compare",        "debug",
                                           "resume",  "save-every",   "patience",
                                           "profile"};

static bool is_free(const char *name)
{
    for (size_t i = 0; i < sizeof free_options / sizeof *free_options; i++)
        if (strcmp(free_options[i], name) == 0)
            return true;
    return false;
}

/* --- The folder ---------------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static void path_of(const char *run, uint64_t step, char *path)
{
    snprintf(path, PATH_ROOM, "%s/state/step-%012" PRIu64 ".safetensors", run, step);
}

/* The steps of the states in a run folder, newest first; -1 and errno where it cannot be read. */
static int list_states(const char *run, uint64_t steps[MAX_STATES])
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/state", run);
    DIR *folder = opendir(path);
    int count = folder == NULL ? -1 : 0;
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL && count < MAX_STATES;) {
        char *end;
        if (strncmp(e->d_name, "step-", 5) != 0)
            continue;
        const uint64_t step = strtoull(e->d_name + 5, &end, 10);
        if (end > e->d_name + 5 && strcmp(end, ".safetensors") == 0)
            steps[count++] = step;
    }
    if (folder != NULL)
        closedir(folder);
    if (count > 0)
        qsort(steps, (size_t)count, sizeof *steps, newest_first);
    return count;
}

/* --- Resuming ------------------------------------------------------------------------------ */

static bool given(const command *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return c->given[i];
    return false;
}

static bool is_one_of(const char *name, const char *a, const char *b)
{
    return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

/* Options that are free, but not in this run: under --torch-compat-bn the policy decides which
 * running statistics are updated twice; a cosine runs over all steps, so their number is in every
 * rate. */
static bool is_bound(const training *t, const char *name)
{
    const char *compat = gn_reader_metadata(t->state, "option.torch-compat-bn");
    const char *schedule = gn_reader_metadata(t->state, "option.lr-schedule");
    if (is_one_of(name, "checkpoint", "use-checkpoint"))
        return compat != NULL && *compat != '\0';
    return is_one_of(name, "steps", "epochs") && schedule != NULL &&
           strncmp(schedule, "cosine", 6) == 0;
}

static bool restore_option(const training *t, int index)
{
    const option *o = &t->command->options[index];
    char key[80];
    snprintf(key, sizeof key, "option.%s", o->name);
    const char *text = gn_reader_metadata(t->state, key);
    if (t->command->given[index]) {
        if (is_free(o->name) && !is_bound(t, o->name))
            return true;
        fprintf(stderr, "gomokunet train: --%s belongs to the run that is resumed and cannot be "
                "changed; start a new one for that\n", o->name);
        return false;
    }
    /* --use-checkpoint given anew counts, not the policy that the run was started with. */
    if (strcmp(o->name, "checkpoint") == 0 && given(t->command, "use-checkpoint"))
        return true;
    if (text == NULL || option_set(t->command, o, text))
        return true;
    fprintf(stderr, "gomokunet train: %s: cannot restore --%s \"%.100s\"\n", t->state_path, o->name,
            text);
    return false;
}

/* Opens a state and checks all of it; a word on stderr where it is not sound. */
static bool open_state(training *t, uint64_t step)
{
    gn_err err;
    path_of(t->options.resume, step, t->state_path);
    gn_status st = gn_reader_open(&t->state, t->state_path, &err);
    if (st == GN_OK)
        st = gn_state_check(t->state, t->state_path, &err);
    if (st == GN_OK)
        return true;
    gn_reader_close(t->state);
    t->state = NULL;
    fprintf(stderr, "gomokunet train: %s; looking for an older state\n", err.text);
    return false;
}

int train_find_state(training *t)
{
    uint64_t steps[MAX_STATES];
    const int count = list_states(t->options.resume, steps);
    if (count < 0 && errno != ENOENT) {
        fprintf(stderr, "gomokunet train: --resume %s: cannot read its state folder: %s\n",
                t->options.resume, strerror(errno));
        return EXIT_RUNTIME;
    }
    for (int i = 0; i < count && t->state == NULL; i++)
        open_state(t, steps[i]);
    if (t->state == NULL) {
        fprintf(stderr, "gomokunet train: --resume %s: no sound state in its state folder\n",
                t->options.resume);
        return EXIT_USAGE;
    }
    for (int i = 0; i < t->command->count; i++)
        if (!restore_option(t, i))
            return t->command->given[i] ? EXIT_USAGE : EXIT_RUNTIME;
    t->options.out = t->options.resume;
    return EXIT_GOOD;
}

/* What was judged so far; a state made without held-out games says 0 steps. */
static bool load_best(training *t)
{
    const char *text = gn_reader_metadata(t->state, "best");
    if (text != NULL && sscanf(text, "%la %" SCNu64 " %" SCNu64, &t->best_loss, &t->best_step,
                               &t->waited) == 3)
        return true;
    fprintf(stderr, "gomokunet train: %s: metadata best \"%s\": expected a loss, a step and a "
            "count\n", t->state_path, text != NULL ? text : "");
    return false;
}

int train_load_state(training *t)
{
    gn_err err;
    if (!load_best(t))
        return EXIT_USAGE;
    if (gn_session_load_state(t->session, t->state, t->state_path, &t->first, &err) != GN_OK)
        return tell("train", &err);
    gn_reader_close(t->state);
    t->state = NULL;
    fprintf(t->text, "resumed: %s, step %llu\n", t->state_path, (unsigned long long)t->first);
    return EXIT_GOOD;
}

/* --- Saving -------------------------------------------------------------------------------- */

static void remove_old(const training *t)
{
    uint64_t steps[MAX_STATES];
    const int count = list_states(t->options.out, steps);
    for (int i = GENERATIONS; i < count; i++) {
        char path[PATH_ROOM];
        path_of(t->options.out, steps[i], path);
        unlink(path);
    }
}

int train_save_state(training *t, uint64_t step)
{
    enum { NOTES = 64, TEXT = 4096 };
    static char keys[NOTES][80], values[NOTES][TEXT];
    gn_note notes[NOTES];
    size_t count = 0;
    gn_err err;
    const long position = metrics_position(t);
    if (position < 0)
        return EXIT_RUNTIME;
    for (int i = 0; i < t->command->count && count < NOTES - 2; i++) {
        const option *o = &t->command->options[i];
        if (o->kind == OPT_CALL)
            continue;
        snprintf(keys[count], sizeof keys[count], "option.%s", o->name);
        option_text(o, values[count], TEXT);
        notes[count] = (gn_note){keys[count], values[count]};
        count++;
    }
    snprintf(values[count], TEXT, "%ld", position);
    notes[count] = (gn_note){"metrics_bytes", values[count]};
    count++;
    snprintf(values[count], TEXT, "%a %" PRIu64 " %" PRIu64, t->best_loss, t->best_step, t->waited);
    notes[count] = (gn_note){"best", values[count]};
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/state", t->options.out);
    /* A run folder that someone removed is not made anew: its metrics would be lost silently. */
    gn_status st = machine_is_folder(t->options.out)
                       ? machine_make_folder(path, &err)
                       : gn_fail(&err, GN_E_IO, "%s: the run folder is gone", t->options.out);
    path_of(t->options.out, step, path);
    if (st == GN_OK)
        st = gn_session_save_state(t->session, path, step, notes, count + 1, &err);
    if (st != GN_OK)
        return tell("train", &err);
    remove_old(t);
    t->saved = machine_seconds();
    return EXIT_GOOD;
}
