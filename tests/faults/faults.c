/* Fault injection: every call of a short training run fails once, and nothing is lost.
 *
 *     faults PROGRAM SHIM [--sample] [--sanitized] [--seed N] [--only TEXT]
 *
 * A row of the table is a kind of fault at each n-th call (or moment).  Each trial runs the program
 * in a folder with a good older state or in an empty one.  It must end with exit status 3 and a
 * message, or with 0 and the bits of the run that nothing happened to; behind it the run is
 * resumed and must come to these bits.  Exit status 1 where one trial did not hold.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trial.h"

static const row rows[] = {
    {"no memory", OLD_STATE, NTH_CALL, "memory", "12", 0, 0, GO_ON},
    {"no memory, new run", NEW_FOLDER, NTH_CALL, "memory", "12", 0, 0, NEW_RUN},
    {"no memory from then on", OLD_STATE, NTH_CALL, "memory", "+12", 0, 5, GO_ON},
    {"mmap, brk: no room left", OLD_STATE, BYTES_OF_MEMORY, NULL, "65536", 0, 120, GO_ON},
    {"open to read: no access", OLD_STATE, NTH_CALL, "look", "13", 0, 0, GO_ON},
    {"open to read: many files", OLD_STATE, NTH_CALL, "look", "24", 0, 0, GO_ON},
    {"open to write: no access", OLD_STATE, NTH_CALL, "open", "13", 0, 0, GO_ON},
    {"open to write, new run", NEW_FOLDER, NTH_CALL, "open", "24", 0, 0, NEW_RUN},
    {"opendir: I/O error", OLD_STATE, NTH_CALL, "list", "5", 0, 0, GO_ON},
    {"read: I/O error", OLD_STATE, NTH_CALL, "read", "5", 0, 0, GO_ON},
    {"write: I/O error", OLD_STATE, NTH_CALL, "write", "5", 0, 0, GO_ON},
    {"write: disk full", OLD_STATE, NTH_CALL, "write", "28", 0, 0, GO_ON},
    {"write: disk full, new run", NEW_FOLDER, NTH_CALL, "write", "28", 0, 0, NEW_RUN},
    {"write: half of the bytes", OLD_STATE, NTH_CALL, "write", "short", 0, 0, GO_ON},
    {"disk full after k bytes", OLD_STATE, BYTES_OF_DISK, NULL, "65536", 0, 96, GO_ON},
    {"a small disk (tmpfs), full", OLD_STATE, SIZE_OF_DISK, NULL, "64", 0, 40, GO_ON},
    {"fsync: I/O error", OLD_STATE, NTH_CALL, "sync", "5", 0, 0, GO_ON},
    {"fsync: I/O error, new run", NEW_FOLDER, NTH_CALL, "sync", "5", 0, 0, NEW_RUN},
    {"rename: I/O error", OLD_STATE, NTH_CALL, "rename", "5", 0, 0, GO_ON},
    {"close: I/O error", OLD_STATE, NTH_CALL, "close", "5", 0, 0, GO_ON},
    {"ftruncate: I/O error", OLD_STATE, NTH_CALL, "truncate", "5", 0, 0, GO_ON},
    {"mkdir: read-only", NEW_FOLDER, NTH_CALL, "mkdir", "30", 0, 0, NEW_RUN},
    {"unlink: no access", OLD_STATE, NTH_CALL, "remove", "13", 0, 0, GO_ON},
    {"read-only from then on", OLD_STATE, NTH_CALL, "change", "+30", 0, 0, GO_ON},
    {"folder moved away", OLD_STATE, NTH_CALL, "change", "move", 0, 0, GO_ON},
    {"folder removed, new run", NEW_FOLDER, NTH_CALL, "change", "move", 0, 0, NEW_RUN},
    {"SIGKILL at a file call", OLD_STATE, NTH_CALL, "change", "kill", 0, 0, GO_ON},
    {"SIGKILL at a call, new run", NEW_FOLDER, NTH_CALL, "change", "kill", 0, 0, NEW_RUN},
    {"power lost at a file call", OLD_STATE, NTH_CALL, "change", "power", 0, 0, GO_ON},
    {"power lost, new run", NEW_FOLDER, NTH_CALL, "change", "power", 0, 0, NEW_RUN},
    {"SIGKILL at random moments", OLD_STATE, MOMENT, NULL, NULL, SIGKILL, 200, GO_FAR},
    {"SIGINT at random moments", OLD_STATE, MOMENT, NULL, NULL, SIGINT, 40, GO_FAR_UNSAVED},
    {"SIGTERM at random moments", OLD_STATE, MOMENT, NULL, NULL, SIGTERM, 40, GO_FAR_UNSAVED},
    {"SIGHUP at moments, new run", NEW_FOLDER, MOMENT, NULL, NULL, SIGHUP, 40, NEW_RUN},
    {"eval: no memory", NO_FILE, NTH_CALL, "memory", "12", 0, 0,
     "eval --model ../near/model.safetensors --data ../games.gomoku --threads 1"},
    {"eval: read: I/O error", NO_FILE, NTH_CALL, "read", "5", 0, 0,
     "eval --model ../near/model.safetensors --data ../games.gomoku --threads 1"},
    {"plan: no memory", NO_FILE, NTH_CALL, "memory", "12", 0, 0,
     "plan --board-size 5 --num-blocks 2 --channels 4 --batch-size 4"},
    {"games: no memory", ONE_FILE, NTH_CALL, "memory", "12", 0, 0, NEW_GAMES},
    {"games: disk full", ONE_FILE, NTH_CALL, "write", "28", 0, 0, NEW_GAMES},
    {"games: power lost", ONE_FILE, NTH_CALL, "change", "power", 0, 0, NEW_GAMES},
    {"golden: no memory", ONE_FILE, NTH_CALL, "memory", "12", 0, 7, NEW_GOLDEN "safetensors"},
    {"golden: disk full", ONE_FILE, NTH_CALL, "write", "28", 0, 9, NEW_GOLDEN "safetensors"},
    {"golden: read-only", ONE_FILE, NTH_CALL, "open", "30", 0, 0, NEW_GOLDEN "safetensors"},
    {"golden: fsync: I/O error", ONE_FILE, NTH_CALL, "sync", "5", 0, 0, NEW_GOLDEN "safetensors"},
    {"golden: SIGINT at moments", ONE_FILE, MOMENT, NULL, NULL, SIGINT, 20,
     NEW_GOLDEN "safetensors"},
    {"golden npz: no memory", ONE_FILE, NTH_CALL, "memory", "12", 0, 7, NEW_GOLDEN "npz"},
    {"golden npz: disk full", ONE_FILE, NTH_CALL, "write", "28", 0, 5, NEW_GOLDEN "npz"},
    {"golden npz: read-only", ONE_FILE, NTH_CALL, "open", "30", 0, 0, NEW_GOLDEN "npz"},
    {"golden npz: fsync: I/O error", ONE_FILE, NTH_CALL, "sync", "5", 0, 0, NEW_GOLDEN "npz"},
    {"golden npz: power lost", ONE_FILE, NTH_CALL, "change", "power", 0, 9, NEW_GOLDEN "npz"},
    {"golden npz: SIGINT", ONE_FILE, MOMENT, NULL, NULL, SIGINT, 20, NEW_GOLDEN "npz"},
    {"golden npz: SIGKILL", ONE_FILE, MOMENT, NULL, NULL, SIGKILL, 20, NEW_GOLDEN "npz"},
    {"verify npz: no memory", NO_FILE, NTH_CALL, "memory", "12", 0, 11,
     "verify --threads 1 ../new.g.safetensors ../new.g.npz"},
    {"verify npz: read: I/O error", NO_FILE, NTH_CALL, "read", "5", 0, 9,
     "verify --threads 1 ../new.g.safetensors ../new.g.npz"},
};

enum { WORKERS = 2, STEP_START = 2 };

/* --- A row ----------------------------------------------------------------------------------- */

