"""Technology nodes: what one transistor, wire and cell of a process costs to switch and leaks.

The data are `hardware_profiles/node/*.toml`, one file per node. `node_nm` is the label of a node, a name and no length.
"""

from dataclasses import dataclass
from functools import cache

from estimator.errors import ProfileError, unknown_name
from estimator.facts import load_facts, profiles_dir
from estimator.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Node:
    """A process; every number is a `Quantity` in SI units: V, F, F/bit, F/m, W/transistor, K, transistor/m², s."""

    name: str
    node_nm: Quantity
    nominal_voltage: Quantity
    threshold_voltage: Quantity
    velocity_exponent: Quantity
    full_adder_capacitance: Quantity
    flip_flop_capacitance: Quantity
    sram_bit_capacitance: Quantity
    wire_capacitance: Quantity
    leakage: Quantity
    leakage_voltage: Quantity
    leakage_temperature: Quantity
    barrier_lowering: Quantity
    subthreshold_ideality: Quantity
    leakage_temperature_efold: Quantity
    transistor_density: Quantity
    fo4_delay: Quantity | None = None


@cache
def list_nodes() -> tuple[str, ...]:
    """Names of all nodes, the oldest first."""
    names = (path.stem for path in (profiles_dir() / "node").glob("*.toml"))
    return tuple(sorted(names, key=lambda name: (-load_facts(f"node/{name}")["process"]["node_nm"], name)))


@cache
def load_node(name: str) -> Node:
    """The node called `name`, such as `"n7"`; raises `UnknownName` with the nearest names."""
    if name not in list_nodes():
        raise unknown_name("technology node", name, list_nodes(), "`list_nodes()` gives all of them.")
    try:
        return Node(**load_facts(f"node/{name}")["process"])
    except TypeError as error:
        raise ProfileError(f"node/{name}.toml: {str(error).removeprefix('Node.__init__() ')}; see the fields of Node") from None
