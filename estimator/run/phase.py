"""A phase of a run: kernels that repeat under one operating point, each with its time and its joules by event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from estimator.hardware.demand import Demand
from estimator.hardware.events import BITS_PER_BYTE, REGISTERS, SHARED, Counts, count_events, event_energy
from estimator.hardware.operating_point import Load, OperatingPoint, StaticPower, elapsed, settle, static_power
from estimator.hardware.roofline import Duration, duration
from estimator.hardware.schema import Profile
from estimator.kept import kept
from estimator.model.rules import work_of
from estimator.model.work import Kernel
from estimator.run.convolution import with_relayouts
from estimator.run.demands import demand_of
from estimator.run.stack import Stack, efficiency_class, host_seconds

KEPT = 1024  # exact: demands whose counts are kept at hand
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
class Basis:
    """What a phase was priced from, so that it can be priced at another clock or with other numbers, its kernels left alone.

    `demands` and `kinds` belong to `loads` one by one; `sequences` is the number in flight that the host sees to. All is that of one of
    `devices` alike. Without loads, the phase was priced together with the one before it.
    """

    profile: Profile
    loads: tuple[Load, ...]
    stack: Stack | None = None
    demands: tuple[Demand, ...] = ()
    kinds: tuple[str, ...] = ()
    sequences: float = 0.0
    devices: int = 1


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


class PriceList(NamedTuple):
    """What an operating point costs: joules of each event, and the power that flows whatever runs."""

    events: dict[str, float]
    still: StaticPower


@dataclass(frozen=True, slots=True)
class Settled:
    """One step of groups that alternate so fast that one operating point holds for all of them."""

    groups: Mapping[str, Sequence[Asked]]
    point: OperatingPoint
    basis: Basis

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return elapsed(self.basis.loads, self.point)

    def phases(self, steps: float = 1.0) -> list[Phase]:
        """A phase for each group, `steps` times over. The first one keeps what all of them were priced from."""
        profile, point = self.basis.profile, self.point
        basis = replace(self.basis, loads=_times(self.basis.loads, steps))
        price_list = PriceList(event_energy(profile, point.voltage), static_power(profile, point.clock, point.voltage, point.temperature))
        loads, phases = iter(basis.loads), []
        for name, group in self.groups.items():
            entries = tuple([_entry(item, next(loads), profile, point, price_list) for item in group])
            phases.append(Phase(name, steps, point, entries, basis))
            basis = Basis(profile, (), basis.stack)
        return phases


def price(name: str, kernels: Sequence[Kernel], profile: Profile, stack: Stack, *, steps: float = 1.0) -> Phase:
    """Time and energy of `kernels`, launched one after the other, `steps` times over."""
    (phase,) = price_each([(name, kernels, steps)], profile, stack)
    return phase


def price_each(passes: Sequence[tuple[str, Sequence[Kernel], float]], profile: Profile, stack: Stack) -> list[Phase]:
    """A phase for each of (name, kernels, steps), one after the other; kernels that passes share are worked out once."""
    shared = {id(kernel): kernel for _, kernels, _ in passes for kernel in kernels}
    items = {key: [asked(one, profile, stack) for one in with_relayouts(kernel, profile, stack)] for key, kernel in shared.items()}
    return [
        price_asked(name, [item for kernel in kernels for item in items[id(kernel)]], profile, stack, steps=steps)
        for name, kernels, steps in passes
    ]


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
    return settle_together(groups, profile, stack, sequences=sequences).phases(steps)


def settle_together(groups: Mapping[str, Sequence[Asked]], profile: Profile, stack: Stack, *, sequences: float = 0.0) -> Settled:
    """One step of all `groups` at their common operating point; `price_together` without the joules of each kernel."""
    items = [item for group in groups.values() for item in group]
    loads = tuple(Load(item.launches, *counted(item.demand, profile)) for item in items)
    demands, kinds = tuple(item.demand for item in items), tuple(item.kind for item in items)
    return Settled(groups, settle(profile, loads), Basis(profile, loads, stack, demands, kinds, sequences))


@kept(KEPT)
def counted(demand: Demand, profile: Profile) -> tuple[Counts, Duration]:
    """Switching events and duration of one launch; not to be changed, for launches that ask the same share them."""
    return count_events(demand, profile), duration(demand, profile)


def repeated(phase: Phase, times: float, devices: int = 1) -> Phase:
    """The phase `times` over, with the joules and counts of `devices` that run it side by side."""
    if times == devices == 1:
        return phase
    many = times * devices
    entries = tuple(
        Entry(
            name=entry.name,
            kind=entry.kind,
            module=entry.module,
            layers=entry.layers,
            launches=entry.launches * many,
            time=entry.time * times,
            bound=entry.bound,
            energy={key: value * many for key, value in entry.energy.items()},
            events={key: value * many for key, value in entry.events.items()},
            flop=entry.flop * many,
            matmul_flop=entry.matmul_flop * many,
            traffic={key: value * many for key, value in entry.traffic.items()},
        )
        for entry in phase.entries
    )
    basis = phase.basis
    if basis is not None:
        basis = replace(basis, loads=_times(basis.loads, times), devices=basis.devices * devices)
    return replace(phase, steps=phase.steps * times, entries=entries, basis=basis)


def _times(loads: Sequence[Load], times: float) -> tuple[Load, ...]:
    return tuple([Load(load.launches * times, load.counts, load.duration) for load in loads])


def host_gaps(profile: Profile, stack: Stack, *, steps: float, sequences: float = 0.0) -> Phase:
    """The time in which the device waits for the host, once a step and for each of `sequences` in flight, and its energy."""
    waiting = Asked("waiting for the host", HOST, Demand(interval=host_seconds(stack, sequences)))
    return price_asked(HOST, [waiting], profile, stack, steps=steps, sequences=sequences)


def _traffic(demand: Demand, counts: Counts) -> dict[str, float]:
    """Bytes of one launch by level."""
    shared = counts.get((SHARED, "shared_bit"), 0.0) / BITS_PER_BYTE
    registers = counts.get((REGISTERS, "register_bit"), 0.0) / BITS_PER_BYTE
    inside = {"register": registers, "shared": shared, "l2": demand.l2_bytes, "memory": demand.memory_bytes}
    return inside | ({"link": demand.link_bytes} if demand.link else {})


def _entry(item: Asked, load: Load, profile: Profile, point: OperatingPoint, prices: PriceList) -> Entry:
    n = load.launches
    seconds = n * load.duration.seconds(point.clock) * point.stretch
    running = n * load.duration.running(point.clock) * point.stretch
    events = {key: n * count for key, count in load.counts.items()}
    events[CLOCK, "clock_cycle"] = (running + (seconds - running) * profile.clock.gated_share) * point.clock
    return Entry(
        name=item.name,
        kind=item.kind,
        module=item.module,
        layers=item.layers,
        launches=n,
        time=seconds,
        bound=HOST if item.kind == HOST else load.duration.bound(point.clock),
        energy=_joules(events, seconds, profile, prices),
        events=events,
        flop=n * item.flop,
        matmul_flop=n * item.matmul_flop,
        traffic={level: n * amount for level, amount in _traffic(item.demand, load.counts).items()},
    )


def _joules(events: Counts, seconds: float, profile: Profile, prices: PriceList) -> Counts:
    """Joules of events in so many seconds, with their share of the static power, by (component, event)."""
    per_event, still = prices
    energy = {key: count * per_event[key[1]] for key, count in events.items()}
    energy[LEAKAGE, "leakage"] = still.leakage * seconds
    energy[IDLE_MEMORY, "refresh"] = still.memory_idle * seconds
    energy[REGULATORS, "conversion"] = _total(energy.values()) * (1 / profile.power.regulator_efficiency - 1)
    energy[BOARD, "board"] = still.board * seconds
    return energy


def _total(values: Iterable[float]) -> float:
    return sum(values, 0.0)