/* SplitMix64: a number for each trial, whichever worker takes it. */
static uint64_t drawn(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* In a sample, few of the trials, spread over all. */
static void try_all(const row *r, tally *t, long trials, long stride, uint64_t seed)
{
    pid_t worker[WORKERS];
    for (int w = 0; w < WORKERS; w++) {
        worker[w] = fork();
        if (worker[w] != 0)
            continue;
        char folder[300];
        snprintf(folder, sizeof folder, "%s/work%d", at.root, w);
        must("mkdir -p %s", folder);
        if (chdir(folder) != 0)
            _exit(2);
        for (long n; (n = __atomic_fetch_add(&t->next, stride, __ATOMIC_RELAXED)) <= trials;)
            trial(r, t, n, drawn(seed, (uint64_t)n));
        _exit(0);
    }
    for (int w = 0; w < WORKERS; w++) {
        int status;
        waitpid(worker[w], &status, 0);
        if (status != 0)
            t->wrong++;
    }
}

/* --- The table ------------------------------------------------------------------------------- */

static void make_files(void)
{
    must("mkdir -p %s/work0", at.root);
    if (chdir(at.root) != 0)
        exit(2);
    must("'%s' games --make 3 --board-size 5 --seed 5 --out old.g.gomoku.gz >out 2>err", at.program);
    must("'%s' " NEW_GAMES " >out 2>err && mv g.gomoku.gz new.g.gomoku.gz", at.program);
    for (int i = 0; i < 2; i++) {
        const char *kind = i == 0 ? "safetensors" : "npz";
        must("'%s' " NEW_GOLDEN "%s >out 2>err && mv g.%s new.g.%s && cp new.g.gomoku.gz old.g.%s",
             at.program, kind, kind, kind, kind);
    }
    must("'%s' games --make 8 --board-size 5 --out games.gomoku >out 2>err", at.program);
    if (chdir("work0") != 0)
        exit(2);
    must("'%s' %s >out 2>err && cp -r run ../near", at.program, NEW_RUN);
    must("'%s' %s >out 2>err && mv run ../far", at.program, GO_FAR);
    must("'%s' %s --steps %d >out 2>err && cp -r run ../start", at.program, NEW_RUN, STEP_START);
    /* What a killed run may have left: lines without their state, a torn temporary file. */
    must("tail -n 3 ../far/metrics.jsonl >>../start/metrics.jsonl && "
         "echo torn >../start/state/step-000000000003.safetensors.tmp && rm -rf run && "
         "cp -r ../start run");
    const double began = seconds();
    const ending e = run_program(&at, GO_FAR, NULL, 0, 0);
    whole_time = seconds() - began;
    if (e.status != 0 || differs_from(&at, "far") != NULL) {
        fprintf(stderr, "faults: without a fault a resumed run differs: %s\n", e.word);
        exit(2);
    }
}

static void print_row(const char *name, const tally *t)
{
    printf("%-28s %6ld %7ld %9ld %8ld %11ld %9ld\n", name, t->tried, t->told, t->harmless,
           t->stopped, t->resumed, t->wrong);
    fflush(stdout);
}

static void absolute(char *to, size_t room, const char *path)
{
    char *full = realpath(path, NULL);
    if (full == NULL) {
        fprintf(stderr, "faults: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    snprintf(to, room, "%s", full);
    free(full);
}

int main(int argc, char **argv)
{
    bool sample = false, sanitized = false;
    uint64_t seed = 1;
    const char *only = "";
    if (argc < 3) {
        fprintf(stderr, "usage: faults PROGRAM SHIM [--sample] [--sanitized] [--seed N] "
                "[--only TEXT]\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (strcmp(argv[i], "--sample") == 0) sample = true;
        else if (strcmp(argv[i], "--sanitized") == 0) sanitized = true;
        else if (strcmp(argv[i], "--seed") == 0 && more) seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && more) only = argv[++i];
    }
    absolute(at.program, sizeof at.program, argv[1]);
    absolute(at.shim, sizeof at.shim, argv[2]);
    /* In memory where that is possible: a thousand runs sync to it at once. */
    snprintf(at.root, sizeof at.root, "%s/gn_faults_XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(at.root) == NULL)
        return 2;
    tally *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED)
        return 2;
    make_files();
    printf("seed of the random moments: %llu\n", (unsigned long long)seed);
    printf("%-28s %6s %7s %9s %8s %11s %9s\n", "fault", "tried", "exit 3", "harmless", "stopped",
           "same bits", "failures");
    tally sum = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        /* A sanitizer's shadow memory needs all address space. */
        if (strstr(r->name, only) == NULL || (sanitized && r->sweep == BYTES_OF_MEMORY))
            continue;
        if (r->sweep == SIZE_OF_DISK &&
            system("mkdir -p m && mount -t tmpfs faults m 2>/dev/null && umount m") != 0) {
            printf("%-28s left out: this needs root and mount\n", r->name);
            continue;
        }
        const long trials = r->sweep == NTH_CALL ? calls_of(r) : r->trials;
        const long all = r->sweep == NTH_CALL && r->trials > 0 ? r->trials : 1;
        const long stride = sample && trials > 2 ? (trials + 1) / 2 : all;
        *t = (tally){.next = 1};
        try_all(r, t, trials, stride, seed);
        print_row(r->name, t);
        sum.tried += t->tried, sum.told += t->told, sum.harmless += t->harmless;
        sum.stopped += t->stopped, sum.resumed += t->resumed, sum.wrong += t->wrong;
    }
    print_row("all", &sum);
    must("umount '%s'/work*/run 2>/dev/null; rm -rf '%s'", at.root, at.root);
    return sum.tried > 0 && sum.wrong == 0 ? 0 : 1;
}
