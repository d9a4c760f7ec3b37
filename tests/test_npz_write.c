/* npz, written by us: what comes back, 64-bit sizes, the same bytes in pieces of any size.
 *
 * That numpy reads them is tests/build/npz.py's business.  SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/writer.h"
#include "support/refuse.h"

TestSuite(npz_write, .init = folder_enter, .fini = folder_leave);

static const float floats[6] = {1.5f, -2.0f, 0.0f, -0.0f, 1e-40f, 3e38f};
static const double doubles[2] = {0.1, -1e300};
static const int64_t steps = -7;
static const int32_t ints[3] = {1, -2, 3};
static const uint8_t flags[2] = {1, 0};

/* Every type, no dimension and eight, tensors without bytes in front, between and at the end. */
static gn_status write_sample(const char *path, uint64_t wide, size_t piece, gn_err *err)
{
    static const size_t eight[8] = {1, 1, 3, 1, 1, 1, 1, 1};
    uint8_t all[24 + 8 + 16 + 12 + 2];
    gn_writer *w;
    cr_assert_eq(gn_writer_create(&w, path, &gn_npz_format, wide, err), GN_OK, "%s", err->text);
    gn_writer_metadata(w, "contract", "v1", err);
    gn_writer_metadata(w, "a \"key\"", "line\n\ttab \\ \x01 \xc3\xa9 \xf0\x9f\x98\x80", err);
    gn_writer_declare(w, "empty/first", GN_F64, 1, (size_t[]){0}, err);
    gn_writer_declare(w, "param/blocks.0", GN_F32, 2, (size_t[]){2, 3}, err);
    gn_writer_declare(w, "buffer/n", GN_I64, 0, NULL, err);
    gn_writer_declare(w, "nothing", GN_F32, 3, (size_t[]){2, 0, 3}, err);
    gn_writer_declare(w, "d\xc3\xa9", GN_F64, 1, (size_t[]){2}, err);
    gn_writer_declare(w, "int", GN_I32, 8, eight, err);
    gn_writer_declare(w, "flags", GN_BOOL, 1, (size_t[]){2}, err);
    gn_writer_declare(w, "empty/last", GN_U8, 1, (size_t[]){0}, err);
    memcpy(all, floats, 24);
    memcpy(all + 24, &steps, 8);
    memcpy(all + 32, doubles, 16);
    memcpy(all + 48, ints, 12);
    memcpy(all + 60, flags, 2);
    for (size_t at = 0; at < sizeof all; at += piece)
        gn_writer_put(w, all + at, sizeof all - at < piece ? sizeof all - at : piece, err);
    return gn_writer_close(w, err);
}

static void has(const gn_reader *r, const char *name, gn_dtype type, int rank, const void *data,
                size_t size)
{
    const gn_entry *e = gn_reader_find(r, name);
    cr_assert_not_null(e, "%s", name);
    cr_expect(e->type == type && e->rank == rank && e->bytes == size, "%s", name);
    cr_expect((uintptr_t)e->data % 64 == 0 && memcmp(e->data, data, size) == 0, "%s", name);
}

static void has_sample(const char *path)
{
    gn_err err = {0};
    gn_reader *r;
    cr_assert_eq(gn_tensors_open(&r, path, &err), GN_OK, "%s", err.text);
    cr_assert_eq(gn_reader_count(r), 8);
    cr_expect_str_eq(gn_reader_at(r, 0)->name, "empty/first");
    cr_expect_str_eq(gn_reader_at(r, 7)->name, "empty/last");
    has(r, "param/blocks.0", GN_F32, 2, floats, 24);
    has(r, "buffer/n", GN_I64, 0, &steps, 8);
    has(r, "nothing", GN_F32, 3, "", 0);
    has(r, "d\xc3\xa9", GN_F64, 1, doubles, 16);
    has(r, "int", GN_I32, 8, ints, 12);
    has(r, "flags", GN_BOOL, 1, flags, 2);
    cr_expect_eq(gn_reader_find(r, "param/blocks.0")->dim[1], 3);
    cr_assert_null(gn_reader_find(r, GN_METADATA_KEY));
    cr_expect_str_eq(gn_reader_metadata(r, "contract"), "v1");
    cr_expect_str_eq(gn_reader_metadata(r, "a \"key\""),
                     "line\n\ttab \\ \x01 \xc3\xa9 \xf0\x9f\x98\x80");
    gn_reader_close(r);
}

