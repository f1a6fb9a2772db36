"""Numbers that count what is done to them: a formula run on them tells its value and its FLOP by unit.

The conventions are those of pointwise.toml: add, multiply, compare, select are one vector FLOP; 2^x, log2, 1/x, 1/sqrt, sqrt,
sin, cos, tanh one special; a sign is free; a / b is a reciprocal and a multiply.
"""

import math
from collections import Counter

LOG2_E, LN_2 = math.log2(math.e), math.log(2)


class Counted:
    """A float whose operations are added to a tally."""

    def __init__(self, value, tally):
        self.value, self.tally = float(value), tally

    def _make(self, value, unit="vector"):
        self.tally[unit] += 1
        return Counted(value, self.tally)

    def __add__(self, other):
        return self._make(self.value + number(other))

    def __sub__(self, other):
        return self._make(self.value - number(other))

    def __rsub__(self, other):
        return self._make(number(other) - self.value)

    def __mul__(self, other):
        return self._make(self.value * number(other))

    def __truediv__(self, other):
        return self * reciprocal(other)

    def __lt__(self, other):
        return self._make(self.value < number(other))

    def __neg__(self):
        return Counted(-self.value, self.tally)

    def __abs__(self):
        return Counted(abs(self.value), self.tally)

    __radd__, __rmul__ = __add__, __mul__


def number(x):
    return x.value if isinstance(x, Counted) else x


def special(function):
    return lambda x: x._make(function(x.value), "special")


exp2, log2, reciprocal, rsqrt = special(lambda x: 2**x), special(math.log2), special(lambda x: 1 / x), special(lambda x: x**-0.5)
sqrt, tanh, sin, cos = special(math.sqrt), special(math.tanh), special(math.sin), special(math.cos)


def largest(a, b):
    counted = a if isinstance(a, Counted) else b
    return counted._make(max(number(a), number(b)))


def smallest(a, b):
    return -largest(-a, -b)


def select(condition, a, b):
    return condition._make(number(a) if condition.value else number(b))


def exp(x):
    return exp2(x * LOG2_E)


def log(x):
    return log2(x) * LN_2


def sigmoid(x):
    return reciprocal(exp(-x) + 1)


def horner(x, coefficients):
    """c0 + x (c1 + x (c2 + …))."""
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def erf_tail(x):
    """1 - erf(x) for x >= 0: Abramowitz & Stegun 7.1.26, error below 1.5e-7."""
    t = reciprocal(x * 0.3275911 + 1)
    return horner(t, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)) * t * exp(-(x * x))


def erf(x):
    """The sign of the argument goes to the result and is free."""
    positive = 1 - erf_tail(abs(x))
    return positive if x.value >= 0 else -positive


def total(terms):
    """Sum of a row; the first addition, to zero, counts, as it does in an accumulator."""
    result = Counted(0, terms[0].tally)
    for term in terms:
        result = result + term
    return result


def count(formula, *values):
    """(result, vector FLOP, special FLOP) of a formula of numbers and lists of numbers."""
    tally = Counter()
    arguments = [[Counted(x, tally) for x in v] if isinstance(v, (list, tuple)) else Counted(v, tally) for v in values]
    return formula(*arguments), tally["vector"], tally["special"]
