"""Estimates the model's own error from residuals: what the sourced ranges do not explain of predicted against measured.

A row's *rank* says how far out its truth lies in the predicted distribution: 0 at the estimate, 1 at the last possible truth on
its side. A row is inside the interval of a level if its rank is at most that level, so intervals mean what they say if ranks are
uniform. Four numbers make them so at two levels (Gneiting, Balabdaoui and Raftery, J. R. Statist. Soc. B 69, 2007, on calibration):
the ends of a two-piece factor hold a share 0.9 of the rows that the fit did not see, its tail exponent puts half of all rows inside
the level 0.5, and where the sourced ranges alone hold too many rows, they count with a part of their width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from statistics import NormalDist

import numpy as np

from estimator.run.uncertainty import LEVEL, Factor
from estimator.run.uncertainty_samples import AT_END

HALF = 1 / 2  # the inner of the two levels
STEPS = 200  # exact: of the table of the normal distribution, per standard deviation
HALVINGS = 14  # exact: bisection to 2^-14 of the widest factor, a thousandth
TINY = 1e-9  # exact: a factor without spread, as a spread that hides in rounding
FAR = 6  # exact: standard deviations beyond which no residual lies, 2 in 1e9
WIDEST = 100.0  # exact: a factor beyond which a prediction says nothing
BENT = 8.0  # exact: tails beyond this exponent, or its inverse, are steps
TAILS = 256  # exact: steps between these two, some 2 % each
STEPS_DOWN = 4  # exact: how often the ranges are cut before they count for nothing
MOST = 0.94  # exact: the greatest share of seen rows that the ends may hold, just within what still counts as nine in ten
SHARES_UP = 4  # exact: steps from nine in ten to that
SLACK = 0.05  # exact: of the shares inside, within which they are met
FEWEST = 20  # exact: rows below which a share inside says too little to narrow anything
EVERY = 5  # exact: of the steps of a quantile table, those that are used
Array = np.ndarray


@dataclass(frozen=True)
class Residual:
    """Measured ÷ predicted of one row, the quantile table of its sourced ranges alone, and the group that is left out with it."""

    ratio: float
    quantiles: tuple[float, ...]
    group: str


class Table:
    """Residuals as arrays of logarithms."""

    def __init__(self, residuals: Sequence[Residual]) -> None:
        self.groups = np.array([one.group for one in residuals])
        self.truth = np.log(np.array([one.ratio for one in residuals]))
        self.ranges = np.log(np.array([one.quantiles[::EVERY] for one in residuals])) if residuals else np.empty((0, 1))

    def take(self, chosen: Array) -> "Table":
        """Only the rows that are `chosen` (booleans)."""
        part = Table(())
        part.groups, part.truth, part.ranges = self.groups[chosen], self.truth[chosen], self.ranges[chosen]
        return part

    def ranks(self, factor: Factor) -> Array:
        """Rank of each row in its predicted distribution under this structural factor."""
        ranges = self.ranges * factor.ranges
        middle, position = _below(-ranges, factor), _below(self.truth[:, np.newaxis] - ranges, factor)
        above = self.truth > 0
        room = np.where(above, 1 - middle, middle)
        return np.where(above, position - middle, middle - position) / np.where(room > 0, room, 1) + (room <= 0)

    def inside(self, factor: Factor, level: float) -> float:
        """Share of the rows in the interval of this level; 0 without rows."""
        return float((self.ranks(factor) <= level).mean()) if len(self.truth) else 0.0


def _below(gap: Array, factor: Factor) -> Array:
    """Share of the predicted distribution below: the structural factor's distribution at each gap, averaged over the table."""
    end = np.where(gap > 0, max(log(factor.high), TINY), max(-log(factor.low), TINY))
    return _normal(np.sign(gap) * AT_END * (np.abs(gap) / end) ** (1 / factor.tail)).mean(axis=1)


def fit_unseen(rows: Table, least: float = 1.0) -> Factor:
    """The structural factor with which nine in ten of the rows of a group that was left out lie inside the interval of level 0.9.

    Rows that a fit has seen are held too well, so its ends hold a greater share of these, at most `MOST`.
    """
    for step in range(SHARES_UP + 1):
        share = LEVEL + (MOST - LEVEL) * step / SHARES_UP
        factor = fit(rows, least, share)
        if not len(rows.truth) or (held_out(rows, factor, least, share) <= LEVEL).mean() >= LEVEL:
            break
    return factor


