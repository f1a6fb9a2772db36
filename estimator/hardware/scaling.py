"""The same design made in another technology: `profile.on_node("3nm")`.

Gates and arrays take the capacitance of the other node's, wires keep theirs per metre and become shorter as the die shrinks,
the supply follows the node's nominal one, leakage its transistors. What the node does not set stays: clock, units, memories,
links, power limit and cooling. So the gain shows as energy at equal speed; a foundry quotes it as that or as speed, not both.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache

from estimator.errors import unknown_name
from estimator.facts import load_facts
from estimator.hardware.schema import Process, Profile
from estimator.hardware.what_if_change import changed
from estimator.quantity import Quantity
from estimator.transistor.leakage import leakage_power
from estimator.transistor.nodes import Node, list_nodes, load_node

CONDITIONS = {"leakage_voltage", "leakage_temperature"}
MEMORIES = ("register_file", "shared_memory", "l2")
REFERENCE = "n7"  # shares of wire are stated at 7 nm
Ratio = Callable[[Node], float]
VOLTAGES = ("voltage_floor", "voltage_at_boost", "threshold_voltage")


def on_node(profile: Profile, node: str) -> Profile:
    """`profile` made in `node`: a name such as "n3", a foundry's such as "TSMC N3E", or a label such as "3nm".

    Numbers that follow from the scaling have status derived and a range widened by that of the node's own figures.
    Raises `UnknownName` with the nearest names.
    """
    target, origin = find_node(node), node_of(profile.process)
    if target.name == profile.process.name:
        return profile
    shrink = origin.transistor_density / target.transistor_density
    supply = target.nominal_voltage / origin.nominal_voltage
    gate, array, wire = (ratio(target) / ratio(origin) for ratio in (gate_capacitance, array_capacitance, wire_length_capacitance))
    words = (
        f"made in {target.name} instead of {profile.process.name}: gates switch {gate:.2f}, arrays {array:.2f} and wires {wire:.2f} of the "
        f"capacitance, voltages are {supply:.2f} and the die {shrink:.2f} of what they were; clock, power limit and cooling are the same"
    )

    def scaled(value: Quantity, part: str, local: Ratio) -> Quantity:
        share = load_facts("physics/what_if")["wire_share"][part]
        here, there = ((1 - share) * local(made) + share * wire_length_capacitance(made) for made in (origin, target))
        return rescaled(value, there / here, target.full_adder_capacitance, words)

    memories = {name: {"bit_capacitance": scaled(getattr(profile, name).bit_capacitance, name, array_capacitance)} for name in MEMORIES}
    clock = {name: rescaled(getattr(profile.clock, name), supply, target.nominal_voltage, words) for name in VOLTAGES}
    return changed(
        profile,
        f"on {target.name}",
        words,
        process=_process(profile.process, origin, target, words),
        die={"area": None if profile.die.area is None else profile.die.area.scaled(shrink, words)},
        clock=clock | {"tree_capacitance": scaled(profile.clock.tree_capacitance, "clock_tree", gate_capacitance)},
        instruction={"capacitance": scaled(profile.instruction.capacitance, "instruction", gate_capacitance)},
        memory={"controller_capacitance": scaled(profile.memory.controller_capacitance, "controller", gate_capacitance)},
        **memories,
    )


def gate_capacitance(node: Node) -> float:
    """Capacitance of the same gate, relative to the node at which shares of wire are stated."""
    return node.full_adder_capacitance / load_node(REFERENCE).full_adder_capacitance


def array_capacitance(node: Node) -> float:
    """Capacitance of the same array, likewise."""
    return node.sram_bit_capacitance / load_node(REFERENCE).sram_bit_capacitance


def wire_length_capacitance(node: Node) -> float:
    """Capacitance of the same wire, likewise: it is as long as the side of what it crosses."""
    reference = load_node(REFERENCE)
    return (reference.transistor_density / node.transistor_density) ** 0.5 * node.wire_capacitance / reference.wire_capacitance


def find_node(name: str) -> Node:
    """The node of a file name, a foundry's name or a label; raises `UnknownName` with the nearest names."""
    known = _node_names()
    if name.lower() not in known:
        raise unknown_name("technology node", name, known, "Give one of these, or add a file to hardware_profiles/node.")
    return load_node(known[name.lower()])


@cache
def _node_names() -> dict[str, str]:
    """Every name of a node in lower case, with its file: "n3", "3nm", "tsmc n3e", "n3e"."""
    nodes = {stem: load_node(stem) for stem in list_nodes()}
    names = {stem: stem for stem in nodes}
    for stem, node in nodes.items():
        foundry, _, short = node.name.lower().rpartition(" ")
        names |= {node.name.lower(): stem} | ({short: stem} if foundry.isalpha() else {})
    digits = {stem: stem.lstrip("n") for stem in nodes}
    for label in ({stem: number for stem, number in digits.items() if number.isdigit()}, {n: f"{nodes[n].node_nm:g}" for n in nodes}):
        names = {f"{number}nm": stem for stem, number in reversed(label.items())} | names
    return names


def node_of(process: Process) -> Node:
    """The catalogue's node that a process is: the one of its name, else the one with the nearest label."""
    nodes = [load_node(stem) for stem in list_nodes()]
    return min(nodes, key=lambda node: (node.name != process.name, abs(node.node_nm - process.node_nm)))


def _process(process: Process, origin: Node, target: Node, words: str) -> Process:
    """The target's process, off its usual figures by as much as this part's was off those of its own node."""
    update = {"name": target.name, "node_nm": float(target.node_nm)}
    for name in (field.name for field in fields(Node) if field.name not in update):
        value, usual, own = getattr(target, name), getattr(origin, name), getattr(process, name)
        if name == "leakage":
            own = _leakage_like(process, origin)
        off = 1.0 if name in CONDITIONS or None in (value, usual, own) else own / usual
        update[name] = value if off == 1 else value.scaled(off, words)
    return process.model_copy(update=update)


def _leakage_like(process: Process, node: Node) -> float:
    """Leakage per transistor in W of `process` at the conditions at which that of `node` is stated."""
    return leakage_power(
        process.leakage,
        1,
        node.leakage_voltage,
        node.leakage_temperature,
        reference_voltage=process.leakage_voltage,
        reference_temperature=process.leakage_temperature,
        barrier_lowering=process.barrier_lowering,
        ideality=process.subthreshold_ideality,
        temperature_efold=process.leakage_temperature_efold,
    )


def rescaled(value: Quantity, factor: float, spread: Quantity, note: str) -> Quantity:
    """`value` times `factor`, its range widened by the relative range of `spread`."""
    low, high = value.low * factor * spread.low / spread, value.high * factor * spread.high / spread
    return Quantity(value * factor, value.unit, low, high, value.source, "derived", note)