Test(npz_write, what_was_written_comes_back)
{
    gn_err err = {0};
    cr_assert_eq(write_sample("a.npz", UINT32_MAX, 24, &err), GN_OK, "%s", err.text);
    cr_expect(access("a.npz.tmp", F_OK) != 0);
    if (!npz_readable())
        return;
    has_sample("a.npz");
    cr_assert_eq(rename("a.npz", "a.bin"), 0); /* known by its content too */
    has_sample("a.bin");
}

Test(npz_write, pieces_do_not_show)
{
    static char whole[8192], other[8192];
    gn_err err = {0};
    cr_assert_eq(write_sample("a.npz", UINT32_MAX, 62, &err), GN_OK, "%s", err.text);
    const size_t count = folder_read("a.npz", whole, sizeof whole);
    for (size_t piece = 1; piece < 62; piece += 5) {
        cr_assert_eq(write_sample("b.npz", UINT32_MAX, piece, &err), GN_OK, "%s", err.text);
        cr_assert_eq(folder_read("b.npz", other, sizeof other), count, "pieces of %zu", piece);
        cr_assert_eq(memcmp(whole, other, count), 0, "pieces of %zu", piece);
    }
}

/* More than zlib takes in or gives out at once, in pieces that do not divide it. */
Test(npz_write, large_pieces_do_not_show)
{
    enum { COUNT = 300000 };
    static uint8_t data[COUNT], file[2][COUNT + 4096];
    size_t count[2];
    for (size_t i = 0, x = 1; i < COUNT; i++, x = x * 6364136223846793005u + 1)
        data[i] = (uint8_t)(x >> 60);
    for (int i = 0; i < 2; i++) {
        const size_t piece = i == 0 ? COUNT : 70001;
        gn_writer *w;
        cr_assert_eq(gn_writer_open(&w, "a.npz", NULL), GN_OK);
        gn_writer_declare(w, "a", GN_U8, 1, (size_t[]){COUNT}, NULL);
        for (size_t at = 0; at < COUNT; at += piece)
            gn_writer_put(w, data + at, COUNT - at < piece ? COUNT - at : piece, NULL);
        cr_assert_eq(gn_writer_close(w, NULL), GN_OK);
        count[i] = folder_read("a.npz", file[i], sizeof file[i]);
    }
    cr_expect(count[0] == count[1] && memcmp(file[0], file[1], count[0]) == 0);
    cr_expect_lt(count[0], COUNT * 2 / 3, "four bits a byte, and it is not deflated");
    if (!npz_readable())
        return;
    gn_reader *r;
    cr_assert_eq(gn_npz_open(&r, "a.npz", NULL), GN_OK);
    has(r, "a", GN_U8, 1, data, COUNT);
    gn_reader_close(r);
}

/* The forms that a file of more than 4 GiB has, in a small one. */
Test(npz_write, sizes_of_64_bits)
{
    static uint8_t file[8192];
    static const uint64_t limits[] = {0, 100, 150, 1000};
    gn_err err = {0};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(write_sample("a.npz", limits[i], 9, &err), GN_OK, "%s", err.text);
        if (npz_readable())
            has_sample("a.npz");
    }
    cr_assert_eq(write_sample("a.npz", 0, 9, &err), GN_OK);
    const size_t count = folder_read("a.npz", file, sizeof file);
    cr_assert(memcmp(file + count - 98, "PK\6\6", 4) == 0 &&
              memcmp(file + count - 42, "PK\6\7", 4) == 0);
    /* Every byte of the two records counts, but for who made it and the extracting version. */
    for (size_t i = count - 98; i < count && npz_readable(); i++) {
        const bool free = i >= count - 86 && i < count - 82;
        gn_reader *r;
        file[i] ^= 0x41;
        folder_put("b.npz", file, count);
        file[i] ^= 0x41;
        const gn_status st = gn_npz_open(&r, "b.npz", &err);
        cr_expect_eq(st, free ? GN_OK : GN_E_FORMAT, "byte %zu of the end", i - (count - 98));
        gn_reader_close(r);
    }
}

/* Deflate makes a thousandth of zeros, which is what a bomb looks like. */
Test(npz_write, many_zeros_are_no_bomb)
{
    enum { COUNT = (64 << 20) + 4096 };
    static const uint8_t zeros[1 << 20];
    gn_writer *w;
    gn_reader *r;
    gn_err err = {0};
    cr_assert_eq(gn_writer_open(&w, "a.npz", &err), GN_OK);
    gn_writer_declare(w, "a", GN_F32, 1, (size_t[]){COUNT / 4}, &err);
    for (size_t left = COUNT; left > 0;) {
        const size_t piece = left < sizeof zeros ? left : sizeof zeros;
        gn_writer_put(w, zeros, piece, &err);
        left -= piece;
    }
    cr_assert_eq(gn_writer_close(w, &err), GN_OK, "%s", err.text);
    if (!npz_readable())
        return;
    cr_assert_eq(gn_npz_open(&r, "a.npz", &err), GN_OK, "%s", err.text);
    cr_expect_eq(gn_reader_at(r, 0)->bytes, COUNT);
    gn_reader_close(r);
}

