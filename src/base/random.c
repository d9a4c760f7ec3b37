/* Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): random numbers without state.
 *
 * A block of four words is a function of (seed, stream, index), so any thread, process or GPU can
 * have any number at any time, and a resumed run needs no saved generator.  The constants are
 * those of the paper; the known-answer vectors of Random123 are in tests/test_numeric.c.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/numeric.h"

enum { ROUNDS = 10 };

/* Odd constants for the two multiplications, and the Weyl steps of the key: the golden ratio and
 * sqrt(3) - 1, as fractions of 2^32. */
static const uint32_t MUL_0 = 0xD2511F53u, MUL_1 = 0xCD9E8D57u;
static const uint32_t STEP_0 = 0x9E3779B9u, STEP_1 = 0xBB67AE85u;

void gn_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);

    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)MUL_0 * c0;
        const uint64_t p1 = (uint64_t)MUL_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += STEP_0;
        k1 += STEP_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t gn_random_u32(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t block[4];
    gn_philox(block, seed, stream, index / 4);
    return block[index % 4];
}

uint32_t gn_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bound)
{
    const uint32_t word = gn_random_u32(seed, stream, index);
    return (uint32_t)(((uint64_t)word * bound) >> 32);
}

float gn_random_symmetric(uint64_t seed, uint64_t stream, uint64_t index)
{
    /* 24 bits, times a power of two, minus 1: each step is exact. */
    const uint32_t word = gn_random_u32(seed, stream, index);
    return (float)(word >> 8) * 0x1p-23f - 1.0f;
}
