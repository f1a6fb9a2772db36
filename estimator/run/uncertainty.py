"""What an estimate may be off by: quantiles of the possible truths relative to the estimate, and what their spread is made of.

Plain data, so that it travels with the JSON of an estimate. `estimator.run.uncertainty_propagation` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from estimator.errors import InvalidSetting, unknown_name
from estimator.facts import load_facts
from estimator.quantity import Quantity
from estimator.run.diffusion import Diffusion
from estimator.run.settings import Training

LEVEL = 0.9  # exact: what a sourced range is meant to hold, and what is reported unless asked otherwise
FIGURES = ("energy", "time", "power")
STRUCTURAL = "structural_error"  # first word of the paths of the model's own error
METER = "facility."  # what the names of figures at the meter begin with
METERED = {"inference": "system", "training": "training-run"}  # kinds of runs, and that of those which were read at a meter
SHAPES = ("tail", "ranges")  # what a figure's structural error has beside its range, see `Factor`


@dataclass(frozen=True)
class Factor:
    """What the model itself may be off by: nine truths in ten lie between the estimate × `low` and × `high`.

    In between, the logarithm grows with the deviate to the power `tail`: 1 is a log-normal, more has a sharper middle and
    heavier tails. `ranges` is the part of the sourced ranges' width that counts, 1 unless measured rows show them too wide.
    """

    low: float
    high: float
    tail: float = 1.0
    ranges: float = 1.0


@dataclass(frozen=True)
class Uncertainty:
    """Of each of energy, time and power, and of `facility.energy` and so on where the run has a facility: `quantiles`, evenly spaced
    from the least to the greatest sample, divided by the estimate; and `shares` of the variance of its logarithm, the outermost half
    per cent on either side drawn in, by the path of the sourced number."""

    quantiles: dict[str, tuple[float, ...]]
    shares: dict[str, dict[str, float]]

    def interval(self, level: float = LEVEL, of: str = "energy") -> tuple[float, float]:
        """(low, high) as factors on the estimate, which hold a share `level` of the possible truths.

        The same part, 1 - `level`, is left out of those below the estimate and of those above it, so that the interval always
        contains the estimate and a wider level contains a narrower one. Raises `InvalidSetting` for a level outside (0, 1) and
        `UnknownName` for a figure without quantiles.
        """
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
            raise InvalidSetting(f"level={level!r}: expected a share between 0 and 1, such as 0.9 for nine truths in ten")
        if of not in self.quantiles:
            raise unknown_name("figure", of, self.quantiles, "Pass one of these as of=….")
        table = self.quantiles[of]
        middle = _position(table)
        return min(_at(table, middle * (1 - level)), 1.0), max(_at(table, middle + (1 - middle) * level), 1.0)


def _position(table: tuple[float, ...]) -> float:
    """The share of the truths that lie below the estimate, interpolated linearly."""
    if table[0] == table[-1]:
        return 1 / 2
    last = len(table) - 1
    above = next((index for index, value in enumerate(table) if value >= 1), last + 1)
    if above in (0, last + 1):
        return min(above, last) / last
    below = table[above - 1]
    return (above - 1 + (1 - below) / (table[above] - below)) / last


def _at(table: tuple[float, ...], share: float) -> float:
    """The quantile at `share`, interpolated linearly."""
    position = share * (len(table) - 1)
    index = min(int(position), len(table) - 2)
    return table[index] + (position - index) * (table[index + 1] - table[index])


def kind_of(run: object, stack: str) -> str:
    """The kind of run whose structural error an estimate has: training, diffusion, serving or inference."""
    if isinstance(run, Training):
        return "training"
    return "diffusion" if isinstance(run, Diffusion) else "serving" if stack == "serving" else "inference"


def metered_error(kind: str) -> dict[str, Quantity]:
    """The structural error of figures at the meter: from training runs and whole systems that were read there; else none."""
    return structural_error(METERED[kind]) if kind in METERED else {}


def structural_path(structural: Mapping[str, Quantity], figure: str) -> str | None:
    """The path of a figure's structural error, if there is one."""
    return next((path for path in structural if path.endswith(f".{figure}")), None)


def structural_error(kind: str) -> dict[str, Quantity]:
    """What the model itself gets wrong of each figure for a kind of run: by path, a factor around 1 with its range, and its shape.

    Kinds are the tables of `hardware_profiles/physics/structural_error.toml`. Raises `UnknownName`.
    """
    known = {name: table for name, table in load_facts("physics/structural_error").items() if set(FIGURES) <= set(table)}
    if kind not in known:
        raise unknown_name("kind of run", kind, known, "See hardware_profiles/physics/structural_error.toml.")
    return {f"{STRUCTURAL}.{kind}.{name}": one for name, one in known[kind].items()}


def shape_of(structural: Mapping[str, Quantity], path: str | None, shape: str) -> float:
    """One of `SHAPES` of the structural error at `path`; 1 where none is stated."""
    return float(structural.get(f"{path}_{shape}", 1.0))
