"""The machine around accelerators: processors, memory modules, adapters, disks, fans, power supplies. Facts, in watts.

A server names its parts and how many of each it has; a part is a file of its own in `hardware_profiles/host/`. What these
draw together with a workload is for the facility to say; here is only what each draws at rest and at work.
"""

from functools import cache
from typing import Any

from pydantic import Field, ValidationError

from estimator.errors import ProfileError, unknown_name
from estimator.facts import load_facts, profiles_dir
from estimator.hardware.quantity import Quantity
from estimator.hardware.schema import Byte, BytePerSecond, Number, Section, Watt
from estimator.quantity import Numeric

PERCENT = 100  # exact: efficiencies are stated at per cent of the rated load


class Part(Section):
    """A kind of component: what one of `count` draws at rest and at work."""

    name: str = Field(description="what it is")
    count: Number = Field(description="how many the server has")
    idle: Watt = Field(description="one of them, on and waiting")
    active: Watt = Field(description="one of them, working without pause")

    def power(self, load: float) -> Numeric:
        """W of all of them at a load from 0 (waiting) to 1 (working without pause), in proportion."""
        return self.count * (self.idle + load * (self.active - self.idle))


class Processor(Part):
    """A package with its cores; `active` is its thermal design power."""

    feeding: Watt = Field(description="one of them while its threads feed accelerators")


class Module(Part):
    """A memory module."""

    capacity: Byte
    bandwidth: BytePerSecond


class Adapter(Part):
    """A network card."""

    bandwidth: BytePerSecond = Field(description="one direction, all ports")


class Drive(Part):
    """A disk, solid or turning."""

    capacity: Byte
    read_bandwidth: BytePerSecond
    write_bandwidth: BytePerSecond


class Fans(Section):
    """All fans of the server."""

    idle: Watt
    active: Watt = Field(description="at full heat")


class Supply(Section):
    """The power supplies, which share the load."""

    name: str
    count: Number
    rated: Watt = Field(description="of one")
    efficiency: dict[str, Number] = Field(description="power out ÷ power in, by per cent of the rated load")

    def loss(self, power: Numeric) -> Numeric:
        """W lost while `power` (W) is delivered: between the loads at which efficiency is stated in proportion, below them constant."""
        rated = self.count * self.rated
        points = sorted((int(load) / PERCENT, value) for load, value in self.efficiency.items())
        lost = [(load * rated, load * rated * (1 / value - 1)) for load, value in points]
        found = lost[0][1] + _above(power - lost[-1][0]) * (1 / points[-1][1] - 1)
        for (less, low), (more, high) in zip(lost, lost[1:]):
            found = found + (_above(power - less) - _above(power - more)) * (high - low) / (more - less)
        return found


def _above(gap: Numeric) -> Numeric:
    """`gap` where it is above zero, else 0: for numbers and arrays."""
    return (gap + abs(gap)) / 2


class Host(Section):
    """A server with its parts. Made by `load_host`."""

    name: str
    accelerator: str = Field(description="the device profile that it usually holds")
    accelerators: Number = Field(description="how many of them")
    accelerator_limit: Watt | None = Field(default=None, description="cap on each of them, where the server sets one")
    processors: tuple[Processor, ...]
    modules: tuple[Module, ...]
    adapters: tuple[Adapter, ...]
    drives: tuple[Drive, ...]
    fans: Fans
    board: Watt = Field(description="switches, bridges, management processor, regulators: constant")
    supply: Supply
    limit: Watt = Field(description="highest draw of the whole server at the wall")
    idle: Watt | None = Field(default=None, description="published draw at the wall with ready accelerators; compared with only")

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts that come in numbers."""
        return (*self.processors, *self.modules, *self.adapters, *self.drives)

    def at_wall(self, power: float) -> float:
        """W at the wall for `power` (W) behind the supplies."""
        return power + float(self.supply.loss(power))


KINDS = {
    "processor": "processors",
    "module": "modules",
    "network": "adapters",
    "storage": "drives",
}


def list_hosts() -> list[str]:
    """Names of all servers in `hardware_profiles/host/`."""
    return sorted(path.stem for path in (profiles_dir() / "host").glob("*.toml") if "server" in load_facts(f"host/{path.stem}"))


def hosts_of(device: str) -> list[str]:
    """The servers whose usual accelerator is the device profile of that name; empty where none is known."""
    return [name for name in list_hosts() if load_facts(f"host/{name}")["accelerator"] == device]


@cache
def load_host(name: str) -> Host:
    """The `Host` of that name; raises `UnknownName` (nearest names listed) and `ProfileError` (key and reason of every fault)."""
    if name.lower() not in list_hosts():
        raise unknown_name("host", name, list_hosts(), "`estimator.hardware.host.list_hosts()` lists all.")
    facts = load_facts(f"host/{name.lower()}")
    server, supply = facts["server"], facts["supply"]
    about = {"name": facts["name"], "accelerator": facts["accelerator"], "fans": facts["fans"]}
    table = about | server | _parts(facts["parts"]) | {"supply": _supply(supply)}
    try:
        return Host.model_validate(table)
    except ValidationError as error:
        faults = "\n".join(f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ProfileError(f"host/{name}.toml is no usable host:\n{faults}") from None


def _parts(counts: dict[str, Quantity]) -> dict[str, list[dict[str, Any]]]:
    fitted: dict[str, list[dict[str, Any]]] = {field: [] for field in KINDS.values()}
    for part, count in counts.items():
        facts = load_facts(f"host/{part}")
        kind = next(kind for kind in KINDS if kind in facts)
        if count:
            fitted[KINDS[kind]].append(facts[kind] | {"name": facts["name"], "count": count})
    return fitted


def _supply(stated: dict[str, Any]) -> dict[str, Any]:
    facts = load_facts(f"host/{stated['part']}")
    return {"name": facts["name"], "efficiency": facts["efficiency"], "count": stated["count"], "rated": stated["rated"]}
