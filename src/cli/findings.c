/* Findings of a verification, shown; see findings.h.  SPDX-License-Identifier: MIT */
#include "cli/findings.h"

#include <stdio.h>
#include <string.h>

#include "cli/json.h"

/* "ulp off 0: 1200, 1: 31, 2-3: 4": how many elements are how far from the contract. */
static void print_histogram(const gn_finding *f)
{
    printf("           ulp off");
    for (int bin = 0; bin < GN_ULP_BINS; bin++) {
        const unsigned low = bin == 0 ? 0 : 1u << (bin - 1);
        if (f->histogram[bin] == 0)
            continue;
        if (bin == GN_ULP_BINS - 1)
            printf(" %u or more: %zu", low, f->histogram[bin]);
        else if (bin < 2)
            printf(" %u: %zu,", low, f->histogram[bin]);
        else
            printf(" %u-%u: %zu,", low, 2 * low - 1, f->histogram[bin]);
    }
    printf("\n");
}

static bool judged(const gn_finding *f)
{
    return *f->note == '\0';
}

void finding_print(const gn_finding *f)
{
    printf("%-10s %s", gn_verdict_name(f->verdict), f->name);
    if (!judged(f))
        printf(": %s", f->note);
    if (f->different == 0 || f->elements == 0) {
        printf("\n");
        return;
    }
    printf(": %zu of %zu differ, at most %u ulp", f->different, f->elements, f->max_ulp);
    if (f->reference_rms_error > 0)
        printf("; rms error %.2g, the reference's %.2g\n", f->rms_error, f->reference_rms_error);
    else
        printf("; rms distance %.2g\n", f->rms_error);
    if (!judged(f))
        return;
    print_histogram(f);
    printf("           worst at %s: got %a, expected %a, float64 %.9g", f->index, (double)f->got,
           (double)f->expected, f->truth);
    if (f->bound > 0)
        printf(": off %.3g of the bound %.3g", f->max_error_over_bound, f->bound);
    if (f->envelope > 0)
        printf("; spread %.2f, float32's own %.2f", f->spread, f->envelope);
    printf("\n");
}

/* Inside the gates, but more than twice what float32 does by itself on these data. */
static bool warned(const gn_finding *f)
{
    return f->verdict == GN_VERDICT_BOUND && f->envelope > 0 && f->spread > 2 * f->envelope;
}

void finding_json(const gn_finding *f)
{
    printf("{\"name\":");
    json_text(stdout, f->name);
    printf(",\"verdict\":");
    json_text(stdout, gn_verdict_name(f->verdict));
    printf(",\"warn\":%s,\"note\":", warned(f) ? "true" : "false");
    json_text(stdout, *f->note == '\0' ? NULL : f->note);
    printf(",\"elements\":%zu,\"different\":%zu,\"max_ulp\":%u,\"ulp_histogram\":[", f->elements,
           f->different, f->max_ulp);
    for (int bin = 0; bin < GN_ULP_BINS; bin++)
        printf("%s%zu", bin == 0 ? "" : ",", f->histogram[bin]);
    printf("],\"index\":");
    json_text(stdout, f->index);
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"max_error_over_bound", f->max_error_over_bound}, {"bound", f->bound},
                   {"expected", (double)f->expected}, {"got", (double)f->got},
                   {"truth", f->truth}, {"spread", f->spread}, {"envelope", f->envelope},
                   {"rms_error", f->rms_error}, {"reference_rms_error", f->reference_rms_error}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        printf(",\"%s\":", numbers[k].key);
        json_number(stdout, numbers[k].value);
    }
    printf(",\"feeds\":");
    json_text(stdout, f->feeds);
    printf("}");
}

void findings_unseen(const gn_verification *v)
{
    if (v->unseen > 0)
        printf("%zu tensors of the golden file not seen (level %s, and what it declares as fused)\n",
               v->unseen, gn_level_name(v->level));
}
