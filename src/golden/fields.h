/* Reading a golden file, or a candidate, by names.  SPDX-License-Identifier: MIT */
#ifndef GN_GOLDEN_FIELDS_H
#define GN_GOLDEN_FIELDS_H

#include "gomokunet/io.h"

/* The float32 tensor GROUP/NAME (NAME where the group is "") of that many elements; NULL: it is not
 * there, or of another type or size. */
const float *gn_field_floats(const gn_reader *file, const char *group, const char *name,
                             size_t count);

/* The number that a metadata entry spells; `otherwise` where there is none, or no number. */
double gn_field_number(const gn_reader *file, const char *key, double otherwise);

#endif
