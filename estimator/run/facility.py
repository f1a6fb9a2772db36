"""Where devices stand, with what cooling, water, carbon and money a kilowatt-hour takes there; and what a run takes at that meter."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.facts import load_facts
from estimator.hardware.host import load_host
from estimator.quantity import Quantity
from estimator.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from estimator.run.meter import Meter, Meters

JOULES_PER_KWH = 1000 * SECONDS_PER_HOUR  # exact: by definition
GRAMS_PER_KG = 1000  # exact: by definition
PLACED = ("pue", "wue", "price")
FIGURES = ("energy", "wall", "power", "kwh", "co2e_kg", "water_l", "cost")


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

    def quantities(self) -> dict[str, Quantity]:
        """By path: `facility.pue`, `.wue` and `.price` as given or else of the place, `grid.carbon` (g/kWh) and `grid.water` (L/kWh)."""
        given = {name: getattr(self, name) for name in PLACED}
        place = {f"facility.{name}": _place(self.place)[name] if one is None else stated(one) for name, one in given.items()}
        return place | {f"grid.{name}": one for name, one in self._mix().items()}

    def _mix(self) -> dict[str, Quantity]:
        if not isinstance(self.grid, str):
            return {"carbon": stated(self.grid), "water": stated(0.0)}
        country = _country(self.grid)
        return {"carbon": country["carbon"].scaled(JOULES_PER_KWH, "g/kWh"), "water": country["water"]}


def stated(value: float) -> Quantity:
    """A number that the caller gave: without a range."""
    return Quantity(float(value), source="given by the caller")


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
    """What a run takes at the meter: `parts` are its joules by who draws them, the devices among them.

    `meter` is what was read, not written to JSON. Where that was read for many samples, all figures are arrays.
    """

    parts: dict[str, float]
    pue: float
    price: float
    carbon: float = field(metadata={"unit": "g/kWh"})
    water: float = field(metadata={"unit": "L/kWh"})
    host: str = ""
    time: float = 0.0
    meter: "Meter | Meters | None" = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "meter"}

    def figures(self) -> dict[str, Any]:
        """All figures by name."""
        return {name: getattr(self, name) for name in FIGURES}

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
