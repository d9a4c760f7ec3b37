/* gomokunet diverge: the first op that is wrong, going forward and going backward.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/commands.h"
#include "cli/findings.h"
#include "cli/json.h"
#include "cli/options.h"

/* Directions in which a run goes; findings stand in the order of computing. */
static const struct direction {
    const char *name, *groups[4];
} directions[] = {{"inference", {"eval_forward/"}},
                  {"forward", {"forward/", "stats/", "loss/"}},
                  {"backward", {"grad_forward/", "grad/"}},
                  {"update", {"after", "step/"}}};
enum { DIRECTIONS = sizeof directions / sizeof *directions };

typedef struct first {
    const gn_finding *wrong;
    size_t judged, unjudged; /* before it */
} first;

static bool goes(const struct direction *d, const char *name)
{
    for (int i = 0; i < 4 && d->groups[i] != NULL; i++)
        if (strncmp(name, d->groups[i], strlen(d->groups[i])) == 0)
            return true;
    return false;
}

static first find(const gn_verification *v, const struct direction *d, gn_verdict least)
{
    first f = {0};
    for (size_t i = 0; i < v->count && f.wrong == NULL; i++) {
        const gn_finding *one = &v->finding[i];
        if (!goes(d, one->name))
            continue;
        if (one->verdict == GN_VERDICT_UNJUDGED)
            f.unjudged++;
        else if (one->verdict > least)
            f.wrong = one;
        else
            f.judged++;
    }
    return f;
}

static void print_text(const struct direction *d, const first *f)
{
    if (f->wrong == NULL && f->judged + f->unjudged == 0) {
        printf("%s: nothing of it in the candidate\n", d->name);
        return;
    }
    if (f->wrong == NULL) {
        printf("%s: no divergence in %zu tensors", d->name, f->judged);
    } else {
        printf("%s: the first wrong tensor, after %zu that are right:\n", d->name, f->judged);
        finding_print(f->wrong);
        if (*f->wrong->feeds != '\0')
            printf("           feeds %s", f->wrong->feeds);
    }
    if (f->unjudged > 0)
        printf("%s%zu before it could not be judged", f->wrong == NULL ? "; " : "\n           ",
               f->unjudged);
    printf("\n");
}

static void print_json(const first *found)
{
    printf("{");
    for (int i = 0; i < DIRECTIONS; i++) {
        const first *f = &found[i];
        printf("%s\n\"%s\":{\"right\":%zu,\"unjudged\":%zu,\"first\":", i == 0 ? "" : ",",
               directions[i].name, f->judged, f->unjudged);
        if (f->wrong != NULL)
            finding_json(f->wrong);
        else
            printf("null");
        printf("}");
    }
    printf("\n}\n");
}

int command_diverge(int argc, char **argv)
{
    int threads = gn_threads_available();
    bool json = false, bits = false;
    const option list[] = {
        {"bits", OPT_FLAG, &bits, 0, 0, NULL, "the first that is not the same bits"},
        {"threads", OPT_INT, &threads, 1, 256, "N", "threads"},
        {"json", OPT_FLAG, &json, 0, 0, NULL, "as JSON"},
    };
    const command c = {"diverge", "the first op that is wrong, forward and backward",
                       "GOLDEN CANDIDATE", list, (int)(sizeof list / sizeof *list), NULL};
    text_list files = {0};
    const parsed p = options_parse(&c, argc, argv, &files);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (files.count != 2) {
        fprintf(stderr, "gomokunet diverge: two files are needed, GOLDEN and CANDIDATE\n");
        return EXIT_USAGE;
    }
    gn_verification v;
    gn_err err;
    if (gn_verify(&v, files.item[0], files.item[1], threads, &err) != GN_OK) {
        const char *candidate = files.item[1];
        const bool second = strncmp(err.text, candidate, strlen(candidate)) == 0;
        return tell_input("diverge", second ? candidate : files.item[0], &err);
    }
    first found[DIRECTIONS];
    bool any = false;
    for (int i = 0; i < DIRECTIONS; i++) {
        found[i] = find(&v, &directions[i], bits ? GN_VERDICT_BITS : GN_VERDICT_BOUND);
        any = any || found[i].wrong != NULL;
        if (!json)
            print_text(&directions[i], &found[i]);
    }
    if (json)
        print_json(found);
    gn_verification_free(&v);
    return any ? EXIT_NEGATIVE : EXIT_GOOD;
}
