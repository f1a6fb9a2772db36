"""Estimates the model's own error from residuals: what the sourced ranges do not explain of predicted against measured.

A row's *rank* says how far out its truth lies in the predicted distribution: 0 at the estimate, 1 at the last possible truth on
its side. A row is inside the interval of a level if its rank is at most that level, so intervals mean what they say if ranks are
uniform. The structural factor is the narrowest two-piece log-normal for which a share 0.9 of the ranks on each side is at most 0.9.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import log
from statistics import NormalDist

import numpy as np

from estimator.run.uncertainty import LEVEL
from estimator.run.uncertainty_samples import AT_END

STEPS = 200  # exact: of the table of the normal distribution, per standard deviation
HALVINGS = 30  # exact: bisection to 2^-30 of the widest factor
TINY = 1e-9  # exact: a factor without spread, as a spread that hides in rounding
FAR = 6  # exact: standard deviations beyond which no residual lies, 2 in 1e9
WIDEST = 100.0  # exact: a factor beyond which a prediction says nothing
Array = np.ndarray


@dataclass(frozen=True)
class Residual:
    """Measured ÷ predicted of one row, the quantile table of its sourced ranges alone, and the group that is left out with it."""

    ratio: float
    quantiles: tuple[float, ...]
    group: str


def ranks(residuals: Sequence[Residual], low: float, high: float) -> Array:
    """Rank of each row in its predicted distribution, with a structural factor of median 1 and range `low` … `high`."""
    tables = np.log(np.array([one.quantiles for one in residuals]))
    truth = np.log(np.array([one.ratio for one in residuals]))
    middle, position = _below(-tables, low, high), _below(truth[:, np.newaxis] - tables, low, high)
    above = truth > 0
    room = np.where(above, 1 - middle, middle)
    return np.where(above, position - middle, middle - position) / np.where(room > 0, room, 1) + (room <= 0)


def _below(gap: Array, low: float, high: float) -> Array:
    """Share of the predicted distribution below: the structural factor's distribution at each gap, averaged over the table."""
    scale = np.where(gap > 0, max(log(high), TINY), max(-log(low), TINY)) / AT_END
    return _normal(gap / scale).mean(axis=1)


def fit(residuals: Sequence[Residual]) -> tuple[float, float]:
    """(low, high) of the structural factor on these rows; 1 on a side where the sourced ranges suffice or no row lies."""
    low, high = 1.0, 1.0
    for _ in range(2):  # the two sides hardly touch each other: a second round settles both
        low = 1 / _narrowest([one for one in residuals if one.ratio < 1], partial(_on_low_side, high))
        high = _narrowest([one for one in residuals if one.ratio > 1], partial(_on_high_side, low))
    return low, high


def _on_low_side(high: float, rows: Sequence[Residual], factor: float) -> Array:
    return ranks(rows, 1 / factor, high)


def _on_high_side(low: float, rows: Sequence[Residual], factor: float) -> Array:
    return ranks(rows, low, factor)


def _narrowest(rows: Sequence[Residual], ranked: Callable[[Sequence[Residual], float], Array]) -> float:
    def enough(factor: float) -> bool:
        return not rows or bool((ranked(rows, factor) <= LEVEL).mean() >= LEVEL)

    small, large = 1.0, WIDEST
    if enough(small):
        return small
    for _ in range(HALVINGS):
        middle = (small * large) ** 0.5
        small, large = (small, middle) if enough(middle) else (middle, large)
    return large


def held_out(residuals: Sequence[Residual]) -> Array:
    """Ranks of all rows, each group's with the factor that was fitted without it (leave one group out)."""
    found = np.empty(len(residuals))
    groups = np.array([one.group for one in residuals])
    for group in sorted(set(groups)):
        inside = groups == group
        others = [one for one, left_out in zip(residuals, inside) if not left_out]
        found[inside] = ranks([one for one, mine in zip(residuals, inside) if mine], *fit(others or residuals))
    return found


def _normal(deviate: Array) -> Array:
    """Distribution function of the standard normal, from a table of it: within 1e-5."""
    return np.interp(deviate, _GRID, _CDF)


_GRID = np.linspace(-FAR, FAR, 2 * STEPS * FAR + 1)
_CDF = np.array([NormalDist().cdf(x) for x in _GRID])
