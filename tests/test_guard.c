/* Tests of the floating-point guard under hostile hosts, and of the start-up self-test.
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <fenv.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "base/guard.h"
#include "base/threads.h"
#include "gomokunet/check.h"
#include "gomokunet/numeric.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Hostile states.  On x86 straight into MXCSR; elsewhere the rounding modes alone. */
#ifdef __SSE__
enum { FTZ = 0x8000, DAZ = 0x40, DOWN = 0x2000, UP = 0x4000, ZERO = 0x6000 };
#define FLAGS 0x3fu
static const unsigned hostile[] = {0x1f80 | FTZ | DAZ, 0x1f80 | FTZ,  0x1f80 | DAZ,
                                   0x1f80 | DOWN,      0x1f80 | UP,   0x1f80 | ZERO,
                                   0x1f80 | ZERO | FTZ, 0x1f80 | UP | FLAGS};
static void set_state(unsigned state) { _mm_setcsr(state); }
static unsigned get_state(void) { return _mm_getcsr(); }
#else
#define FLAGS 0u
static const unsigned hostile[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
static void set_state(unsigned state) { fesetround((int)state); }
static unsigned get_state(void) { return (unsigned)fegetround(); }
#endif

/* A number that any other state changes. */
static uint64_t compute(void)
{
    volatile float third = 1.0f / 3.0f, tiny = 0x1.8p-126f, denormal = 0x1p-140f;
    uint64_t hash = mix(to_bits(tiny * 0.3f), to_bits(denormal * 0x1p+20f));
    for (uint32_t i = 1; i < 200; i++) {
        const float x = (float)i * third;
        hash = mix(hash, to_bits(gn_expf(-x)) ^ (uint64_t)to_bits(gn_logf(x)) << 32);
        hash = mix(hash, to_bits(gn_tanhf(x / 20)) ^ (uint64_t)to_bits(x / 7.0f - x) << 32);
        hash = mix(hash, to_bits(gn_fmaf(x, third, -x)));
    }
    return hash;
}

enum { TEAM = 3 };

static void on_each_thread(uint64_t *out)
{
#ifdef _OPENMP
    #pragma omp parallel num_threads(TEAM)
#endif
    out[gn_thread_index()] = compute();
}

/* `pool_first`: the threads exist before the host turns hostile, in each of them; otherwise they
 * are born inside the guard. */
static void under_hostile_host(int pool_first)
{
    const uint64_t want = compute();
    for (size_t i = 0; i < COUNT(hostile); i++) {
        uint64_t got[TEAM] = {want, want, want};
        unsigned before[TEAM] = {0}, after[TEAM] = {0};
        if (pool_first) {
#ifdef _OPENMP
            #pragma omp parallel num_threads(TEAM)
#endif
            {
                set_state(hostile[i]);
                before[gn_thread_index()] = get_state();
            }
        }
        set_state(hostile[i]); /* LLVM's runtime undid it in this thread */
        before[0] = get_state();
        const gn_guard guard = gn_guard_enter(TEAM);
        on_each_thread(got);
        gn_guard_leave(&guard);
        after[0] = get_state();
        if (pool_first) {
#ifdef _OPENMP
            #pragma omp parallel num_threads(TEAM)
#endif
            after[gn_thread_index()] = get_state();
        }
        /* The flags of other threads are the runtime's business: LLVM's clears them. */
        for (int t = 0; t < (pool_first ? TEAM : 1); t++)
            cr_expect(((after[t] ^ before[t]) & (t == 0 ? ~0u : ~FLAGS)) == 0,
                      "state %zu, thread %d: %x, was %x", i, t, after[t], before[t]);
        for (int t = 0; t < TEAM; t++)
            cr_expect(got[t] == want, "state %zu, thread %d computes other bits", i, t);
    }
}

Test(guard, hostile_threads) { under_hostile_host(1); }
Test(guard, hostile_master) { under_hostile_host(0); }

/* The test above would prove nothing if the states changed nothing. */
Test(guard, states_are_hostile)
{
    const uint64_t want = compute();
    const unsigned before = get_state();
    for (size_t i = 0; i < COUNT(hostile); i++) {
        set_state(hostile[i]);
        const uint64_t got = compute();
        set_state(before);
        cr_expect(got != want, "state %zu", i);
    }
}

Test(guard, restores_the_team_and_nests)
{
#ifdef _OPENMP
    omp_set_dynamic(1);
#endif
    const int before = gn_threads_available();
    const gn_guard outer = gn_guard_enter(TEAM);
    const int inside = gn_threads_available();
    const gn_guard inner = gn_guard_enter(1);
    const int innermost = gn_threads_available();
    gn_guard_leave(&inner);
    const int again = gn_threads_available();
    gn_guard_leave(&outer);
    const gn_guard all = gn_guard_enter(0);
    const int as_host = gn_threads_available();
    gn_guard_leave(&all);
    const gn_guard many = gn_guard_enter(100000);
    const int most = gn_threads_available();
    gn_guard_leave(&many);
#ifdef _OPENMP
    cr_expect(inside == TEAM && again == TEAM && as_host == before && most == GN_GUARD_THREADS);
    cr_expect(omp_get_dynamic() != 0);
#else
    cr_expect(inside == 1 && again == 1 && as_host == 1 && most == 1);
#endif
    cr_expect(innermost == 1 && gn_threads_available() == before);
}

Test(selftest, holds_here_and_under_a_hostile_host)
{
    gn_check checks[32];
    gn_err err = {GN_OK, ""};
    cr_assert_eq(gn_selftest(&err), GN_OK, "%s", err.text);
    const unsigned before = get_state();
    set_state(hostile[0]);
    const gn_status status = gn_selftest(&err);
    const int count = gn_selftest_checks(checks, 32);
    set_state(before);
    cr_expect_eq(status, GN_OK);
    cr_assert(count > 8 && count <= 32);
    for (int i = 0; i < count; i++)
        cr_expect(checks[i].name != NULL && checks[i].passed == 1, "%d", i);
    checks[2].passed = checks[count - 1].passed = 77;
    cr_expect_eq(gn_selftest_checks(checks, 2), count);
    cr_expect(checks[2].passed == 77 && checks[count - 1].passed == 77, "written past the room");
}
