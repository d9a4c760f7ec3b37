/* gomokunet verify.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "gomokunet/golden.h"

typedef struct verify_options {
    const char *require;
    int threads;
    bool json, all;
} verify_options;

static void print_finding(const gn_finding *f)
{
    printf("%-10s %s", gn_verdict_name(f->verdict), f->name);
    if (*f->note != '\0') {
        printf(": %s\n", f->note);
        return;
    }
    if (f->different == 0) {
        printf("\n");
        return;
    }
    printf(": %zu of %zu differ, at most %u ulp; rms error %.2g, the reference's %.2g\n",
           f->different, f->elements, f->max_ulp, f->rms_error, f->reference_rms_error);
    printf("           worst at %s: got %a, the contract %a, float64 %.9g: %.3g of the bound",
           f->index, (double)f->got, (double)f->expected, f->truth, f->max_error_over_bound);
    if (f->envelope > 0)
        printf("; spread %.2f, float32's own %.2f", f->spread, f->envelope);
    printf("\n");
}

static void print_text(const gn_verification *v, const verify_options *o)
{
    size_t counts[GN_VERDICT_WRONG + 1] = {0};
    for (size_t i = 0; i < v->count; i++) {
        counts[v->finding[i].verdict]++;
        if (o->all || v->finding[i].verdict > GN_VERDICT_BOUND)
            print_finding(&v->finding[i]);
    }
    if (v->extra > 0)
        printf("%zu tensors that the golden file does not have, the first %s\n", v->extra,
               v->first_extra);
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
    printf(",\"extra\":%zu,\"tensors\":[", v->extra);
    for (size_t i = 0; i < v->count; i++) {
        const gn_finding *f = &v->finding[i];
        printf("%s\n{\"name\":", i == 0 ? "" : ",");
        json_text(stdout, f->name);
        printf(",\"verdict\":");
        json_text(stdout, gn_verdict_name(f->verdict));
        printf(",\"note\":");
        json_text(stdout, *f->note == '\0' ? NULL : f->note);
        printf(",\"elements\":%zu,\"different\":%zu,\"max_ulp\":%u,\"index\":", f->elements,
               f->different, f->max_ulp);
        json_text(stdout, f->index);
        const struct {
            const char *key;
            double value;
        } numbers[] = {{"max_error_over_bound", f->max_error_over_bound},
                       {"expected", (double)f->expected}, {"got", (double)f->got},
                       {"truth", f->truth}, {"spread", f->spread}, {"envelope", f->envelope},
                       {"rms_error", f->rms_error},
                       {"reference_rms_error", f->reference_rms_error}};
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            printf(",\"%s\":", numbers[k].key);
            json_number(stdout, numbers[k].value);
        }
        putchar('}');
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
         "bits, bound (default), transform, tf32, fp16 or bf16: exit 1 where a tensor is worse"},
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
                            : "gomokunet verify: --require: expected bits, bound, transform, "
                              "tf32, fp16 or bf16\n");
        return EXIT_USAGE;
    }
    gn_verification v;
    gn_err err;
    if (gn_verify(&v, files.item[0], files.item[1], o.threads, &err) != GN_OK) {
        tell("verify", &err);
        return err.status == GN_E_NOMEM ? EXIT_RUNTIME : EXIT_USAGE;
    }
    if (o.json)
        print_json(&v);
    else
        print_text(&v, &o);
    const bool good = v.verdict <= least;
    gn_verification_free(&v);
    return good ? EXIT_GOOD : EXIT_NEGATIVE;
}
