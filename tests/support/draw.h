/* Random choices, and numbers of every kind, for tests that look for cases nobody thought of.
 *
 * A function of the state alone, without the library's own random numbers.
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_DRAW_H
#define GN_TESTS_DRAW_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PICK(list) ((list)[draw(COUNT(list))])

static uint64_t state; /* set it before a case; splitmix64 */

static uint32_t draw_word(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

static size_t draw(size_t bound)
{
    return (size_t)((uint64_t)draw_word() * bound >> 32);
}

typedef enum values { USUAL, TINY, HUGE_ONES, INTEGERS, BROKEN, ZEROS, WIDE, TIES, KINDS } values;

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One number of a kind: signed zeros and denormals; near overflow; small integers; a rare infinity
 * or NaN; mostly zeros, as behind a ReLU; any exponent within 2^+-30; 1 or
 * 2^-12 and some last places, whose products lie halfway between two floats, or nearly so. */
static float number(values kind)
{
    static const float tiny[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 3e-39f, -2e-41f, 1e-20f, -1e-22f,
                                 0x1p-126f, -0x1p-75f, 1.0f, -0.75f};
    static const float broken[] = {INFINITY, -INFINITY, NAN, 3.4e38f, 0.0f, -0.0f, -NAN};
    static const uint32_t near[] = {0, 1, 2, 3, (uint32_t)-2, (uint32_t)-4};
    const uint32_t word = draw_word();
    const float usual = (float)(word >> 8) * 0x1p-23f - 1;
    switch (kind) {
    case TINY: return PICK(tiny);
    case HUGE_ONES: return usual * 1e20f;
    case INTEGERS: return word % 8 == 0 ? -0.0f : (float)(word % 7) - 3;
    case BROKEN: return draw(150) == 0 ? PICK(broken) : usual;
    case ZEROS: return word % 4 == 0 ? (float)(word >> 8) * 0x1p-24f : word % 5 == 0 ? -0.0f : 0;
    case WIDE: return of_bits((word & 0x807fffff) | (uint32_t)(97 + draw(61)) << 23);
    case TIES:
        return of_bits((word & 0x80000000) | ((word & 1 ? 0x3f800000 : 0x39800000) + PICK(near)));
    default: return usual;
    }
}

#endif
