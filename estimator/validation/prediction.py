"""What is predicted for one row, and how its energy changes if the time is taken as measured."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum

from estimator.hardware.events import Counts
from estimator.hardware.operating_point import Load, settle
from estimator.hardware.roofline import Duration
from estimator.hardware.schema import Profile
from estimator.run.entry import CLOCK
from estimator.run.phase import Phase


@dataclass(frozen=True)
class Prediction:
    """Phases priced on `profile` that together make `units` of what the row counts (tokens, samples, calls, …).

    `units` is None where the amount of work is not known, so that only power and ratios can be compared. The phases hold the joules of
    all `devices`, which run alike. `apart` says what had to be assumed about the work, so that the row is reported apart.
    """

    phases: tuple[Phase, ...]
    profile: Profile
    units: float | None = 1.0
    devices: int = 1
    apart: str = field(default="", kw_only=True)

    @property
    def power(self) -> float:
        """Mean power in W of all devices."""
        return self._energy / self._time

    @property
    def energy(self) -> float | None:
        """Joules per unit."""
        return None if self.units is None else self._energy / self.units

    @property
    def time(self) -> float | None:
        """Seconds per unit."""
        return None if self.units is None else self._time / self.units

    @property
    def _energy(self) -> float:
        return fsum(joules for phase in self.phases for entry in phase.entries for joules in entry.energy.values())

    @property
    def _time(self) -> float:
        return fsum(entry.time for phase in self.phases for entry in phase.entries)

    def energy_in(self, seconds: float) -> float:
        """Joules per unit if it took `seconds`: the same switching events in that time, at the clock that the cap then leaves.

        With unknown units the predicted mean power holds for that time.
        """
        if self.units is None:
            return self.power * seconds
        counts, share = merged(self.phases, self.profile, self.devices)
        work = Load(1.0, counts, Duration(0.0, "given", share * seconds * self.units, 0.0, seconds * self.units))
        return settle(self.profile, [work]).power * self.devices * seconds


def merged(phases: Sequence[Phase], profile: Profile, devices: int = 1) -> tuple[Counts, float]:
    """All switching events of one of `devices` but clock cycles, and the share of the time in which kernels hold the chip."""
    counts: Counts = defaultdict(float)
    running = seconds = 0.0
    for phase in phases:
        for entry in phase.entries:
            for key, count in entry.events.items():
                if key[0] != CLOCK:
                    counts[key] += count / devices
            seconds += entry.time
            cycles = entry.events.get((CLOCK, "clock_cycle"), 0.0) / devices
            running += _running(cycles / phase.point.clock, entry.time, profile)
    return dict(counts), running / seconds


def _running(toggling: float, seconds: float, profile: Profile) -> float:
    """The clock tree toggles fully while a kernel runs and by its gated share otherwise: solve for the seconds of running."""
    gated = float(profile.clock.gated_share)
    return min(max((toggling - seconds * gated) / (1 - gated), 0.0), seconds) if gated < 1 else seconds


@dataclass(frozen=True)
class Steady:
    """A constant power in W, such as idle: an energy for any time, and no work that would take one."""

    power: float
    units: float | None = 1.0
    time: None = None

    @property
    def energy(self) -> float:
        """Joules per second of it."""
        return self.power

    def energy_in(self, seconds: float) -> float:
        """Joules in `seconds`."""
        return self.power * seconds
