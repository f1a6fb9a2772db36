"""A prediction whose energy was read at another meter than the devices', or whose time is that of all devices together."""

from dataclasses import dataclass

from estimator.validation.prediction import Prediction


@dataclass(frozen=True)
class Metered(Prediction):
    """As `Prediction`; `meter` joules are read for each joule of the devices, `clocks` seconds are counted for each second."""

    meter: float = 1.0
    clocks: float = 1.0
    assumptions: tuple[str, ...] = ()

    @property
    def power(self) -> float:
        """Mean power in W at the meter."""
        return super().power * self.meter

    @property
    def energy(self) -> float | None:
        """Joules per unit at the meter."""
        found = super().energy
        return None if found is None else found * self.meter

    @property
    def time(self) -> float | None:
        """Seconds per unit, of all devices together where they were counted so."""
        found = super().time
        return None if found is None else found * self.clocks

    def energy_in(self, seconds: float) -> float:
        """Joules per unit at the meter if it took `seconds`."""
        return super().energy_in(seconds / self.clocks) * self.meter
