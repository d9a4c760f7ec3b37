/* The learning rate over time.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "gomokunet/train.h"

gn_status gn_rate_parse(gn_rate *out, const char *text, double base, gn_err *err)
{
    *out = (gn_rate){.base = base, .factor = 1};
    if (!(base > 0 && base <= 1000))
        return gn_fail(err, GN_E_CONFIG, "lr %g, expected a number above 0, at most 1000", base);
    if (strcmp(text, "constant") == 0)
        return GN_OK;
    if (strncmp(text, "step:", 5) == 0 && text[5] >= '0' && text[5] <= '9') { /* no sign */
        char *end;
        const unsigned long long every = strtoull(text + 5, &end, 10);
        if (*end == ':' && every > 0) {
            char *last;
            const gn_guard guard = gn_guard_enter(1); /* strtod rounds as the host said */
            out->factor = strtod(end + 1, &last);
            gn_guard_leave(&guard);
            out->every = every;
            if (last > end + 1 && *last == '\0' && out->factor > 0 && out->factor <= 1)
                return GN_OK;
        }
    }
    return gn_fail(err, GN_E_CONFIG,
                   "lr-schedule \"%s\": expected constant or step:N:F, N steps, F in (0, 1]", text);
}

double gn_rate_at(const gn_rate *rate, uint64_t step)
{
    const gn_guard guard = gn_guard_enter(1);
    volatile double value = rate->base; /* no product may leave the guard */
    for (uint64_t n = rate->every == 0 ? 0 : step / rate->every; n > 0; n--)
        value *= rate->factor;
    gn_guard_leave(&guard);
    return value;
}
