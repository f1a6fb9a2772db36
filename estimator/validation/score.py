"""Errors of predictions and what groups of them show: median, 90th percentile, bias, and shares inside the intervals.

An error is predicted ÷ measured - 1. Bias is the median of the signed errors, median and p90 are quantiles of their
magnitude; a quantile interpolates between the two nearest rows (Hyndman and Fan, 1996, type 7).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

METRICS = ("time", "energy_given_time", "energy")
TAIL = 0.9  # exact: the 90th percentile
LEVELS = (50, 90)  # exact: the intervals reported, in percent


@dataclass(frozen=True)
class Result:
    """A measured row beside its prediction; all per unit of the row, in J and s. None is "not measured" or "not predicted"."""

    row_id: str
    file: str
    suite: str
    hardware: str
    split: str
    why_not: str
    labels: dict[str, str]
    measured_energy: float | None
    predicted_energy: float | None
    energy_given_time: float | None
    measured_time: float | None
    predicted_time: float | None
    factors: Mapping[str, Mapping[int, tuple[float, float]]] = field(default_factory=dict)  # by metric and level, see `intervals`
    assumed: tuple[str, ...] = ()  # inputs of a published run that no publication states, with their ranges
    mfu: float | None = None  # of a step of a published training run, as predicted

    @property
    def scored(self) -> bool:
        """Whether the row counts in the headline scores."""
        return not self.why_not

    def values(self, metric: str) -> tuple[float | None, float | None]:
        """(predicted, measured) for one of `METRICS`."""
        return {
            "time": (self.predicted_time, self.measured_time),
            "energy_given_time": (self.energy_given_time, self.measured_energy),
            "energy": (self.predicted_energy, self.measured_energy),
        }[metric]

    def error(self, metric: str) -> float | None:
        """Signed relative error of one of `METRICS`; None where it cannot be told."""
        predicted, measured = self.values(metric)
        return None if predicted is None or measured is None else predicted / measured - 1

    def bounds(self, metric: str, level: int) -> tuple[float, float] | None:
        """(low, high) of the interval of that level (in percent) around one of `METRICS`; None without one."""
        predicted, _ = self.values(metric)
        if predicted is None or metric not in self.factors:
            return None
        low, high = self.factors[metric][level]
        return low * predicted, high * predicted

    def inside(self, metric: str, level: int) -> bool | None:
        """Whether what was measured lies in the interval of that level; None where either is not known."""
        bounds, measured = self.bounds(metric, level), self.values(metric)[1]
        return None if bounds is None or measured is None else bounds[0] <= measured <= bounds[1]


@dataclass(frozen=True)
class Score:
    """One metric over one group of rows; errors as fractions."""

    suite: str
    group: str
    metric: str
    n: int
    median: float
    p90: float
    bias: float
    inside_50: float | None
    inside_90: float | None


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated linearly between order statistics."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def score(suite: str, group: str, results: Iterable[Result]) -> list[Score]:
    """One `Score` for each metric that any of the results has."""
    results = list(results)
    scores = []
    for metric in METRICS:
        errors = [error for result in results if (error := result.error(metric)) is not None]
        if not errors:
            continue
        sizes = [abs(error) for error in errors]
        inside = [_share(results, metric, level) for level in LEVELS]
        scores.append(Score(suite, group, metric, len(errors), median(sizes), quantile(sizes, TAIL), median(errors), *inside))
    return scores


def _share(results: Iterable[Result], metric: str, level: int) -> float | None:
    known = [inside for result in results if (inside := result.inside(metric, level)) is not None]
    return sum(known) / len(known) if known else None


def grouped(results: Iterable[Result], by: Sequence[str]) -> dict[str, list[Result]]:
    """Results by the values of these labels, joined; in order of name."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        name = " · ".join(filter(None, (result.labels.get(label, "") for label in by)))
        groups.setdefault(name or "(none)", []).append(result)
    return dict(sorted(groups.items()))
