/* The rate of false alarms: variations that only round otherwise, judged on random data.
 *
 *     build/rates [TRIALS] [SEED] [VARIATION]    tensors judged (10,000), seed (1), one of the
 * table
 *
 * Exit 1 where one was worse than `transform`.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/trials.h"

int main(int argc, char **argv)
{
    const size_t wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char folder[] = "/tmp/gn_rates_XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        perror(folder);
        return 3;
    }
    const size_t each = wanted / roundings_count + 1;
    size_t total = 0, worse = 0;
    printf("%-18s %7s %7s %7s %9s %6s  %s\n", "variation", "tensors", "bits", "bound", "transform",
           "worse", "largest rms error / float32's own");
    for (size_t i = 0; i < roundings_count; i++) {
        if (argc > 3 && strcmp(argv[3], roundings[i].name) != 0)
            continue;
        trial t = {.spread = 0};
        size_t done = 0, bad = 0;
        for (size_t k = 0; done < each; k++) {
            trial_run(&t, &roundings[i], seed = seed * 6364136223846793005u + 1442695040888963407u,
                      k % 40 == 39);
            done = bad = 0;
            for (int v = 0; v <= GN_VERDICT_WRONG; v++) {
                done += t.verdicts[v];
                bad += v > GN_VERDICT_TRANSFORM ? t.verdicts[v] : 0;
            }
        }
        printf("%-18s %7zu %7zu %7zu %9zu %6zu  %.2f\n", roundings[i].name, done,
               t.verdicts[GN_VERDICT_BITS], t.verdicts[GN_VERDICT_BOUND],
               t.verdicts[GN_VERDICT_TRANSFORM], bad, t.spread);
        if (bad > 0)
            printf("    %s\n", t.worst);
        fflush(stdout);
        total += done;
        worse += bad;
    }
    printf("%zu tensors, %zu worse than transform\n", total, worse);
    if (chdir("/") == 0)
        rmdir(folder);
    return worse > 0;
}
