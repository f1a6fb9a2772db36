"""Energies of operations, memory bits and wires at every node, from its capacitances alone, beside what was published for it.

`python -m estimator check physics` prints them. Where several authors published for a node, each has a row at its own voltage;
what nobody published is given at the node's nominal supply.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from estimator.circuit.arithmetic import full_adders
from estimator.circuit.formats import storage_bits
from estimator.circuit.sram import sram_bit_capacitance
from estimator.facts import load_facts
from estimator.quantity import Numeric, Quantity
from estimator.transistor.nodes import Node, list_nodes, load_node
from estimator.transistor.switching import switching_energy, wire_energy

OPERATIONS = (("add", "int8"), ("add", "fp32"), ("multiply", "int8"), ("multiply", "bf16"), ("multiply", "fp16"), ("multiply", "fp32"))
ARRAYS = {"8KiB": 2**16, "32KiB": 2**18, "1MiB": 2**23}  # exact: bits
DOT_LENGTH = 16  # exact: products summed in the datapaths that were published
MILLIMETRE = 1e-3  # exact: by definition


class Figure(NamedTuple):
    """What one thing costs at a node: `predicted` in J at `voltage` (V), and the published figure, None where there is none."""

    node: str
    what: str
    voltage: float
    predicted: float
    published: Quantity | None

    @property
    def error(self) -> float | None:
        """Relative error, signed; None without a published figure."""
        return None if self.published is None else self.predicted / self.published - 1


def figures() -> list[Figure]:
    """All figures, by node from the oldest to the newest; arithmetic first, then SRAM bits, wires and whole datapaths."""
    return [figure for stem in list_nodes() for part in (_arithmetic, _sram, _wire, _datapath) for figure in part(stem, load_node(stem))]


def _arithmetic(stem: str, node: Node) -> Iterator[Figure]:
    adder = node.full_adder_capacitance
    told = _sets(load_facts("physics/operation_energies"), stem)
    for one in told:
        for operation in ("add", "multiply"):
            for number, energy in one[operation].items():
                energy_here = switching_energy(adder, one["voltage"], full_adders(operation, number))
                yield Figure(node.name, f"{number} {operation}", float(one["voltage"]), float(energy_here), energy)
    supply = node.nominal_voltage
    for operation, number in () if told else OPERATIONS:
        energy_here = switching_energy(adder, supply, full_adders(operation, number))
        yield Figure(node.name, f"{number} {operation}", float(supply), float(energy_here), None)


def _sram(stem: str, node: Node) -> Iterator[Figure]:
    told = _sets(load_facts("physics/memory")["sram"]["published"], stem) or [{"voltage": node.nominal_voltage}]
    for one in told:
        for name, bits in ARRAYS.items():
            energy = switching_energy(sram_bit_capacitance(bits, node), one["voltage"])
            yield Figure(node.name, f"bit from {name} of SRAM", float(one["voltage"]), float(energy), one.get(name))


def _wire(stem: str, node: Node) -> Iterator[Figure]:
    told = _sets(load_facts("physics/published_energies")["wire"], stem) or [{"voltage": node.nominal_voltage, "energy": None}]
    for one in told:
        energy = wire_energy(MILLIMETRE, one["voltage"], capacitance_per_length=node.wire_capacitance)
        stated = one["energy"] and one["energy"].scaled(MILLIMETRE, "over one millimetre")
        yield Figure(node.name, "bit over 1 mm of wire", float(one["voltage"]), float(energy), stated)


def _datapath(stem: str, node: Node) -> Iterator[Figure]:
    """Whole multiply-adds in silicon: the arithmetic and two operands latched, against figures that hold buffers and control too."""
    for one in _sets(load_facts("physics/published_energies")["datapath"], stem):
        number, voltage = one["number"], one["voltage"]
        arithmetic = switching_energy(node.full_adder_capacitance, voltage, full_adders("dot", number, dot_length=DOT_LENGTH))
        latches = switching_energy(node.flip_flop_capacitance, voltage, _latched(number))
        yield Figure(node.name, f"{number} multiply-add in silicon", float(voltage), float(arithmetic + latches), one["energy"])


def _latched(number: str) -> Numeric:
    """Bits of two operands."""
    return 2 * storage_bits(number)


def _sets(published: Mapping, stem: str) -> list[Mapping]:
    return [one for one in published.values() if one["node"] == stem]
