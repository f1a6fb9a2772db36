"""What a lower power cap saves: energies of one workload relative to that at its highest cap, predicted against measured.

A curve holds the scored rows that differ in nothing but their power limit. Where it is too high or too low as a whole does not
count here; what counts is its shape, by which a cap is chosen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from estimator.validation.score import TAIL, Result, quantile

LIMIT = "power_limit_w"
FEWEST = 3  # exact: caps that a curve needs to have a least energy between its ends
OWN = {LIMIT, "cap"}  # labels that say what the cap is or how close to it a row came

Curve = Sequence[Result]


@dataclass(frozen=True)
class CapScore:
    """Over the curves of one device: |error| of the energy relative to the highest cap, and how often the best cap is met.

    `within_step`: share of the curves whose cap of least energy is predicted as measured or as one of its neighbours.
    """

    suite: str
    hardware: str
    curves: int
    n: int
    median: float
    p90: float
    within_step: float


def cap_scores(results: Iterable[Result]) -> list[CapScore]:
    """One `CapScore` for each suite and device that has curves."""
    found: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves(results):
        found.setdefault((curve[0].suite, curve[0].hardware), []).append(curve)
    return [_score(suite, hardware, members) for (suite, hardware), members in sorted(found.items())]


def curves(results: Iterable[Result]) -> list[Curve]:
    """Rows that differ in their power limit alone, by rising limit; those of fewer than three limits, or with one twice, make none."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        if one.scored and one.labels.get(LIMIT) and one.measured_energy and one.predicted_energy:
            rest = (f"{name}={value}" for name, value in sorted(one.labels.items()) if name not in OWN)
            groups.setdefault((one.suite, one.hardware, *rest), []).append(one)
    found = [sorted(group, key=_limit) for group in groups.values()]
    return [curve for curve in found if FEWEST <= len(curve) == len({_limit(one) for one in curve})]


def relative_errors(curve: Curve) -> list[float]:
    """Signed relative errors of E(cap) ÷ E(highest cap), without the highest, where there is none."""
    bias = _predicted(curve[-1]) / _measured(curve[-1])
    return [_predicted(one) / _measured(one) / bias - 1 for one in curve[:-1]]


def steps_off(curve: Curve) -> int:
    """Steps between the caps at which least energy is predicted and measured."""
    order = range(len(curve))
    return abs(min(order, key=lambda i: _predicted(curve[i])) - min(order, key=lambda i: _measured(curve[i])))


def _score(suite: str, hardware: str, members: Sequence[Curve]) -> CapScore:
    sizes = [abs(error) for curve in members for error in relative_errors(curve)]
    near = sum(steps_off(curve) <= 1 for curve in members) / len(members)
    return CapScore(suite, hardware, len(members), len(sizes), median(sizes), quantile(sizes, TAIL), near)


def _limit(one: Result) -> float:
    return float(one.labels[LIMIT])


def _measured(one: Result) -> float:
    return one.measured_energy or 0.0


def _predicted(one: Result) -> float:
    return one.predicted_energy or 0.0
