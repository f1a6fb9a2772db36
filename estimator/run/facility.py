"""Around the devices: processors, memory modules, adapters, disks, fans, power supplies, switches and cooling; cost, carbon, water.

A server's parts draw between their power at rest and at work: processors what they draw while they feed accelerators, adapters by
the share of time in which devices exchange, fans by the cube of the load (affinity laws). Supplies lose what they lose at that load;
cooling and distribution take what power usage effectiveness says (ISO/IEC 30134-2).
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.facts import load_facts
from estimator.hardware.catalogue import load_profile
from estimator.hardware.cluster import Cluster
from estimator.hardware.host import Host, hosts_of, list_hosts, load_host
from estimator.hardware.schema import Profile
from estimator.units import SECONDS_PER_HOUR

JOULES_PER_KWH = 1000 * SECONDS_PER_HOUR  # exact: by definition
GRAMS_PER_KG = 1000  # exact: by definition
MODULE_LOAD = 1 / 2  # exact: modules between rest and work, where nothing says more


@dataclass(frozen=True, kw_only=True)
class Facility:
    """Where devices stand: a `host` (its usual one by default), a `place` that says what cooling takes, and a `grid`.

    `place`: "average", "hyperscale", "laboratory" or "wall" (nothing beyond the plug); `pue`, `wue` (L/kWh) and `price` (for each
    kWh) replace its figures. `grid`: a country of hardware_profiles/grid, or grams of CO2e for each kWh. Raises `UnknownName` and
    `InvalidSetting`.
    """

    host: str | None = None
    place: str = "average"
    grid: str | float = "world"
    pue: float | None = None
    wue: float | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        _place(self.place)
        if isinstance(self.grid, str):
            _country(self.grid)
        if self.host is not None:
            load_host(self.host)
        if self.pue is not None and self.pue < 1:
            raise InvalidSetting(f"pue={self.pue}: power usage effectiveness is total ÷ equipment power, at least 1")

    def figure(self, name: str) -> float:
        """`pue`, `wue` or `price`: as given, else of the place."""
        given = getattr(self, name)
        return float(_place(self.place)[name]) if given is None else float(given)

    def mix(self) -> tuple[float, float]:
        """(grams of CO2e for each kWh, litres of water for each kWh at the power plants)."""
        if not isinstance(self.grid, str):
            return float(self.grid), 0.0
        return float(_country(self.grid)["carbon"]) * JOULES_PER_KWH, float(_country(self.grid)["water"])


def _place(name: str) -> dict[str, Any]:
    places = load_facts("facility/places")
    if name not in places:
        raise unknown_name("place", name, places, "Pass one of these as place=…, or pue=….")
    return places[name]


def _country(name: str) -> dict[str, Any]:
    countries = load_facts("grid/countries")
    if name not in countries:
        raise unknown_name("grid", name, countries, "Or give grams of CO2e for each kWh as a number.")
    return countries[name]


@dataclass(frozen=True)
class Footprint:
    """What a run takes at the meter: `parts` are its joules by who draws them, the devices among them."""

    parts: dict[str, float]
    pue: float
    price: float
    carbon: float = field(metadata={"unit": "g/kWh"})
    water: float = field(metadata={"unit": "L/kWh"})
    host: str = ""
    time: float = 0.0

    @cached_property
    def energy(self) -> float:
        """Joules of everything."""
        return sum(self.parts.values())

    @property
    def wall(self) -> float:
        """Joules at the plugs of the nodes: without switches, cooling and distribution."""
        return self.energy - self.parts.get("cooling and distribution", 0.0) - self.parts.get("switches", 0.0)

    @property
    def power(self) -> float:
        """Mean power in W."""
        return self.energy / self.time

    @property
    def kwh(self) -> float:
        """Kilowatt-hours of everything."""
        return self.energy / JOULES_PER_KWH

    @property
    def co2e_kg(self) -> float:
        """Kilograms of CO2 equivalent of the electricity."""
        return self.kwh * self.carbon / GRAMS_PER_KG

    @property
    def water_l(self) -> float:
        """Litres of water, on the spot and at the power plants."""
        return self.kwh / self.pue * self.water

    @property
    def cost(self) -> float:
        """Price of the electricity."""
        return self.kwh * self.price


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


def host_parts(host: Host, devices_power: float, exchanging: float = 0.0, feeding: bool = True) -> dict[str, float]:
    """W of one whole server by part, where its accelerators draw `devices_power`, exchange in a share of the time, and are fed or wait."""
    parts = {
        "processors": sum(float(p.count * (p.feeding if feeding else p.idle)) for p in host.processors),
        "memory modules": sum(m.power(MODULE_LOAD if feeding else 0) for m in host.modules),
        "network adapters": sum(a.power(exchanging) for a in host.adapters),
        "disks": sum(float(d.count * d.idle) for d in host.drives),
        "server board": float(host.board),
    }
    heat = min((devices_power + sum(parts.values())) / float(host.limit), 1.0)
    parts["fans"] = float(host.fans.idle) + heat**3 * float(host.fans.active - host.fans.idle)
    parts["power supplies"] = host.supply.loss(devices_power + sum(parts.values()))
    return parts


def footprint(
    energy: float, time: float, devices: int, profile: Profile, facility: Facility, cluster: Cluster | None = None, exchanging: float = 0.0
) -> Footprint:
    """What `devices` that take `energy` (J) in `time` (s) make of it at the meter; a server is shared by as many as it holds."""
    host = host_of(profile, facility, cluster)
    servers = devices / float(host.accelerators)
    around = host_parts(host, energy / time / servers, exchanging)
    parts = {"devices": energy} | {name: watts * servers * time for name, watts in around.items()}
    if cluster is not None:
        parts["switches"] = cluster.network_power(devices) * time
    pue = facility.figure("pue")
    parts["cooling and distribution"] = (pue - 1) * sum(parts.values())
    carbon, plant = facility.mix()
    return Footprint(parts, pue, facility.figure("price"), carbon, facility.figure("wue") + plant * pue, host.name, time)
