"""Around the devices: processors, memory modules, adapters, disks, fans, power supplies, switches and cooling.

A server's parts draw between their power at rest and at work: processors what they draw while they feed accelerators, adapters by
the share of time in which devices exchange, fans by the cube of the load (affinity laws). Supplies lose what they lose at that load;
cooling and distribution take what power usage effectiveness says (ISO/IEC 30134-2). The formulas serve numbers and arrays alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from estimator.hardware.catalogue import load_profile
from estimator.hardware.cluster import Cluster
from estimator.hardware.host import Host, hosts_of, list_hosts, load_host
from estimator.hardware.schema import Profile
from estimator.quantity import Numeric, Quantity
from estimator.run.facility import Facility, Footprint

MODULE_LOAD = 1 / 2  # exact: modules between rest and work, where nothing says more


class Drawn(Protocol):
    """Numbers by path: as they are, or samples of them."""

    def __getitem__(self, path: str, /) -> Any:
        """The number, or its samples."""


@dataclass(frozen=True)
class Meter:
    """`devices` in their servers, of which each is shared by as many as it holds, with the network of their cluster, at a facility.

    `exchanging` is the share of time in which they exchange; without `feeding`, processors and modules wait. `whole`: the devices are all
    that stand in one server, whatever it could hold.
    """

    host: Host
    facility: Facility
    devices: int
    cluster: Cluster | None = None
    exchanging: float = 0.0
    feeding: bool = True
    whole: bool = False

    def quantities(self) -> dict[str, Quantity]:
        """Every number around the devices by path."""
        holders = {"host": self.host, "cluster": self.cluster}
        around = {f"{owner}.{path}": one for owner, holder in holders.items() if holder for path, one in holder.quantities().items()}
        return around | self.facility.quantities()

    def read(self, energy: Numeric, time: Numeric) -> Footprint:
        """What it makes of devices that take `energy` (J, all of them) in `time` (s)."""
        return self.read_as(energy, time, self.host, self.quantities())

    def read_as(self, energy: Numeric, time: Numeric, host: Any, numbers: Drawn) -> Footprint:
        """The same with `host` and `numbers` in place of its own, which may be samples."""
        servers = 1.0 if self.whole else self.devices / host.accelerators
        around = host_parts(host, energy / time / servers, self.exchanging, self.feeding)
        parts: dict[str, Any] = {"devices": energy} | {name: watts * servers * time for name, watts in around.items()}
        if self.cluster is not None:
            ports, power = numbers["cluster.ports_per_device"], numbers["cluster.port_power"]
            parts["switches"] = self.cluster.network_power(self.devices, ports, power) * time
        pue = numbers["facility.pue"] * 1.0
        parts["cooling and distribution"] = (pue - 1) * sum(parts.values())
        water = numbers["facility.wue"] + numbers["grid.water"] * pue
        return Footprint(parts, pue, numbers["facility.price"] * 1.0, numbers["grid.carbon"] * 1.0, water, self.host.name, time, self)


@dataclass(frozen=True)
class Meters:
    """Meters of the stages of one run, each with its share of the energy and of the time; all have one kind of server at one place."""

    stages: tuple[tuple[Meter, float, float], ...]

    @property
    def host(self) -> Host:
        """The server."""
        return self.stages[0][0].host

    def quantities(self) -> dict[str, Quantity]:
        """Every number around the devices by path."""
        return self.stages[0][0].quantities()

    def read_as(self, energy: Numeric, time: Numeric, host: Any, numbers: Drawn) -> Footprint:
        """What they make together of devices that take `energy` (J) in `time` (s); see `Meter.read_as`."""
        return added([meter.read_as(joules * energy, seconds * time, host, numbers) for meter, joules, seconds in self.stages], self)


def added(footprints: Sequence[Footprint], meter: Meters | None = None) -> Footprint:
    """The sum of what stages of one run take at one place."""
    names = dict.fromkeys(name for one in footprints for name in one.parts)
    parts = {name: sum(one.parts.get(name, 0.0) for one in footprints) for name in names}
    return replace(footprints[0], parts=parts, time=sum(one.time for one in footprints), meter=meter)


def host_of(profile: Profile, facility: Facility, cluster: Cluster | None = None) -> Host:
    """The server: as named, that of the cluster, the usual one of the device or of its architecture; else a workstation or PCIe server."""
    if facility.host is not None:
        return load_host(facility.host)
    if cluster is not None:
        return cluster.server
    usual = {
        load_profile(load_host(name).accelerator).name: name for name in reversed(list_hosts()) if hosts_of(load_host(name).accelerator)
    }
    alike = [name for device, name in usual.items() if load_profile(load_host(name).accelerator).architecture == profile.architecture]
    return load_host(usual.get(profile.name) or (alike[0] if alike else "server-8x-pcie"))


def host_parts(host: Any, devices_power: Numeric, exchanging: float = 0.0, feeding: bool = True) -> dict[str, Numeric]:
    """W of one whole server by part, where its accelerators draw `devices_power`, exchange in a share of the time, and are fed or wait."""
    parts: dict[str, Any] = {
        "processors": sum(p.count * (p.feeding if feeding else p.idle) for p in host.processors),
        "memory modules": sum(m.power(MODULE_LOAD if feeding else 0) for m in host.modules),
        "network adapters": sum(a.power(exchanging) for a in host.adapters),
        "disks": sum(d.count * d.idle for d in host.drives),
        "server board": host.board * 1.0,
    }
    load = (devices_power + sum(parts.values())) / host.limit
    heat = (load + 1 - abs(load - 1)) / 2  # the smaller of the load and 1
    parts["fans"] = host.fans.idle + heat**3 * (host.fans.active - host.fans.idle)
    parts["power supplies"] = host.supply.loss(devices_power + sum(parts.values()))
    return parts


def meter_of(profile: Profile, devices: int, facility: Facility, cluster: Cluster | None = None, exchanging: float = 0.0) -> Meter:
    """The `Meter` of devices in the server that `host_of` finds."""
    return Meter(host_of(profile, facility, cluster), facility, devices, cluster, exchanging)
