"""What a calibration is worth for hardware or models that it has not seen: each is left out in turn, and then predicted.

All constants are fitted to the other rows; those that no other row depends on return to the middle of their sourced range, so a
device that is left out is predicted from its datasheet, its node and what its relatives taught. Kernels and tilings stay.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import expm1
from typing import Any

import numpy as np
from tabulate import tabulate

from estimator.errors import unknown_name
from estimator.validation.calibration.constants import Constant
from estimator.validation.calibration.fitting import Calibration, fit, minimise
from estimator.validation.calibration.observing import Observed, observe
from estimator.validation.calibration.problem import value_at, values_of
from estimator.validation.calibration.report import summary
from estimator.validation.rows import Row
from estimator.validation.score import METRICS

GROUPS = ("hardware", "model")


@dataclass(frozen=True)
class LeftOut:
    """One group's errors (median, p90, bias of relative errors) in one suite and metric: with the values of the profiles, with a
    fit to all rows, and with a fit to the rows of all other groups."""

    group: str
    suite: str
    metric: str
    n: int
    profiles: Mapping[str, float]
    fitted: Mapping[str, float]
    left_out: Mapping[str, float]


def check_group(by: str | None) -> None:
    """Raises `UnknownName` for what cannot be left out; None is nothing."""
    if by is not None and by not in GROUPS:
        raise unknown_name("group to leave out", by, GROUPS, "Give one of them.")


def leave_out(rows: Iterable[Row], by: str, limit: int | None) -> list[LeftOut]:
    """Leaves out each device ("hardware") or model family ("model") in turn; at most `limit` rows of each suite, evenly spaced.

    Empty where there are fewer than two groups. Raises `UnknownName` and `MissingDependency`.
    """
    check_group(by)
    observed = [one for one in observe(rows, limit=limit) if group_of(one, by)]
    names = np.array([group_of(one, by) for one in observed])
    if len(set(names)) < 2:
        return []
    found = fit(observed)
    return [line for name in sorted(set(names)) for line in _compared(name, found, names == name)]


def group_of(one: Observed, by: str) -> str:
    """The device of a row, or its model's family: the name up to the first dash, without a version."""
    label = one.observation.labels[by]
    return label if by == "hardware" else label.partition("-")[0].rstrip("0123456789.").lower()


def _compared(name: str, found: Calibration, inside: np.ndarray) -> Iterator[LeftOut]:
    members = [one for one, mine in zip(found.observed, inside) if mine]
    part, known = found.problem.without(inside, found.solution)
    deviates = minimise(part, found.deviates, known)
    unseen = {constant: float(value_at(constant, x)) for constant, x in zip(part.free, deviates)}
    lines: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for one in members:
        columns = [_errors(one, values) for values in ({}, found.values(), unseen)]
        for metric in columns[0]:
            lines.setdefault((one.observation.suite, metric), []).append(tuple(column[metric] for column in columns))
    for (suite, metric), errors in sorted(lines.items(), key=lambda item: (item[0][0], METRICS.index(item[0][1]))):
        yield LeftOut(name, suite, metric, len(errors), *(summary(list(column)) for column in zip(*errors)))


def _errors(one: Observed, values: Mapping[Constant, float]) -> dict[str, float]:
    """Relative errors by metric, end to end included."""
    chosen, measured = values_of(one, values), one.observation.measured
    errors = {metric: expm1(float(error[0])) for metric, error in one.observation.errors(chosen).items()}
    if "energy" not in errors and "energy_given_time" in measured and "time" in measured:
        errors["energy"] = float(one.observation.figures(chosen, 1)["energy"][0]) / measured["energy_given_time"] - 1
    return errors


def as_json(found: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """Plain data: the fields of `LeftOut`."""
    return [asdict(one) for one in found]


def as_text(found: Sequence[LeftOut], by: str) -> str:
    """A table, or why there is none."""
    if not found:
        return f"Nothing to leave out: the rows that can be predicted are not of two or more groups by {by}."
    lines = [
        [one.group, one.suite, one.metric.replace("_given_time", " | time"), one.n, *map(_shown, (one.profiles, one.fitted, one.left_out))]
        for one in found
    ]
    head = [by, "suite", "metric", "rows", "profiles as they are", "fitted with all", "fitted without it"]
    return f"Each {by} predicted from the others, median |error| (bias):\n" + tabulate(lines, head, disable_numparse=True)


def _shown(errors: Mapping[str, float]) -> str:
    return f"{errors['median']:.1%} ({errors['bias']:+.0%})"
