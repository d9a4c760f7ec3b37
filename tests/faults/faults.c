/* Does a training run survive everything that can fail?
 *
 *     faults PROGRAM FAULTY [every N] [kills N]
 *
 * PROGRAM is gomokunet, FAULTY the same linked with wrap.c.  A run of six steps is made whole.  Then,
 * again and again, a run that stands at step two goes on while one call fails: it must end by itself,
 * say what failed on stderr, exit 3, and then go on to the bits of the whole run.  Where it exits 0,
 * the fault did no harm, and the result must be whole already.  The table goes to stdout; exit 1
 * where anything failed.  `every N` tries each N-th call only, for a quick look.
 * SPDX-License-Identifier: MIT */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 6, FILE_ROOM = 1 << 22, WAIT_SECONDS = 60 };
static const char net[] = "--board-size 5 --num-blocks 1 --channels 3 --batch-size 4 "
                          "--eval-every 3 --save-every 1 --threads 1 --seed 7 --data games.gomoku";
static const char *program, *faulty;

/* What one run is put under, and what came of it. */
typedef struct outcome {
    int status;  /* exit status; 128 + n: killed by signal n; -1: did not end */
    bool spoke;  /* something on stderr */
    char text[300];
} outcome;

typedef struct row {
    const char *name;
    unsigned long tried, told, harmless, resumed, failures;
} row;

/* --- Running ---------------------------------------------------------------------------------- */

static void shell(const char *format, ...)
{
    char line[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (system(line) != 0) {
        fprintf(stderr, "faults: this failed: %s\n", line);
        exit(2);
    }
}

static pid_t start(const char *binary, const char *arguments, const char *fault, rlim_t limit)
{
    const pid_t child = fork();
    if (child != 0)
        return child;
    char line[1000];
    if (fault != NULL)
        setenv("GN_FAULT", fault, 1);
    if (limit > 0) {
        const struct rlimit most = {limit, limit};
        setrlimit(RLIMIT_FSIZE, &most);
        signal(SIGXFSZ, SIG_IGN);
    }
    snprintf(line, sizeof line, "exec %s %s >out.txt 2>err.txt </dev/null", binary, arguments);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static void pause_for(long microseconds)
{
    const struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static outcome finish(pid_t child)
{
    outcome o = {.status = -1};
    int status = 0;
    for (int tick = 0; tick < WAIT_SECONDS * 1000; tick++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            break;
        }
        pause_for(1000);
    }
    if (o.status == -1) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    FILE *f = fopen("err.txt", "r");
    if (f != NULL) {
        const size_t n = fread(o.text, 1, sizeof o.text - 1, f);
        o.text[n] = '\0';
        fclose(f);
    }
    o.spoke = strstr(o.text, "gomokunet ") != NULL;
    return o;
}

static outcome run(const char *binary, const char *arguments, const char *fault, rlim_t limit)
{
    return finish(start(binary, arguments, fault, limit));
}

/* --- Comparing ---------------------------------------------------------------------------------- */

static size_t contents(const char *path, char *bytes)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return 0;
    const size_t n = fread(bytes, 1, FILE_ROOM - 1, f);
    fclose(f);
    bytes[n] = '\0';
    return n;
}

/* Metrics without what the clock and the machine make of them. */
static void timeless(char *text)
{
    char *to = text;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *end = strstr(line, ",\"positions_per_second\"");
        const size_t kept = end != NULL ? (size_t)(end - line) : 0; /* 0: the options */
        memmove(to, line, kept);
        to += kept;
        *to++ = '\n';
    }
    *to = '\0';
}

static bool is_whole(void)
{
    static char a[FILE_ROOM], b[FILE_ROOM];
    const size_t n = contents("whole/model.safetensors", a);
    if (n == 0 || contents("run/model.safetensors", b) != n || memcmp(a, b, n) != 0)
        return false;
    contents("whole/metrics.jsonl", a);
    contents("run/metrics.jsonl", b);
    timeless(a);
    timeless(b);
    return strcmp(a, b) == 0;
}

/* --- One case ---------------------------------------------------------------------------------- */

static const char resume[] = "train --resume run --steps 6";

static void fresh_copy(void)
{
    shell("rm -rf run && cp -r base run");
}

