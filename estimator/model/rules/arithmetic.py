"""Arithmetic that serves a number, an array and a SymPy symbol with the same line."""

from math import prod

from estimator.model.work import Dim


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of two sizes, as (a + b - |a - b|) / 2."""
    return (a + b - abs(a - b)) / 2


def positive_part(a: Dim) -> Dim:
    """`a` where it is above zero, else 0."""
    return (a + abs(a)) / 2


def distinct_picks(kinds: Dim, draws: Dim) -> Dim:
    """Expected number of different kinds among `draws` independent, equally likely draws: E (1 - (1 - 1/E)^n)."""
    return kinds * (1 - (1 - 1 / kinds) ** draws)


def window_size(kernel: tuple, dimensions: int) -> Dim:
    """Elements under a pooling or convolution window; a single number stands for every dimension."""
    return prod(kernel) if len(kernel) == dimensions else kernel[0] ** dimensions