static void refused(gn_writer *w, const char *fragment)
{
    gn_err err = {0};
    cr_expect_eq(gn_writer_close(w, &err), GN_E_FORMAT, "%s", fragment);
    cr_expect(strstr(err.text, "a.npz") == err.text && strstr(err.text, fragment) != NULL,
              "'%s' lacks '%s'", err.text, fragment);
    cr_expect(folder_is_empty(), "%s", fragment);
}

Test(npz_write, what_the_reader_would_refuse)
{
    gn_writer *w;
    gn_writer_open(&w, "a.npz", NULL);
    refused(w, "0 arrays, expected 1 to 65534");

    gn_writer_open(&w, "a.npz", NULL);
    gn_writer_declare(w, GN_METADATA_KEY, GN_U8, 1, (size_t[]){1}, NULL);
    refused(w, "expected a name not taken");

    gn_writer_open(&w, "a.npz", NULL);
    gn_writer_declare(w, "a/../b", GN_U8, 1, (size_t[]){1}, NULL);
    refused(w, "'..'");

    gn_writer_open(&w, "a.npz", NULL);
    gn_writer_declare(w, "a", GN_F32, 1, (size_t[]){2}, NULL);
    gn_writer_put(w, floats, 7, NULL);
    refused(w, "tensor 'a': expected 8 bytes in all, only 7 came");

    char *long_text = malloc((16u << 20) + 1);
    memset(long_text, 'x', 16u << 20);
    long_text[16u << 20] = '\0';
    gn_writer_open(&w, "a.npz", NULL);
    gn_writer_metadata(w, "k", long_text, NULL);
    gn_writer_declare(w, "a", GN_F32, 0, NULL, NULL);
    refused(w, "expected at most 16777216 bytes of metadata");
    free(long_text);
}

/* What stands in the array of metadata. */
Test(npz_write, metadata_are_strings)
{
    static const struct {
        const char *text, *fragment;
    } bad[] = {
        {"", "byte 0 of __metadata__: expected '{'"},
        {"[]", "byte 0 of __metadata__: expected '{'"},
        {"{\"a\":1}", "byte 5 of __metadata__: expected a string"},
        {"{\"a\":{\"b\":\"c\"}}", "byte 5 of __metadata__: expected a string"},
        {"{\"a\":\"b\"} ", "byte 9 of __metadata__: expected nothing behind"},
        {"{\"a\":\"b\",\"a\":\"c\"}", "byte 9 of __metadata__: expected each name once"},
        {"{\"a\":\"b", "expected the closing quote"},
        {"{\"a\":\"\xff\"}", "valid UTF-8"},
    };
    static const char sample[] = "{\"k\":\"0123456789012345678901234567890123456789\"}";
    static uint8_t file[4096];
    gn_err err = {0};
    gn_reader *r;
    if (!npz_readable())
        return;
    /* The array is made under a name of the same length, which is then put right. */
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        const char *text = i < sizeof bad / sizeof *bad ? bad[i].text : sample;
        gn_writer *w;
        cr_assert_eq(gn_writer_open(&w, "a.npz", NULL), GN_OK);
        gn_writer_declare(w, "metadata----", GN_U8, 1, (size_t[]){strlen(text)}, NULL);
        gn_writer_put(w, text, strlen(text), NULL);
        cr_assert_eq(gn_writer_close(w, NULL), GN_OK);
        const size_t count = folder_read("a.npz", file, sizeof file);
        for (size_t at = 0; at + 12 < count; at++)
            if (memcmp(file + at, "metadata----", 12) == 0)
                memcpy(file + at, GN_METADATA_KEY, 12);
        folder_put("a.npz", file, count);
        const gn_status st = gn_npz_open(&r, "a.npz", &err);
        cr_expect_eq(st, text == sample ? GN_OK : GN_E_FORMAT, "%s", text);
        if (st == GN_OK)
            cr_expect(gn_reader_count(r) == 0 && gn_reader_metadata(r, "k") != NULL);
        else
            cr_expect(strstr(err.text, bad[i].fragment) != NULL, "%s: %s", text, err.text);
        gn_reader_close(r);
    }
}
