/* Reading by names; see fields.h.  SPDX-License-Identifier: MIT */
#include "golden/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"

const float *gn_field_floats(const gn_reader *file, const char *group, const char *name,
                             size_t count)
{
    char full[320];
    snprintf(full, sizeof full, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    const gn_entry *e = gn_reader_find(file, full);
    return e == NULL || e->type != GN_F32 || e->bytes != count * sizeof(float) ? NULL : e->data;
}

/* Digits, a point, an exponent and signs; no space, no hexadecimal, no "nan" or "inf". */
static bool spelled(const char *text, double *x)
{
    char *end = NULL;
    if (*text == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    const gn_guard guard = gn_guard_enter(1); /* strtod rounds as the host said */
    *x = strtod(text, &end);
    gn_guard_leave(&guard);
    return *end == '\0';
}

gn_status gn_field_number(double *out, const gn_reader *file, const char *path,
                          const gn_field_range *range, gn_err *err)
{
    const char *text = gn_reader_metadata(file, range->key);
    double x = 0;
    if (text == NULL)
        return GN_OK;
    if (!spelled(text, &x) || !(x >= range->low && x <= range->high) ||
        (range->whole && x != (double)(int64_t)x))
        return gn_fail(err, GN_E_FORMAT, "%s: metadata %s is \"%.40s\", expected a %s from %.7g to "
                       "%.7g", path, range->key, text, range->whole ? "whole number" : "number",
                       range->low, range->high);
    *out = x;
    return GN_OK;
}

gn_status gn_field_choice(bool *out, const gn_reader *file, const char *path, const char *key,
                          const char *yes, const char *no, gn_err *err)
{
    const char *text = gn_reader_metadata(file, key);
    if (text == NULL)
        return GN_OK;
    if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
        return gn_fail(err, GN_E_FORMAT, "%s: metadata %s is \"%.40s\", expected %s or %s", path,
                       key, text, yes, no);
    *out = strcmp(text, yes) == 0;
    return GN_OK;
}
