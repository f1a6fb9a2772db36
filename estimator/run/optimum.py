"""The clock, and with it the voltage, at which a run takes least energy, least energy × delay, or least time.

Above the optimum each switching event costs more, E = C V²; below it the run takes longer and leakage, memory idle and board
power run on: energy at fixed work is U-shaped in the clock. Switching alone has its optimum of energy × delay at
V = 3 Vt / (3 - a), `estimator.transistor.delay.minimum_energy_delay_voltage`; a test holds this search against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from estimator.errors import EstimatorError, Infeasible, unknown_name
from estimator.hardware.operating_point import OperatingPoint, elapsed, settle
from estimator.hardware.power import voltage_at
from estimator.run.phase import Phase
from estimator.units import format_si, require_positive

OBJECTIVES = {  # what is made small, and what breaks a tie
    "energy": lambda trial: (trial.energy, trial.time),
    "energy_delay": lambda trial: (trial.energy * trial.time, trial.time),
    "time": lambda trial: (trial.time, trial.energy),
}
GRID = 64  # exact: clocks tried over the whole range before the best stretch is searched
GOLDEN_STEPS = 40  # exact: golden-section steps, each 0.618 of the stretch before
GOLDEN = (5**0.5 - 1) / 2  # exact: the golden section


@dataclass(frozen=True, slots=True)
class Trial:
    """A run with the clock held at most at `clock` (Hz), which takes `voltage` (V): energy in J and time in s."""

    clock: float
    voltage: float
    energy: float
    time: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best operating point of a run: clock in Hz, voltage in V, energy in J, time in s.

    `usual` is the run as it was estimated, `tried` the clocks over the whole range. `profile.at(clock=…)` holds a part there.
    """

    objective: str
    clock: float
    voltage: float
    energy: float
    time: float
    usual: Trial
    tried: tuple[Trial, ...]

    def __str__(self) -> str:
        saved, slower = 1 - self.energy / self.usual.energy, self.time / self.usual.time - 1
        return (
            f"least {self.objective.replace('_', ' × ')}: {format_si(self.clock, 'Hz')} at {self.voltage:.3g} V, "
            f"{format_si(self.energy, 'J')} in {format_si(self.time, 's')}: {saved:.1%} less energy, {slower:.1%} more time"
        )


def best_operating_point(phases: Sequence[Phase], objective: str = "energy", limit: float | None = None) -> Optimum:
    """The one clock, for all of `phases`, that minimises `objective`: "energy", "energy_delay" or "time".

    `limit` bounds the other quantity: the run's time in s for the first two, its energy in J for "time". A phase that its power
    cap slows further runs slower than that clock, as on the part.

    Raises `UnknownName` for another objective, `Infeasible` where no clock keeps the limit, `EstimatorError` for phases that
    were read from a file and do not hold what they were priced from.
    """
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES, "Pass one of these as objective=….")
    if any(phase.basis is None for phase in phases) or not phases:
        raise EstimatorError("this estimate was read from JSON, which does not hold the launches; estimate the run again to search it")
    bound = None if limit is None else require_positive("limit", limit)
    search = _Search(phases, objective, bound)
    clocks = [search.low + step / GRID * (search.high - search.low) for step in range(GRID + 1)]
    tried = [search.trial(clock) for clock in clocks]
    index = min(range(len(tried)), key=lambda i: search.cost(tried[i]))
    best = min([tried[index], search.narrow(clocks[max(index - 1, 0)], clocks[min(index + 1, GRID)])], key=search.cost)
    if not search.allowed(best):
        raise search.refusal(tried)
    return Optimum(objective, best.clock, best.voltage, best.energy, best.time, search.usual, tuple(tried))


class _Search:
    """A run at any clock; each phase is solved once at full speed and, below the clock that it settles at, by one balance."""

    def __init__(self, phases: Sequence[Phase], objective: str, limit: float | None) -> None:
        bases = [phase.basis for phase in phases if phase.basis is not None]
        self.bases = [basis for basis in bases if any(load.launches for load in basis.loads)]  # not what hides behind others entirely
        self.settled = [settle(basis.profile, basis.loads) for basis in self.bases]
        self.objective, self.limit = objective, limit
        self.profile = self.bases[0].profile
        self.low, self.high = float(self.profile.clock.minimum), float(self.profile.clock.boost)
        self.usual = self.trial(self.high)

    def trial(self, clock: float) -> Trial:
        points = [self._point(index, clock) for index in range(len(self.bases))]
        times = [elapsed(basis.loads, point) for basis, point in zip(self.bases, points)]
        energy = sum(basis.devices * point.power * time for basis, point, time in zip(self.bases, points, times))
        return Trial(clock, voltage_at(self.profile, clock), energy, sum(times))

    def _point(self, index: int, clock: float) -> OperatingPoint:
        settled = self.settled[index]
        return settled if clock >= settled.clock else settle(self.bases[index].profile, self.bases[index].loads, clock)

    def allowed(self, trial: Trial) -> bool:
        return self.limit is None or (trial.energy if self.objective == "time" else trial.time) <= self.limit

    def cost(self, trial: Trial) -> tuple[bool, float, float]:
        return (not self.allowed(trial), *OBJECTIVES[self.objective](trial))

    def narrow(self, low: float, high: float) -> Trial:
        """Golden-section search between two clocks (Kiefer, 1953)."""
        inner = [self.trial(high - GOLDEN * (high - low)), self.trial(low + GOLDEN * (high - low))]
        for _ in range(GOLDEN_STEPS):
            if self.cost(inner[0]) <= self.cost(inner[1]):
                high = inner[1].clock
                inner = [self.trial(high - GOLDEN * (high - low)), inner[0]]
            else:
                low = inner[0].clock
                inner = [inner[1], self.trial(low + GOLDEN * (high - low))]
        return min(inner, key=self.cost)

    def refusal(self, tried: Sequence[Trial]) -> Infeasible:
        if self.objective == "time":
            least, unit, what = min(trial.energy for trial in tried), "J", "energy"
        else:
            least, unit, what = min(trial.time for trial in tried), "s", "time"
        return Infeasible(
            f"limit={self.limit:g} {unit}: at no clock from {format_si(self.low, 'Hz')} to {format_si(self.high, 'Hz')} does the run keep "
            f"that {what}; the least is {least:.4g} {unit}, so allow at least that"
        )
