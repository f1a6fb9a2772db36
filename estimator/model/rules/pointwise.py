"""Element-wise operations: the table's FLOP per output element, in one pass over the operands."""

from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import PerElement, flop_per_element, sections
from estimator.model.work import Signature, Work

# Exponents that need no logarithm, as the operation that serves instead.
ROOTS = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
MULTIPLIES = {2: 1, 3: 2, 4: 2}  # x², x² x, (x²)²


def per_output(op: Signature, entry: PerElement) -> Work:
    """`entry` for every element of the first output."""
    elements = op.outputs[0].elements
    return moved(op, vector=entry.vector * elements, special=entry.special * elements)


def _table_rule(name: str) -> None:
    @rule(f"aten.{name}")
    def pointwise(op: Signature) -> Work:
        return per_output(op, flop_per_element(name))


for _name in sections()["pointwise"].keys() - {"pow", "gelu", "gelu_backward"}:
    _table_rule(_name)


@rule("aten.gelu", "aten.gelu_backward")
def gelu(op: Signature) -> Work:
    name = op.op.removeprefix("aten.").removesuffix("_") if op.op.endswith("gelu_") else op.op.removeprefix("aten.")
    if op.get("approximate", "none") == "tanh":
        name = name.replace("gelu", "gelu_tanh")
    return per_output(op, flop_per_element(name))


@rule("aten.pow")
def power(op: Signature) -> Work:
    exponent = op.get("exponent")
    if exponent in ROOTS:
        return per_output(op, flop_per_element(ROOTS[exponent]))
    if exponent in MULTIPLIES:
        return moved(op, vector=MULTIPLIES[exponent] * op.outputs[0].elements)
    return per_output(op, flop_per_element("pow"))
