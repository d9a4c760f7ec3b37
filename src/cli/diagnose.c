/* gomokunet diagnose.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "gomokunet/diagnose.h"

enum { SHOWN = 5 };

static void print_catalogue(void)
{
    for (size_t i = 0; gn_mistake_name(i) != NULL; i++)
        printf("%-42s %s\n", gn_mistake_name(i), gn_mistake_says(i));
}

/* --- As text ---------------------------------------------------------------------------------- */

static void print_suspect(const gn_suspect *s)
{
    printf("    %-9s %s", gn_verdict_name(s->verdict), s->name);
    if (s->off >= 1e300)
        printf(": off without measure");
    else if (s->off > 0)
        printf(": off by %.3g of what is allowed", s->off);
    if (s->cause >= 0)
        printf(", %.2g with the mistake", s->left);
    printf("\n");
}

/* Those of one cause, -1: unexplained. */
static void print_suspects(const gn_diagnosis *d, int cause, bool all)
{
    size_t count = 0;
    for (size_t i = 0; i < d->suspects; i++)
        if (d->suspect[i].cause == cause && (count++ < SHOWN || all))
            print_suspect(&d->suspect[i]);
    if (count > SHOWN && !all)
        printf("    and %zu more\n", count - SHOWN);
}

static void print_cause(const gn_diagnosis *d, int index, bool all)
{
    const gn_cause *c = &d->cause[index];
    printf("%s: %s\n", gn_mistake_name(c->mistake), gn_mistake_says(c->mistake));
    for (size_t i = 0; i < c->ties; i++)
        printf("  cannot be told from %s: %s\n", gn_mistake_name(c->tied[i]),
               gn_mistake_says(c->tied[i]));
    printf(
        "  with this mistake %zu of %zu wrong tensors are inside the bound, the worst at %.2g of "
        "it: %zu forward, %zu backward, %zu after the step\n",
        c->explained, d->suspects, c->worst, c->forward, c->backward, c->update);
    print_suspects(d, index, all);
}

static void print_text(const gn_diagnosis *d, bool all)
{
    printf("%zu tensors judged, %zu outside their bound\n", d->judged, d->suspects);
    if (d->extra > 0)
        printf("%zu tensors that the golden file does not have\n", d->extra);
    if (d->unjudged > 0)
        printf("%zu tensors unjudged: what they are made from was not recorded, so a mistake in "
               "them does not show\n",
               d->unjudged);
    if (d->zero_signs > 0)
        printf("%zu tensors differ from the contract only in +0 for -0: a tail padded with +0 in "
               "place of -0?\n",
               d->zero_signs);
    for (size_t i = 0; i < d->causes; i++)
        print_cause(d, (int)i, all);
    if (d->unexplained > 0) {
        printf("no mistake of the catalogue explains %zu of %zu wrong tensors\n", d->unexplained,
               d->suspects);
        print_suspects(d, -1, all);
    }
    printf("diagnosis: %s\n", d->causes > 0 ? gn_mistake_name(d->cause[0].mistake)
                              : d->suspects > 0 || d->extra > 0 ? "none explains"
                                                                : "nothing wrong");
}

/* --- As JSON ---------------------------------------------------------------------------------- */

static void print_json_cause(const gn_cause *c)
{
    printf("{\"name\":");
    json_text(stdout, gn_mistake_name(c->mistake));
    printf(",\"says\":");
    json_text(stdout, gn_mistake_says(c->mistake));
    printf(",\"explained\":%zu,\"forward\":%zu,\"backward\":%zu,\"update\":%zu,\"worst\":",
           c->explained, c->forward, c->backward, c->update);
    json_number(stdout, c->worst);
    printf(",\"tied\":[");
    for (size_t i = 0; i < c->ties; i++) {
        printf("%s", i == 0 ? "" : ",");
        json_text(stdout, gn_mistake_name(c->tied[i]));
    }
    printf("]}");
}

static void print_json(const gn_diagnosis *d)
{
    printf("{\"judged\":%zu,\"unjudged\":%zu,\"extra\":%zu,\"wrong\":%zu,\"unexplained\":%zu,"
           "\"zero_signs\":%zu,\"causes\":[",
           d->judged, d->unjudged, d->extra, d->suspects, d->unexplained, d->zero_signs);
    for (size_t i = 0; i < d->causes; i++) {
        printf("%s\n", i == 0 ? "" : ",");
        print_json_cause(&d->cause[i]);
    }
    printf("],\"tensors\":[");
    for (size_t i = 0; i < d->suspects; i++) {
        const gn_suspect *s = &d->suspect[i];
        printf("%s\n{\"name\":", i == 0 ? "" : ",");
        json_text(stdout, s->name);
        printf(",\"verdict\":");
        json_text(stdout, gn_verdict_name(s->verdict));
        printf(",\"off\":");
        json_number(stdout, s->off);
        printf(",\"cause\":");
        json_text(stdout, s->cause < 0 ? NULL : gn_mistake_name(d->cause[s->cause].mistake));
        printf(",\"left\":");
        json_number(stdout, s->left);
        printf("}");
    }
    printf("\n]}\n");
}

int command_diagnose(int argc, char **argv)
{
    bool json = false, list = false, all = false;
    int threads = gn_threads_available();
    const option options[] = {
        {"list", OPT_FLAG, &list, 0, 0, NULL, "print the catalogue of mistakes"},
        {"all", OPT_FLAG, &all, 0, 0, NULL, "show every wrong tensor, not only the first"},
        {"threads", OPT_INT, &threads, 1, 256, "N", "threads"},
        {"json", OPT_FLAG, &json, 0, 0, NULL, "as JSON"},
    };
    const command c = {
        "diagnose", "name the mistake that explains wrong tensors", "GOLDEN CANDIDATE",
        options,    (int)(sizeof options / sizeof *options),        NULL};
    text_list files = {0};
    const parsed p = options_parse(&c, argc, argv, &files);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (list && files.count == 0) {
        print_catalogue();
        return EXIT_GOOD;
    }
    if (files.count != 2) {
        fprintf(stderr, "gomokunet diagnose: two files are needed, GOLDEN and CANDIDATE\n");
        return EXIT_USAGE;
    }
    gn_diagnosis d;
    gn_err err;
    if (gn_diagnose(&d, files.item[0], files.item[1], threads, &err) != GN_OK) {
        tell("diagnose", &err);
        return err.status == GN_E_NOMEM ? EXIT_RUNTIME : EXIT_USAGE;
    }
    if (json)
        print_json(&d);
    else
        print_text(&d, all);
    const bool good = d.suspects == 0 && d.extra == 0;
    gn_diagnosis_free(&d);
    return good ? EXIT_GOOD : EXIT_NEGATIVE;
}
