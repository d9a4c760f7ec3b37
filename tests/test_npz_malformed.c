/* Arrays that gn_npz_open must refuse, one broken thing each, with a message that names it: headers
 * that are Python, sizes, types, names.  The zip around them: test_zip_malformed.c.
 * SPDX-License-Identifier: MIT */
#include "support/refuse.h"
#include "support/zip.h"

TestSuite(npz_malformed, .init = folder_enter, .fini = folder_leave);

/* --- The header of an array ------------------------------------------------------------------ */

#define WITH(descr) "{'descr': " descr ", 'fortran_order': False, 'shape': (2,), }"

Test(npz_malformed, headers)
{
    static const struct {
        const char *header, *fragment;
    } cases[] = {
        /* Types */
        {WITH("'>f4'"), "'a': expected the type <f4, <f8, <i4, <i8, |u1 or |b1"},
        {WITH("'<f2'"), "expected the type"},
        {WITH("'<c8'"), "expected the type"},
        {WITH("'|O'"), "expected the type"},
        {WITH("'|S4'"), "expected the type"},
        {WITH("[('x', '<f4')]"), "expected the type"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "'fortran_order': False"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", "'fortran_order': False"},
        /* Sizes */
        {F4("(3,)"), "'a': header and shape need 128 + 12 bytes, the entry has 136"},
        {F4("(1,)"), "header and shape need 128 + 4 bytes, the entry has 136"},
        {F4("(0,)"), "header and shape need 128 + 0 bytes, the entry has 136"},
        {F4("(1,1,1,1,1,1,1,1,2)"), "of an array of at most 8 dimensions"},
        {F4("(4294967296, 4294967296, 2)"), "'a': its shape overflows"},
        {F4("(4611686018427387904,)"), "its shape overflows"},
        {F4("(0, 4294967296, 4294967296)"), "its shape overflows"},
        {F4("(99999999999999999999,)"), "'a': expected a header"},
        /* Numbers as JSON or Python would have them */
        {F4("(-2,)"), "expected a header"},
        {F4("(+2,)"), "expected a header"},
        {F4("(02,)"), "expected a header"},
        {F4("(2L,)"), "expected a header"},
        {F4("(0x2,)"), "expected a header"},
        {F4("(2e0,)"), "expected a header"},
        {F4("(2.0,)"), "expected a header"},
        {F4("(2)"), "expected a header"},
        {F4("2"), "expected a header"},
        {F4("((2,),)"), "expected a header"},
        {F4("(__import__('os'),)"), "expected a header"},
        /* Keys */
        {"{'descr': '<f4', 'shape': (2,), }", "expected a header"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
         "expected a header"},
        {"{'x': 1, 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "expected a header"},
        {F4("(2,)") " x", "expected a header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "expected a header"},
        {"", "expected a header"},
    };
    if (!npz_readable())
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static zip z;
        z.count = z.entries = 0;
        zip_add(&z, "a.npy", cases[i].header, (float[]){1, 2}, 8);
        zip_finish(&z);
        npz_refused(z.bytes, z.count, cases[i].header, cases[i].fragment);
    }
}

/* Magic, version and length, which stand in front of the text. */
Test(npz_malformed, beginnings)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *fragment;
    } cases[] = {
        {"", 0, "'a': the data end 12 bytes early"},
        {"\x93NUMPY", 6, "the data end 6 bytes early"},
        {"\x93NUMPX\1\0v\0{}", 12, "expected an npy array of version 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\0\0v\0{}", 12, "expected an npy array of version 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\4\0v\0{}", 12, "expected an npy array of version 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\1\1v\0{}", 12, "expected an npy array of version 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\2\0\xff\xff\xff\xff", 12, "a header of 4294967307 bytes, expected 12 to 65536"},
        {"\x93NUMPY\2\0\0\0\1\0", 12, "a header of 65548 bytes, expected 12 to 65536"},
        {"\x93NUMPY\1\0\1\0\n ", 12, "a header of 11 bytes, expected 12 to 65536"},
        {"\x93NUMPY\1\0v\0{}", 12, "the data end 116 bytes early"},
        {"\x93NUMPY\1\0\xff\xff{}", 12, "a header of 65545 bytes, expected 12 to 65536"},
    };
    if (!npz_readable())
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static zip z;
        z.count = z.entries = 0;
        zip_add_raw(&z, "a.npy", 5, 0, cases[i].bytes, cases[i].count, cases[i].count,
                    crc32(0, (const unsigned char *)cases[i].bytes, (unsigned)cases[i].count));
        zip_finish(&z);
        npz_refused(z.bytes, z.count, cases[i].fragment, cases[i].fragment);
    }
}

Test(npz_malformed, bool_of_two)
{
    static zip z;
    if (!npz_readable())
        return;
    zip_add(&z, "a.npy", "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", "\0\1\2", 3);
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "bool",
                "tensor 'a', element 2: expected a BOOL of 0 or 1, found 2");
}

/* --- Names ----------------------------------------------------------------------------------- */

Test(npz_malformed, names)
{
    static char long_name[260];
    memset(long_name, 'a', sizeof long_name);
    memcpy(long_name + 256, ".npy", 4);
    const struct {
        const char *name;
        size_t length;
        const char *fragment;
    } cases[] = {
        {"a.txt", 5, "'a.txt': expected a name that ends in .npy"},
        {"a", 1, "'a': expected a name that ends in .npy"},
        {".npy", 4, "name of an array: expected one byte or more"},
        {"../a.npy", 8, "name of an array: expected no part '.' or '..'"},
        {"/a.npy", 6, "name of an array: expected no empty part"},
        {"a//b.npy", 8, "name of an array: expected no empty part"},
        {"a/.npy", 6, "name of an array: expected no empty part"},
        {"a\\b.npy", 7, "name of an array: expected no backslash"},
        {"a\nb.npy", 7, "name of an array: expected no control character"},
        {"a\0b.npy", 7, "byte 219: expected no NUL character in a name"},
        {"\xff\xfe.npy", 6, "name of an array: expected valid UTF-8"},
        {"\xc3\xa9.npy", 6, "expected the flag of UTF-8"},
        {long_name, 260, "byte 472: expected a name of at most 259 bytes"},
    };
    if (!npz_readable())
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static zip z;
        static unsigned char array[136] = "\x93NUMPY\x01\x00\x76";
        z.count = z.entries = 0;
        memset(array + 10, ' ', 117);
        memcpy(array + 10, F4("(2,)"), strlen(F4("(2,)")));
        array[127] = '\n';
        zip_add_raw(&z, cases[i].name, cases[i].length, 0, array, 136, 136, crc32(0, array, 136));
        zip_finish(&z);
        npz_refused(z.bytes, z.count, cases[i].name, cases[i].fragment);
    }
}

Test(npz_malformed, a_name_that_stands_twice)
{
    static zip z;
    if (!npz_readable())
        return;
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_add(&z, "b.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "twice", "'a': expected each name once");
}
