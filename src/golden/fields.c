/* Reading by names; see fields.h.  SPDX-License-Identifier: MIT */
#include "golden/fields.h"

#include <stdio.h>
#include <stdlib.h>

const float *gn_field_floats(const gn_reader *file, const char *group, const char *name,
                             size_t count)
{
    char full[320];
    snprintf(full, sizeof full, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    const gn_entry *e = gn_reader_find(file, full);
    return e == NULL || e->type != GN_F32 || e->bytes != count * sizeof(float) ? NULL : e->data;
}

double gn_field_number(const gn_reader *file, const char *key, double otherwise)
{
    const char *text = gn_reader_metadata(file, key);
    char *end = NULL;
    const double x = text == NULL ? otherwise : strtod(text, &end);
    return text == NULL || *text == '\0' || *end != '\0' ? otherwise : x;
}
