"""The arithmetic law against the published energies of single operations, as `python -m estimator check` prints it."""

from collections.abc import Iterable
from typing import NamedTuple

from estimator.circuit.arithmetic import full_adders
from estimator.facts import load_facts
from estimator.quantity import Quantity
from estimator.transistor.nodes import load_node
from estimator.transistor.switching import switching_energy


class CheckRow(NamedTuple):
    """One prediction beside its published figure, both in J; `error` is predicted / published - 1."""

    name: str
    predicted: float
    published: Quantity
    error: float


def operation_energies() -> list[CheckRow]:
    """Every published energy of `physics/operation_energies.toml` with its prediction: full adders × C · V² of the node."""
    rows = []
    for published_set in load_facts("physics/operation_energies").values():
        node, voltage = load_node(published_set["node"]), published_set["voltage"]
        for operation in ("add", "multiply"):
            for number, published in published_set[operation].items():
                predicted = switching_energy(node.full_adder_capacitance, voltage, full_adders(operation, number))
                name = f"{number} {operation}, {node.node_nm:g} nm"
                rows.append(CheckRow(name, predicted, published, predicted / published - 1))
    return rows


def rms_error(rows: Iterable[CheckRow]) -> float:
    """Root mean square of the relative errors."""
    squares = [row.error**2 for row in rows]
    return (sum(squares) / len(squares)) ** (1 / 2)
