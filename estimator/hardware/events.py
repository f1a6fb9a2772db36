"""FLOP and bytes become counts of switching events; an event at a voltage becomes joules.

Every event but a DRAM or link bit is a capacitance charged and discharged in the core's voltage domain, E = C V². DRAM and links
have their own supplies, so their energy per bit does not follow the core voltage.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from estimator.circuit.arithmetic import full_adders, storage_bits
from estimator.facts import load_facts
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile

BITS_PER_BYTE = 8  # exact: by definition
REFERENCE_BITS = 16  # exact: the per-multiply-add bit counts of a profile are stated at 16-bit operands

TENSOR, VECTOR, ISSUE = "tensor units", "vector units", "instruction issue"
REGISTERS, SHARED, L2, MEMORY, LINKS = "register file", "shared memory / L1", "L2 and on-chip network", "memory", "links"

Counts = dict[tuple[str, str], float]  # (component, event) -> events
Events = tuple[tuple[str, str, float], ...]  # (component, event, events)
Pricing = Callable[[Iterable[tuple[str, Any]]], tuple[Any, Any]]
DRAM_BIT = "dram_bit"
CYCLE = (("clock_cycle", 1.0),)  # exact: one


def count_events(demand: Demand, profile: Profile) -> Counts:
    """Switching events of one launch, by (component, event)."""
    counts: Counts = defaultdict(float)
    for component, event, count in each_event(demand, profile):
        if count:
            counts[component, event] += count
    return dict(counts)


def each_event(demand: Demand, profile: Profile) -> Events:
    """(component, event, events) of one launch, one by one; a profile of arrays gives arrays."""
    links = ((LINKS, link_event(demand.link), demand.link_bytes * BITS_PER_BYTE),) if demand.link_bytes else ()
    return (*_matrix_events(demand, profile), *_lane_events(demand, profile), *_byte_events(demand), *links)


def link_event(link: str) -> str:
    """The event that is one bit sent over the link of that name."""
    return f"link_bit ({link})"


def _matrix_events(demand: Demand, profile: Profile) -> Events:
    unit = profile.tensor
    if demand.macs and (demand.unit == "vector" or unit is None):
        return _operations(demand.macs, _multiply_add(demand.mac_format), profile)
    if demand.macs and unit is not None:
        width = storage_bits(demand.mac_format) / REFERENCE_BITS
        length, delivered = unit.dot_length / width, demand.macs + demand.mac_padding
        return (
            (TENSOR, "full_adder", demand.macs * full_adders("dot", demand.mac_format, dot_length=length)),
            (TENSOR, "flip_flop_bit", delivered * unit.latch_bits_per_mac * width),
            (REGISTERS, "register_bit", delivered * unit.register_bits_per_mac * width),
            (SHARED, "shared_bit", delivered * unit.shared_bits_per_mac * width),
            (ISSUE, "instruction", delivered / (unit.macs_per_instruction / width)),
        )
    return ()


def _lane_events(demand: Demand, profile: Profile) -> Events:
    adders = _multiply_add(demand.vector_format)
    # a special function is a table look-up and a quadratic interpolation: two multiply-adds (Oberman and Siu, ARITH 2005)
    return (*_operations(demand.vector_ops, adders, profile), *_operations(demand.special_ops, 2 * adders, profile))


@cache
def _multiply_add(number_format: str) -> float:
    return full_adders("fma", number_format)


def _operations(count: float, adders: float, profile: Profile) -> Events:
    unit = profile.vector
    return (
        (VECTOR, "full_adder", count * adders),
        (VECTOR, "flip_flop_bit", count * unit.latch_bits_per_lane),
        (REGISTERS, "register_bit", count * unit.register_bits_per_lane),
        (ISSUE, "instruction", count / unit.lanes),
    )


def _byte_events(demand: Demand) -> Events:
    l2, memory = demand.l2_bytes * BITS_PER_BYTE, demand.memory_bytes * BITS_PER_BYTE
    return (
        (REGISTERS, "register_bit", l2),
        (SHARED, "shared_bit", (demand.shared_bytes + 2 * demand.transposed_bytes) * BITS_PER_BYTE + l2),
        (L2, "l2_bit", l2),
        (MEMORY, "controller_bit", memory),
        (MEMORY, DRAM_BIT, memory),
    )


def event_energy(profile: Profile, voltage: float) -> dict[str, float]:
    """Joules of one event of each kind with the core at `voltage` (V), its operands as lively as `profile.activity` says."""
    capacitance = {
        "full_adder": profile.process.full_adder_capacitance,
        "flip_flop_bit": profile.process.flip_flop_capacitance,
        "register_bit": profile.register_file.bit_capacitance,
        "shared_bit": profile.shared_memory.bit_capacitance,
        "l2_bit": profile.l2.bit_capacitance,
        "controller_bit": profile.memory.controller_capacitance,
        "instruction": profile.instruction.capacitance,
        "clock_cycle": profile.clock.tree_capacitance * profile.die.powered_transistors,
    }
    energy = {event: c * voltage**2 for event, c in capacitance.items()} | {DRAM_BIT: 1 * profile.memory.energy_per_bit}
    share = load_facts("physics/what_if")["data_share"]
    lively = {event: joules * (1 - share[event] * (1 - profile.activity)) for event, joules in energy.items()}
    # what goes over a serial link is scrambled, so it toggles like random data whatever the operands are
    return lively | {link_event(name): 1 * link.energy_per_bit for name, link in profile.links.items()}


def priced(profile: Profile) -> Pricing:
    """Turns events and their counts into (J, F): their energy at a core voltage V is the first and the second times V².

    The first is that of DRAM and links, which have supplies of their own. A profile of arrays gives arrays.
    """
    each, beside = event_energy(profile, 1.0), {DRAM_BIT, *map(link_event, profile.links)}

    def parts(counts: Iterable[tuple[str, Any]]) -> tuple[Any, Any]:
        fixed: Any = 0.0
        capacitance: Any = 0.0
        for event, count in counts:
            if event in beside:
                fixed = fixed + count * each[event]
            else:
                capacitance = capacitance + count * each[event]
        return fixed, capacitance

    return parts
