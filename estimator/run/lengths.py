"""Lengths of prompts and outputs: one number, a list of samples, or quantiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from statistics import NormalDist, fmean
from typing import Any

from estimator.errors import InvalidSetting

NODES = ((-sqrt(3), 1 / 6), (0.0, 2 / 3), (sqrt(3), 1 / 6))  # exact: Gauss-Hermite quadrature of a normal deviate with three points
HINT = "give tokens as a number, a list of lengths, or quantiles such as {0.5: 95, 0.9: 2157}"


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of lengths in tokens: its mean and its spread, the standard deviation ÷ mean."""

    mean: float
    spread: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("mean", 1), ("spread", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < float("inf"):
                raise InvalidSetting(f"lengths with {name}={value!r}: expected a finite number of at least {least}; {HINT}")

    def __str__(self) -> str:
        return f"{self.mean:g} ± {self.spread:.0%}" if self.spread else f"{self.mean:g}"

    @property
    def met(self) -> float:
        """Mean length of a sequence met at a random moment: long ones are in flight longer, so they are met more often."""
        return self.mean * (1 + self.spread**2)

    def classes(self) -> list[tuple[float, float]]:
        """(tokens, weight) of a few lengths that stand for all of them, taken as log-normal; their mean is exact."""
        if not self.spread:
            return [(self.mean, 1.0)]
        sigma = sqrt(log(1 + self.spread**2))
        sizes = [(exp(sigma * deviate), weight) for deviate, weight in NODES]
        whole = sum(size * weight for size, weight in sizes)
        return [(self.mean * size / whole, weight) for size, weight in sizes]

    def quantile(self, share: float) -> float:
        """The length below which a share of the sequences lies, taken as log-normal."""
        sigma = sqrt(log(1 + self.spread**2))
        return self.mean * exp(sigma * NormalDist().inv_cdf(share) - sigma**2 / 2)


def lengths(given: Any) -> Lengths:
    """`Lengths` of what a user gives; between quantiles the lengths are spread evenly. Raises `InvalidSetting`."""
    if isinstance(given, Lengths):
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return Lengths(given)
    if isinstance(given, Mapping) and given:
        return _of_quantiles(dict(given))
    if isinstance(given, Sequence) and not isinstance(given, str) and given:
        return _of_moments([(1.0, value, value) for value in given])
    raise InvalidSetting(f"lengths={given!r}: {HINT}")


def _of_quantiles(quantiles: dict[Any, Any]) -> Lengths:
    shares = sorted(quantiles)
    if not all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in shares):
        raise InvalidSetting(f"quantiles={quantiles!r}: expected shares between 0 and 1 as keys; {HINT}")
    values = [quantiles[share] for share in shares]
    if values != sorted(values):
        raise InvalidSetting(f"quantiles={quantiles!r}: expected lengths that do not fall as the share rises")
    known = [(0.0, values[0]), *zip(shares, values), (1.0, values[-1])]
    return _of_moments([(b - a, low, high) for (a, low), (b, high) in pairwise(known) if b > a])


def _of_moments(parts: Sequence[tuple[float, float, float]]) -> Lengths:
    """Mean and spread of (weight, low, high) parts, each spread evenly: E[x²] = (a² + ab + b²) / 3."""
    weight = sum(part[0] for part in parts)
    mean = sum(w * (a + b) / 2 for w, a, b in parts) / weight
    square = sum(w * fmean((a * a, a * b, b * b)) for w, a, b in parts) / weight
    return Lengths(mean, sqrt(max(square / mean**2 - 1, 0)))
