/* The learning rate over time, in double: + - * / only, in one written order, so that every machine
 * has the same bits.  docs/numerics.md, section 22.  SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "gomokunet/train.h"

/* A whole number without a sign at *text, which moves behind it. */
static bool whole(const char **text, uint64_t *out)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *out = strtoull(*text, &end, 10);
    *text = end;
    return *out < UINT64_C(1) << 53;
}

/* A number that ends the text. */
static bool last_number(const char *text, double *out)
{
    char *end;
    const gn_guard guard = gn_guard_enter(1); /* strtod rounds as the host said */
    *out = strtod(text, &end);
    gn_guard_leave(&guard);
    return end > text && *end == '\0';
}

static bool parse_step(gn_rate *out, const char *text)
{
    return whole(&text, &out->every) && *text == ':' && out->every > 0 &&
           last_number(text + 1, &out->factor) && out->factor > 0 && out->factor <= 1;
}

static bool parse_cosine(gn_rate *out, const char *text)
{
    return whole(&text, &out->warmup) &&
           (*text == '\0' || (*text == ':' && last_number(text + 1, &out->floor) &&
                              out->floor >= 0 && out->floor <= out->base));
}

gn_status gn_rate_parse(gn_rate *out, const char *text, double base, gn_err *err)
{
    *out = (gn_rate){.base = base, .factor = 1};
    if (!(base > 0 && base <= 1000))
        return gn_fail(err, GN_E_CONFIG, "lr %g, expected a number above 0, at most 1000", base);
    out->cosine = strncmp(text, "cosine:", 7) == 0;
    if (strcmp(text, "constant") == 0 ||
        (strncmp(text, "step:", 5) == 0 && parse_step(out, text + 5)) ||
        (out->cosine && parse_cosine(out, text + 7)))
        return GN_OK;
    return gn_fail(err, GN_E_CONFIG, "lr-schedule \"%s\": expected constant or step:N:F, N steps, "
                   "F in (0, 1], or cosine:W or cosine:W:MIN, W steps of warm-up, MIN in [0, lr]",
                   text);
}

gn_status gn_rate_span(gn_rate *rate, uint64_t total, gn_err *err)
{
    rate->total = total;
    if (!rate->cosine || rate->warmup < total)
        return GN_OK;
    return gn_fail(err, GN_E_CONFIG, "lr-schedule cosine: %llu steps of warm-up, expected less "
                   "than the run's %llu", (unsigned long long)rate->warmup,
                   (unsigned long long)total);
}

/* sin(pi/2 * t), 0 <= t <= 1/2: Taylor's series to x^17, whose rest is below 2^-54 of it. */
static double sine_of_quarter(double t)
{
    const double x = 0x1.921fb54442d18p+0 * t, z = x * x;
    double p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800;
    p = p * z + 1.0 / 362880;
    p = p * z - 1.0 / 5040;
    p = p * z + 1.0 / 120;
    p = p * z - 1.0 / 6;
    return x + x * (z * p);
}

/* (1 + cos(pi n/d)) / 2, which is cos(pi/2 n/d)^2: from 1 down to 0, symmetric about 1/2. */
static double half_wave(uint64_t n, uint64_t d)
{
    if (n >= d)
        return 0;
    const bool early = n <= d - n;
    const double s = sine_of_quarter((double)(early ? n : d - n) / (double)d);
    return early ? 1 - s * s : s * s;
}

static double value_at(const gn_rate *rate, uint64_t step)
{
    if (rate->cosine && step < rate->warmup)
        return rate->base * ((double)(step + 1) / (double)(rate->warmup + 1));
    if (rate->cosine)
        return rate->floor + (rate->base - rate->floor) *
                                 half_wave(step - rate->warmup, rate->total - rate->warmup);
    double value = rate->base;
    for (uint64_t n = rate->every == 0 ? 0 : step / rate->every; n > 0; n--)
        value *= rate->factor;
    return value;
}

double gn_rate_at(const gn_rate *rate, uint64_t step)
{
    const gn_guard guard = gn_guard_enter(1);
    const volatile double value = value_at(rate, step); /* no product may leave the guard */
    gn_guard_leave(&guard);
    return value;
}
