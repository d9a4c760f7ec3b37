/* The learning rates written out in docs/numerics.md, 22.4.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "gomokunet/train.h"

Test(worked_rates, cosine)
{
    static const struct {
        uint64_t step;
        double rate;
    } want[] = {{0, 0x1.7d4ce4a19b16fp-14},  {9, 0x1.dca01dca01dcap-11},
                {10, 0x1.0624dd2f1a9fcp-10}, {11, 0x1.0610a0c168692p-10},
                {40, 0x1.8a86d71f36263p-11}, {70, 0x1.0e0221426fe71p-12},
                {99, 0x1.59a98f6751dd5p-17}, {100, 0x1.4f8b588e368f1p-17}};
    gn_rate r;
    cr_assert_eq(gn_rate_parse(&r, "cosine:10:1e-5", 1e-3, NULL), GN_OK);
    cr_assert_eq(gn_rate_span(&r, 100, NULL), GN_OK);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_assert(gn_rate_at(&r, want[i].step) == want[i].rate, "step %d: %a",
                  (int)want[i].step, gn_rate_at(&r, want[i].step));
}
