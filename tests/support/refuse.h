/* npz files that must be refused.  Tests run in a folder of their own (folder.h).
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_REFUSE_H
#define GN_TESTS_REFUSE_H

#include "gomokunet/io.h"
#include "support/folder.h"

/* Whether this build reads npz at all. */
static inline bool npz_readable(void)
{
    gn_reader *r;
    gn_err err;
    folder_put("f.npz", "PK", 2);
    cr_assert_eq(gn_npz_open(&r, "f.npz", &err), GN_E_FORMAT);
    return strstr(err.text, "this build reads no npz") == NULL;
}

/* Refused for this reason, by both ways to open it, and the file is named. */
static inline void npz_refused(const void *bytes, size_t count, const char *what, const char *fragment)
{
    gn_err err = {0};
    gn_reader *r = (gn_reader *)&err;
    folder_put("f.npz", bytes, count);
    cr_expect_eq(gn_npz_open(&r, "f.npz", &err), GN_E_FORMAT, "%s", what);
    cr_expect_null(r, "%s", what);
    cr_expect(strncmp(err.text, "f.npz: ", 7) == 0 && strstr(err.text, fragment) != NULL,
              "%s: '%s' lacks '%s'", what, err.text, fragment);
    cr_expect_eq(gn_tensors_open(&r, "f.npz", &err), GN_E_FORMAT, "%s", what);
}

#endif
