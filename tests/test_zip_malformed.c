/* Zips that gn_npz_open must refuse, one broken thing each, with a message that names the byte or
 * the array.
 *
 * The kinds are those that readers of zip were caught with: overlapping entries, bombs, local
 * headers that say something else than the directory, second files in gaps; the files are our own.
 * SPDX-License-Identifier: MIT */
#include "io/npy.h"
#include "support/refuse.h"
#include "support/zip.h"

TestSuite(zip_malformed, .init = folder_enter, .fini = folder_leave);

/* --- The zip around the arrays ---------------------------------------------------------------- */

/* Two stored arrays, and one change. */
enum { LOCAL, CENTRAL, END };

Test(zip_malformed, headers_of_entries)
{
    static const struct {
        int where, entry;
        size_t at;
        int bytes;
        unsigned long value;
        const char *what, *fragment;
    } cases[] = {
        {LOCAL, 1, 0, 4, 0x04034b51, "no local header", "byte 171: expected the header of 'b'"},
        {LOCAL, 1, 6, 2, 1, "encrypted here", "byte 171: 'b' is encrypted or streamed"},
        {CENTRAL, 1, 8, 2, 1, "encrypted there", "byte 171: 'b' is encrypted or streamed"},
        {LOCAL, 1, 6, 2, 8, "streamed", "byte 171: 'b' is encrypted or streamed"},
        {LOCAL, 1, 6, 2, 2, "other flags", "byte 171: 'b': flags, method, CRC and sizes"},
        {LOCAL, 1, 8, 2, 8, "another method", "byte 171: 'b': flags, method, CRC and sizes"},
        {LOCAL, 1, 14, 4, 7, "another CRC", "byte 171: 'b': flags, method, CRC and sizes"},
        {LOCAL, 1, 18, 4, 131, "another packed size", "'b': flags, method, CRC and sizes"},
        {LOCAL, 1, 22, 4, 131, "another size", "byte 171: 'b': flags, method, CRC and sizes"},
        {LOCAL, 1, 26, 2, 4, "a shorter name", "byte 201: another name than the directory's"},
        {LOCAL, 1, 26, 2, 600, "a long name", "byte 201: expected a name of at most 259 bytes"},
        {LOCAL, 1, 28, 2, 4, "an extra field of 28819 bytes", "expected extra fields that add up"},
        {LOCAL, 1, 30, 1, 'c', "another name",
         "byte 201: another name than the directory's 'b.npy'"},
        {LOCAL, 1, 34, 1, 'Y', "another ending", "byte 201: another name than the directory's"},
        {CENTRAL, 1, 0, 4, 0x02014b51, "no record", "byte 389: expected a record of the directory"},
        {CENTRAL, 1, 10, 2, 12, "another method there", "'b': flags, method, CRC and sizes"},
        {CENTRAL, 1, 20, 4, 1 << 30, "larger than the file", "'b': flags, method, CRC and sizes"},
        {CENTRAL, 1, 28, 2, 6, "a name beyond the directory", "expected a record of the directory"},
        {CENTRAL, 1, 32, 2, 1, "a comment of one", "byte 389: expected a record without a comment"},
        {CENTRAL, 1, 34, 2, 1, "on another part", "byte 389: expected a record without a comment"},
        {CENTRAL, 1, 42, 4, 0, "two at one place",
         "byte 171: expected the entry 'b', the directory "
         "says byte 0"},
        {CENTRAL, 1, 42, 4, 20, "one within another", "the directory says byte 20"},
        {CENTRAL, 1, 42, 4, 1 << 30, "beyond the file", "the directory says byte 1073741824"},
        {CENTRAL, 1, 42, 4, UINT32_MAX, "in 64 bits that are not there", "says byte 4294967295"},
        {END, 0, 0, 4, 0x06054b51, "no end",
         "byte 440: expected the end of a zip file of one part"},
        {END, 0, 4, 2, 1, "the second part",
         "byte 440: expected the end of a zip file of one part"},
        {END, 0, 6, 2, 1, "a directory on a second part", "byte 440: expected the end of a zip"},
        {END, 0, 8, 2, 1, "one entry here", "byte 440: expected the end of a zip file of one part"},
        {END, 0, 8, 4, 0x10001, "one entry in all",
         "byte 171: expected the directory right behind"},
        {END, 0, 8, 4, 0x30003, "three entries in all", "3 arrays in a directory of 102 bytes"},
        {END, 0, 8, 4, 0, "no entry", "byte 440: 0 arrays, expected 1 to 65534"},
        {END, 0, 8, 4, UINT32_MAX, "65535 entries", "expected the zip64 end"},
        {END, 0, 12, 4, 9, "a short directory",
         "byte 440: expected the end right behind the "
         "directory; it says 9 bytes from byte 338 on"},
        {END, 0, 12, 4, UINT32_MAX, "64 bits that are not there", "expected the zip64 end"},
        {END, 0, 16, 4, 9, "a directory elsewhere", "it says 102 bytes from byte 9 on"},
        {END, 0, 20, 2, 1, "a comment that is not there", "byte 440: expected the end of a zip"},
    };
    if (!npz_readable())
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static zip z;
        z.count = z.entries = 0;
        zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
        zip_add(&z, "b.npy", F4("(1,)"), (float[]){3}, 4);
        zip_finish(&z);
        size_t at = cases[i].at + z.end;
        if (cases[i].where != END)
            at = cases[i].at + (cases[i].where == LOCAL ? z.entry[cases[i].entry].at
                                                        : z.entry[cases[i].entry].central);
        const size_t count = z.count;
        z.count = at;
        zip_number(&z, cases[i].value, cases[i].bytes);
        npz_refused(z.bytes, count, cases[i].what, cases[i].fragment);
    }
}

