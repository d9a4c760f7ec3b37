/* Which tables there are, and which of them this processor runs.  The only file that knows.
 *
 * GN_HAVE_X86_TABLES says that fast.c was compiled for AVX2 and AVX-512 too.  The AVX-512 table
 * is compiled with -mavx512f -mavx512vl -mavx512bw -mavx512dq, so all four are asked for.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "gomokunet/op.h"

#ifdef GN_HAVE_X86_TABLES
extern const gn_table gn_table_avx2, gn_table_avx512;

static bool runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avx512(void)
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq");
}
#endif

const gn_table *gn_table_fast(void)
{
#ifdef GN_HAVE_X86_TABLES
    if (runs_avx512())
        return &gn_table_avx512;
    if (runs_avx2())
        return &gn_table_avx2;
#endif
    return &gn_plain;
}

const gn_table *gn_table_named(const char *name)
{
    if (strcmp(name, "plain") == 0)
        return &gn_plain;
    if (strcmp(name, "double") == 0)
        return &gn_double;
    if (strcmp(name, "fast") == 0)
        return gn_table_fast();
#ifdef GN_HAVE_X86_TABLES
    if (strcmp(name, "avx2") == 0)
        return runs_avx2() ? &gn_table_avx2 : NULL;
    if (strcmp(name, "avx512") == 0)
        return runs_avx512() ? &gn_table_avx512 : NULL;
#endif
    return NULL;
}
