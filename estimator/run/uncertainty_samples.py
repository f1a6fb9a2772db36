"""Profile and stack with arrays in place of numbers: every sourced range becomes samples of what the truth may be.

A range is meant to hold the truth nine times in ten. Its quantity is distributed as a two-piece log-normal: the value is the
median, and each half is log-normal with the end of the range at its 5th or 95th percentile. Where a range reaches down to zero
its lower half is normal instead, cut off at zero. A quantity that several places inherit has one path and is sampled once.
"""

from collections.abc import Mapping
from statistics import NormalDist
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from estimator.hardware.schema import Section
from estimator.quantity import Quantity
from estimator.run.uncertainty_points import deviates

AT_END = NormalDist().inv_cdf(0.95)  # exact: deviates between the median and the end of a range that holds nine truths in ten
# Sizes by which work is cut into whole tiles and waves, or which only say what fits: they choose between kernels, and the kernels
# of an estimate are held as they are.
HELD = ("tile_m", "tile_n", "tile_cluster", "instruction_rows", "attention_rows", "capacity", "multiprocessors", "usable_memory")
ORDER = {  # what the schema demands of the order of two numbers: the first is never below the second
    "hardware.clock.boost": "hardware.clock.minimum",
    "hardware.clock.voltage_floor": "hardware.clock.threshold_voltage",
    "hardware.clock.voltage_at_boost": "hardware.clock.voltage_floor",
}
FLOORS = {  # exact: below 1, transistors would slow down as the voltage rises, and a site would take less than what stands in it
    "hardware.clock.velocity_exponent": 1.0,
    "facility.pue": 1.0,
}
CEILING = 1.0  # exact: what cannot exceed the whole
SHARES = (
    "achievable", "regulator_efficiency", "powered_share", "gated_share", "attention_memory_share", "softmax_overlap", "kernel_share",
    "overlap_data", "overlap_tensor", "efficiency",
)  # fmt: skip


def two_piece(quantity: Quantity, deviate: np.ndarray) -> np.ndarray:
    """Samples of a quantity at these standard normal deviates."""
    value, below, above = float(quantity), np.minimum(deviate, 0) / AT_END, np.maximum(deviate, 0) / AT_END
    if quantity.low > 0:
        return value * (quantity.low / value) ** -below * (quantity.high / value) ** above
    upper = value * (quantity.high / value) ** above if value > 0 else quantity.high * above
    return np.where(deviate < 0, np.maximum(value + (value - quantity.low) * below, 0), upper)


def bent(deviate: np.ndarray, tail: float) -> np.ndarray:
    """Deviates to the power `tail`, those at the ends of a range left where they are: above 1, most lie nearer to the median.

    Beyond the ends, which rows do not tell of, no tail is heavier than a log-normal's.
    """
    ratio = np.abs(deviate) / AT_END
    return np.sign(deviate) * AT_END * np.where(ratio > 1, ratio ** min(tail, 1.0), ratio**tail)


class Sampler:
    """Samples of quantities by path, drawn when first asked for; `used` names those with a range in the order of use.

    `tails` bends the deviates of the quantities that it names, see `bent`.
    """

    def __init__(
        self, quantities: Mapping[str, Quantity], points: int, used: tuple[str, ...] = (), tails: Mapping[str, float] | None = None
    ) -> None:
        self.quantities, self.used = quantities, list(used)
        self._tails = tails or {}
        self._rows = dict(zip(used, deviates(points, len(used)))) if used else {}
        self._drawn: dict[str, Any] = {}

    def __getitem__(self, path: str) -> Any:
        if path not in self._drawn:
            self._drawn[path] = self._draw(path)
        return self._drawn[path]

    def _draw(self, path: str) -> Any:
        quantity = self.quantities[path]
        if is_ranged(path, quantity) and path not in self.used:
            self.used.append(path)
        drawn = self._sampled(path)
        if path in ORDER and ORDER[path] in self.quantities:
            drawn = np.maximum(drawn, self[ORDER[path]])
        if any(part in SHARES for part in path.split(".")):
            drawn = np.minimum(drawn, CEILING)
        return np.maximum(drawn, FLOORS[path]) if path in FLOORS else drawn

    def _sampled(self, path: str) -> Any:
        quantity = self.quantities[path]
        return two_piece(quantity, bent(self._rows[path], self._tails.get(path, 1.0))) if path in self._rows else float(quantity)


def is_ranged(path: str, quantity: Quantity) -> bool:
    """Whether a quantity is sampled: it has a range, and its path ends in no size that is held."""
    return quantity.low < quantity.high and path.rpartition(".")[2] not in HELD


class Sampled:
    """A profile or stack, or a section of one, as the formulas read it: its numbers are what the sampler drew."""

    def __init__(self, section: Any, path: str, sampler: Sampler) -> None:
        self._section, self._path, self._sampler = section, path, sampler

    def __getattr__(self, name: str) -> Any:
        stated = getattr(type(self._section), name, None)
        computed = getattr(stated, "fget", None)  # properties and methods are worked out from samples
        found = computed(self) if computed else MethodType(stated, self) if isinstance(stated, FunctionType) else self._field(name)
        self.__dict__[name] = found
        return found

    def _field(self, name: str) -> Any:
        path, value = f"{self._path}.{name}", getattr(self._section, name)
        if isinstance(value, dict):
            return {key: self._entry(f"{path}.{key}", item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(self._entry(f"{path}.{index}", item) for index, item in enumerate(value))
        return self._entry(path, value)

    def _entry(self, path: str, item: Any) -> Any:
        if isinstance(item, Section):
            return Sampled(item, path, self._sampler)
        return self._sampler[path] if isinstance(item, Quantity) else item