/* More arrays than the cap, which only an end of 64 bits can say. */
Test(zip_malformed, too_many_arrays)
{
    static zip z;
    if (!npz_readable())
        return;
    for (int i = 0; i < 2; i++) {
        const unsigned long all = i == 0 ? 2 : GN_NPZ_ENTRIES + 1;
        z.count = z.entries = 0;
        zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
        zip_add(&z, "b.npy", F4("(2,)"), (float[]){1, 2}, 8);
        zip_finish(&z);
        z.count = z.end;
        zip_number(&z, 0x06064b50, 4);
        zip_number(&z, 44, 8);
        zip_number(&z, 0x2d002d, 12);
        zip_number(&z, all, 8);
        zip_number(&z, all, 8);
        zip_number(&z, z.end - z.directory, 8);
        zip_number(&z, z.directory, 8);
        zip_number(&z, 0x07064b50, 8);
        zip_number(&z, z.end, 8);
        zip_number(&z, 1, 4);
        zip_number(&z, 0x06054b50, 8);
        zip_number(&z, UINT64_MAX, 8);
        zip_number(&z, UINT32_MAX, 4);
        zip_number(&z, 0, 2);
        if (i == 1) {
            npz_refused(z.bytes, z.count, "65535", "65535 arrays, expected 1 to 65534");
            continue;
        }
        z.bytes[z.count - 14] = z.bytes[z.count - 12] = 2; /* the number here and in all */
        z.bytes[z.count - 13] = z.bytes[z.count - 11] = 0;
        gn_reader *r;
        gn_err err = {0};
        folder_put("f.npz", z.bytes, z.count);
        cr_expect_eq(gn_npz_open(&r, "f.npz", &err), GN_OK, "%s", err.text);
        gn_reader_close(r);
    }
}

/* Cut anywhere, or with bytes that nothing covers: in front, between, behind. */
Test(zip_malformed, bytes_too_few_and_too_many)
{
    static zip z;
    static unsigned char other[1 << 12];
    if (!npz_readable())
        return;
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    const size_t first = z.count;
    zip_add(&z, "b.npy", F4("(1,)"), (float[]){3}, 4);
    zip_finish(&z);
    for (size_t count = 0; count < z.count; count++)
        npz_refused(z.bytes, count, "cut", "");
    memcpy(other, z.bytes, z.count);
    other[z.count] = 'x';
    npz_refused(other, z.count + 1, "behind", "byte 441: expected the end of a zip file");
    memcpy(other + 1, z.bytes, z.count);
    npz_refused(other, z.count + 1, "in front", "it says 102 bytes from byte 338 on");

    z.count = z.entries = 0; /* in front, and the places know of it */
    zip_bytes(&z, "#!", 2);
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "in front",
                "byte 0: expected the entry 'a', the directory says byte 2");

    z.count = z.entries = 0;
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_bytes(&z, "!", 1);
    zip_add(&z, "b.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "between", "the directory says byte 172");
    cr_expect_eq(first, 171);

    z.count = z.entries = 0;
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_bytes(&z, "!", 1);
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "before the directory",
                "byte 171: expected the directory right behind the last array");

    z.count = z.entries = 0; /* one that the directory does not know */
    zip_add(&z, "a.npy", F4("(2,)"), (float[]){1, 2}, 8);
    zip_add(&z, "b.npy", F4("(2,)"), (float[]){1, 2}, 8);
    z.entries--;
    zip_finish(&z);
    npz_refused(z.bytes, z.count, "hidden", "byte 171: expected the directory right behind");
}

