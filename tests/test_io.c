/* Files: SHA-256, round trips, refusals of the writer.
 *
 * Malformed files stand in test_io_malformed.c, failing disks in test_io_disk.c.  Every test runs
 * in a folder of its own.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "gomokunet/io.h"
#include "support/folder.h"

TestSuite(sha256);
TestSuite(io, .init = folder_enter, .fini = folder_leave);

/* --- SHA-256 ------------------------------------------------------------------------------- */

static const char *hash_of(const void *bytes, size_t count, size_t piece)
{
    static char hex[65];
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    for (size_t at = 0; at < count; at += piece)
        gn_sha256_add(&hash, (const char *)bytes + at, count - at < piece ? count - at : piece);
    gn_sha256_hex(&hash, hex);
    return hex;
}

/* FIPS 180-4 examples, as NIST publishes them. */
Test(sha256, known_vectors)
{
    static char million[1000000];
    memset(million, 'a', sizeof million);
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    cr_assert_str_eq(hash_of("", 0, 1),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_assert_str_eq(hash_of("abc", 3, 3),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert_str_eq(hash_of(two_blocks, 56, 56),
                     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    cr_assert_str_eq(hash_of(million, sizeof million, sizeof million),
                     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every length around the places where padding changes, in every size of piece.  The last line is
 * the hash of all those hashes, computed by Python's hashlib. */
Test(sha256, any_pieces)
{
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    gn_sha256 all;
    gn_sha256_begin(&all);
    for (size_t count = 0; count <= sizeof bytes; count++) {
        char whole[65];
        memcpy(whole, hash_of(bytes, count, sizeof bytes), sizeof whole);
        for (size_t piece = 1; piece < 130; piece += 9)
            cr_assert_str_eq(hash_of(bytes, count, piece), whole, "%zu by %zu", count, piece);
        gn_sha256_add(&all, whole, 64);
    }
    char hex[65];
    gn_sha256_hex(&all, hex);
    cr_assert_str_eq(hex, "020088e9c26b95faf20594b4a5301fc5493cad4e2e0e002a0233825ae81dbd5f");
}

/* --- Round trips --------------------------------------------------------------------------- */

static const float floats[6] = {0.0f, -0.0f, 1.5f, -3.25e-38f, 3e38f, 1e-45f};
static const int64_t steps = -2;
static const uint8_t bytes[3] = {0, 255, 7}, flags[2] = {1, 0};
static const double doubles[2] = {1.0 / 3, -1e300};
static const int32_t ints[1] = {INT32_MIN};

/* The byte-wide tensor stands in front of doubles on purpose: they are misaligned in the file. */
static void write_sample(const char *path)
{
    static const uint8_t *const data[] = {
        (const uint8_t *)floats, (const uint8_t *)&steps, bytes, (const uint8_t *)doubles, flags,
        (const uint8_t *)ints};
    static const size_t size[] = {24, 8, 3, 16, 2, 4};
    gn_err err = {0};
    gn_writer *w;
    cr_assert_eq(gn_writer_open(&w, path, &err), GN_OK, "%s", err.text);
    gn_writer_metadata(w, "contract", "v1", NULL);
    gn_writer_metadata(w, "a \"key\"", "line\n\ttab \\ \x01 \xc3\xa9 \xf0\x9f\x98\x80", NULL);
    gn_writer_declare(w, "param/blocks.0.conv1", GN_F32, 2, (size_t[]){2, 3}, NULL);
    gn_writer_declare(w, "buffer/n", GN_I64, 0, NULL, NULL);
    gn_writer_declare(w, "bytes", GN_U8, 1, (size_t[]){3}, NULL);
    gn_writer_declare(w, "nothing", GN_F32, 3, (size_t[]){4, 0, 2}, NULL);
    gn_writer_declare(w, "double", GN_F64, 1, (size_t[]){2}, NULL);
    gn_writer_declare(w, "flags", GN_BOOL, 1, (size_t[]){2}, NULL);
    gn_writer_declare(w, "int", GN_I32, 8, (size_t[]){1, 1, 1, 1, 1, 1, 1, 1}, NULL);
    for (size_t i = 0; i < 6; i++)
        for (size_t at = 0; at < size[i]; at += 5) /* pieces that end inside an element */
            gn_writer_put(w, data[i] + at, size[i] - at < 5 ? size[i] - at : 5, NULL);
    cr_assert_eq(gn_writer_close(w, &err), GN_OK, "%s", err.text);
}

static void has(const gn_reader *r, const char *name, gn_dtype type, int rank, const void *data,
                size_t size)
{
    const gn_entry *e = gn_reader_find(r, name);
    cr_assert_not_null(e, "%s", name);
    cr_assert_str_eq(e->name, name);
    cr_assert_eq(e->type, type, "%s", name);
    cr_assert_eq(e->rank, rank, "%s", name);
    cr_assert_eq(e->bytes, size, "%s", name);
    cr_assert_eq((uintptr_t)e->data % 64, 0, "%s", name);
    cr_assert(size == 0 || memcmp(e->data, data, size) == 0, "%s", name);
}

Test(io, round_trip)
{
    write_sample("sample");
    gn_err err = {0};
    gn_reader *r;
    cr_assert_eq(gn_reader_open(&r, "sample", &err), GN_OK, "%s", err.text);

    cr_assert_eq(gn_reader_count(r), 7);
    cr_assert_str_eq(gn_reader_at(r, 0)->name, "param/blocks.0.conv1");
    cr_assert_str_eq(gn_reader_at(r, 6)->name, "int");
    cr_assert_null(gn_reader_at(r, 7));
    has(r, "param/blocks.0.conv1", GN_F32, 2, floats, 24);
    has(r, "buffer/n", GN_I64, 0, &steps, 8);
    has(r, "bytes", GN_U8, 1, bytes, 3);
    has(r, "nothing", GN_F32, 3, NULL, 0);
    has(r, "double", GN_F64, 1, doubles, 16);
    has(r, "flags", GN_BOOL, 1, flags, 2);
    has(r, "int", GN_I32, 8, ints, 4);
    const gn_entry *e = gn_reader_at(r, 0);
    cr_assert(e->dim[0] == 2 && e->dim[1] == 3);
    cr_assert_null(gn_reader_find(r, "param"));

    cr_assert_str_eq(gn_reader_metadata(r, "contract"), "v1");
    cr_assert_str_eq(gn_reader_metadata(r, "a \"key\""),
                     "line\n\ttab \\ \x01 \xc3\xa9 \xf0\x9f\x98\x80");
    cr_assert_null(gn_reader_metadata(r, "Contract"));
    gn_reader_close(r);
    gn_reader_close(NULL);
}

/* The file is the same each time, and the one that the reference implementation would write: this
 * text is the format, byte for byte. */
Test(io, bytes_are_fixed)
{
    for (int i = 0; i < 2; i++) {
        gn_writer *w;
        gn_writer_open(&w, "f", NULL);
        gn_writer_metadata(w, "k", "1/2\x1f", NULL);
        gn_writer_declare(w, "a", GN_F32, 2, (size_t[]){1, 2}, NULL);
        gn_writer_declare(w, "b", GN_U8, 0, NULL, NULL);
        gn_writer_put(w, (const float[]){1.0f, -2.0f}, 8, NULL);
        gn_writer_put(w, "\x07", 1, NULL);
        cr_assert_eq(gn_writer_close(w, NULL), GN_OK);
        folder_has("f",
                   "\x90\0\0\0\0\0\0\0"
                   "{\"__metadata__\":{\"k\":\"1/2\\u001f\"},"
                   "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}    "
                   "\0\0\x80\x3f\0\0\0\xc0\x07", 8 + 144 + 9);
    }
    write_sample("one");
    write_sample("two");
    static char one[4096], two[4096];
    size_t count = folder_read("one", one, sizeof one);
    cr_assert_eq(folder_read("two", two, sizeof two), count);
    cr_assert_eq(memcmp(one, two, count), 0);
    uint64_t header = (uint8_t)one[0] + 256u * (uint8_t)one[1];
    cr_assert_eq(header % 8, 0, "the data is aligned");
}

Test(io, empty_file_of_no_tensors)
{
    gn_writer *w;
    gn_reader *r;
    gn_writer_open(&w, "none", NULL);
    cr_assert_eq(gn_writer_close(w, NULL), GN_OK);
    folder_has("none", "\x08\0\0\0\0\0\0\0{}      ", 16);
    cr_assert_eq(gn_reader_open(&r, "none", NULL), GN_OK);
    cr_assert_eq(gn_reader_count(r), 0);
    cr_assert_null(gn_reader_at(r, 0));
    cr_assert_null(gn_reader_find(r, ""));
    cr_assert_null(gn_reader_metadata(r, "k"));
    gn_reader_close(r);

    gn_writer_open(&w, "words", NULL);
    gn_writer_metadata(w, "k", "", NULL);
    cr_assert_eq(gn_writer_close(w, NULL), GN_OK);
    cr_assert_eq(gn_reader_open(&r, "words", NULL), GN_OK);
    cr_assert_str_eq(gn_reader_metadata(r, "k"), "");
    gn_reader_close(r);
}

/* --- What the writer refuses --------------------------------------------------------------- */

/* Closes a writer that must have failed: the text, no file, no temporary file. */
static void refused(gn_writer *w, const char *path, const char *fragment)
{
    gn_err err = {0};
    cr_assert_eq(gn_writer_close(w, &err), GN_E_FORMAT, "%s", fragment);
    cr_assert_eq(err.status, GN_E_FORMAT);
    cr_assert(strstr(err.text, path) == err.text, "%s", err.text);
    cr_assert_not_null(strstr(err.text, fragment), "'%s' lacks '%s'", err.text, fragment);
    cr_assert(folder_is_empty(), "%s", fragment);
}

Test(io, writer_refuses_declarations)
{
    static const struct {
        const char *name, *fragment;
        int rank;
        size_t dim[2];
    } bad[] = {
        {"", "expected one byte or more", 1, {1, 1}},
        {"/a", "empty part", 1, {1, 1}},
        {"a/", "empty part", 1, {1, 1}},
        {"a/../b", "'..'", 1, {1, 1}},
        {"a\\b", "backslash", 1, {1, 1}},
        {"a\nb", "control character", 1, {1, 1}},
        {"\xc0\x80", "UTF-8", 1, {1, 1}},
        {"taken", "'taken': expected a name not taken", 1, {1, 1}},
        {"__metadata__", "not taken", 1, {1, 1}},
        {"a", "0 to 8 dimensions", 9, {1, 1}},
        {"a", "0 to 8 dimensions", -1, {1, 1}},
        {"a", "overflow", 2, {SIZE_MAX / 2, 2}},
        {"a", "overflow", 1, {SIZE_MAX / 4, 1}}, /* alone it fits, behind `taken` it does not */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gn_writer *w;
        gn_writer_open(&w, "f", NULL);
        cr_assert_eq(gn_writer_declare(w, "taken", GN_F32, 0, NULL, NULL), GN_OK);
        gn_status st =
            gn_writer_declare(w, bad[i].name, GN_F32, bad[i].rank, bad[i].dim, NULL);
        cr_assert_eq(st, GN_E_FORMAT, "%s", bad[i].fragment);
        cr_assert_eq(gn_writer_put(w, floats, 4, NULL), GN_E_FORMAT, "a failure stays");
        refused(w, "f", bad[i].fragment);
    }
}

Test(io, writer_refuses_metadata)
{
    static const char *const bad[][3] = {{"", "v", "one byte or more"},
                                         {"k\x7f", "v", "control character"},
                                         {"k", "\xff", "'k': expected valid UTF-8"},
                                         {"twice", "v", "'twice': expected once"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gn_writer *w;
        gn_writer_open(&w, "f", NULL);
        gn_writer_metadata(w, "twice", "", NULL);
        cr_assert_eq(gn_writer_metadata(w, bad[i][0], bad[i][1], NULL), GN_E_FORMAT);
        refused(w, "f", bad[i][2]);
    }
}

static gn_writer *writer_of_two_floats(const char *path)
{
    gn_writer *w;
    cr_assert_eq(gn_writer_open(&w, path, NULL), GN_OK);
    gn_writer_declare(w, "first", GN_F32, 0, NULL, NULL);
    gn_writer_declare(w, "second", GN_F32, 0, NULL, NULL);
    return w;
}

Test(io, too_few_too_many_too_late)
{
    gn_writer *w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 6, NULL);
    refused(w, "f", "tensor 'second': expected 8 bytes in all, only 6 came");

    refused(writer_of_two_floats("f"), "f", "tensor 'first': expected 8 bytes in all, only 0");

    w = writer_of_two_floats("f");
    cr_assert_eq(gn_writer_put(w, floats, 6, NULL), GN_OK);
    cr_assert_eq(gn_writer_put(w, floats, 3, NULL), GN_E_FORMAT);
    refused(w, "f", "expected the 8 bytes declared, found 3 more after 6");

    w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 4, NULL);
    cr_assert_eq(gn_writer_declare(w, "third", GN_F32, 0, NULL, NULL), GN_E_FORMAT);
    refused(w, "f", "tensor 'third': expected before the first data");

    w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 4, NULL);
    cr_assert_eq(gn_writer_metadata(w, "k", "v", NULL), GN_E_FORMAT);
    refused(w, "f", "metadata 'k': expected before the first data");
}
