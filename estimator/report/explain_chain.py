"""One launch of the kernel that takes most energy, as records: its events with C and V, its time, what flows anyway, and the sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, isclose
from typing import TYPE_CHECKING

from estimator.hardware.roofline import Duration
from estimator.report.rows import kernel_name
from estimator.run.entry import HOST, Entry
from estimator.run.phase import Phase

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate, Source

CORE = {
    "full_adder": "process.full_adder_capacitance",
    "flip_flop_bit": "process.flip_flop_capacitance",
    "register_bit": "register_file.bit_capacitance",
    "shared_bit": "shared_memory.bit_capacitance",
    "l2_bit": "l2.bit_capacitance",
    "controller_bit": "memory.controller_capacitance",
    "instruction": "instruction.capacitance",
    "clock_cycle": "clock.tree_capacitance",  # of one transistor; the tree spans all that have power
}
ROUNDING = 1e-9  # exact: two figures that differ only by rounding
DRAM = "memory.energy_per_bit"


@dataclass(frozen=True)
class Event:
    """One kind of switching event of a launch: how many, J of each and of all, the number it rests on, C in F where it has one.

    `lively` is the part of C · V² that operands as lively as these switch; 1 for random ones.
    """

    component: str
    event: str
    count: float
    each: float
    joules: float
    number: "Source | None"
    capacitance: float | None
    lively: float = 1.0


@dataclass(frozen=True)
class Chain:
    """The chain of one launch. `name` is that of `rows("kernel")`; `same` are all records of that kernel, the followed one among them."""

    name: str
    phase: Phase
    entry: Entry
    same: tuple[Entry, ...]
    seconds: float
    flop: float
    traffic: Mapping[str, float]
    events: tuple[Event, ...]
    flows: Mapping[str, float]
    duration: Duration | None

    @property
    def joules(self) -> float:
        """J of the launch."""
        return fsum([*(event.joules for event in self.events), *self.flows.values()])


def chain_of(estimate: "Estimate") -> Chain:
    """The chain for the kernel with most energy, and among its records the one with most. Waiting for the host counts as no kernel."""
    waiting = {kernel_name(phase, entry) for phase in estimate.phases for entry in phase.entries if entry.kind == HOST}
    ranked = [row["name"] for row in estimate.rows("kernel")]
    name = next((name for name in ranked if name not in waiting), ranked[0])
    same = [(phase, entry) for phase in estimate.phases for entry in phase.entries if kernel_name(phase, entry) == name]
    phase, entry = max(same, key=lambda pair: fsum(pair[1].energy.values()))
    devices = phase.basis.devices if phase.basis and phase.basis.loads else estimate.stages.get(phase.stage, estimate).devices
    n = entry.launches
    numbers = {number.name.partition(".")[2]: number for number in estimate.numbers if number.name.startswith("hardware.")}
    return Chain(
        name=name,
        phase=phase,
        entry=entry,
        same=tuple(entry for _, entry in same),
        seconds=entry.time * devices / n,
        flop=entry.flop / n,
        traffic={level: amount / n for level, amount in entry.traffic.items()},
        events=tuple(_event(key, count, entry, phase, numbers) for key, count in entry.events.items() if key in entry.energy),
        flows={component: joules / n for (component, event), joules in entry.energy.items() if (component, event) not in entry.events},
        duration=_duration(phase, entry, entry.time * devices / n),
    )


def _event(key: tuple[str, str], count: float, entry: Entry, phase: Phase, numbers: Mapping[str, "Source"]) -> Event:
    component, event = key
    joules = entry.energy[key]
    each = joules / count if count else 0.0
    number = numbers.get(CORE.get(event) or (DRAM if event == "dram_bit" else f"links.{event[len('link_bit (') : -1]}.energy_per_bit"))
    base = capacitance = None if number is None or event not in CORE else number.value
    if event == "clock_cycle" and capacitance is not None:
        base = capacitance = capacitance * _powered(numbers)
    nominal = number.value if base is None and number else (base or 0.0) * phase.point.voltage**2
    lively = each / nominal if nominal else 1.0
    return Event(component, event, count / entry.launches, each, joules / entry.launches, number, capacitance, lively)


def _powered(numbers: Mapping[str, "Source"]) -> float:
    share = numbers.get("die.powered_share")
    return numbers["die.transistors"].value * (share.value if share else 1.0)


def _duration(phase: Phase, entry: Entry, seconds: float) -> Duration | None:
    """What the launch's time was worked out from, where the phase still holds it and no other work hides a part of it."""
    if phase.basis is None or len(phase.basis.loads) < len(phase.entries):
        return None
    index = next(index for index, one in enumerate(phase.entries) if one is entry)
    found = phase.basis.loads[index].duration
    return found if isclose(found.seconds(phase.point.clock) * phase.point.stretch, seconds, rel_tol=ROUNDING) else None
