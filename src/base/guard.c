/* The floating-point guard, and the refusal to be built in a way that changes bits.
 *
 * Knows x86 (MXCSR) and aarch64 (FPCR); elsewhere it sets the rounding mode through <fenv.h>
 * (link -lm there), which has no word for denormals: the self-test then tells whether they live.
 * SPDX-License-Identifier: MIT */
#include "base/guard.h"

#include <float.h>

#include "base/threads.h"

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "GomokuNet promises bits: build it without -ffast-math, -Ofast and -ffinite-math-only"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "float must be computed as float: on i386 add -msse2 "
                                     "-mfpmath=sse, elsewhere -fexcess-precision=fast");
_Static_assert(FLT_RADIX == 2 && FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53, "IEEE 754 is needed");

#if defined(__SSE__)

#include <xmmintrin.h>

/* All exceptions masked, none raised, round to nearest, no FTZ, no DAZ. */
enum { CONTROL_IEEE = 0x1f80 };

static uint64_t read_control(void)
{
    return _mm_getcsr();
}

static void write_control(uint64_t value)
{
    _mm_setcsr((unsigned)value);
}

#elif defined(__aarch64__)

/* Round to nearest, no flush, no default NaN, no traps. */
enum { CONTROL_IEEE = 0 };

static uint64_t read_control(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}

static void write_control(uint64_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory");
}

#else

#include <fenv.h>

#define CONTROL_IEEE FE_TONEAREST

static uint64_t read_control(void)
{
    return (uint64_t)fegetround();
}

static void write_control(uint64_t value)
{
    fesetround((int)value);
}

#endif

/* Not in line, even across files: no arithmetic of the caller may move over the switch. */
#define NOT_INLINE __attribute__((noinline))

NOT_INLINE gn_guard gn_guard_enter(int threads)
{
    gn_guard guard; /* control is filled only as far as the team goes: this must stay cheap */
    guard.threads = omp_get_max_threads();
    guard.dynamic = omp_get_dynamic();
    guard.team = 1;

    int wanted = threads > 0 ? threads : guard.threads;
    if (wanted > GN_GUARD_THREADS)
        wanted = GN_GUARD_THREADS;
    omp_set_dynamic(0); /* or the runtime could give a later region other threads */
    omp_set_num_threads(wanted);

    guard.control[0] = read_control();
    #pragma omp parallel
    {
        const int me = omp_get_thread_num();
        if (me == 0)
            guard.team = omp_get_num_threads();
        else
            guard.control[me] = read_control();
        write_control(CONTROL_IEEE);
    }
    /* Once more: LLVM's runtime gives the first thread its old state back at the end of a region
     * (and hands that state to the others at the start of the next). */
    write_control(CONTROL_IEEE);
    return guard;
}

NOT_INLINE void gn_guard_leave(const gn_guard *guard)
{
    /* The same size again, so the runtime hands out the same threads under the same numbers. */
    #pragma omp parallel num_threads(guard->team)
    {
        write_control(guard->control[omp_get_thread_num()]);
    }
    write_control(guard->control[0]);
    omp_set_num_threads(guard->threads);
    omp_set_dynamic(guard->dynamic);
}
