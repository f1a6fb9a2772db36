"""A phase of a run: kernels that repeat under one operating point, each with its time and its joules by event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from estimator.hardware.demand import Demand
from estimator.hardware.events import BITS_PER_BYTE, Counts, count_events, event_energy
from estimator.hardware.operating_point import Load, OperatingPoint, StaticPower, settle, static_power
from estimator.hardware.roofline import duration
from estimator.hardware.schema import Profile
from estimator.model.rules import work_of
from estimator.model.work import Kernel
from estimator.quantity import Quantity
from estimator.run.convolution import with_relayouts
from estimator.run.demands import demand_of
from estimator.run.stack import Stack, efficiency_class, host_seconds

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


class Origin(Protocol):
    """A whole run whose phases numbers shape that belong to neither chip nor stack, such as the losses of a cluster."""

    def quantities(self) -> Mapping[str, Quantity]:
        """These numbers by path."""

    def phases_with(self, path: str | None, value: float) -> Sequence["Phase"]:
        """The phases of the run if the number at `path` were `value`; as it is without a path."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a phase was priced from, so that it can be priced at another clock or with other numbers, its kernels left alone.

    `demands` and `kinds` belong to `loads` one by one; `sequences` is the number in flight that the host sees to. All is that of one of
    `devices` alike. Without loads, the phase was priced together with the one before it. One of a run's phases holds its `origin`.
    `hidden` are launches of which only the switching counts: the time of these passes in the phase that hides them.
    """

    profile: Profile
    loads: tuple[Load, ...]
    stack: Stack | None = None
    demands: tuple[Demand, ...] = ()
    kinds: tuple[str, ...] = ()
    sequences: float = 0.0
    devices: int = 1
    origin: Origin | None = None
    hidden: tuple[Load, ...] = ()


@dataclass(frozen=True)
class Phase:
    """Entries that ran at one operating point. `steps` says how often the phase's body repeated; `basis` is not written to JSON."""

    name: str
    steps: float
    point: OperatingPoint
    entries: tuple[Entry, ...]
    basis: Basis | None = field(default=None, repr=False, compare=False)


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


def origin_of(phases: Iterable[Phase]) -> Origin | None:
    """The run that phases were worked out from, where numbers beside those of chip and stack shape it."""
    return next((phase.basis.origin for phase in phases if phase.basis is not None and phase.basis.origin is not None), None)


class PriceList(NamedTuple):
    """What an operating point costs: joules of each event, and the power that flows whatever runs."""

    events: dict[str, float]
    still: StaticPower


def price(name: str, kernels: Sequence[Kernel], profile: Profile, stack: Stack, *, steps: float = 1.0) -> Phase:
    """Time and energy of `kernels`, launched one after the other, `steps` times over."""
    launched = [one for kernel in kernels for one in with_relayouts(kernel, profile, stack)]
    return price_asked(name, [asked(kernel, profile, stack) for kernel in launched], profile, stack, steps=steps)


def asked(kernel: Kernel, profile: Profile, stack: Stack) -> Asked:
    """A kernel with its demand on the chip under a software stack."""
    work = work_of(kernel)
    demand = demand_of(kernel, profile, stack, work)
    return Asked(kernel.name, efficiency_class(kernel), demand, kernel.launches, kernel.module, kernel.layers, work.flop, work.matmul_flop)


def price_asked(name: str, items: Sequence[Asked], profile: Profile, stack: Stack, *, steps: float = 1.0, sequences: float = 0.0) -> Phase:
    """Time and energy of what is `items`, one after the other, `steps` times over; `sequences` are those that the host sees to."""
    (phase,) = price_together({name: items}, profile, stack, steps=steps, sequences=sequences)
    return phase


