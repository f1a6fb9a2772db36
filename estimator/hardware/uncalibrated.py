"""A part as if nobody had measured it: `profile.uncalibrated()`.

What a datasheet and an architect's description say stays: counts, clocks, capacities, limits, formats, tiles, the memory's energy
per bit. What calibration moved is replaced by node physics and generic structure with wide ranges
(`hardware_profiles/physics/uncalibrated.toml`), so that the interval of an estimate shows what measuring the part is worth.
"""

from collections.abc import Mapping
from typing import Any

from estimator.facts import load_facts
from estimator.hardware.scaling import (
    array_capacitance,
    gate_capacitance,
    node_of,
    rescaled,
    wire_length_capacitance,
)
from estimator.hardware.schema import Profile
from estimator.hardware.what_if_change import changed
from estimator.quantity import Quantity

WORDS = "calibrated constants dropped: node physics and generic structure in their place, with wide ranges"
ARRAYS = ("register_file", "shared_memory", "l2")


def uncalibrated(profile: Profile) -> Profile:
    """`profile` without the constants that measurements of it or of its family have moved."""
    facts = load_facts("physics/uncalibrated")
    farads = _capacitances(profile, facts["capacitance"])
    return changed(
        profile,
        "uncalibrated",
        WORDS,
        process={"leakage": _times(facts["leakage"]["spread"], node_of(profile.process).leakage)},
        clock=_clock(profile, facts) | {"tree_capacitance": farads["clock_tree"]},
        tensor=profile.tensor and profile.tensor.model_copy(update={"latch_bits_per_mac": facts["bits"]["latch_bits_per_mac"]}),
        vector={"latch_bits_per_lane": facts["bits"]["latch_bits_per_lane"]},
        instruction={"capacitance": farads["instruction"]},
        memory={"controller_capacitance": farads["controller"], "clocked_power": _clocked(profile, facts["memory"]["clocked"])},
        power=dict(facts["power"]) | {"board": _times(facts["power"]["board"], profile.power.limit)},
        thermal={"resistance": _times(facts["thermal"]["rise"], 1 / profile.power.limit, "K/W")},
        achievable=dict(facts["achievable"]),
        **{name: {"bit_capacitance": farads[name]} for name in ARRAYS},
    )


def _capacitances(profile: Profile, stated: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Each capacitance, stated at 7 nm, in the part's node: so much of it gate or array, so much wire."""
    node, shares = node_of(profile.process), load_facts("physics/what_if")["wire_share"]

    def here(name: str, at_seven: Quantity) -> Quantity:
        local = array_capacitance(node) if name in ARRAYS else gate_capacitance(node)
        factor = (1 - shares[name]) * local + shares[name] * wire_length_capacitance(node)
        return rescaled(at_seven, factor, node.full_adder_capacitance, WORDS)

    return {name: here(name, value) for name, value in stated.items()}


def _clock(profile: Profile, facts: Mapping[str, Any]) -> dict[str, Quantity]:
    nominal = node_of(profile.process).nominal_voltage
    return dict(facts["clock"]) | {name: _times(multiple, nominal, "V") for name, multiple in facts["voltage"].items()}


def _clocked(profile: Profile, per_bit: Quantity) -> Quantity | None:
    """Standing power of devices on the board at full clock; stacks beside the die have none beyond their idle power."""
    if profile.memory.kind.startswith("HBM"):
        return None
    return _times(per_bit, 8 * profile.memory.bandwidth, "W")  # exact: bits in a byte


def _times(quantity: Quantity, factor: float, unit: str = "") -> Quantity:
    """`quantity` × `factor`, in the unit of the factor unless another is given."""
    scaled = quantity.scaled(factor, WORDS)
    found = unit or getattr(factor, "unit", quantity.unit)
    return Quantity(scaled, found, scaled.low, scaled.high, quantity.source, "assumed", WORDS)
