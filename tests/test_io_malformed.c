/* Files that gn_reader_open must refuse, one broken thing each, and odd ones that it must take.
 *
 * The kinds are those that readers of safetensors, GGUF and npy were caught with; the files are our
 * own.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gomokunet/io.h"
#include "support/folder.h"

TestSuite(io_malformed, .init = folder_enter, .fini = folder_leave);

/* Writes length, header (a C string) and `data` bytes of 1. */
static void make(const char *header, uint64_t length, size_t data)
{
    static uint8_t file[4096];
    size_t size = strlen(header);
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(length >> 8 * i);
    memcpy(file + 8, header, size);
    memset(file + 8 + size, 1, data);
    folder_put("f", file, 8 + size + data);
}

/* One tensor 'a' around its fields, and one good tensor around a name. */
#define FIELDS(fields) "{\"a\":{" fields "}}"
#define NAMED(name) "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
#define U8(name, range) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":" range "}"
#define LONG_50 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
#define LONG_255 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 "12345"
#define META(pairs) "{\"__metadata__\":{" pairs "}}"

static const struct broken {
    const char *header;
    size_t data;
    const char *fragment;
} broken[] = {
    /* The outer object */
    {"", 0, "byte 8 of the header: expected '{'"},
    {" {}", 0, "byte 8 of the header: expected '{'"},
    {"[]", 0, "expected '{'"},
    {"{", 0, "byte 9 of the header: expected a string"},
    {"{}x", 0, "byte 10 of the header: expected only spaces"},
    {"{}\n", 0, "only spaces"},
    {"{}{}", 0, "only spaces"},
    {"{,}", 0, "expected a string"},
    {"{" U8("a", "[0,1]") ",}", 1, "expected a string"},
    {"{" U8("a", "[0,1]") " " U8("b", "[1,2]") "}", 2, "expected ',' or the closing bracket"},
    {"{\"a\" 1}", 0, "expected ':'"},
    {"{\"a\":1}", 0, "byte 13 of the header: expected '{' and the fields"},
    {"{\"a\":{\"a\":{\"dtype\":\"U8\"}}}", 0, "no other field"},
    /* Strings */
    {"{\"a", 0, "byte 11 of the header: expected the closing quote"},
    {"{\"a\\", 0, "closing quote"},
    {"{\"\\x61\":{}}", 0, "byte 10 of the header: expected one of the escapes"},
    {"{\"\\u00g1\":{}}", 0, "four hexadecimal digits"},
    {"{\"\\u00", 0, "four hexadecimal digits"},
    {"{\"\\ud800x\":{}}", 0, "valid UTF-8"}, /* half a pair of surrogates */
    {"{\"\\ud800\\u0041\":{}}", 0, "valid UTF-8"},
    {"{\"\\udc00\\udc00\":{}}", 0, "valid UTF-8"},
    {"{\"a\tb\":{}}", 0, "raw control character"},
    {"{\"\xff\":{}}", 0, "valid UTF-8"},
    {"{\"\xc0\xaf\":{}}", 0, "valid UTF-8"},         /* an overlong '/' */
    {"{\"\xed\xa0\x80\":{}}", 0, "valid UTF-8"},     /* a surrogate */
    {"{\"\xf4\x90\x80\x80\":{}}", 0, "valid UTF-8"}, /* beyond U+10FFFF */
    {"{\"\xe2\x82\":{}}", 0, "valid UTF-8"},         /* cut */
    {"{\"\xc3", 0, "closing quote"},                 /* cut by the end */
    /* Names */
    {NAMED(""), 1, "byte 9 of the header: expected one byte or more"},
    {NAMED("a\\u0000b"), 1, "no NUL"},
    {NAMED("/a"), 1, "no empty part"},
    {NAMED("a/"), 1, "no empty part"},
    {NAMED("a//b"), 1, "no empty part"},
    {NAMED(".."), 1, "no part '.' or '..'"},
    {NAMED("a/../../b"), 1, "no part '.' or '..'"},
    {NAMED("a\\/..\\/b"), 1, "no part '.' or '..'"}, /* escaped, the same name */
    {NAMED("a/."), 1, "no part '.' or '..'"},
    {NAMED("..\\\\a"), 1, "no backslash"},
    {NAMED("a\\nb"), 1, "no control character"},
    {NAMED("a\x7f"), 1, "no control character"},
    {NAMED("\xc2\x9b""2J"), 1, "no control character"}, /* C1: clears some terminals */
    {NAMED(LONG_255 "6"), 1, "at most 255 bytes"},
    {"{" U8("a", "[0,1]") "," U8("a", "[1,2]") "}", 2,
     "byte 61 of the header: expected each name once"},
    {"{" U8("a", "[0,1]") "," U8("\\u0061", "[1,2]") "}", 2, "each name once"},
    /* Metadata */
    {"{\"__metadata__\":1}", 0, "pairs of strings"},
    {META("\"k\":1"), 0, "expected a string"},
    {META("\"k\":\"a\\u0000b\""), 0, "no NUL"},
    {META("\"k\":{}"), 0, "expected a string"},
    {META("\"k\":null"), 0, "expected a string"},
    {META("\"k\""), 0, "expected ':'"},
    {META("\"\":\"v\""), 0, "one byte or more"},
    {META("\"k\":\"v\",\"l\":\"\",\"k\":\"w\""), 0,
     "byte 40 of the header: expected each name once"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ once"},
    /* Fields */
    {FIELDS(""), 0, "byte 14 of the header: expected a string"},
    {FIELDS("\"dtype\":\"U8\",\"data_offsets\":[0,1]"), 1,
     "expected a dtype, a shape and two data_offsets"},
    {FIELDS("\"dtype\":\"U8\",\"shape\":[1]"), 1,
     "expected a dtype, a shape and two data_offsets"},
    {FIELDS("\"dtype\":\"U8\",\"dtype\":\"U8\""), 1,
     "byte 27 of the header: expected dtype, shape, data_offsets, each once"},
    {FIELDS("\"strides\":[1]"), 1,
     "byte 14 of the header: expected dtype, shape, data_offsets, each once"},
    {FIELDS("\"dtype\":\"F16\""), 2, "byte 22 of the header: expected a dtype of F32"},
    {FIELDS("\"dtype\":\"f32\""), 2, "expected a dtype of F32"},
    {FIELDS("\"dtype\":4"), 2, "expected a string"},
    {FIELDS("\"shape\":1"), 2, "expected '[' and numbers"},
    {FIELDS("\"shape\":[[1]]"), 2, "expected an unsigned whole number"},
    {FIELDS("\"shape\":[-1]"), 2, "byte 23 of the header: expected an unsigned whole number"},
    {FIELDS("\"shape\":[+1]"), 2, "unsigned whole number"},
    {FIELDS("\"shape\":[1,]"), 2, "unsigned whole number"},
    {FIELDS("\"shape\":[,1]"), 2, "unsigned whole number"},
    {FIELDS("\"shape\":[1 1]"), 2, "expected ',' or the closing bracket"},
    {FIELDS("\"shape\":[01]"), 2, "leading zeros"},
    {FIELDS("\"shape\":[00]"), 2, "leading zeros"},
    {FIELDS("\"shape\":[1.0]"), 2, "expected ',' or the closing bracket"},
    {FIELDS("\"shape\":[1e3]"), 2, "expected ',' or the closing bracket"},
    {FIELDS("\"shape\":[1E3]"), 2, "expected ',' or the closing bracket"},
    {FIELDS("\"shape\":[18446744073709551616]"), 2, "that this machine can address"},
    {FIELDS("\"shape\":[99999999999999999999]"), 2, "that this machine can address"},
    {FIELDS("\"shape\":[1,1,1,1,1,1,1,1,1]"), 2, "at most 8 dimensions"},
    {FIELDS("\"data_offsets\":[0]"), 2, "two data_offsets"},
    {FIELDS("\"data_offsets\":[0,1,2]"), 2, "two data_offsets"},
    /* Sizes and places */
    {FIELDS("\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
     "does not overflow"},
    {FIELDS("\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]"), 0,
     "does not overflow"},
    {FIELDS("\"dtype\":\"U8\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]"), 0,
     "does not overflow"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), 4,
     "tensor 'a': expected 8 bytes of F32 at offset 0, where"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]"), 0, "expected 4 bytes of F32"},
    {"{" U8("a", "[0,2]") "}", 1, "of 1 bytes of data; found data_offsets [0, 2]"},
    {"{" U8("a", "[1,0]") "}", 1, "of 1 bytes of data; found data_offsets [1, 0]"},
    {"{" U8("a", "[18446744073709551615,0]") "}", 1, "of 1 bytes of data"}, /* differ by 1 */
    {"{" U8("a", "[1,2]") "}", 2, "tensor 'a': expected 1 bytes of U8 at offset 0"},
    {"{" U8("a", "[0,1]") "," U8("b", "[2,3]") "}", 3,
     "tensor 'b': expected 1 bytes of U8 at offset 1"},
    {"{" U8("a", "[0,1]") "," U8("b", "[2,3]") "}", 3, "found data_offsets [2, 3]"},
    {"{" U8("a", "[0,1]") "," U8("b", "[0,1]") "}", 1, "found data_offsets [0, 1]"},
    {"{" U8("a", "[0,1]") "}", 3, "byte 62: expected the end of the file"},
    {"{}", 1, "byte 10: expected the end of the file after the last tensor, found 1 bytes"},
};

/* Only an index travels: pointers do not survive the way into the test's own process. */
ParameterizedTestParameters(io_malformed, refused)
{
    enum { COUNT = sizeof broken / sizeof *broken };
    static int index[COUNT];
    for (int i = 0; i < COUNT; i++)
        index[i] = i;
    return cr_make_param_array(int, index, COUNT);
}

static void must_refuse(gn_status status, const char *fragment)
{
    gn_err err = {0};
    gn_reader *r = (gn_reader *)&err;
    cr_assert_eq(gn_reader_open(&r, "f", &err), status, "%s", fragment);
    cr_assert_null(r);
    cr_assert_eq(err.status, status);
    cr_assert_eq(strncmp(err.text, "f: ", 3), 0, "the file is not named: %s", err.text);
    cr_assert_not_null(strstr(err.text, fragment), "'%s' lacks '%s'", err.text, fragment);
}

ParameterizedTest(int *index, io_malformed, refused)
{
    const struct broken *b = &broken[*index];
    make(b->header, strlen(b->header), b->data);
    must_refuse(GN_E_FORMAT, b->fragment);
}

Test(io_malformed, length_lies)
{
    make("{}", 3, 0);
    must_refuse(GN_E_FORMAT, "byte 0: expected a header of at most 2 bytes, found 3");
    make("{}", UINT64_MAX, 0);
    must_refuse(GN_E_FORMAT, "byte 0: expected a header of at most 2 bytes");
    make("{}", (1 << 24) + 1, 0);
    must_refuse(GN_E_FORMAT, "at most 2 bytes, found 16777217");
    make("{}", 1 << 24, 0);
    must_refuse(GN_E_FORMAT, "at most 2 bytes, found 16777216");
    make("{}", (1 << 24) + 1, 0);
    cr_assert_eq(truncate("f", 1 << 25), 0);
    must_refuse(GN_E_FORMAT, "at most 16777216 bytes, found 16777217");
    make("{}", 1 << 24, 0);
    cr_assert_eq(truncate("f", 1 << 25), 0);
    must_refuse(GN_E_FORMAT, "byte 10 of the header: expected only spaces");
    folder_put("f", "\2\0\0\0\0\0\0", 7);
    must_refuse(GN_E_FORMAT, "byte 0: expected 8 bytes with the header's length, found 7");
    folder_put("f", "", 0);
    must_refuse(GN_E_FORMAT, "found 0");
}

Test(io_malformed, raw_nul)
{
    folder_put("f", "\7\0\0\0\0\0\0\0{\"a\0b\"}", 15);
    must_refuse(GN_E_FORMAT, "byte 11 of the header: expected no raw control character");
    folder_put("f", "\3\0\0\0\0\0\0\0{}\0", 11);
    must_refuse(GN_E_FORMAT, "byte 10 of the header: expected only spaces");
}

Test(io_malformed, bool_of_two)
{
    static const char header[] = FIELDS("\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]");
    make(header, strlen(header), 2);
    char file[256];
    size_t size = folder_read("f", file, sizeof file);
    file[size - 1] = 2;
    folder_put("f", file, size);
    must_refuse(GN_E_FORMAT, "tensor 'a', element 1: expected a BOOL of 0 or 1, found 2");
}

/* Every cut of a good file is refused: none of its bytes is there for nothing. */
Test(io_malformed, every_cut)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"\\u00e9\"}," U8("a/b", "[0,1]") "}  ";
    make(header, strlen(header), 1);
    char file[256];
    size_t size = folder_read("f", file, sizeof file);
    for (size_t cut = 0; cut < size; cut++) {
        folder_put("f", file, cut);
        must_refuse(GN_E_FORMAT, "expected");
    }
}

