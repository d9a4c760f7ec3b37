# SPDX-License-Identifier: MIT
"""IEEE 754 binary32 arithmetic for the fresh implementation, from docs/numerics.md, section 1.

A float is held in a Python float, which has room for it. The definition of every operation is the
exact value, as a fraction of integers, rounded once by nearest(). The functions that the ops call
are quicker: they round a double. selftest() holds each of them against its definition.
"""
import ctypes
import math
import random
from decimal import Context, Decimal
from fractions import Fraction

INF = math.inf
NAN = math.nan
WIDE = Context(prec=160, Emin=-10**6, Emax=10**6)


def nearest(value):
    """1.2: the binary32 nearest to a fraction that is not 0; ties go to the even neighbour."""
    n, d = abs(value.numerator), value.denominator
    e = max(n.bit_length() - d.bit_length() - 24, -149)
    while (n << max(-e, 0)) >= (d << max(e, 0)) << 24:
        e += 1
    n, d = n << max(-e, 0), d << max(e, 0)
    q, r = divmod(n, d)
    if 2 * r > d or (2 * r == d and q % 2):
        q += 1
    size = math.ldexp(q, e) if q.bit_length() + e <= 128 else INF
    return size if value > 0 else -size


def f32(x, box=memoryview(bytearray(4)).cast("f")):
    """A double rounded to binary32."""
    box[0] = x
    return box[0]


def add(a, b):
    return f32(a + b)


def sub(a, b):
    return f32(a - b)


def mul(a, b):
    return f32(a * b)


def div(a, b):
    if b == 0:
        return NAN if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1, b)
    return f32(a / b)


def sqrt(a):
    return f32(math.sqrt(a)) if a >= 0 else NAN


def fma(a, b, c):
    """1.3"""
    return fma_chain((a,), (b,), c)


def fma_chain(left, right, acc=0.0, box=memoryview(bytearray(4)).cast("f")):
    """2.1. A product is exact in double. The sum is rounded to double, then to float: that is wrong
    only where the double stands just between two floats, or at the edge to infinity; there
    fractions decide."""
    for a, b in zip(left, right):
        s = a * b + acc
        box[0] = s
        r = box[0]
        low = s - r
        if low:
            box[0] = beyond = r + 2 * low
            if box[0] == beyond or r - r != 0:
                r = exact_fma(a, b, acc)
        acc = r
    return acc


def exact_fma(a, b, c):
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    value = Fraction(a) * Fraction(b) + Fraction(c)
    return nearest(value) if value else a * b + c


def exp(x):
    """1.9, and so log and tanh: 160 decimal digits are more than any float argument needs."""
    if x != x or x == INF:
        return x
    if x < -200:
        return 0.0
    return INF if x > 200 else nearest(Fraction(WIDE.exp(Decimal(x))))


def log(x):
    if x == 0:
        return -INF
    if x != x or x < 0:
        return NAN
    if x == INF or x == 1:
        return INF if x == INF else 0.0
    return nearest(Fraction(WIDE.ln(Decimal(x))))


def tanh(x):
    if x != x or x == 0:
        return x
    if abs(x) > 20:
        return math.copysign(1.0, x)
    e = Fraction(WIDE.exp(Decimal(2 * x)))
    return nearest((e - 1) / (e + 1))


def same(a, b):
    """1.5 and 1.6: equal bits, and all NaNs are equal."""
    if a != a or b != b:
        return a != a and b != b
    return a == b and math.copysign(1, a) == math.copysign(1, b)


def pattern(rng):
    """A float of any size; half of them short, so that ties happen."""
    bits = rng.getrandbits(32)
    if rng.random() < 0.5:
        bits &= ~0xffff
    if rng.random() < 0.7:
        bits = bits & 0x80ffffff | (120 + rng.randrange(16)) << 23 & 0x7f800000
    return ctypes.c_float.from_buffer(ctypes.c_uint32(bits)).value


def root(a):
    """The square root of a float to 200 more bits, and never a tie where it is not exact."""
    value = Fraction(a)
    n = value.numerator * value.denominator << 400
    q = math.isqrt(n)
    return Fraction(2 * q + (q * q != n), (value.denominator << 201))


def selftest(count=20000):
    """Every quick operation against its definition; raises on the first difference."""
    rng = random.Random(5)
    for _ in range(count):
        a, b, c = pattern(rng), pattern(rng), pattern(rng)
        if rng.random() < 0.01:
            a, b = 2.0 ** 128 - 2.0 ** 104, 1.0
            c = math.ldexp(rng.choice((-1, 1, 2, 3)), 102 - rng.randrange(3))
        if rng.random() < 0.3:
            c = f32(-a * b) if rng.random() < 0.5 else f32(a * b * 2 ** rng.randrange(-30, 31))
        cases = [("fma", fma(a, b, c), exact_fma(a, b, c))]
        if math.isfinite(a) and math.isfinite(b):
            for name, got, value in (("add", add(a, b), Fraction(a) + Fraction(b)),
                                     ("sub", sub(a, b), Fraction(a) - Fraction(b)),
                                     ("mul", mul(a, b), Fraction(a) * Fraction(b))):
                cases += [(name, got, nearest(value))] if value else []
            cases += [("div", div(a, b), nearest(Fraction(a) / Fraction(b)))] if a and b else []
            cases += [("sqrt", sqrt(a), nearest(root(a)))] if a > 0 else []
        for name, got, want in cases:
            if not same(got, want):
                raise AssertionError(f"{name} of {a.hex()} {b.hex()} {c.hex()}: "
                                     f"{got.hex()}, but exactly {want.hex()}")
