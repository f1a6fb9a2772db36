"""Energy of reading a bit from SRAM against the capacity of the array.

A read swings a pair of bit lines and the column circuits, whatever the capacity, and then crosses the array on an H-tree as
long as its side. So C(capacity) = C_array + reach · C_wire · sqrt(capacity · bit area): energy per bit is e0 + e1 √capacity.
CACTI 7 at 45, 32 and 22 nm and the published 7 nm arrays of TPUv4i agree on one `reach` of about ¾ side.
"""

from estimator.errors import ProfileError
from estimator.facts import load_facts
from estimator.quantity import Numeric
from estimator.transistor.nodes import Node


def array_side(capacity: Numeric, *, bit_area: Numeric) -> Numeric:
    """Side in m of a square array of `capacity` (bit) with `bit_area` (m² per bit, periphery included)."""
    return (capacity * bit_area) ** (1 / 2)


def bit_capacitance(
    capacity: Numeric,
    *,
    known: Numeric,
    known_capacity: Numeric,
    wire_capacitance: Numeric,
    bit_area: Numeric,
    reach: Numeric,
) -> Numeric:
    """Capacitance in F switched per bit read from `capacity` (bit), given that it is `known` (F) at `known_capacity` (bit).

    The two arrays differ by their trees: `reach` times `wire_capacitance` (F/m) times the difference of their sides.
    """
    longer = array_side(capacity, bit_area=bit_area) - array_side(known_capacity, bit_area=bit_area)
    return known + reach * wire_capacitance * longer


def sram_bit_capacitance(capacity: Numeric, node: Node) -> Numeric:
    """Capacitance in F switched per bit read from an SRAM of `capacity` (bit) in technology `node`."""
    facts = load_facts("physics/memory")["sram"]
    label = f"{node.node_nm:g}"
    if label not in facts["cell_area"]:
        raise ProfileError(f"physics/memory.toml: no sram.cell_area for {node.name} ({label} nm); add it, with its source")
    return bit_capacitance(
        capacity,
        known=node.sram_bit_capacitance,
        known_capacity=facts["reference_capacity"],
        wire_capacitance=node.wire_capacitance,
        bit_area=facts["cell_area"][label] / facts["array_efficiency"],
        reach=facts["tree_reach"],
    )


def register_bit_capacitance(bank: Numeric, distance: Numeric, *, wire_capacitance: Numeric, activity: Numeric) -> Numeric:
    """Capacitance in F switched per register bit: its `bank` (F per bit), and `distance` (m) of wire to the operand latches.

    `activity` is events per bit on the wire, ¼ for random bits; the bank precharges, so that it switches on every read.
    """
    return bank + activity * wire_capacitance * distance
