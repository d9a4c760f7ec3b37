/* libFuzzer's entry; -DHARNESS=fuzz_npz and so on choose what it calls.
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    HARNESS(bytes, count);
    return 0;
}
