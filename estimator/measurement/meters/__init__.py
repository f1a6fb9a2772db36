"""The meters, and the choice among them."""

from collections.abc import Callable

from estimator.errors import InvalidSetting, MissingDependency, unknown_name
from estimator.measurement.meter import Meter, MeterError

TRIED_IN_TURN = ("nvidia", "amd", "rapl")


def open_meter(kind: str | None = None, device: int | None = None) -> Meter:
    """The meter of that kind, or the first that this machine has; `device` chooses among several of the vendor's devices.

    Raises `MeterError` where there is none, `MissingDependency` where its library is not installed, `InvalidSetting` for a
    device that does not exist or has to be chosen, `UnknownName` for another kind.
    """
    if kind is not None:
        return _opener(kind)(device)
    missing = []
    for candidate in TRIED_IN_TURN:
        try:
            return _opener(candidate)(device)
        except InvalidSetting:
            raise  # there are such devices, and one has to be chosen
        except (MeterError, MissingDependency) as error:
            missing.append(f"{candidate}: {error}")
    raise MeterError("no power meter found\n  " + "\n  ".join(missing))


def _opener(kind: str) -> Callable[[int | None], Meter]:
    if kind == "nvidia":
        from estimator.measurement.meters.nvidia import NvidiaMeter

        return NvidiaMeter
    if kind == "amd":
        from estimator.measurement.meters.amd import AmdMeter

        return AmdMeter
    if kind == "rapl":
        from estimator.measurement.meters.rapl import RaplMeter

        return RaplMeter
    if kind == "apple":
        raise MeterError("Apple silicon is not supported: its power is only read by `sudo powermetrics`, which offers no energy counter")
    raise unknown_name("meter", kind, TRIED_IN_TURN, "Leave it out to take the first that this machine has.")


def chosen(vendor: str, names: list[str], device: int | None) -> int:
    """The number of the device to read, where a machine has those `names`; raises `MeterError` or `InvalidSetting`."""
    listed = ", ".join(f"{index}: {name}" for index, name in enumerate(names))
    if not names:
        raise MeterError(f"the {vendor} library answers but lists no device: it may be hidden from this container or user")
    if device is None and len(names) > 1:
        raise InvalidSetting(f"several devices ({listed}): choose one with --device NUMBER, or device=… in Python")
    if device is not None and not 0 <= device < len(names):
        raise InvalidSetting(f"device {device}: expected one of {listed}")
    return device or 0
