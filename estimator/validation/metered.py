"""A prediction whose energy was read at another meter than the devices', or whose time is that of all devices together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from estimator.hardware.schema import Profile
from estimator.run.meter import Meter
from estimator.run.uncertainty_responses import Response
from estimator.validation.prediction import Prediction, Steady


@dataclass(frozen=True)
class Unknown:
    """Inputs of a run that no publication states: the `group` of runs it falls in, what is `said` of them, and what they do to it."""

    group: str = ""
    said: tuple[str, ...] = ()
    responses: Callable[[], Mapping[str, Response]] = dict


@dataclass(frozen=True)
class Metered(Prediction):
    """As `Prediction`; read at `around` where that is known, else `meter` joules are read for each joule of the devices.

    `clocks` seconds are counted for each second.
    """

    around: Meter | None = None
    meter: float = 1.0
    clocks: float = 1.0
    assumptions: tuple[str, ...] = ()
    mfu: float | None = None  # of a training step
    unknown: Unknown = field(default_factory=Unknown, repr=False, compare=False)

    def _read(self, energy: float, time: float) -> float:
        return self.meter * energy if self.around is None else self.around.read(energy, time).energy

    @property
    def power(self) -> float:
        """Mean power in W at the meter."""
        return self._read(super().power, 1.0)

    @property
    def energy(self) -> float | None:
        """Joules per unit at the meter."""
        return None if self.units is None else self._read(self._energy, self._time) / self.units

    @property
    def time(self) -> float | None:
        """Seconds per unit, of all devices together where they were counted so."""
        found = super().time
        return None if found is None else found * self.clocks

    def energy_in(self, seconds: float) -> float:
        """Joules per unit at the meter if it took `seconds`, in which what is around the devices draws as well."""
        taken = seconds / self.clocks
        return self._read(super().energy_in(taken), taken)


@dataclass(frozen=True)
class Standing(Steady):
    """A constant power of servers whose devices do nothing, or of some `parts` of them; `devices` are those that stand in them."""

    devices: Profile | None = None
    around: Meter | None = None
    parts: tuple[str, ...] = ()
