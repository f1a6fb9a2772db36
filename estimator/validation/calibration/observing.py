"""Turns measured rows into observations, and names the constants that each depends on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from estimator.errors import EstimatorError
from estimator.hardware.catalogue import find_profile
from estimator.hardware.schema import Profile
from estimator.run.stack import Stack
from estimator.run.uncertainty_propagation import bases_of
from estimator.validation.calibration.constants import Constant, constants, stack_constants, within
from estimator.validation.calibration.observation import Observation, phase_figures, steady_figures
from estimator.validation.evaluate import labels, predict
from estimator.validation.hardware import profile_name, profile_of
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import Row
from estimator.validation.sampling import evenly
from estimator.validation.suites import structural_kind, suite_of


@dataclass(frozen=True)
class Observed:
    """An observation beside the constants that move it."""

    observation: Observation
    constants: tuple[Constant, ...]


def observe(rows: Iterable[Row], hardware: Sequence[str] = (), anywhere: bool = False, limit: int | None = None) -> list[Observed]:
    """The rows that count, can be predicted, and ran on hardware of these families or devices (all where none is named).

    With `anywhere`, numbers of a device's own file may move as well; `limit` takes so many rows of each suite, evenly spaced.
    """
    suites: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        suites[suite_of(row)].append(row)
    return [one for part in suites.values() for one in islice(_usable(evenly(part), hardware, anywhere), limit)]


def _usable(rows: Iterable[Row], hardware: Sequence[str], anywhere: bool) -> Iterator[Observed]:
    for row in rows:
        try:
            device = find_profile(profile_name(row.text("hardware")))
            if row.apart or not within(device, hardware):
                continue
            found = _observed(row, predict(row), profile_of(row), anywhere)
            errors = list(found.observation.errors({}).values())
        except EstimatorError:
            continue  # `validate` says which rows cannot be predicted, and why
        if errors and np.isfinite(errors).all():
            yield found


def _observed(row: Row, prediction: Prediction | Steady, profile: Profile, anywhere: bool) -> Observed:
    device = find_profile(profile_name(row.text("hardware")))
    moving = constants(device, profile.quantities(), anywhere)
    stack: Stack | None = None
    if isinstance(prediction, Prediction):
        stack = bases_of(prediction.phases)[0].stack
        moving += stack_constants(stack.name, stack.quantities()) if stack else []
    seconds = row.given_time if row.text("unit") != "second" else None
    figures = steady_figures(profile) if isinstance(prediction, Steady) else phase_figures(prediction, seconds)
    named = labels(row)
    group = " ".join(filter(None, (named["hardware"], named.get("task") or named.get("network") or named["source"])))
    observation = Observation(
        row.row_id, row.file, suite_of(row), structural_kind(row, prediction), device.stem, stack.name if stack else "", group,
        _measured(row, prediction), figures, named,
    )  # fmt: skip
    return Observed(observation, tuple(moving))


def _measured(row: Row, prediction: Prediction | Steady) -> dict[str, float]:
    """J and s per unit. Energy end to end follows from the two others, so it counts only where the time is not known."""
    if isinstance(prediction, Steady):
        return {"energy": row.energy} if row.energy and row.text("unit") == "second" else {}
    known = {"time": row.time if prediction.units else None}
    known["energy_given_time" if row.time else "energy"] = row.energy
    return {metric: value for metric, value in known.items() if value}
