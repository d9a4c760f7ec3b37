/* Status and error text.  SPDX-License-Identifier: MIT */
#include "gomokunet/status.h"

#include <stdarg.h>
#include <stdio.h>

gn_status gn_fail(gn_err *err, gn_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}

const char *gn_status_name(gn_status status)
{
    static const char *const names[] = {"ok",   "config",  "io",      "format",  "shape",
                                        "data", "no memory", "numeric", "platform"};
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}
