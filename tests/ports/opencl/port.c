/* GomokuNet in OpenCL: computes every tensor of a golden file (or of a file of cases), a
 * candidate for `gomokunet verify`.
 *
 *     opencl_port GOLDEN CANDIDATE [--device NAME] [--kernels FOLDER]
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "port.h"

#ifndef KERNELS
#define KERNELS "tests/ports/opencl"
#endif

static void network(int steps)
{
    net n = {0};
    net_build(&n);
    for (int step = 1; step <= (steps > 0 ? steps : 1); step++)
        net_step(&n, step);
}

int main(int argc, char **argv)
{
    const char *file[2] = {NULL, NULL}, *wanted = "", *folder = KERNELS;
    int files = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
            wanted = argv[++i];
        else if (strcmp(argv[i], "--kernels") == 0 && i + 1 < argc)
            folder = argv[++i];
        else if (argv[i][0] == '-' || files == 2)
            stop(2, "%s: expected GOLDEN CANDIDATE [--device NAME] [--kernels FOLDER]", argv[i]);
        else
            file[files++] = argv[i];
    if (files != 2)
        stop(2, "two files are needed: GOLDEN CANDIDATE [--device NAME] [--kernels FOLDER]");
    golden_open(file[0]);
    const bool cases = strcmp(golden_word("level"), "cases") == 0;
    const int steps = cases ? 0 : (int)golden_number("steps", 0, 1e6);
    const char *device = device_open(wanted, folder);
    if (cases)
        cases_run();
    else
        network(steps);
    candidate_write(file[1], device, steps);
    printf("%zu tensors, %s\n", golden_tensors(), device);
    return 0;
}
