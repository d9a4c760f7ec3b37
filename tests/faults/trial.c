/* One trial: prepare a folder, run with a fault, judge.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

place at;
double whole_time;

enum { SPARE_DISK = 64 }; /* KiB beyond what `start` fills */

static const char *whole_of(const row *r)
{
    return strncmp(r->command, GO_FAR, strlen(GO_FAR)) == 0 ? "far" : "near";
}

/* The file that a command writes. */
static const char *file_of(const row *r)
{
    return strrchr(r->command, ' ') + 1;
}

/* --- One trial ------------------------------------------------------------------------------- */

static void prepare(const row *r, long number)
{
    must("if mountpoint -q run; then umount run; fi; "
         "rm -rf run run.moved promised g.*");
    if (r->sweep == SIZE_OF_DISK)
        must("mkdir run && mount -t tmpfs -o size=$(($(du -sk ../start | cut -f1) + %ld))k "
             "faults run && cp -r ../start/. run", SPARE_DISK + number * atol(r->effect));
    else if (r->stake == OLD_STATE)
        must("cp -r ../start run");
    if (r->stake == ONE_FILE)
        must("cp ../old.%s %s", file_of(r), file_of(r));
}

/* A message names what it is about: a file, memory, or the system's reason. */
static bool is_clear(const char *word)
{
    return strstr(word, ": ") != NULL &&
           (strstr(word, "run") != NULL || strstr(word, "memory") != NULL ||
            strstr(word, "g.gomoku.gz") != NULL || strstr(word, "g.npz") != NULL ||
            strstr(word, "g.safetensors") != NULL || strstr(word, "games.gomoku") != NULL ||
            strstr(word, "model.safetensors") != NULL);
}