/* Strict, but not stricter than the format where a foreign file may differ from ours. */
Test(io_malformed, odd_but_good)
{
    gn_err err = {0};
    gn_reader *r;
    static const char blanks[] = "{\n\t\"b\" : { \"shape\" : [ 1 , 0 ] , \"data_offsets\":[1,1],"
                                 "\r\n\"dtype\":\"F32\" } ," U8("a", "[0,1]")
                                 ",\"__metadata__\":{\"\\u00e9\":\"\\ud83d\\ude00\\/\"}}   ";
    make(blanks, strlen(blanks), 1);
    cr_assert_eq(gn_reader_open(&r, "f", &err), GN_OK, "%s", err.text);
    cr_assert_eq(gn_reader_count(r), 2);
    cr_assert_str_eq(gn_reader_at(r, 0)->name, "a", "the order of the data, not of the header");
    cr_assert_eq(*(const uint8_t *)gn_reader_find(r, "a")->data, 1);
    cr_assert_eq(gn_reader_find(r, "b")->bytes, 0);
    cr_assert_not_null(gn_reader_find(r, "b")->data);
    cr_assert_str_eq(gn_reader_metadata(r, "\xc3\xa9"), "\xf0\x9f\x98\x80/");
    gn_reader_close(r);

    static const char *const names[] = {LONG_255, "a..b/.c", "\xf4\x8f\xbf\xbf \\\"q\\\""};
    for (size_t i = 0; i < 3; i++) {
        char header[512];
        snprintf(header, sizeof header, NAMED("%s"), names[i]);
        make(header, strlen(header), 1);
        cr_assert_eq(gn_reader_open(&r, "f", &err), GN_OK, "%s", err.text);
        gn_reader_close(r);
    }
}

/* PyTorch's own files: a zip, or (before 1.6) a bare pickle.  A safetensors file whose length only
 * begins like one is none. */
Test(io_malformed, pickles_are_told_from_safetensors)
{
    static const char *const begin[] = {"PK\3\4\24\0\0\0zip",
                                        "\x80\x02\x8a\x0al\xfc\x9c\x46pickle"};
    gn_reader *r;
    gn_err err;
    for (int i = 0; i < 2; i++) {
        folder_put("f", begin[i], 8 + strlen(begin[i] + 8));
        cr_assert_eq(gn_reader_open(&r, "f", &err), GN_E_FORMAT);
        cr_assert_str_eq(err.text,
                         "f: byte 0: expected safetensors, found PyTorch's pickle; write the state "
                         "dict anew with two lines of Python:\n    import safetensors.torch\n    "
                         "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")");
    }
    static char header[0x280 + 1];
    snprintf(header, sizeof header, "{%*s", (int)sizeof header - 2, "}");
    make(header, 0x280, 0); /* begins with 0x80 0x02 */
    cr_assert_eq(gn_reader_open(&r, "f", &err), GN_OK, "%s", err.text);
    gn_reader_close(r);
}
