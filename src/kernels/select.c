/* Which tables there are, and which of them this processor runs.  The only file that knows.
 *
 * GN_HAVE_X86_TABLES says that fast.c was compiled for SSE2, AVX2 and AVX-512, GN_HAVE_NEON_TABLE
 * for NEON: SSE2 and NEON are part of x86-64 and aarch64, the others are asked for.  The AVX-512
 * table is compiled with -mavx512f -mavx512vl -mavx512bw -mavx512dq, so all four are asked for.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "gomokunet/op.h"

#ifdef GN_HAVE_X86_TABLES
extern const gn_table gn_table_sse2, gn_table_avx2, gn_table_avx512;

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

#ifdef GN_HAVE_NEON_TABLE
extern const gn_table gn_table_neon;
#endif

/* Fastest first. */
static const struct {
    const gn_table *table;
    bool (*runs)(void); /* NULL: everywhere */
} tables[] = {
#ifdef GN_HAVE_X86_TABLES
    {&gn_table_avx512, runs_avx512}, {&gn_table_avx2, runs_avx2}, {&gn_table_sse2, NULL},
#endif
#ifdef GN_HAVE_NEON_TABLE
    {&gn_table_neon, NULL},
#endif
    {&gn_plain, NULL},
};

const gn_table *gn_table_float(size_t index)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if ((tables[i].runs == NULL || tables[i].runs()) && index-- == 0)
            return tables[i].table;
    return NULL;
}

const gn_table *gn_table_fast(void)
{
    return gn_table_float(0);
}

const gn_table *gn_table_named(const char *name)
{
    const gn_table *table;
    if (strcmp(name, "double") == 0)
        return &gn_double;
    if (strcmp(name, "fast") == 0)
        return gn_table_fast();
    for (size_t i = 0; (table = gn_table_float(i)) != NULL; i++)
        if (strcmp(name, table->name) == 0)
            return table;
    return NULL;
}
