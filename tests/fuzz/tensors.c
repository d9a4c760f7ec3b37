/* Readers of tensors: what they take is sound in every byte, what they refuse has a message.
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <zlib.h>

#include "fuzz.h"

static void check_entry(const gn_entry *e)
{
    size_t bytes = gn_dtype_size(e->type);
    PROMISE(e->rank >= 0 && e->rank <= 8 && e->data != NULL && (uintptr_t)e->data % 64 == 0);
    for (int i = 0; i < e->rank; i++)
        bytes *= e->dim[i];
    PROMISE(bytes == e->bytes);
    const size_t length = strlen(e->name);
    PROMISE(length >= 1 && length <= 255 && e->name[0] != '/' && strstr(e->name, "//") == NULL);
    unsigned sum = 0; /* a sanitizer sees bytes that are not there */
    for (size_t i = 0; i < e->bytes; i++) {
        const uint8_t byte = ((const uint8_t *)e->data)[i];
        PROMISE(e->type != GN_BOOL || byte <= 1);
        sum += byte;
    }
    PROMISE(sum <= 255 * e->bytes);
}

void fuzz_check_reader(gn_reader *reader, gn_status status, const char *path, const gn_err *err)
{
    PROMISE((status == GN_OK) == (reader != NULL));
    if (reader == NULL) {
        PROMISE(err->status == status && strncmp(err->text, path, strlen(path)) == 0);
        PROMISE(strlen(err->text) > strlen(path) + 2);
        return;
    }
    for (size_t i = 0; i < gn_reader_count(reader); i++) {
        const gn_entry *e = gn_reader_at(reader, i);
        check_entry(e);
        PROMISE(gn_reader_find(reader, e->name) == e); /* each name once */
    }
    PROMISE(gn_reader_at(reader, gn_reader_count(reader)) == NULL);
    gn_reader_close(reader);
}

static void read_any(const char *path)
{
    gn_reader *reader = NULL;
    gn_err err = {0};
    const gn_status st = gn_tensors_open(&reader, path, &err);
    fuzz_check_reader(reader, st, path, &err);
}

void fuzz_safetensors(const uint8_t *bytes, size_t count)
{
    gn_reader *reader = NULL;
    gn_err err = {0};
    const char *path = fuzz_file(".safetensors", bytes, count);
    const gn_status st = gn_reader_open(&reader, path, &err);
    fuzz_check_reader(reader, st, path, &err);
}

void fuzz_npz(const uint8_t *bytes, size_t count)
{
    read_any(fuzz_file(".npz", bytes, count));
}

/* --- A zip around one array ----------------------------------------------------------------- */

static size_t add(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(i < 8 ? value >> 8 * i : 0);
    return (size_t)bytes;
}

/* CRC, sizes, the length of the name "a.npy" and no more. */
static size_t add_facts(uint8_t *to, uint32_t crc, size_t count)
{
    size_t at = add(to, crc, 4);
    at += add(to + at, count, 4);
    at += add(to + at, count, 4);
    at += add(to + at, 5, 2);
    return at + add(to + at, 0, 2);
}

/* No fuzzer guesses a CRC: here it is right, and the array behind it is anything. */
void fuzz_npy(const uint8_t *bytes, size_t count)
{
    uint8_t *zip = malloc(count + 256);
    PROMISE(zip != NULL);
    const uint32_t crc = (uint32_t)crc32(0, bytes, (uInt)count);
    size_t at = add(zip, 0x04034b50, 4);
    at += add(zip + at, 20, 10);
    at += add_facts(zip + at, crc, count);
    memcpy(zip + at, "a.npy", 5);
    if (count > 0)
        memcpy(zip + at + 5, bytes, count);
    const size_t start = at += 5 + count;
    at += add(zip + at, 0x02014b50, 4);
    at += add(zip + at, 20, 2);
    at += add(zip + at, 20, 10);
    at += add_facts(zip + at, crc, count);
    at += add(zip + at, 0, 14);
    memcpy(zip + at, "a.npy", 5);
    const size_t end = at += 5;
    at += add(zip + at, 0x06054b50, 8);
    at += add(zip + at, 1, 2);
    at += add(zip + at, 1, 2);
    at += add(zip + at, end - start, 4);
    at += add(zip + at, start, 4);
    at += add(zip + at, 0, 2);
    const char *path = fuzz_file(".npz", zip, at);
    free(zip);
    read_any(path);
}