def fit(rows: Table, least: float = 1.0, share: float = LEVEL) -> Factor:
    """The factor whose ends hold this share of these rows, no narrower than `least` on either side; `least` alone without rows.

    The ranges count as much as they can: first all of what `_part_of_ranges` leaves, then less of it until a tail exists with which
    both levels hold what they say. Where all truths lie off to one side, only a factor of its own can do that.
    """
    floor = Factor(1 / least, least)
    if len(rows.truth) < FEWEST:
        return _ends(rows, floor, least, share)
    part = _part_of_ranges(rows, floor)
    found: list[tuple[float, Factor]] = []
    for step in range(STEPS_DOWN + 1):
        factor = _shaped(rows, replace(floor, ranges=part * (1 - step / STEPS_DOWN)), least, share)
        found.append((_off(rows, factor, share), factor))
        if found[-1][0] <= SLACK:
            break
    return min(found, key=lambda pair: pair[0])[1]


def _off(rows: Table, factor: Factor, share: float) -> float:
    """How far both levels together are from holding a half, and this share."""
    return abs(rows.inside(factor, HALF) - HALF) + max(rows.inside(factor, LEVEL) - max(share, MOST), 0.0)


def _shaped(rows: Table, start: Factor, least: float, share: float) -> Factor:
    """`start` with the ends and the greatest tail with which the inner interval holds half of the rows, and the outer not nearly all."""
    steps = [BENT ** (1 - 2 * step / TAILS) for step in range(TAILS + 1)]
    low, high = 0, TAILS  # `steps` falls from the heaviest tail to the lightest: the inner share rises, the outer falls
    while high - low > 1:
        middle = (low + high) // 2
        factor = _ends(rows, replace(start, tail=steps[middle]), least, share)
        enough = rows.inside(factor, HALF) >= HALF and rows.inside(factor, LEVEL) <= max(share, MOST)
        low, high = (low, middle) if enough else (middle, high)
    return _ends(rows, replace(start, tail=steps[high]), least, share)


def _part_of_ranges(rows: Table, floor: Factor) -> float:
    """The part of the ranges' width, at most all of it, at which neither level holds more rows than it should."""

    def too_wide(part: float) -> bool:
        factor = replace(floor, ranges=part)
        return rows.inside(factor, HALF) > HALF or rows.inside(factor, LEVEL) > LEVEL

    if not too_wide(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if too_wide(middle) else (middle, high)
    return low


def _ends(rows: Table, factor: Factor, least: float, share: float) -> Factor:
    """`factor` with the ends at which this share of the rows of each side has ranks of at most 0.9."""
    under, over = rows.take(rows.truth < 0), rows.take(rows.truth > 0)
    for _ in range(2):  # the two sides hardly touch each other: a second round settles both
        for part, end in ((under, _low), (over, _high)):
            factor = _narrowest(part, end, factor, least, share)
    return factor


def _low(factor: Factor, spread: float) -> Factor:
    return replace(factor, low=1 / spread)


def _high(factor: Factor, spread: float) -> Factor:
    return replace(factor, high=spread)


def _narrowest(rows: Table, end: Callable[[Factor, float], Factor], factor: Factor, least: float, share: float) -> Factor:
    def short(spread: float) -> bool:
        return bool(len(rows.truth)) and rows.inside(end(factor, spread), LEVEL) < share

    return end(factor, _bisect(short, least, WIDEST) if short(least) else least)


def _bisect(beyond: Callable[[float], bool], low: float, high: float) -> float:
    """The least value, between two of which the lower is `beyond` it, that is not; by halving the ratio of the two."""
    for _ in range(HALVINGS):
        middle = (low * high) ** HALF
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return high


def held_out(rows: Table, factor: Factor, least: float = 1.0, share: float = LEVEL) -> Array:
    """Ranks of all rows, each group's with the ends that were fitted without it (leave one group out); the shape is that of `factor`."""
    found = np.empty(len(rows.truth))
    for inside in _each_group(rows.groups):
        others = rows if inside.all() else rows.take(~inside)
        found[inside] = rows.take(inside).ranks(_ends(others, factor, least, share))
    return found


def _each_group(groups: Array) -> Iterator[Array]:
    return (groups == group for group in sorted(set(groups)))


def _normal(deviate: Array) -> Array:
    """Distribution function of the standard normal, from a table of it: within 1e-5."""
    return np.interp(deviate, _GRID, _CDF)


_GRID = np.linspace(-FAR, FAR, 2 * STEPS * FAR + 1)
_CDF = np.array([NormalDist().cdf(x) for x in _GRID])
