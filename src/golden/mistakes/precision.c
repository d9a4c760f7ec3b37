/* Formulas that are right in numbers that are not: what the judge has named, and approximations.
 * SPDX-License-Identifier: MIT */
#include "golden/mistakes/mistake.h"

static bool has_exp(const gn_record *r)
{
    return gn_record_is(r, "sigmoid") || gn_record_is(r, "tanh") ||
           gn_record_is(r, "softmax_cross_entropy");
}

#define PRECISION(name_, says_, verdict_)                                                          \
    {                                                                                              \
        .name = name_, .says = says_, .by_verdict = true, .verdict = verdict_                      \
    }
static const gn_mistake mistakes[] = {
    PRECISION("tf32", "products of TF32 numbers: switch it off", GN_VERDICT_TF32),
    PRECISION("bf16", "bfloat16: autocast, or a cast", GN_VERDICT_BF16),
    PRECISION("fp16", "half precision: autocast, or a cast", GN_VERDICT_FP16),
    PRECISION("ftz", "denormal numbers are flushed to zero", GN_VERDICT_FTZ),
    {.name = "fast-exp",
     .says = "exp, log or tanh is an approximation of a few digits",
     .where = has_exp,
     .roughly = 0x1p-8},
};
const gn_mistakes gn_mistakes_precision = {mistakes, sizeof mistakes / sizeof *mistakes};
