"""What a power meter offers, whichever vendor's it is; read only."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from estimator.errors import EstimatorError


class MeterError(EstimatorError):
    """There is no usable meter, the meter may not be read, or the device is not free to be measured."""


@runtime_checkable
class Meter(Protocol):
    """One device and its sensors. What a device does not tell is None, never zero."""

    kind: str
    """ "nvidia", "amd" or "rapl": what rows name as their meter."""

    def name(self) -> str:
        """The device as its vendor calls it."""

    def energy(self) -> float | None:
        """J drawn since some moment in the past, by the device's own counter."""

    def power(self) -> float | None:
        """W, as the sensor averages it."""

    def clocks(self) -> tuple[float | None, float | None]:
        """Hz of core and memory."""

    def temperature(self) -> float | None:
        """K, of the hottest sensor that is offered."""

    def limit(self) -> float | None:
        """W: the power cap in force."""

    def facts(self) -> Mapping[str, str]:
        """What a reader of the results should know: driver, identity."""

    def strangers(self) -> list[str]:
        """Processes of others on the device, each described in a few words."""

    def close(self) -> None:
        """Let go of the vendor's library."""


def require_free(meter: Meter) -> None:
    """Raises `MeterError` where somebody else's process holds the device: its joules would be counted in."""
    others = meter.strangers()
    if others:
        raise MeterError(
            f"{meter.name()} is busy: {', '.join(others)}. Energy is read for the whole device, so wait until it is free, stop those "
            "processes, or choose another one with --device"
        )
