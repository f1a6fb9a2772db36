"""Arithmetic that serves a number and an array with the same line; all but the logarithm a SymPy symbol, too."""

import math
import sys
from functools import cache
from math import prod

from estimator.model.work import Dim


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of two sizes, as (a + b - |a - b|) / 2."""
    return (a + b - abs(a - b)) / 2


def positive_part(a: Dim) -> Dim:
    """`a` where it is above zero, else 0."""
    return (a + abs(a)) / 2


def log2(a: Dim) -> Dim:
    """Binary logarithm of a number, or of every number in an array, whose library is loaded where there is one."""
    return sys.modules["numpy"].log2(a) if hasattr(a, "shape") else math.log2(a)


def distinct_picks(kinds: Dim, draws: Dim, picks: int = 1, zipf: float = 0) -> Dim:
    """Expected number of different kinds among `draws`, of which every `picks` together are all different, as a router's top k.

    Kind i is drawn with a probability in proportion to 1 / i^zipf. Evenly (zipf 0) it is E (1 - (1 - k/E)^(n/k)); else a sum
    over the kinds, and picking k of them at once counts as so many independent draws that k kinds are expected.
    """
    if picks >= kinds:
        return kinds
    if not zipf:
        return kinds * (1 - (1 - picks / kinds) ** (draws / picks))
    misses = _misses(kinds, zipf)
    independent = _draws_until(picks, misses) / picks * draws
    return kinds - sum(miss**independent for miss in misses)


@cache
def _misses(kinds: int, zipf: float) -> tuple[float, ...]:
    """The probability that a draw is not kind i, for each."""
    weights = [i**-zipf for i in range(1, kinds + 1)]
    return tuple(1 - weight / sum(weights) for weight in weights)


@cache
def _draws_until(expected: int, misses: tuple[float, ...]) -> float:
    """Independent draws that give an expected number of different kinds, by bisection to the last digit."""
    low, high = 0.0, 1.0
    while len(misses) - sum(miss**high for miss in misses) < expected:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        few = len(misses) - sum(miss**middle for miss in misses) < expected
        low, high = (middle, high) if few else (low, middle)
    return high


def window_size(kernel: tuple, dimensions: int) -> Dim:
    """Elements under a pooling or convolution window; a single number stands for every dimension."""
    return prod(kernel) if len(kernel) == dimensions else kernel[0] ** dimensions
