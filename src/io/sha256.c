/* SHA-256 (FIPS 180-4): the name of a tensor's bytes in manifests and reports.
 *
 * Our own, so that golden files can be checked without a further library.  It identifies data; it
 * guards no secret, so nothing here tries to run in constant time.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "gomokunet/io.h"
#include "io/codec.h"

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

/* One round.  The eight working variables are not shifted along; the caller renames them. */
static inline void step(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f,
                        uint32_t g, uint32_t *h, uint32_t input)
{
    uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    uint32_t choose = g ^ (e & (f ^ g));
    uint32_t majority = (a & b) | (c & (a | b));
    uint32_t t = *h + sum1 + choose + input;
    *d += t;
    *h = t + sum0 + majority;
}

static void expand(uint32_t w[64], const uint8_t *block)
{
    for (size_t i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 |
               (uint32_t)block[3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t early = w[i - 15], late = w[i - 2];
        w[i] = w[i - 16] + (rotate(early, 7) ^ rotate(early, 18) ^ early >> 3) + w[i - 7] +
               (rotate(late, 17) ^ rotate(late, 19) ^ late >> 10);
    }
    for (size_t i = 0; i < 64; i++)
        w[i] += constant[i];
}

static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64];
    expand(w, block);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (size_t i = 0; i < 64; i += 8) {
        step(a, b, c, &d, e, f, g, &h, w[i]);
        step(h, a, b, &c, d, e, f, &g, w[i + 1]);
        step(g, h, a, &b, c, d, e, &f, w[i + 2]);
        step(f, g, h, &a, b, c, d, &e, w[i + 3]);
        step(e, f, g, &h, a, b, c, &d, w[i + 4]);
        step(d, e, f, &g, h, a, b, &c, w[i + 5]);
        step(c, d, e, &f, g, h, a, &b, w[i + 6]);
        step(b, c, d, &e, f, g, h, &a, w[i + 7]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void gn_sha256_begin(gn_sha256 *hash)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(hash->state, start, sizeof start);
    hash->length = 0;
}

void gn_sha256_add(gn_sha256 *hash, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    while (count > 0) {
        size_t held = (size_t)(hash->length % 64);
        size_t take = count < 64 - held ? count : 64 - held;
        memcpy(hash->block + held, next, take);
        hash->length += take;
        next += take;
        count -= take;
        if (held + take == 64)
            compress(hash->state, hash->block);
    }
}

void gn_sha256_hex(gn_sha256 *hash, char hex[65])
{
    static const uint8_t padding[64] = {0x80};
    static const char digits[] = "0123456789abcdef";

    uint8_t length[8]; /* in bits, big-endian, read before the padding is counted in */
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((hash->length * 8) >> (56 - 8 * i));
    size_t held = (size_t)(hash->length % 64);
    gn_sha256_add(hash, padding, held < 56 ? 56 - held : 120 - held);
    gn_sha256_add(hash, length, sizeof length);

    for (size_t i = 0; i < 64; i++)
        hex[i] = digits[hash->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[64] = '\0';
}

void gn_sha256_add_elements(gn_sha256 *hash, const void *data, size_t bytes, size_t element)
{
    if (!GN_HOST_BIG_ENDIAN) {
        gn_sha256_add(hash, data, bytes);
        return;
    }
    const char *from = data;
    for (size_t at = 0; at + element <= bytes; at += element) {
        uint8_t turned[8];
        memcpy(turned, from + at, element);
        gn_reverse_elements(turned, element, element);
        gn_sha256_add(hash, turned, element);
    }
}
