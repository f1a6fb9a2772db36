"""Element-wise operations: the table's FLOP per output element, in one pass over the operands."""

from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import PerElement, flop_per_element, sections
from estimator.model.work import Signature, Work

# Exponents that need no logarithm: the operation that serves instead, or the number of multiplies.
ROOTS: dict[float, str] = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
MULTIPLIES: dict[float, int] = {2: 1, 3: 2, 4: 2}  # exact: x x; (x x) x; y y with y = x x
BY_ARGUMENT = {"pow", "gelu", "gelu_backward"}


def per_output(op: Signature, name: str) -> Work:
    """The table's entry `name` for every element of the first output."""
    entry, elements = _entry(op, name), op.outputs[0].elements
    return moved(op, vector=entry.vector * elements, special=entry.special * elements)


def _entry(op: Signature, name: str) -> PerElement:
    """Of complex numbers the entry for them, where they meet; what is done to both parts alike counts twice."""
    real = flop_per_element(name)
    kinds = {spec.format.startswith("complex") for spec in op.inputs}
    if True not in kinds:
        return real
    own = sections()["complex"].get(f"complex_{name}") if kinds == {True} and not _scaled(op) else None
    return own or PerElement(2 * real.vector, 2 * real.special, f"both parts: {real.note}")


def _scaled(op: Signature) -> bool:
    """Whether the other operand is a plain number."""
    return isinstance(op.get("other"), (int, float))


def _table_rule(name: str) -> None:
    @rule(f"aten.{name}")
    def pointwise(op: Signature) -> Work:
        return per_output(op, name)


for _name in sections()["pointwise"].keys() - BY_ARGUMENT:
    _table_rule(_name)


@rule("aten.gelu", "aten.gelu_backward")
def gelu(op: Signature) -> Work:
    """The error function, or its tanh approximation, as `approximate` says."""
    form = "gelu_tanh" if op.get("approximate", "none") == "tanh" else "gelu"
    return per_output(op, form + "_backward" * op.op.endswith("backward"))


@rule("aten.pow")
def power(op: Signature) -> Work:
    """Small whole exponents are multiplies, half ones roots; the rest needs a logarithm and an exponential."""
    exponent = op["exponent"]
    if isinstance(exponent, (int, float)) and exponent in ROOTS:
        return per_output(op, ROOTS[exponent])
    if isinstance(exponent, (int, float)) and exponent in MULTIPLIES:
        return moved(op, vector=MULTIPLIES[exponent] * op.outputs[0].elements)
    return per_output(op, "pow")
