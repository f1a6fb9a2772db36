"""What the ranges of everything around the devices make of the figures at the meter: the meter read for many samples at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from estimator.quantity import Quantity
from estimator.run.facility import FIGURES
from estimator.run.meter import Meter, Meters
from estimator.run.uncertainty import METER, structural_path
from estimator.run.uncertainty_responses import Response, shaped
from estimator.run.uncertainty_samples import Sampled, Sampler


@dataclass(frozen=True)
class Surroundings:
    """A meter, and what the model gets wrong there (`uncertainty.structural_error`), the devices' own error included.

    Without a `structural` error, because no such run was measured at a meter, devices are read with the error of their own.
    """

    meter: Meter | Meters
    structural: Mapping[str, Quantity]

    def quantities(self) -> dict[str, Quantity]:
        """Every number around the devices by path, the structural error among them."""
        return self.meter.quantities() | dict(self.structural)

    def structural_paths(self) -> dict[str, str | None]:
        """By figure, the error that acts on it: all but power follow the energy."""
        return {f"{METER}{name}": structural_path(self.structural, "power" if name == "power" else "energy") for name in FIGURES}


def measured(ratios: Mapping[str, Any], figure: str) -> Any:
    """Of samples ÷ estimate, those of what was measured of the rows that told the structural error of a figure.

    Whole systems were read at the wall; what a site adds, and what a kilowatt-hour costs there, no row tells.
    """
    if not figure.startswith(METER):
        return ratios[figure]
    wall = ratios[f"{METER}wall"]
    return wall / ratios["time"] if figure == f"{METER}power" else wall


def at_meter(around: Surroundings | None, figures: Mapping[str, Any], sampler: Sampler) -> dict[str, Any]:
    """Samples of the figures at the meter, for samples of the devices' energy and time."""
    if around is None:
        return {}
    found = around.meter.read_as(figures["energy"], figures["time"], Sampled(around.meter.host, "host", sampler), sampler)
    return {f"{METER}{name}": value for name, value in found.figures().items()}


def moved(around: Surroundings | None, figures: Mapping[str, Any], unknown: Mapping[str, Response], sampler: Sampler) -> dict[str, Any]:
    """Factors on samples of the devices' figures, and of those at the meter, by what assumed inputs of the run do to the former."""
    if not unknown:
        return {}
    before, other = dict(figures), shaped(figures, unknown, sampler)
    before, after = before | at_meter(around, before, sampler), other | at_meter(around, other, sampler)
    return {name: after[name] / before[name] for name in before}
