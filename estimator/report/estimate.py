"""The answer: predicted joules with where they go, what was assumed, and where every number comes from."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING, Any

from estimator.errors import EstimatorError
from estimator.report.exports import Exports
from estimator.report.rows import grouped, timeline
from estimator.report.serialize import estimate_from_dict, estimate_to_dict
from estimator.run.entry import Entry
from estimator.run.facility import Footprint
from estimator.run.phase import Phase
from estimator.run.uncertainty import LEVEL, Uncertainty

if TYPE_CHECKING:
    from estimator.run.optimum import Optimum


@dataclass(frozen=True)
class Source:
    """One number that the estimate used: dotted path, value in SI with its range, and where it comes from."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    status: str


@dataclass(frozen=True)
class Estimate(Exports):
    """Predicted energy, time and power of one run. Immutable; all figures are SI floats. Made by `estimator.estimate`.

    `tokens`, `samples`, `steps` and `media_seconds` (of video or sound) are 0 where the run has none. `coverage` maps each operation
    without a rule to how often it was met (empty: every operation was counted exactly). `service` is what callers of a served
    model notice, by name: requests and tokens a second, seconds to the first token and between tokens by percentile, requests in flight,
    joules for each request, prompt token and output token. Joules are those of all `devices`. `mfu` of training is the model's
    matrix FLOP over the peak of all devices. `facility` is what it takes at the meter, where one was given. `stages` are the estimates
    of the stages of a training run by name; the run is their sum, and `devices` those of the stage with most. `spread` is the
    `uncertainty` that JSON brought, if it did.
    """

    model: str
    hardware: str
    stack: str
    run: dict[str, Any]
    phases: tuple[Phase, ...]
    tokens: int = 0
    samples: int = 0
    steps: int = 0
    media_seconds: float = 0.0
    parameters: int = 0
    coverage: dict[str, int] | None = None
    assumptions: tuple[str, ...] = ()
    numbers: tuple[Source, ...] = ()
    service: Mapping[str, float] | None = None
    devices: int = 1
    mfu: float | None = None
    facility: Footprint | None = None
    stages: Mapping[str, "Estimate"] = field(default_factory=dict, repr=False)
    spread: Uncertainty | None = field(default=None, repr=False, compare=False)

    @cached_property
    def energy(self) -> float:
        """Joules of the whole run, at the board of the device."""
        return fsum(joules for _, entry in self._entries() for joules in entry.energy.values())

    @cached_property
    def time(self) -> float:
        """Seconds of the whole run."""
        return fsum(entry.time for _, entry in self._entries())

    @property
    def power(self) -> float:
        """Mean power in W."""
        return self.energy / self.time

    @property
    def device_time(self) -> float:
        """Seconds of all devices together."""
        return sum(one.device_time for one in self.stages.values()) if self.stages else self.devices * self.time

    @property
    def flop(self) -> float:
        """FLOP executed: matrix, vector and special-function work, masked blocks skipped."""
        return fsum(entry.flop for _, entry in self._entries())

    @property
    def matmul_flop(self) -> float:
        """Multiply-adds × 2 of matrix products, convolutions and attention, masks counted dense."""
        return fsum(entry.matmul_flop for _, entry in self._entries())

    @property
    def traffic(self) -> dict[str, float]:
        """Bytes that crossed each memory level: register, shared, l2, memory."""
        return _sum(entry.traffic for _, entry in self._entries())

    @property
    def switching_events(self) -> dict[str, float]:
        """Switching events by kind, and their `total`."""
        kinds: defaultdict[str, float] = defaultdict(float)
        for _, entry in self._entries():
            for (_, event), count in entry.events.items():
                kinds[event] += count
        return dict(kinds) | {"total": fsum(kinds.values())}

    @property
    def energy_per_token(self) -> float:
        """Joules per token: output tokens of inference, trained tokens of training. Raises where the run has no tokens."""
        return self.energy / self._count("tokens")

    @property
    def energy_per_sample(self) -> float:
        """Joules per sample: sequence, image, video or request."""
        return self.energy / self._count("samples")

    @property
    def energy_per_media_second(self) -> float:
        """Joules per second of video made or of sound heard. Raises where the run has neither."""
        return self.energy / self._count("media_seconds")

    @property
    def energy_per_step(self) -> float:
        """Joules per optimizer step. Raises where the run has no steps."""
        return self.energy / self._count("steps")

    def figures(self) -> dict[str, float]:
        """The headline figures as a dict: energy, time, power, and joules per token, sample and step where there are any."""
        per = {"tokens": "energy_per_token", "samples": "energy_per_sample", "steps": "energy_per_step"}
        per |= {"media_seconds": "energy_per_media_second"}
        return {"energy": self.energy, "time": self.time, "power": self.power} | {
            figure: getattr(self, figure) for many, figure in per.items() if getattr(self, many)
        }

    def _count(self, what: str) -> float:
        count = getattr(self, what)
        if not count:
            raise EstimatorError(f"this run has no {what}; use .energy, or another run")
        return count

    def _entries(self) -> Iterator[tuple[Phase, Entry]]:
        return ((phase, entry) for phase in self.phases for entry in phase.entries)

    def rows(self, by: str = "phase") -> list[dict[str, Any]]:
        """The joules grouped: a list of dicts with `name`, `energy` (J), `share`, largest first; the energies sum to `energy`.

        `by` is one of phase, stage, component, layer, module, op, kernel, event, bound. Groups other than component and event also
        have `time` (s), `launches`, `flop` and `memory_bytes`. Raises `UnknownName`.
        """
        return grouped(self.phases, by)

    def timeline(self) -> list[dict[str, Any]]:
        """Power over the run: its phases in order with `start`, `time` (s), `energy` (J) and `power` (W) of all devices.

        Steps repeat; here each phase stands once in its `stage`, with its time and joules in all of it.
        """
        return timeline(self.phases)

    def best_operating_point(self, objective: str = "energy", limit: float | None = None) -> "Optimum":
        """The clock and voltage of least "energy", "energy_delay" or "time" for this run; see `estimator.run.optimum`.

        `limit` bounds the run's time in s, or its energy in J where the objective is "time". Raises `UnknownName`, `Infeasible`.
        """
        from estimator.run.optimum import best_operating_point

        return best_operating_point(self.phases, objective, limit)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """What the figures may be off by, worked out when first asked for. Raises `EstimatorError` where the launches are not known."""
        from estimator.report.interval import uncertainty

        return self.spread or uncertainty(self)

    def interval(self, level: float = LEVEL, of: str = "energy") -> tuple[float, float]:
        """(low, high) that hold the truth with probability `level`, given the ranges of all numbers and the model's own error.

        `of` is one of `figures()`, or of those at the meter: `facility.energy`, `.wall`, `.power`, `.kwh`, `.co2e_kg`, `.water_l` and
        `.cost`, with the ranges of servers, switches, place and grid. The interval contains the estimate, and a wider level a
        narrower one. Raises `InvalidSetting` for a level outside (0, 1), `UnknownName`, and `EstimatorError` for an estimate read
        from JSON without its spread.
        """
        from estimator.report.interval import interval

        return interval(self, level, of)

    def sensitivity(self, of: str = "energy") -> list[dict[str, Any]]:
        """What the uncertainty of a figure is made of, largest first: each number with its range and its `share` of the variance.

        Shares are first-order and of the figure's logarithm; the last row, `(together)`, is what no number explains alone, and
        all add up to 1. The model's own error is the row `structural_error.…`. Raises as `interval` does.
        """
        from estimator.report.interval import sensitivity

        return sensitivity(self, of)

    def sources(self) -> list[dict[str, Any]]:
        """Every number used, with value, range, source and status (datasheet, measured, derived, assumed)."""
        return [asdict(number) for number in self.numbers]

    def table(self) -> str:
        """The estimate as text."""
        from estimator.report.table import render

        return render(self)

    def to_json(self) -> str:
        """All of it as JSON; `Estimate.from_json` reads it back to an equal estimate."""
        return json.dumps(estimate_to_dict(self))

    @classmethod
    def from_json(cls, text: str) -> "Estimate":
        """Read what `to_json` wrote. Executes nothing. Raises `EstimatorError` for anything else."""
        try:
            return estimate_from_dict(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EstimatorError(f"not a stored estimate: {type(error).__name__}: {error}. Write it with Estimate.to_json().") from None

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        from estimator.report.html import render

        return render(self)


def _sum(maps: Iterable[dict[str, float]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for one in maps:
        for key, value in one.items():
            total[key] += value
    return dict(total)
