/* Zips of npy arrays made by hand, so that any byte of them can be wrong.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_ZIP_H
#define GN_TESTS_ZIP_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

typedef struct zip {
    unsigned char bytes[1 << 18];
    size_t count, entries, directory, end; /* where these begin; set by zip_finish */
    struct {
        char name[300];
        size_t name_length, at, central, packed, size;
        unsigned long crc;
        unsigned method;
    } entry[8];
} zip;

static inline void zip_number(zip *z, unsigned long value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        z->bytes[z->count++] = (unsigned char)(i < 8 ? value >> 8 * i : 0);
}

static inline void zip_bytes(zip *z, const void *bytes, size_t count)
{
    cr_assert_lt(z->count + count, sizeof z->bytes);
    memcpy(z->bytes + z->count, bytes, count);
    z->count += count;
}

static inline void zip_facts(zip *z, size_t i)
{
    zip_number(z, z->entry[i].method, 2);
    zip_number(z, 0, 4);
    zip_number(z, z->entry[i].crc, 4);
    zip_number(z, z->entry[i].packed, 4);
    zip_number(z, z->entry[i].size, 4);
    zip_number(z, z->entry[i].name_length, 2);
    zip_number(z, 0, 2);
}

/* An entry of these bytes, which stand for `size` with that CRC. */
static inline void zip_add_raw(zip *z, const char *name, size_t name_length, unsigned method,
                               const void *packed, size_t count, size_t size, unsigned long crc)
{
    const size_t i = z->entries++;
    memcpy(z->entry[i].name, name, name_length);
    z->entry[i].name_length = name_length;
    z->entry[i].method = method;
    z->entry[i].packed = count;
    z->entry[i].size = size;
    z->entry[i].crc = crc;
    z->entry[i].at = z->count;
    zip_number(z, 0x04034b50, 4);
    zip_number(z, 20, 4);
    zip_facts(z, i);
    zip_bytes(z, name, name_length);
    zip_bytes(z, packed, count);
}

/* A stored array: a header text in 128 bytes with its magic, then data. */
static inline void zip_add(zip *z, const char *name, const char *header, const void *data,
                           size_t size)
{
    static unsigned char array[16384];
    memset(array, ' ', 128);
    memcpy(array, "\x93NUMPY\x01\x00\x76", 10);
    memcpy(array + 10, header, strlen(header));
    array[127] = '\n';
    memcpy(array + 128, data, size);
    zip_add_raw(z, name, strlen(name), 0, array, 128 + size, 128 + size,
                crc32(0, array, (unsigned)(128 + size)));
}

static inline void zip_finish(zip *z)
{
    z->directory = z->count;
    for (size_t i = 0; i < z->entries; i++) {
        z->entry[i].central = z->count;
        zip_number(z, 0x02014b50, 4);
        zip_number(z, 20, 2);
        zip_number(z, 20, 4);
        zip_facts(z, i);
        zip_number(z, 0, 10);
        zip_number(z, z->entry[i].at, 4);
        zip_bytes(z, z->entry[i].name, z->entry[i].name_length);
    }
    z->end = z->count;
    zip_number(z, 0x06054b50, 8);
    zip_number(z, z->entries, 2);
    zip_number(z, z->entries, 2);
    zip_number(z, z->end - z->directory, 4);
    zip_number(z, z->directory, 4);
    zip_number(z, 0, 2);
}

#define F4(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }"

#endif
