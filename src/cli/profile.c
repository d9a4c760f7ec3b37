/* Where the time of training steps goes.
 *
 * The engine tells of each record just before and just after it runs; here are the clock and the
 * table.  What lies between records is "other".  SPDX-License-Identifier: MIT */
#include "cli/profile.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/machine.h"

static const char *const pass_names[PROFILE_PASSES] = {"data", "forward", "recompute", "backward",
                                                       "optimiser"};

/* --- Measuring ------------------------------------------------------------------------------- */

/* The time since the last reading. */
static double lap(profile *p)
{
    const double now = machine_seconds(), passed = now - p->mark;
    p->mark = now;
    return passed;
}

/* Without a row that is free, the time stays in "other". */
static void add(profile *p, const char *op, profile_pass pass, double seconds, profile_cost cost)
{
    int i = 0;
    while (i < p->count && (p->row[i].pass != pass || strcmp(p->row[i].op, op) != 0))
        i++;
    if (i == PROFILE_ROWS)
        return;
    profile_row *row = &p->row[i];
    if (i == p->count) {
        p->count++;
        *row = (profile_row){.pass = pass};
        snprintf(row->op, sizeof row->op, "%s", op);
    }
    row->calls++;
    row->seconds += seconds;
    row->flops += cost.flops;
    row->bytes += cost.bytes;
}

/* The engine's watch: called twice a record. */
static void watch(void *user, const gn_event *event)
{
    profile *p = user;
    const double seconds = lap(p);
    p->inside = !p->inside;
    p->program = event->program;
    if (p->inside)
        return;
    char op[48];
    profile_op_name(event->program, event->record, op, sizeof op);
    const profile_pass pass = event->pass == GN_FORWARD     ? PROFILE_FORWARD
                              : event->pass == GN_RECOMPUTE ? PROFILE_RECOMPUTE
                                                            : PROFILE_BACKWARD;
    add(p, op, pass, seconds, profile_record_cost(event->program, event->record, event->pass));
}

void profile_start(profile *p, gn_session *session, const gn_optimizer_config *optimizer)
{
    *p = (profile){.on = true, .optimizer = optimizer};
    gn_engine_watch(gn_session_engine(session), watch, p);
}

void profile_step_begins(profile *p)
{
    if (p->on)
        p->began = p->mark = machine_seconds();
}

void profile_batch_made(profile *p)
{
    if (p->on)
        add(p, "batch", PROFILE_DATA, lap(p), (profile_cost){0, 0});
}

/* What follows the last record: the step's result, the norm, running statistics, the update. */
void profile_step_ends(profile *p)
{
    if (!p->on || p->program == NULL)
        return;
    add(p, p->optimizer->kind == GN_ADAMW ? "norm, adamw" : "norm, sgd", PROFILE_OPTIMISER, lap(p),
        profile_update_cost(p->program, p->optimizer));
    p->steps++;
    p->wall += p->mark - p->began;
}

/* --- Reporting ------------------------------------------------------------------------------- */

static double other_seconds(const profile *p)
{
    double rest = p->wall;
    for (int i = 0; i < p->count; i++)
        rest -= p->row[i].seconds;
    return rest;
}

static int slowest_first(const void *a, const void *b)
{
    const double x = ((const profile_row *)a)->seconds, y = ((const profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

/* An amount of 1e9, and its rate; a dash where none is counted. */
static void print_amount(FILE *out, double amount, double steps, double seconds)
{
    if (amount > 0 && seconds > 0)
        fprintf(out, " %9.3f %9.2f", amount / steps * 1e-9, amount / seconds * 1e-9);
    else
        fprintf(out, " %9s %9s", "-", "-");
}

enum { NAME = 26 }; /* columns */

/* A span's name in fewer letters, as far as it must. */
static void shorten(char *name)
{
    static const char *const words[][2] = {
        {"batch_norm", "norm"}, {"depthwise_conv2d", "depthwise"}, {"squeeze_excite", "SE"}};
    for (size_t i = 0; i < sizeof words / sizeof *words && strlen(name) > NAME; i++) {
        char *at = strstr(name, words[i][0]);
        if (at == NULL)
            continue;
        const size_t was = strlen(words[i][0]), is = strlen(words[i][1]);
        memcpy(at, words[i][1], is);
        memmove(at + is, at + was, strlen(at + was) + 1);
    }
}

static void print_row(FILE *out, const profile *p, const char *op, const char *pass,
                      const profile_row *row)
{
    const double steps = (double)p->steps;
    char name[sizeof row->op];
    snprintf(name, sizeof name, "%s", op);
    shorten(name);
    fprintf(out, "  %-*s %-10s %7.0f %10.3f %6.1f %%", NAME, name, pass, (double)row->calls / steps,
            1e3 * row->seconds / steps, 100 * row->seconds / p->wall);
    print_amount(out, row->flops, steps, row->seconds);
    print_amount(out, row->bytes, steps, row->seconds);
    fputc('\n', out);
}

/* The sum of a pass; of all of them with PROFILE_PASSES. */
static profile_row sum_rows(const profile *p, profile_pass pass)
{
    profile_row sum = {0};
    for (int i = 0; i < p->count; i++) {
        if (pass != PROFILE_PASSES && p->row[i].pass != pass)
            continue;
        sum.calls += p->row[i].calls;
        sum.seconds += p->row[i].seconds;
        sum.flops += p->row[i].flops;
        sum.bytes += p->row[i].bytes;
    }
    return sum;
}

void profile_print(FILE *out, profile *p)
{
    if (p->steps == 0)
        return;
    fprintf(out, "profile: %llu steps, %.4f s a step; a step has\n  %-*s %-10s %7s %10s %8s %9s "
            "%9s %9s %9s\n", (unsigned long long)p->steps, p->wall / (double)p->steps, NAME, "op",
            "pass", "calls", "ms", "share", "GFLOP", "GFLOP/s", "GB", "GB/s");
    qsort(p->row, (size_t)p->count, sizeof *p->row, slowest_first);
    for (int i = 0; i < p->count; i++)
        print_row(out, p, p->row[i].op, pass_names[p->row[i].pass], &p->row[i]);
    const profile_row other = {.seconds = other_seconds(p)};
    print_row(out, p, "other", "", &other);
    fputc('\n', out);
    for (int k = 0; k < PROFILE_PASSES; k++) {
        const profile_row sum = sum_rows(p, (profile_pass)k);
        if (sum.calls > 0)
            print_row(out, p, "all", pass_names[k], &sum);
    }
    profile_row all = sum_rows(p, PROFILE_PASSES);
    all.seconds = p->wall;
    print_row(out, p, "the step", "", &all);
}

void profile_json(FILE *out, const profile *p)
{
    fprintf(out, "{\"profile\":{\"steps\":%llu,\"seconds\":", (unsigned long long)p->steps);
    json_number(out, p->wall);
    fputs(",\"other_seconds\":", out);
    json_number(out, other_seconds(p));
    fputs(",\"rows\":[", out);
    for (int i = 0; i < p->count; i++) {
        const profile_row *row = &p->row[i];
        fputs(i > 0 ? ",{\"op\":" : "{\"op\":", out);
        json_text(out, row->op);
        fprintf(out, ",\"pass\":\"%s\",\"calls\":%llu,\"seconds\":", pass_names[row->pass],
                (unsigned long long)row->calls);
        json_number(out, row->seconds);
        fputs(",\"flops\":", out);
        json_number(out, row->flops);
        fputs(",\"bytes\":", out);
        json_number(out, row->bytes);
        fputc('}', out);
    }
    fputs("]}}\n", out);
}