/* --- Data ------------------------------------------------------------------------------------- */

/* A gigabyte that a kilobyte claims to hold, data that are longer or shorter than they say, or not
 * deflated at all, or other than their CRC. */
Test(zip_malformed, data_that_are_not_what_they_say)
{
    static zip z;
    static unsigned char array[128 + 4000], packed[8192];
    if (!npz_readable())
        return;
    memcpy(array, "\x93NUMPY\x01\x00\x76", 10);
    memset(array + 10, ' ', 117);
    memcpy(array + 10, F4("(1000,)"), strlen(F4("(1000,)")));
    array[127] = '\n';
    const unsigned long crc = crc32(0, array, sizeof array);
    z_stream s = {0};
    cr_assert_eq(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = array, s.avail_in = sizeof array;
    s.next_out = packed, s.avail_out = sizeof packed;
    cr_assert_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
    const size_t count = s.total_out;
    deflateEnd(&s);
    const struct {
        const char *what, *fragment;
        size_t packed, size;
        unsigned long crc;
        unsigned method;
    } cases[] = {
        {"sound", "", count, sizeof array, crc, 8},
        {"another CRC", "'a': its CRC is not that of its data", count, sizeof array, crc ^ 1, 8},
        {"one more", "'a': header and shape need 128 + 4000 bytes, the entry has 4129", count,
         sizeof array + 1, crc, 8},
        {"one less", "'a': header and shape need 128 + 4000 bytes, the entry has 4127", count,
         sizeof array - 1, crc, 8},
        {"cut", "'a': the data end 129 bytes early", count - 3, sizeof array, crc, 8},
        {"a byte behind the stream", "'a': bytes behind its data", count + 1, sizeof array, crc, 8},
        {"stored", "'a': expected an npy array of version", count, count,
         crc32(0, packed, (unsigned)count), 0},
        {"not deflated", "'a': no sound deflated data", 200, sizeof array, crc, 9999},
        {"stored, another size", "'a': stored data of another size", count, count + 1, crc, 0},
        {"bzip2", "'a': expected stored or deflated data", count, sizeof array, crc, 12},
        {"zstd", "'a': expected stored or deflated data", count, sizeof array, crc, 93},
        {"a bomb", "bytes claim to hold 1073741824", count, 1 << 30, crc, 8},
        {"a bomb of 64 bits", "bytes claim to hold 4294967294", count, UINT32_MAX - 1, crc, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        z.count = z.entries = 0;
        const bool text = cases[i].method == 9999;
        zip_add_raw(&z, "a.npy", 5, text ? 8 : cases[i].method, text ? array + 4 : packed,
                    cases[i].packed, cases[i].size, cases[i].crc);
        zip_finish(&z);
        if (i > 0) {
            npz_refused(z.bytes, z.count, cases[i].what, cases[i].fragment);
            continue;
        }
        gn_reader *r;
        gn_err err = {0};
        folder_put("f.npz", z.bytes, z.count);
        cr_assert_eq(gn_npz_open(&r, "f.npz", &err), GN_OK, "%s", err.text);
        gn_reader_close(r);
    }
}

/* A stream that holds more than its size says, and one that holds all but its own end. */
Test(zip_malformed, streams_that_end_elsewhere)
{
    static zip z;
    static unsigned char array[128 + 4000], packed[8192];
    if (!npz_readable())
        return;
    memcpy(array, "\x93NUMPY\x01\x00\x76", 10);
    memset(array + 10, ' ', 117);
    array[127] = '\n';
    for (int whole = 0; whole < 2; whole++) {
        const size_t size = whole ? 128 + 40 : sizeof array;
        z_stream s = {0};
        memcpy(array + 10, whole ? F4("(10,)  ") : F4("(1000,)"), strlen(F4("(1000,)")));
        cr_assert_eq(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
        s.next_in = array, s.avail_in = sizeof array;
        s.next_out = packed, s.avail_out = sizeof packed;
        deflate(&s, whole ? Z_FINISH : Z_SYNC_FLUSH);
        z.count = z.entries = 0;
        zip_add_raw(&z, "a.npy", 5, 8, packed, s.total_out, size, crc32(0, array, (unsigned)size));
        deflateEnd(&s);
        zip_finish(&z);
        npz_refused(z.bytes, z.count, whole ? "goes on" : "no end",
                    whole ? "'a': its deflated data go on behind the last element"
                          : "'a': its deflated data have no end");
    }
}
