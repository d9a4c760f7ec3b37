/* Byte order: safetensors files are little-endian, memory has the order of the host.
 *
 * Both orders are compiled everywhere and chosen by a constant, so that a little-endian machine
 * can test the other path: -DGN_HOST_BIG_ENDIAN=1 must still round-trip.
 * SPDX-License-Identifier: MIT */
#ifndef GN_IO_CODEC_H
#define GN_IO_CODEC_H

#include <stddef.h>
#include <stdint.h>

#ifndef GN_HOST_BIG_ENDIAN
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define GN_HOST_BIG_ENDIAN 1
#else
#define GN_HOST_BIG_ENDIAN 0
#endif
#endif

static inline uint64_t gn_load_le64(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static inline void gn_store_le64(uint8_t bytes[8], uint64_t value)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* Turns the bytes of every element around; `count` is a multiple of `element`. */
static inline void gn_reverse_elements(void *data, size_t count, size_t element)
{
    uint8_t *byte = data;
    for (size_t at = 0; at < count; at += element)
        for (size_t low = 0, high = element - 1; low < high; low++, high--) {
            uint8_t keep = byte[at + low];
            byte[at + low] = byte[at + high];
            byte[at + high] = keep;
        }
}

#endif