static void fail(row *r, const char *fault, const char *why, const outcome *o)
{
    r->failures++;
    printf("  FAILED %s %s: %s; exit %d, stderr: %s\n", r->name, fault, why, o->status,
           *o->text == '\0' ? "(nothing)\n" : o->text);
}

/* Judges a run that was put under a fault, then goes on without it. */
static void judge(row *r, const char *fault, const outcome *o, int expected)
{
    r->tried++;
    if (o->status == 0 && is_whole()) {
        r->harmless++;
        return;
    }
    if (o->status == 0)
        fail(r, fault, "said all is well, and it is not", o);
    else if (o->status != expected)
        fail(r, fault, "another exit status", o);
    else if (!o->spoke && expected == 3)
        fail(r, fault, "no message", o);
    else
        r->told++;
    const outcome again = run(program, resume, NULL, 0);
    if (again.status == 0 && is_whole())
        r->resumed++;
    else
        fail(r, fault, "could not go on to the same bits", &again);
}

static void print_row(const row *r)
{
    printf("%-34s %6lu %10lu %9lu %10lu %9lu\n", r->name, r->tried, r->told, r->harmless,
           r->resumed, r->failures);
    fflush(stdout);
}

/* --- Kinds of faults ---------------------------------------------------------------------------- */

static unsigned long count_calls(const char *kind)
{
    char name[32];
    unsigned long count = 0, n;
    FILE *f = fopen("counts.txt", "r");
    while (f != NULL && fscanf(f, "%31s %lu", name, &n) == 2)
        if (strcmp(name, kind) == 0)
            count = n;
    if (f != NULL)
        fclose(f);
    return count;
}

static unsigned long each_call(const char *kind, const char *name, unsigned long every)
{
    row r = {.name = name};
    fresh_copy();
    setenv("GN_FAULT_COUNT", "counts.txt", 1);
    run(faulty, resume, NULL, 0);
    unsetenv("GN_FAULT_COUNT");
    const unsigned long calls = count_calls(kind);
    for (unsigned long n = 1; n <= calls; n += every) {
        char fault[40];
        snprintf(fault, sizeof fault, "%s:%lu", kind, n);
        fresh_copy();
        const outcome o = run(faulty, resume, fault, 0);
        judge(&r, fault, &o, 3);
    }
    if (calls == 0)
        fail(&r, kind, "the run makes no such call: nothing was tried", &(outcome){0});
    print_row(&r);
    return r.failures;
}

/* Files may grow to a limit: writes become short at it, then fail. */
static unsigned long file_limits(unsigned long tries)
{
    row r = {.name = "file size limit (short writes)"};
    for (unsigned long i = 1; i <= tries; i++) {
        char fault[40];
        const rlim_t limit = 1 + (rlim_t)(i * 2500000 / tries) * (i % 3 == 0 ? 1 : i) / tries;
        snprintf(fault, sizeof fault, "%lu bytes", (unsigned long)limit);
        fresh_copy();
        const outcome o = run(program, resume, NULL, limit);
        judge(&r, fault, &o, 3);
    }
    print_row(&r);
    return r.failures;
}

/* A file system with so much room and no more. */
static unsigned long full_disk(unsigned long tries)
{
    row r = {.name = "disk full"};
    for (unsigned long i = 1; i <= tries; i++) {
        char fault[40];
        const unsigned long kib = 3900 + i * 6000 / tries;
        snprintf(fault, sizeof fault, "%lu KiB", kib);
        shell("rm -rf run && mkdir run");
        char line[200];
        snprintf(line, sizeof line, "mount -t tmpfs -o size=%luk none run 2>/dev/null", kib);
        if (system(line) != 0) {
            printf("%-34s not tried: a file system cannot be mounted here\n", r.name);
            return 0;
        }
        if (system("cp -r base/. run 2>/dev/null") == 0) {
            const outcome o = run(program, resume, NULL, 0);
            shell("mkdir kept && cp -r run/. kept && umount run && rm -rf run && mv kept run");
            judge(&r, fault, &o, 3);
        } else {
            shell("umount run");
        }
    }
    print_row(&r);
    return r.failures;
}

