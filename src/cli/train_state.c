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

/* TORN: a temporary file of a killed run. */
typedef enum entry_kind { OTHER, STATE, TORN } entry_kind;

static entry_kind kind_of(const char *name, uint64_t *step)
{
    char *end;
    if (strncmp(name, "step-", 5) != 0)
        return OTHER;
    *step = strtoull(name + 5, &end, 10);
    return end == name + 5                         ? OTHER
           : strcmp(end, ".safetensors") == 0      ? STATE
           : strcmp(end, ".safetensors.tmp") == 0 ? TORN
                                                   : OTHER;
}

/* The steps of the states in a run folder, newest first; -1 with errno where it cannot be read. */
static int list_states(const char *run, uint64_t steps[MAX_STATES], entry_kind kind)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/state", run);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    int count = 0;
    errno = 0;
    for (struct dirent *e; count < MAX_STATES && (e = readdir(folder)) != NULL;) {
        uint64_t step;
        if (kind_of(e->d_name, &step) == kind)
            steps[count++] = step;
    }
    const int cause = count < MAX_STATES ? errno : 0;
    closedir(folder);
    qsort(steps, (size_t)count, sizeof *steps, newest_first);
    errno = cause;
    return cause == 0 ? count : -1;
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

static int restore_option(const training *t, int index)
{
    const option *o = &t->command->options[index];
    char key[80];
    snprintf(key, sizeof key, "option.%s", o->name);
    const char *text = gn_reader_metadata(t->state, key);
    if (t->command->given[index]) {
        if (is_free(o->name) && !is_bound(t, o->name))
            return EXIT_GOOD;
        fprintf(stderr, "gomokunet train: --%s belongs to the run that is resumed and cannot be "
                "changed; start a new one for that\n", o->name);
        return EXIT_USAGE;
    }
    /* --use-checkpoint given anew counts, not the policy that the run was started with. */
    if (strcmp(o->name, "checkpoint") == 0 && given(t->command, "use-checkpoint"))
        return EXIT_GOOD;
    return text == NULL ? EXIT_GOOD : option_set(t->command, o, text);
}

/* Opens a state and checks all of it; a word on stderr where it is not sound. */
static gn_status open_state(training *t, uint64_t step)
{
    gn_err err;
    path_of(t->options.resume, step, t->state_path);
    gn_status st = gn_reader_open(&t->state, t->state_path, &err);
    if (st == GN_OK)
        st = gn_state_check(t->state, t->state_path, &err);
    if (st == GN_OK)
        return GN_OK;
    gn_reader_close(t->state);
    t->state = NULL;
    fprintf(stderr, "gomokunet train: %s%s\n", err.text,
            st == GN_E_NOMEM ? "" : "; looking for an older state");
    return st;
}

int train_find_state(training *t)
{
    uint64_t steps[MAX_STATES];
    const int count = list_states(t->options.resume, steps, STATE);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR) {
        fprintf(stderr, "gomokunet train: --resume %s: cannot read its state folder: %s\n",
                t->options.resume, strerror(errno));
        return EXIT_RUNTIME;
    }
    gn_status st = GN_E_FORMAT;
    for (int i = 0; i < count && st != GN_OK && st != GN_E_NOMEM; i++)
        st = open_state(t, steps[i]);
    if (st == GN_E_NOMEM)
        return EXIT_RUNTIME; /* an older state would need as much */
    if (st != GN_OK) {
        fprintf(stderr, "gomokunet train: --resume %s: no sound state in its state folder\n",
                t->options.resume);
        return st == GN_E_IO ? EXIT_RUNTIME : EXIT_USAGE;
    }
    int status = EXIT_GOOD;
    for (int i = 0; i < t->command->count && status == EXIT_GOOD; i++)
        status = restore_option(t, i);
    t->options.out = t->options.resume;
    return status;
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

static void remove_state(const training *t, uint64_t step, const char *ending)
{
    char path[PATH_ROOM + 8];
    path_of(t->options.out, step, path);
    strcat(path, ending);
    unlink(path);
}

/* Keeps the state of `step` and the one before it.  Newer ones are what this run passed over as
 * damaged; temporary files, what a killed run left. */
static void remove_old(const training *t, uint64_t step)
{
    uint64_t steps[MAX_STATES];
    int count = list_states(t->options.out, steps, STATE), kept = 0;
    for (int i = 0; i < count; i++)
        if (steps[i] > step || kept == GENERATIONS)
            remove_state(t, steps[i], "");
        else
            kept++;
    count = list_states(t->options.out, steps, TORN);
    for (int i = 0; i < count; i++)
        remove_state(t, steps[i], ".tmp");
}

/* A run folder holds one run: a new one begins without the states of an earlier one, which would
 * not go with its metrics.  The folder of states is made here and never again: had somebody moved
 * the run folder away, saving into a new one would hide that. */
int train_forget_states(training *t)
{
    gn_err err;
    char path[PATH_ROOM];
    uint64_t steps[MAX_STATES];
    snprintf(path, sizeof path, "%s/state", t->options.out);
    if (machine_make_folder(path, &err) != GN_OK)
        return tell("train", &err);
    for (int count; (count = list_states(t->options.out, steps, STATE)) != 0;)
        for (int i = 0; i < (count < 0 ? 1 : count); i++) {
            path_of(t->options.out, count < 0 ? 0 : steps[i], path);
            if (count > 0 && unlink(path) == 0)
                continue;
            gn_fail(&err, GN_E_IO, "%s: cannot remove the state of an earlier run: %s", path,
                    strerror(errno));
            return tell("train", &err);
        }
    return EXIT_GOOD;
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
    path_of(t->options.out, step, path);
    if (gn_session_save_state(t->session, path, step, notes, count + 1, &err) != GN_OK)
        return tell("train", &err);
    remove_old(t, step);
    t->saved = machine_seconds();
    return EXIT_GOOD;
}