def price_together(
    groups: Mapping[str, Sequence[Asked]], profile: Profile, stack: Stack, *, steps: float = 1.0, sequences: float = 0.0
) -> list[Phase]:
    """A phase for each of `groups`, which alternate so fast that one operating point holds for all.

    The first phase keeps what all of them were priced from.
    """
    items = [item for group in groups.values() for item in group]
    loads = tuple(Load(item.launches * steps, count_events(item.demand, profile), duration(item.demand, profile)) for item in items)
    point = settle(profile, loads)
    kinds = tuple(item.kind for item in items)
    basis = Basis(profile, loads, stack, tuple(item.demand for item in items), kinds, sequences)
    price_list = prices_at(profile, point)
    entries = iter([_entry(item, load, profile, point, price_list) for item, load in zip(items, loads)])
    phases = []
    for name, group in groups.items():
        phases.append(Phase(name, steps, point, tuple(next(entries) for _ in group), basis))
        basis = Basis(profile, (), stack)
    return phases


def repeated(phase: Phase, times: float, devices: int = 1) -> Phase:
    """The phase `times` over, with the joules and counts of `devices` that run it side by side."""
    entries = []
    for entry in phase.entries:
        many = times * devices
        entries.append(
            replace(
                entry,
                time=entry.time * times,
                launches=entry.launches * many,
                flop=entry.flop * many,
                matmul_flop=entry.matmul_flop * many,
                energy={key: value * many for key, value in entry.energy.items()},
                events={key: value * many for key, value in entry.events.items()},
                traffic={key: value * many for key, value in entry.traffic.items()},
            )
        )
    basis = phase.basis
    if basis is not None:
        loads = tuple(replace(load, launches=load.launches * times) for load in basis.loads)
        hidden = tuple(replace(load, launches=load.launches * times) for load in basis.hidden)
        basis = replace(basis, loads=loads, hidden=hidden, devices=basis.devices * devices)
    return replace(phase, steps=phase.steps * times, entries=tuple(entries), basis=basis)


def host_gaps(profile: Profile, stack: Stack, *, steps: float, sequences: float = 0.0) -> Phase:
    """The time in which the device waits for the host, once a step and for each of `sequences` in flight, and its energy."""
    waiting = Asked("waiting for the host", HOST, Demand(interval=host_seconds(stack, sequences)))
    return price_asked(HOST, [waiting], profile, stack, steps=steps, sequences=sequences)


def _traffic(demand: Demand, counts: Counts) -> dict[str, float]:
    """Bytes of one launch by level."""
    shared = sum(count for (_, event), count in counts.items() if event == "shared_bit") / BITS_PER_BYTE
    registers = sum(count for (_, event), count in counts.items() if event == "register_bit") / BITS_PER_BYTE
    inside = {"register": registers, "shared": shared, "l2": demand.l2_bytes, "memory": demand.memory_bytes}
    return inside | ({"link": demand.link_bytes} if demand.link else {})


def _entry(item: Asked, load: Load, profile: Profile, point: OperatingPoint, prices: PriceList) -> Entry:
    seconds = load.duration.seconds(point.clock) * point.stretch
    running = load.duration.running(point.clock) * point.stretch
    energy, events = joules_of(load.counts, running, seconds, profile, point, prices)
    n = load.launches
    return Entry(
        name=item.name,
        kind=item.kind,
        module=item.module,
        layers=item.layers,
        launches=n,
        time=n * seconds,
        bound=HOST if item.kind == HOST else load.duration.bound(point.clock),
        energy={key: n * joules for key, joules in energy.items()},
        events={key: n * count for key, count in events.items()},
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
    """Joules and event counts of one launch, its share of the static power included, by (component, event)."""
    per_event, still = prices
    toggling = running + (seconds - running) * profile.clock.gated_share
    events = dict(counts) | {(CLOCK, "clock_cycle"): toggling * point.clock}
    energy = {key: count * per_event[key[1]] for key, count in events.items()}
    energy[LEAKAGE, "leakage"] = still.leakage * seconds
    energy[IDLE_MEMORY, "refresh"] = still.memory_idle * seconds
    energy[REGULATORS, "conversion"] = _total(energy.values()) * (1 / profile.power.regulator_efficiency - 1)
    energy[BOARD, "board"] = still.board * seconds
    return energy, events


def _total(values: Iterable[float]) -> float:
    return sum(values, 0.0)
