"""A phase of a run: kernels that repeat under one operating point, each with its time and its joules by event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

from estimator.hardware.demand import Demand
from estimator.hardware.events import Counts, count_events
from estimator.hardware.operating_point import Load, OperatingPoint, elapsed, settle
from estimator.hardware.roofline import Duration, duration
from estimator.hardware.schema import Profile
from estimator.kept import kept
from estimator.model.rules import work_of
from estimator.model.work import Kernel
from estimator.quantity import Quantity
from estimator.run.convolution import with_relayouts
from estimator.run.demands import demand_of
from estimator.run.entry import HOST, Asked, Entry, entry_of, prices_at
from estimator.run.stack import Stack, efficiency_class, host_seconds

KEPT = 1024  # exact: demands whose counts are kept at hand


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
    """Entries that ran at one operating point. `steps` says how often the phase's body repeated; `basis` is not written to JSON.

    `stage` is that of a training run of several stages.
    """

    name: str
    steps: float
    point: OperatingPoint
    entries: tuple[Entry, ...]
    basis: Basis | None = field(default=None, repr=False, compare=False)
    stage: str = ""


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
        price_list = prices_at(profile, point)
        loads, phases = iter(basis.loads), []
        for name, group in self.groups.items():
            entries = tuple([entry_of(item, next(loads), profile, point, price_list) for item in group])
            phases.append(Phase(name, steps, point, entries, basis))
            basis = Basis(profile, (), basis.stack)
        return phases


def origin_of(phases: Iterable[Phase]) -> Origin | None:
    """The run that phases were worked out from, where numbers beside those of chip and stack shape it."""
    return next((phase.basis.origin for phase in phases if phase.basis is not None and phase.basis.origin is not None), None)


def runs_of(phases: Iterable[Phase]) -> list[list[Phase]]:
    """The phases stage by stage; all of them together where there are no stages."""
    return [list(stage) for _, stage in groupby(phases, key=lambda phase: phase.stage)] or [[]]


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
        loads, hidden = _times(basis.loads, times), _times(basis.hidden, times)
        basis = replace(basis, loads=loads, hidden=hidden, devices=basis.devices * devices)
    return replace(phase, steps=phase.steps * times, entries=entries, basis=basis)


def _times(loads: Sequence[Load], times: float) -> tuple[Load, ...]:
    return tuple([Load(load.launches * times, load.counts, load.duration) for load in loads])


def host_gaps(profile: Profile, stack: Stack, *, steps: float, sequences: float = 0.0) -> Phase:
    """The time in which the device waits for the host, once a step and for each of `sequences` in flight, and its energy."""
    waiting = Asked("waiting for the host", HOST, Demand(interval=host_seconds(stack, sequences)))
    return price_asked(HOST, [waiting], profile, stack, steps=steps, sequences=sequences)
