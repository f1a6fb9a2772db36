"""What one update of a tensor by a named optimizer asks for: FLOP per element from pointwise.toml, state, and passes over the data.

A state is kept in the width that the caller names [B per number], 4 for fp32. Muon's products are operations of their own; see
`estimator.model.optimizer`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from estimator.model.rules.table import flop_per_element
from estimator.model.work import BYTES, Dim, TensorSpec

EIGHT_BIT_BLOCK = 2048  # exact: numbers that share a scale, by definition in Dettmers et al., ICLR 2022, section 2.1
ORTHOGONALISED = "bf16"  # Muon iterates in this format


@dataclass(frozen=True, slots=True)
class Update:
    """One tensor's update: FLOP by unit, bytes of state (read and written once), and how often gradient and parameter are read.

    `scratch` bytes are written, and read again, between two passes.
    """

    vector: Dim
    special: Dim
    state_bytes: Dim
    gradient_reads: int = 1
    parameter_reads: int = 1
    scratch: Dim = 0


UpdateRule = Callable[[TensorSpec, Dim], Update]


def _elementwise(name: str, states: int) -> UpdateRule:
    """`states` numbers for each parameter, all of it done in one pass."""

    def update(parameter: TensorSpec, width: Dim) -> Update:
        entry, count = flop_per_element(name), parameter.elements
        return Update(entry.vector * count, entry.special * count, states * width * count)

    return update


def adafactor(parameter: TensorSpec, width: Dim) -> Update:
    """Shazeer & Stern, Adafactor, ICML 2018, algorithm 4: a matrix keeps sums of g² by row and by column, anything else all of v.

    Three passes over the gradient: the sums, the root mean square of the update, the update; two over the parameter, whose own
    root mean square scales the step. No first moment.
    """
    count = parameter.elements
    if len(parameter.shape) < 2:
        entry, kept = flop_per_element("adafactor_vector"), count
    else:
        *stack, rows, columns = parameter.shape
        entry, kept = flop_per_element("adafactor"), prod(stack) * (rows + columns)
    return Update(entry.vector * count, entry.special * count, width * kept, gradient_reads=3, parameter_reads=2)  # exact: passes


def adamw_8bit(parameter: TensorSpec, width: Dim) -> Update:
    """Dettmers et al., ICLR 2022: AdamW whose two moments are 8-bit codes with one scale per block."""
    entry, count = flop_per_element("adamw8bit"), parameter.elements
    return Update(entry.vector * count, entry.special * count, 2 * count * (BYTES["uint8"] + width / EIGHT_BIT_BLOCK))


def muon(parameter: TensorSpec, width: Dim) -> Update:
    """What Muon does besides its products: momentum, normalisation and step. The update passes through memory before and after them."""
    plain = _elementwise("muon", 1)(parameter, width)
    return Update(plain.vector, plain.special, plain.state_bytes, scratch=2 * parameter.elements * BYTES[ORTHOGONALISED])


UPDATES: dict[str, UpdateRule] = {
    "sgd": _elementwise("sgd", 0),
    "momentum": _elementwise("momentum", 1),
    "adam": _elementwise("adam", 2),
    "adamw": _elementwise("adamw", 2),
    "adamw8bit": adamw_8bit,
    "adagrad": _elementwise("adagrad", 1),
    "adafactor": adafactor,
    "lion": _elementwise("lion", 1),
    "muon": muon,
}
