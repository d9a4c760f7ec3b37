/* exp, log and tanh as section 21 of docs/numerics.md writes them, taken from the page: the hardest
 * inputs, and every STEP-th of all 2^32 against the library.  recipes [STEP], 997 where not given.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/numeric.h"
#include "recipes.h"
#include "support/hard_cases.h"

static const struct {
    const char *name;
    uint32_t (*recipe)(uint32_t x);
    float (*library)(float x);
    const hard_case *hard;
    size_t count;
} functions[] = {
    {"exp", exp_bits, gn_expf, hard_exp, sizeof hard_exp / sizeof *hard_exp},
    {"log", log_bits, gn_logf, hard_log, sizeof hard_log / sizeof *hard_log},
    {"tanh", tanh_bits, gn_tanhf, hard_tanh, sizeof hard_tanh / sizeof *hard_tanh},
};

static int is_nan(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

static int differs(int k, uint32_t x, uint32_t want)
{
    const uint32_t got = functions[k].recipe(x);
    if (got == want || (is_nan(got) && is_nan(want)))
        return 0;
    fprintf(stderr, "%s of %08x: the page's recipe gives %08x, expected %08x\n", functions[k].name,
            (unsigned)x, (unsigned)got, (unsigned)want);
    return 1;
}

int main(int argc, char **argv)
{
    const uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 997;
    for (int k = 0; k < 3; k++) {
        uint64_t tried = functions[k].count;
        for (size_t i = 0; i < functions[k].count; i++)
            if (differs(k, functions[k].hard[i].x, functions[k].hard[i].y))
                return 1;
        for (uint64_t i = 0; i < UINT64_C(1) << 32; i += step == 0 ? 1 : step, tried++) {
            const uint32_t x = (uint32_t)i;
            float value;
            uint32_t want;
            memcpy(&value, &x, sizeof value);
            value = functions[k].library(value);
            memcpy(&want, &value, sizeof want);
            if (differs(k, x, want))
                return 1;
        }
        printf("ok    %s: %llu inputs\n", functions[k].name, (unsigned long long)tried);
    }
    return 0;
}
