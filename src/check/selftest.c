/* The start-up self-test: does this build, on this machine, keep the numeric contract?
 *
 * A compiler flag, an emulator or a host program can break bits without a word.  Each check is a
 * small sum with a known answer; a program that writes golden files runs them first and refuses
 * with the name of the one that fails.  They run inside the guard, so they judge what the
 * library's own arithmetic gets, not what the host left in the control register.
 *
 * Operands go through volatile, or the compiler would answer at compile time.
 * SPDX-License-Identifier: MIT */
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"

#include <float.h>
#include <math.h> /* INFINITY and NAN only */
#include <string.h>

#include "base/guard.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Equal bits, so that -0 differs from 0; NaNs are all alike. */
static int same(float a, float b)
{
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

/* 1 + half an ulp goes to the even 1; 1 + one and a half to the even 1 + 2 ulp. */
static int rounding(void)
{
    const volatile float half = 0x1p-24f, above_half = 0x1.000002p-24f, more = 0x1.8p-23f;
    const volatile double half_double = 0x1p-53, float_tie = 0x1.000003p+0;
    return 1.0f + half == 1.0f && 1.0f + more == 0x1.000004p+0f && -1.0f - half == -1.0f &&
           1.0f + above_half == 0x1.000002p+0f && 1.0 + half_double == 1.0 &&
           (float)float_tie == 0x1.000004p+0f;
}

/* As a result (a flush to zero) and as an operand (denormals are zero). */
static int denormals(void)
{
    const volatile float smallest_normal = FLT_MIN, denormal = 0x1p-149f;
    const volatile float halved = smallest_normal * 0.5f;
    const volatile double smallest_double = DBL_MIN, to_float = 0x1p-140;
    return halved == 0x1p-127f && denormal * 0x1p+100f == 0x1p-49f &&
           smallest_double * 0.5 > 0.0 && (float)to_float == 0x1p-140f;
}

/* (1 + 2^-12)^2 - (1 + 2^-11): 2^-24 if the product is not rounded by itself. */
static int contraction(void)
{
    const volatile float a = 0x1.001p+0f, c = -0x1.002p+0f;
    const volatile double d = 0x1.0000001p+0, e = -0x1.0000002p+0;
    return a * a + c == 0.0f && d * d + e == 0.0;
}

static int division(void)
{
    const volatile float three = 3.0f, two = 2.0f;
    const volatile double three_double = 3.0;
    return 1.0f / three == 0x1.555556p-2f && __builtin_sqrtf(two) == 0x1.6a09e6p+0f &&
           1.0 / three_double == 0x1.5555555555555p-2;
}

static int fma_cases(void)
{
    static const volatile float cases[][4] = {
        /* What a sum in double, rounded again to float, gets wrong: msun gives the neighbour. */
        {0.9474001f, 4.639901e-7f, -0.24325085f, -0x1.f22d46p-3f},
        /* The same among denormals: musl gives 0x00010002. */
        {-0x1.001p-81f, 0x1.ffe002p-70f, 0x1.0002p-133f, 0x1.0001p-133f},
        {INFINITY, 1.0f, 1.0f, INFINITY}, {1.0f, 1.0f, -INFINITY, -INFINITY},
        {INFINITY, 0.0f, 1.0f, NAN}, {INFINITY, 1.0f, -INFINITY, NAN},
        {-0.0f, 1.0f, -0.0f, -0.0f}, {-0.0f, 1.0f, 0.0f, 0.0f},
        {FLT_MAX, 2.0f, -FLT_MAX, FLT_MAX}};
    for (size_t i = 0; i < COUNT(cases); i++)
        if (!same(gn_fmaf(cases[i][0], cases[i][1], cases[i][2]), cases[i][3]))
            return 0;
    return 1;
}

/* Arguments and values: those nearest to a boundary between two floats, a plain one, the ends. */
enum { SPOTS = 9 };

static const volatile float exp_spots[SPOTS][2] = {
    {-0x1.d2259ap+3f, 0x1.fa6636p-22f}, {-0x1.e1dbe2p-8f, 0x1.fc3fd2p-1f},
    {-0x1.c1c4b8p-10f, 0x1.ff1f4ep-1f}, {-0x1p-25f, 0x1p+0f}, {0x1p+0f, 0x1.5bf0a8p+1f},
    {0.0f, 1.0f}, {-200.0f, 0.0f}, {89.0f, INFINITY}, {-INFINITY, 0.0f}};

static const volatile float log_spots[SPOTS][2] = {
    {0x1.b121a6p+76f, 0x1.a9a3f2p+5f}, {0x1.bacb4ap+25f, 0x1.1e0696p+4f},
    {0x1.c09d7cp+27f, 0x1.346a58p+4f}, {0x1.5190cp+78f, 0x1.b2bc8cp+5f}, {0x1p+1f, 0x1.62e43p-1f},
    {1.0f, 0.0f}, {-0.0f, -INFINITY}, {-1.0f, NAN}, {INFINITY, INFINITY}};

static const volatile float tanh_spots[SPOTS][2] = {
    {0x1.86fbc4p-10f, 0x1.86fbb2p-10f}, {0x1.dc0accp-2f, 0x1.bc797cp-2f},
    {0x1.5969ap+2f, 0x1.fffaap-1f}, {0x1.a83722p-6f, 0x1.a81eep-6f}, {0x1p-1f, 0x1.d9353ep-2f},
    {-0.0f, -0.0f}, {10.0f, 1.0f}, {-INFINITY, -1.0f}, {0x1p-149f, 0x1p-149f}};

/* Stops at the first wrong one: in a broken state, the integers of exact.c may not come to an end
 * for the special values at the end of each list. */
static int holds(float (*function)(float), const volatile float (*spot)[2])
{
    for (int i = 0; i < SPOTS; i++)
        if (!same(function(spot[i][0]), spot[i][1]))
            return 0;
    return 1;
}

/* The byte order is no failure, since files are written a byte at a time, but worth a line in a
 * report: it explains a dump of memory. */
static const char *byte_order(void)
{
    const uint32_t word = 1;
    uint8_t first;
    memcpy(&first, &word, 1);
    return first == 1 ? "byte order: little-endian" : "byte order: big-endian, files are swapped";
}

int gn_selftest_checks(gn_check *checks, int room)
{
    const gn_guard guard = gn_guard_enter(0);
    const gn_check all[] = {
        {"float is computed as float", FLT_EVAL_METHOD == 0},
        {"round to nearest even", rounding()},
        {"denormals kept", denormals()},
        {"no a*b + c is contracted", contraction()},
        {"division and square root", division()},
        {"fma rounds once, infinities and zeros too", fma_cases()},
        {"exp correctly rounded", holds(gn_expf, exp_spots)},
        {"log correctly rounded", holds(gn_logf, log_spots)},
        {"tanh correctly rounded", holds(gn_tanhf, tanh_spots)},
    };
    gn_guard_leave(&guard);

    const int count = (int)COUNT(all);
    for (int i = 0; i < count && i < room; i++)
        checks[i] = all[i];
    if (count < room)
        checks[count] = (gn_check){byte_order(), 1};
    return count + 1;
}

gn_status gn_selftest(gn_err *err)
{
    gn_check checks[32];
    const int room = (int)COUNT(checks);
    const int count = gn_selftest_checks(checks, room);
    for (int i = 0; i < count && i < room; i++)
        if (!checks[i].passed)
            return gn_fail(err, GN_E_PLATFORM,
                           "self-test: \"%s\" does not hold on this machine or in this build",
                           checks[i].name);
    return GN_OK;
}
