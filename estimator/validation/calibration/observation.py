"""A measured row as calibration sees it: phases priced once, evaluated for many values of the constants at a time.

Kernels, tilings and demands do not change with these constants, so nothing is traced or tiled anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from estimator.hardware.events import CYCLE, priced
from estimator.hardware.power_many import idle_power_many
from estimator.hardware.settle_many import COLUMNS, WorkMany, settle_many
from estimator.quantity import Quantity
from estimator.run.uncertainty_propagation import bases_of, price_many, quantities_of
from estimator.run.uncertainty_samples import Sampled, Sampler
from estimator.validation.prediction import Prediction, merged

Array = np.ndarray
Figures = dict[str, Array]


class Given(Sampler):
    """A sampler whose `values` replace quantities by path; all others are at their value."""

    def __init__(self, quantities: Mapping[str, Quantity], values: Mapping[str, Any]) -> None:
        super().__init__(quantities, 1)
        self._values = values

    def _sampled(self, path: str) -> Any:
        return self._values.get(path, float(self.quantities[path]))


@dataclass(frozen=True)
class Observation:
    """What was measured of a row, and `figures`, which predicts it for samples of the constants in `keys` (by sampler path).

    `measured` holds J and s per unit by metric; `group` is what rows share that are wrong together, `labels` what they are grouped by.
    """

    row_id: str
    file: str
    suite: str
    kind: str
    device: str
    stack: str
    group: str
    measured: Mapping[str, float]
    figures: Callable[[Mapping[str, Any], int], Figures]
    labels: Mapping[str, str] = field(default_factory=dict)

    def errors(self, values: Mapping[str, Any], size: int = 1) -> Figures:
        """ln(predicted ÷ measured) by metric, for each sample."""
        found = self.figures(values, size)
        return {metric: np.log(found[metric] / known) for metric, known in self.measured.items() if metric in found}


def steady_figures(profile: Any) -> Callable[[Mapping[str, Any], int], Figures]:
    """Power at rest as the energy of a second."""
    quantities = {f"hardware.{path}": one for path, one in profile.quantities().items()}

    def figures(values: Mapping[str, Any], size: int) -> Figures:
        return {"energy": idle_power_many(Sampled(profile, "hardware", Given(quantities, values)), size)}

    return figures


def phase_figures(prediction: Prediction, seconds: float | None) -> Callable[[Mapping[str, Any], int], Figures]:
    """Time, energy, and energy in the measured `seconds` per unit; each is what was predicted, times how the arrays move."""
    bases = bases_of(prediction.phases)
    quantities = quantities_of(bases[0])
    given = _given(prediction, seconds) if seconds and prediction.units else None

    def moved(values: Mapping[str, Any], size: int) -> Figures:
        sampler = Given(quantities, values)
        found = price_many(bases, sampler, size)
        chip = Sampled(bases[0].profile, "hardware", sampler)
        power = settle_many(chip, _spread(given, chip, size)).power if given else found["power"]
        return {"time": found["time"], "energy": found["energy"], "energy_given_time": power}

    stated = {
        "time": prediction.time, "energy": prediction.energy, "energy_given_time": prediction.energy_in(seconds) if seconds else None,
    }  # fmt: skip
    nominal = moved({}, 1)
    return lambda values, size: {
        metric: predicted * found / nominal[metric]
        for metric, found in moved(values, size).items()
        if (predicted := stated[metric]) is not None
    }


Switched = tuple[float, float, dict[str, float]]


def _given(prediction: Prediction, seconds: float) -> Switched:
    """What switches in the measured time, and the parts of it in which kernels run and in which anything does (s)."""
    counts, share = merged(prediction.phases, prediction.profile, prediction.devices)
    elapsed = seconds * (prediction.units or 1.0)
    events: dict[str, float] = {}
    for (_, event), count in counts.items():
        events[event] = events.get(event, 0.0) + count
    return share * elapsed, elapsed, events


def _spread(given: Switched, chip: Any, size: int) -> WorkMany:
    """The same for many chips: `Prediction.energy_in` for arrays."""
    running, elapsed, events = given
    energy = priced(chip)
    columns = zip(COLUMNS, (0.0, running, 0.0, elapsed, *energy(events.items())))
    return WorkMany(**{name: np.broadcast_to(part, (1, size)) for name, part in columns}, tree=np.broadcast_to(energy(CYCLE)[1], size))
