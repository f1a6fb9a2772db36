"""One kernel of a phase, all its launches together: what it asks of the chip, and its time and joules at an operating point."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from estimator.hardware.demand import Demand
from estimator.hardware.events import BITS_PER_BYTE, REGISTERS, SHARED, Counts, event_energy
from estimator.hardware.operating_point import Load, OperatingPoint, StaticPower, static_power
from estimator.hardware.schema import Profile

HOST, COMMUNICATION, WAITING = "host", "communication", "waiting"
CLOCK, LEAKAGE, IDLE_MEMORY, BOARD, REGULATORS = "clock tree", "leakage", "memory idle", "board", "voltage regulators"


@dataclass(frozen=True)
class Entry:
    """One kernel of a phase, all its launches together: seconds, joules and event counts by (component, event)."""

    name: str
    kind: str
    module: str
    layers: tuple[int, ...]
    launches: float
    time: float
    bound: str
    energy: dict[tuple[str, str], float]
    events: dict[tuple[str, str], float]
    flop: float = 0.0
    matmul_flop: float = 0.0
    traffic: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one launch asks of the chip, how often it is launched, and what it is called in the report."""

    name: str
    kind: str
    demand: Demand
    launches: float = 1.0
    module: str = ""
    layers: tuple[int, ...] = ()
    flop: float = 0.0
    matmul_flop: float = 0.0


class PriceList(NamedTuple):
    """What an operating point costs: joules of each event, and the power that flows whatever runs."""

    events: dict[str, float]
    still: StaticPower


def _traffic(demand: Demand, counts: Counts) -> dict[str, float]:
    """Bytes of one launch by level."""
    shared = counts.get((SHARED, "shared_bit"), 0.0) / BITS_PER_BYTE
    registers = counts.get((REGISTERS, "register_bit"), 0.0) / BITS_PER_BYTE
    inside = {"register": registers, "shared": shared, "l2": demand.l2_bytes, "memory": demand.memory_bytes}
    return inside | ({"link": demand.link_bytes} if demand.link else {})


def entry_of(item: Asked, load: Load, profile: Profile, point: OperatingPoint, prices: PriceList) -> Entry:
    """All launches of `load`, which is what `item` asks, at an operating point."""
    n = load.launches
    held = load.duration.running(point.clock)
    running, seconds = n * held * point.stretch, n * max(held, load.duration.interval) * point.stretch
    counts = {key: n * count for key, count in load.counts.items()}
    energy, events = joules_of(counts, running, seconds, profile, point, prices)
    return Entry(
        name=item.name,
        kind=item.kind,
        module=item.module,
        layers=item.layers,
        launches=n,
        time=seconds,
        bound=HOST if item.kind == HOST else load.duration.bound(point.clock),
        energy=energy,
        events=events,
        flop=n * item.flop,
        matmul_flop=n * item.matmul_flop,
        traffic={level: n * amount for level, amount in _traffic(item.demand, load.counts).items()},
    )


def prices_at(profile: Profile, point: OperatingPoint) -> PriceList:
    """What an event costs and what flows anyway at `point`."""
    return PriceList(event_energy(profile, point.voltage), static_power(profile, point.clock, point.voltage, point.temperature))


def joules_of(
    counts: Counts, running: float, seconds: float, profile: Profile, point: OperatingPoint, prices: PriceList
) -> tuple[Counts, Counts]:
    """Joules and event counts of launches that last so long, their share of the static power included, by (component, event)."""
    toggling = running + (seconds - running) * profile.clock.gated_share
    events = counts | {(CLOCK, "clock_cycle"): toggling * point.clock}
    per_event, still = prices
    energy = {key: count * per_event[key[1]] for key, count in events.items()}
    energy[LEAKAGE, "leakage"] = still.leakage * seconds
    energy[IDLE_MEMORY, "refresh"] = still.memory_idle * seconds
    energy[REGULATORS, "conversion"] = _total(energy.values()) * (1 / profile.power.regulator_efficiency - 1)
    energy[BOARD, "board"] = still.board * seconds
    return energy, events


def _total(values: Iterable[float]) -> float:
    return sum(values, 0.0)
