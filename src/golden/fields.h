/* Reading a golden file, or a candidate, by names.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_FIELDS_H
#define GN_GOLDEN_FIELDS_H

#include "gomokunet/io.h"

/* The float32 tensor GROUP/NAME (NAME where the group is "") of that many elements; NULL: it is not
 * there, or of another type or size. */
const float *gn_field_floats(const gn_reader *file, const char *group, const char *name,
                             size_t count);

/* A metadata entry that is a number: what it may be. */
typedef struct gn_field_range {
    const char *key;
    double low, high;
    bool whole;
} gn_field_range;

/* Its value; *out stays where there is no such entry.  GN_E_FORMAT names the file, the key, what
 * stands there and what was expected. */
gn_status gn_field_number(double *out, const gn_reader *file, const char *path,
                          const gn_field_range *range, gn_err *err);

/* Which of two words a metadata entry is: *out is whether it is `yes`, and stays where there is no
 * such entry.  GN_E_FORMAT as above. */
gn_status gn_field_choice(bool *out, const gn_reader *file, const char *path, const char *key,
                          const char *yes, const char *no, gn_err *err);

#endif