static unsigned long kill_at_random(int number, const char *name, unsigned long tries,
                                    unsigned seed)
{
    row r = {.name = name};
    fresh_copy();
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    run(program, resume, NULL, 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    const long whole = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
    srandom(seed);
    for (unsigned long i = 0; i < tries; i++) {
        char fault[40];
        const long moment = random() % (whole + whole / 8);
        snprintf(fault, sizeof fault, "after %ld us", moment);
        fresh_copy();
        const pid_t child = start(program, resume, NULL, 0);
        pause_for(moment);
        kill(child, number);
        outcome o = finish(child);
        /* A signal that comes before the handler is there ends the program in the old way. */
        const bool early = number != SIGKILL && o.status == 128 + number;
        judge(&r, fault, &o, number == SIGKILL || early ? 128 + number : 130);
    }
    print_row(&r);
    return r.failures;
}

/* The folder of states is made anew; a run folder is not, since its metrics are gone with it. */
static unsigned long lost_folder(unsigned long tries)
{
    row r = {.name = "folder removed, or a file in its place"};
    static const char *const ways[] = {"mv run lost", "mv run/state run/lost && touch run/state",
                                       "mv run/state run/lost"};
    for (unsigned long i = 0; i < 3 * tries; i++) {
        fresh_copy();
        shell("rm -rf lost");
        const pid_t child = start(program, "train --resume run --steps 300", NULL, 0);
        pause_for(60000 + 10000 * (long)i);
        shell("%s", ways[i % 3]);
        const outcome o = finish(child);
        const bool anew = i % 3 == 2;
        r.tried++;
        if (o.status == 3 && o.spoke)
            r.told++;
        else if (o.status == 0 && anew)
            r.harmless++;
        else
            fail(&r, ways[i % 3], "expected exit 3 and a message", &o);
    }
    print_row(&r);
    return r.failures;
}

/* --- All -------------------------------------------------------------------------------------- */

static void prepare(void)
{
    char folder[] = "/tmp/gn_faults_XXXXXX", line[600];
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        perror(folder);
        exit(2);
    }
    shell("%s games --make 12 --board-size 5 --seed 3 --out games.gomoku >/dev/null", program);
    snprintf(line, sizeof line, "train %s --steps 6 --out whole", net);
    outcome o = run(program, line, NULL, 0);
    snprintf(line, sizeof line, "train %s --steps 2 --out base", net);
    if (o.status == 0)
        o = run(program, line, NULL, 0);
    if (o.status != 0) {
        fprintf(stderr, "faults: the run without a fault failed: %s\n", o.text);
        exit(2);
    }
}

static const char *absolute(const char *path)
{
    char *full = realpath(path, NULL);
    if (full == NULL) {
        perror(path);
        exit(2);
    }
    return full;
}

int main(int argc, char **argv)
{
    static const char *const kinds[][2] = {
        {"memory", "n-th allocation fails"}, {"open", "n-th open fails"},
        {"write", "n-th write or flush fails or is short"}, {"close", "n-th close fails"},
        {"fsync", "n-th fsync fails"}, {"rename", "n-th rename fails"},
        {"folder", "n-th mkdir fails (read-only)"}, {"truncate", "n-th truncation fails"},
        {"read", "n-th read is short"}};
    if (argc < 3) {
        fprintf(stderr, "usage: faults PROGRAM FAULTY [every N] [kills N]\n");
        return 2;
    }
    unsigned long every = 1, kills = 200, failures = 0;
    for (int i = 3; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "every") == 0 ? &every : &kills) = strtoul(argv[i + 1], NULL, 10);
    program = absolute(argv[1]);
    faulty = absolute(argv[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    prepare();
    printf("%-34s %6s %10s %9s %10s %9s\n", "fault", "tried", "told", "harmless", "went on",
           "failures");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        failures += each_call(kinds[i][0], kinds[i][1], every);
    failures += file_limits(120 / every > 3 ? 120 / every : 3);
    failures += full_disk(40 / every > 3 ? 40 / every : 3);
    failures += lost_folder(every > 1 ? 2 : 10);
    failures += kill_at_random(SIGKILL, "SIGKILL at a random moment", kills, 1);
    failures += kill_at_random(SIGINT, "SIGINT at a random moment", kills / 4 + 1, 2);
    failures += kill_at_random(SIGTERM, "SIGTERM at a random moment", kills / 4 + 1, 3);
    failures += kill_at_random(SIGHUP, "SIGHUP at a random moment", kills / 4 + 1, 4);
    printf("%lu failures\n", failures);
    char here[200];
    if (getcwd(here, sizeof here) != NULL && failures == 0)
        shell("cd / && rm -rf %s", here);
    return failures == 0 ? 0 : 1;
}
