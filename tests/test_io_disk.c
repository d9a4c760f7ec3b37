/* Files: disks that fail, folders that are missing, what must survive.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gomokunet/io.h"
#include "support/folder.h"

TestSuite(io_disk, .init = folder_enter, .fini = folder_leave);

static const float floats[2] = {1.5f, -2.0f};

static int syncs, failing_sync; /* the failing_sync-th call fails; 0: none */

/* Takes the place of the C library's in this program; nothing here needs a real one. */
int fsync(int descriptor)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return -1;
    if (++syncs != failing_sync)
        return 0;
    errno = ENOSPC;
    return -1;
}

static gn_writer *writer_of_two_floats(const char *path)
{
    gn_writer *w;
    cr_assert_eq(gn_writer_open(&w, path, NULL), GN_OK);
    gn_writer_declare(w, "first", GN_F32, 0, NULL, NULL);
    gn_writer_declare(w, "second", GN_F32, 0, NULL, NULL);
    return w;
}

static void old_file_intact(const char *fragment, const gn_err *err)
{
    cr_assert_not_null(strstr(err->text, fragment), "'%s' lacks '%s'", err->text, fragment);
    cr_assert_eq(strncmp(err->text, "f", 1), 0, "%s", err->text);
    folder_has("f", "old", 3);
    unlink("f");
    cr_assert(folder_is_empty(), "%s", fragment);
}

Test(io_disk, file_write_replaces_and_syncs)
{
    gn_err err = {0};
    cr_assert_eq(gn_file_write("f", "old", 3, &err), GN_OK, "%s", err.text);
    cr_assert_eq(syncs, 2, "the file, then its folder");
    folder_put("f.tmp", "left by a crash", 15);
    cr_assert_eq(gn_file_write("./f", "newer", 5, &err), GN_OK, "%s", err.text);
    folder_has("f", "newer", 5);
    cr_assert_eq(gn_file_write("f", NULL, 0, &err), GN_OK, "%s", err.text);
    folder_has("f", "", 0);
    unlink("f");
    cr_assert(folder_is_empty());
}

/* A link planted at the temporary name must not lead the writer elsewhere. */
Test(io_disk, temporary_link_is_not_followed)
{
    folder_put("victim", "safe", 4);
    cr_assert_eq(symlink("victim", "f.tmp"), 0);
    cr_assert_eq(gn_file_write("f", "new", 3, NULL), GN_OK);
    folder_has("victim", "safe", 4);
    folder_has("f", "new", 3);
}

Test(io_disk, missing_folder_and_odd_files)
{
    gn_err err = {0};
    gn_writer *w = (gn_writer *)&err;
    gn_reader *r = (gn_reader *)&err;
    cr_assert_eq(gn_writer_open(&w, "no/where", &err), GN_E_IO);
    cr_assert_null(w);
    cr_assert_eq(strncmp(err.text, "no/where", 8), 0, "%s", err.text);
    cr_assert_eq(gn_file_write("no/where", "x", 1, &err), GN_E_IO);
    cr_assert_eq(gn_reader_open(&r, "no/where", &err), GN_E_IO);
    cr_assert_null(r);
    cr_assert_not_null(strstr(err.text, "no/where: cannot open"), "%s", err.text);

    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_assert_eq(gn_reader_open(&r, "folder", &err), GN_E_IO);
    cr_assert_not_null(strstr(err.text, "folder: expected a regular file"), "%s", err.text);
    cr_assert_eq(gn_writer_open(&w, "folder", &err), GN_E_IO);
    cr_assert_not_null(strstr(err.text, "folder: cannot replace"), "%s", err.text);
    cr_assert_eq(gn_file_write("/dev/null", "x", 1, &err), GN_E_IO, "root could replace it");
    rmdir("folder");
    gn_writer_abandon(NULL);
}

Test(io_disk, failing_sync_keeps_the_old_file)
{
    gn_err err = {0};
    folder_put("f", "old", 3);
    gn_writer *w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 8, NULL);
    failing_sync = 1;
    cr_assert_eq(gn_writer_close(w, &err), GN_E_IO);
    old_file_intact("f.tmp: cannot sync: No space left", &err);

    failing_sync = 3; /* the folder's: by then the new file is in place */
    cr_assert_eq(gn_file_write("f", "new", 3, &err), GN_E_IO);
    cr_assert_not_null(strstr(err.text, "f: written, but its folder"), "%s", err.text);
    folder_has("f", "new", 3);
}

Test(io_disk, failing_rename_removes_the_temporary_file)
{
    gn_err err = {0};
    gn_writer *w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 8, NULL);
    cr_assert_eq(mkdir("f", 0700), 0); /* appears only now */
    cr_assert_eq(gn_writer_close(w, &err), GN_E_IO);
    cr_assert_not_null(strstr(err.text, "f.tmp: cannot rename"), "%s", err.text);
    rmdir("f");
    cr_assert(folder_is_empty());
}

/* A limit on the size of files stands for the full disk: both end in a short write. */
Test(io_disk, short_write_keeps_the_old_file)
{
    static const uint8_t zeros[1 << 16];
    gn_err err = {0};
    signal(SIGXFSZ, SIG_IGN);
    folder_put("f", "old", 3);
    struct rlimit limit = {1 << 15, 1 << 15};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    gn_writer *w;
    gn_writer_open(&w, "f", NULL);
    gn_writer_declare(w, "a", GN_U8, 1, (size_t[]){2 * sizeof zeros}, NULL);
    cr_assert_eq(gn_writer_put(w, zeros, sizeof zeros, &err), GN_E_IO);
    cr_assert_eq(gn_writer_put(w, zeros, sizeof zeros, NULL), GN_E_IO, "a failure stays");
    cr_assert_eq(gn_writer_close(w, &err), GN_E_IO);
    old_file_intact("f.tmp: cannot write: File too large", &err);

    folder_put("f", "old", 3);
    cr_assert_eq(gn_file_write("f", zeros, sizeof zeros, &err), GN_E_IO);
    old_file_intact("f.tmp: cannot write: File too large", &err);

    folder_put("f", "old", 3);
    limit.rlim_cur = 2; /* so little that only the flush at the end meets the limit */
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(gn_file_write("f", "new", 3, &err), GN_E_IO);
    old_file_intact("f.tmp: cannot write: File too large", &err);
}

Test(io_disk, abandoned_writer_leaves_nothing)
{
    gn_writer *w = writer_of_two_floats("f");
    gn_writer_put(w, floats, 8, NULL);
    gn_writer_abandon(w);
    cr_assert(folder_is_empty());
}
