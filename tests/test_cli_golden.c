/* golden, verify, diverge as a person runs them.  SPDX-License-Identifier: MIT */
#include "support/shell.h"

TestSuite(cli_golden, .init = shell_enter, .fini = shell_leave);

#define KEYS(...) (const char *const[]){__VA_ARGS__}, \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

static void write_two(void)
{
    const char *const options = "golden --board-size 5 --num-blocks 1 --channels 4 --batch-size 2";
    cr_assert_eq(gomokunet("%s --out one.safetensors", options), 0);
    cr_assert_eq(gomokunet("%s --seed 2 --out two.safetensors", options), 0);
}

/* Other weights: everything is wrong from the first op on, forward and backward. */
Test(cli_golden, diverge_tells_the_first_wrong_op)
{
    write_two();
    cr_assert_eq(gomokunet("diverge one.safetensors two.safetensors"), 1);
    HAS(shell_out, "forward: the first wrong tensor, after 0 that are right:",
        "forward/input_conv.0", "feeds input_conv.1", "backward: the first wrong tensor, after",
        "of the bound", "ulp off");
    cr_assert_eq(gomokunet("diverge one.safetensors two.safetensors --json"), 1);
    json_has(shell_out, KEYS("inference", "forward", "backward", "update", "first", "right",
                             "unjudged", "feeds", "bound"));
    cr_assert_eq(gomokunet("diverge one.safetensors one.safetensors --bits"), 0);
    HAS(shell_out, "forward: no divergence in", "update: no divergence in");
    cr_assert_eq(gomokunet("diverge one.safetensors"), 2);
    cr_assert_eq(gomokunet("diverge one.safetensors none.safetensors"), 2);
    HAS(shell_err, "none.safetensors");
}

Test(cli_golden, verify_tells_what_is_wrong)
{
    write_two();
    cr_assert_eq(gomokunet("verify one.safetensors two.safetensors"), 1);
    HAS(shell_out, "wrong      forward/input_conv.0: ", "verdict: wrong");
    cr_assert_eq(gomokunet("verify one.safetensors one.safetensors --all --require bits"), 0);
    HAS(shell_out, "bits       forward/value\n", "verdict: bits");
    cr_assert_eq(gomokunet("verify one.safetensors two.safetensors --json"), 1);
    json_has(shell_out, KEYS("verdict", "level", "unseen", "tensors", "name", "warn", "max_ulp",
                             "ulp_histogram", "max_error_over_bound", "index", "expected", "got"));
    cr_assert_eq(gomokunet("verify --same one.safetensors two.safetensors"), 1);
    HAS(shell_out, "rms distance", "verdict: wrong");
    cr_assert_eq(gomokunet("verify --same one.safetensors one.safetensors"), 0);
    cr_assert_eq(gomokunet("verify one.safetensors two.safetensors --require most"), 2);
    HAS(shell_err, "--require", "bf16");
}
