"""Constants that may be moved: where each stands, what it is before any measurement, and what it is for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from estimator.facts import profiles_dir
from estimator.hardware.homes import homes, lineage, stated
from estimator.hardware.inheritance import read_toml
from estimator.quantity import Quantity

FREE = "physics/calibration.toml"
CALIBRATED = re.compile(r";? ?calibrated \d{4}-\d{2}-\d{2} from (\S+) on .*$")  # what a calibration leaves in a note


@dataclass(frozen=True)
class Constant:
    """A number of a file: `owner` is "hardware" or "stack", `path` its place there, `prior` what its sourced range says.

    `current` is what the file says now, `scale` the SI units in one of the file's.
    """

    home: Path
    owner: str
    path: str
    prior: Quantity
    current: float
    scale: float

    @property
    def name(self) -> str:
        """File and path, such as `hopper: clock.voltage_at_boost`."""
        return f"{self.home.stem}: {self.path}"

    @property
    def key(self) -> str:
        """The path as samplers name it, such as `hardware.clock.voltage_at_boost`."""
        return f"{self.owner}.{self.path}"


@cache
def free() -> Mapping[str, Any]:
    """The tables of `physics/calibration.toml`: paths that may be moved, by owner, and the folders that may be written."""
    return read_toml(profiles_dir() / FREE)


def constants(device: Path, profile: Mapping[str, Quantity], anywhere: bool = False) -> list[Constant]:
    """Constants of the device in this file that may be moved; with `anywhere` also those in its own file."""
    allowed = {*free()["homes"], *(["device"] if anywhere else [])}
    places = homes(device)
    return [
        _constant(places[path], "hardware", path, profile[path])
        for path in free()["hardware"]
        if path in places and path in profile and places[path].parent.name in allowed and _has_range(profile[path])
    ]


def stack_constants(name: str, quantities: Mapping[str, Quantity]) -> list[Constant]:
    """Constants of a software stack that may be moved."""
    places = homes(profiles_dir() / "stack" / f"{name}.toml")
    return [
        _constant(places[path], "stack", path, quantities[path])
        for path in free()["stack"]
        if path in quantities and _has_range(quantities[path])
    ]


def _has_range(quantity: Quantity) -> bool:
    return quantity.low < quantity.high


def _constant(home: Path, owner: str, path: str, quantity: Quantity) -> Constant:
    leaf = dict(stated(home))[path]
    raw = float(leaf["value"]) if isinstance(leaf["value"], (int, float)) else float(quantity)
    scale = float(quantity) / raw if raw else 1.0
    before = CALIBRATED.search(quantity.note)
    prior = float(before.group(1)) * scale if before else float(quantity)
    return Constant(home, owner, path, Quantity(prior, quantity.unit, quantity.low, quantity.high), float(quantity), scale)


def within(device: Path, names: Iterable[str]) -> bool:
    """Whether a device is, or inherits, one of these files; all devices are where nothing is named."""
    wanted = {name.lower() for name in names}
    return not wanted or bool(wanted & {path.stem for path in lineage(device)})
