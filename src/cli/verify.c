/* gomokunet verify.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/json.h"
#include "cli/options.h"

typedef struct verify_options {
    const char *require;
    int threads;
    bool json, all, same;
} verify_options;

static void print_text(const gn_verification *v, const verify_options *o)
{
    size_t counts[GN_VERDICT_WRONG + 1] = {0};
    for (size_t i = 0; i < v->count; i++) {
        counts[v->finding[i].verdict]++;
        if (o->all || *v->finding[i].note != '\0' || v->finding[i].verdict > GN_VERDICT_BOUND)
            finding_print(&v->finding[i]);
    }
    if (v->extra > 0)
        printf("%zu tensors that the golden file does not have, the first %s\n", v->extra,
               v->first_extra);
    findings_unseen(v);
    printf("%zu tensors:", v->count);
    for (int i = 0; i <= GN_VERDICT_WRONG; i++)
        if (counts[i] > 0)
            printf(" %zu %s", counts[i], gn_verdict_name((gn_verdict)i));
    printf("\nverdict: %s\n", gn_verdict_name(v->verdict));
}

static void print_json(const gn_verification *v)
{
    printf("{\"verdict\":");
    json_text(stdout, gn_verdict_name(v->verdict));
    printf(",\"level\":");
    json_text(stdout, gn_level_name(v->level));
    printf(",\"unseen\":%zu,\"extra\":%zu,\"tensors\":[", v->unseen, v->extra);
    for (size_t i = 0; i < v->count; i++) {
        printf("%s\n", i == 0 ? "" : ",");
        finding_json(&v->finding[i]);
    }
    printf("\n]}\n");
}

/* The worst verdict that is good enough; GN_VERDICT_WRONG: there is no such name. */
static gn_verdict required(const char *name)
{
    for (int i = GN_VERDICT_BITS; i < GN_VERDICT_UNJUDGED; i++)
        if (strcmp(gn_verdict_name((gn_verdict)i), name) == 0)
            return (gn_verdict)i;
    return GN_VERDICT_WRONG;
}

int command_verify(int argc, char **argv)
{
    verify_options o = {.require = "bound", .threads = gn_threads_available()};
    const option list[] = {
        {"require", OPT_TEXT, &o.require, 0, 0, "VERDICT",
         "bits, bound (default), tf32, fp16 or bf16: exit 1 where a tensor is worse"},
        {"same", OPT_FLAG, &o.same, 0, 0, NULL,
         "two candidates, no golden file: the same bits or not"},
        {"all", OPT_FLAG, &o.all, 0, 0, NULL, "show every tensor, not only what is outside"},
        {"threads", OPT_INT, &o.threads, 1, 256, "N", "threads"},
        {"json", OPT_FLAG, &o.json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"verify", "judge another implementation's tensors, op by op",
                       "GOLDEN CANDIDATE", list, (int)(sizeof list / sizeof *list), NULL};
    text_list files = {0};
    const parsed p = options_parse(&c, argc, argv, &files);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    const gn_verdict least = required(o.require);
    if (files.count != 2 || least == GN_VERDICT_WRONG) {
        fprintf(stderr, files.count != 2
                            ? "gomokunet verify: two files are needed, GOLDEN and CANDIDATE\n"
                            : "gomokunet verify: --require: expected bits, bound, tf32, fp16 or "
                              "bf16\n");
        return EXIT_USAGE;
    }
    gn_verification v;
    gn_err err;
    const gn_status st =
        o.same ? gn_verify_same(&v, files.item[0], files.item[1], &err)
               : gn_verify(&v, files.item[0], files.item[1], o.threads, &err);
    if (st != GN_OK) {
        const char *candidate = files.item[1];
        const bool second = strncmp(err.text, candidate, strlen(candidate)) == 0;
        return tell_input("verify", second ? candidate : files.item[0], &err);
    }
    if (o.json)
        print_json(&v);
    else
        print_text(&v, &o);
    const bool good = v.verdict <= least;
    gn_verification_free(&v);
    return good ? EXIT_GOOD : EXIT_NEGATIVE;
}