/* What is wrong with how the program ended; NULL: nothing.  Counts the kind of ending. */
static const char *judge_ending(const row *r, const ending *e, tally *t)
{
    const bool kills = r->signal_number == SIGKILL ||
                       (r->effect != NULL && (strcmp(r->effect, "kill") == 0 ||
                                              strcmp(r->effect, "power") == 0));
    if (e->hung)
        return "it hung";
    if (e->signal != 0 && !(e->signal == SIGKILL && kills) &&
        !(r->sweep == MOMENT && e->signal == r->signal_number))
        return "a signal ended it";
    if (e->signal != 0 || (e->status == 130 && r->sweep == MOMENT)) {
        __atomic_add_fetch(&t->stopped, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    if (e->status == 3) {
        __atomic_add_fetch(&t->told, 1, __ATOMIC_RELAXED);
        return is_clear(e->word) ? NULL : "no clear message";
    }
    if (e->status != 0)
        return "another exit status";
    __atomic_add_fetch(&t->harmless, 1, __ATOMIC_RELAXED);
    return r->stake <= NEW_FOLDER ? differs_from(&at, whole_of(r)) : NULL;
}

/* Brings the folder back that the fault moved away; a new run's stays away, as if removed, where
 * the run says that it failed. */
static void move_back(const row *r, const ending *e)
{
    const bool began_anew = access("run/model.safetensors", F_OK) == 0;
    if (access("run.moved", F_OK) == 0 &&
        (r->stake == OLD_STATE || (e->status == 0 && !began_anew)))
        must("rm -rf run && mv run.moved run");
}

/* The step of the last state that a killed program counted as saved; 0: not known. */
static long promised(void)
{
    long step = 0;
    FILE *f = fopen("promised", "r");
    if (f != NULL && fscanf(f, "%ld", &step) != 1)
        step = 0;
    if (f != NULL)
        fclose(f);
    return step;
}

/* The step that a resumed run says it begins from. */
static long went_on_at(const ending *e)
{
    const char *at_step = strstr(e->out, ".safetensors, step ");
    return at_step != NULL ? atol(at_step + strlen(".safetensors, step ")) : -1;
}

/* The step behind which a signal stopped a run. */
static long stopped_at(const ending *e)
{
    const char *at_step = strstr(e->out, "interrupted after step ");
    return at_step != NULL ? atol(at_step + strlen("interrupted after step ")) : -2;
}

/* The run goes on; sometimes with other threads and another policy.  NULL: to the same bits. */
static const char *judge_state(const row *r, const ending *first, long number)
{
    const char *more = number % 8 == 3   ? " --threads 2"
                       : number % 8 == 6 ? " --checkpoint block"
                                         : "";
    char line[200];
    if (r->stake == OLD_STATE && system("diff -rq ../start run >/dev/null 2>&1") == 0)
        return NULL; /* nothing was touched */
    if (r->sweep == SIZE_OF_DISK)
        must("mount -o remount,size=64m run");
    snprintf(line, sizeof line, "%s%s", r->stake == OLD_STATE ? r->command : GO_ON, more);
    if (access("run/model.safetensors", F_OK) == 0 &&
        run_program(&at, "eval --model run/model.safetensors --data ../games.gomoku --threads 1",
                    NULL, 0, 0).status != 0)
        return "the model is torn";
    ending e = run_program(&at, line, NULL, 0, 0);
    if (first->status == 130 && went_on_at(&e) != stopped_at(first))
        return "the state of the step that it stopped at is not there";
    if (e.status == 0 ? went_on_at(&e) < promised() : promised() > 0)
        return "a state that was saved is lost";
    /* A signal that was handled has left a state at any moment. */
    const bool may_be_new = r->stake == NEW_FOLDER && first->status != 130;
    if (may_be_new && e.status == 2 && strstr(e.word, "no sound state") != NULL)
        e = run_program(&at, NEW_RUN, NULL, 0, 0);
    if (e.status != 0)
        return "it cannot be resumed";
    const char *wrong = differs_from(&at, whole_of(r));
    return wrong != NULL ? wrong : left_over();
}

/* The file is the old one or the new one. */
static const char *judge_file(const row *r, const ending *first)
{
    const char *f = file_of(r);
    char line[200];
    snprintf(line, sizeof line, "cmp -s %s ../new.%s", f, f);
    const bool is_new = system(line) == 0;
    snprintf(line, sizeof line, "cmp -s %s ../old.%s", f, f);
    if (first->status == 0 && !is_new)
        return "another file";
    if (!is_new && system(line) != 0)
        return "the file is damaged";
    snprintf(line, sizeof line, "%s.tmp", f);
    if (first->signal == 0 && access(line, F_OK) == 0)
        return "a temporary file is left";
    if (run_program(&at, r->command, NULL, 0, 0).status != 0)
        return "it cannot be run again";
    return access(line, F_OK) == 0 ? "a temporary file is left for good" : NULL;
}

void trial(const row *r, tally *t, long number, uint64_t draw)
{
    char fault[64] = "", delay[32] = "";
    const char *environment[] = {fault, "FAULT_FOLDER=run", "FAULT_PROMISED=promised", NULL};
    const double moment = whole_time * 1.1 * (double)(draw >> 11) / 9007199254740992.0;
    const long bytes = r->effect != NULL ? number * atol(r->effect) : 0;
    if (r->sweep == SIZE_OF_DISK)
        snprintf(delay, sizeof delay, "%ld KiB", SPARE_DISK + bytes);
    else if (r->sweep == NTH_CALL)
        snprintf(fault, sizeof fault, "FAULT=%s:%ld:%s", r->calls, number, r->effect);
    else if (r->sweep == BYTES_OF_DISK)
        snprintf(fault, sizeof fault, "FAULT_BUDGET=%ld", bytes);
    else if (r->sweep == BYTES_OF_MEMORY)
        snprintf(fault, sizeof fault, "FAULT_MEMORY=%ld", bytes);
    else
        snprintf(delay, sizeof delay, "after %.4f s", moment);
    prepare(r, number);
    const ending e = run_program(&at, r->command, fault[0] == '\0' ? NULL : environment,
                                 r->signal_number, moment);
    move_back(r, &e);
    const char *wrong = judge_ending(r, &e, t);
    if (wrong == NULL && r->stake <= NEW_FOLDER)
        wrong = judge_state(r, &e, number);
    if (wrong == NULL && r->stake == ONE_FILE)
        wrong = judge_file(r, &e);
    __atomic_add_fetch(&t->tried, 1, __ATOMIC_RELAXED);
    if (wrong == NULL && r->stake != NO_FILE)
        __atomic_add_fetch(&t->resumed, 1, __ATOMIC_RELAXED);
    if (wrong != NULL) {
        __atomic_add_fetch(&t->wrong, 1, __ATOMIC_RELAXED);
        fprintf(stderr, "%s, %s%s: %s (status %d, signal %d): %s\n", r->name, fault, delay, wrong,
                e.status, e.signal, e.word);
    }
}

long calls_of(const row *r)
{
    static const char *const environment[] = {"FAULT_COUNTS=counts", NULL};
    char name[16];
    long count, found = 0;
    prepare(r, 0);
    const ending e = run_program(&at, r->command, environment, 0, 0);
    FILE *f = fopen("counts", "r");
    while (f != NULL && fscanf(f, "%15s %ld", name, &count) == 2)
        if (strcmp(name, r->calls) == 0)
            found = count;
    if (f != NULL)
        fclose(f);
    if (e.status != 0 || found == 0) {
        fprintf(stderr, "faults: %s: the run without a fault ended with status %d: %s\n", r->name,
                e.status, e.word);
        exit(2);
    }
    return found;
}
