"""One matrix product rewritten: its weight packed, its input narrowed where the scheme says so."""

from dataclasses import dataclass, replace
from fnmatch import fnmatch
from math import ceil
from typing import Any

from estimator.model.rules.packed import PARTS
from estimator.model.transform.schemes import Scheme, packed, schemes
from estimator.model.work import Signature, TensorSpec

OPERANDS = {
    "aten.mm": ("self", "mat2"),
    "aten.addmm": ("mat1", "mat2"),
    "aten.bmm": ("self", "mat2"),
    "est.grouped_mm": ("input", "weight"),
}
PACKED = "est.packed_mm"
HALF_OF_THE_WEIGHTS = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to weights: a scheme or 2:4 sparsity; `skip` are patterns of module paths that keep theirs.

    `narrow`: activations too, where the scheme has a format for them.
    """

    skip: tuple[str, ...]
    scheme: Scheme | None = None
    group: int = 0
    sparse: bool = False
    narrow: bool = True

    def keeps(self, module: str) -> bool:
        """Whether the weights of a module stay as they are."""
        return any(fnmatch(module, pattern) or fnmatch(module, f"*.{pattern}") for pattern in self.skip)


def weight_operand(signature: Signature) -> str | None:
    """The argument that would hold the weight, if the operation is a product that can be packed."""
    if signature.op == PACKED:
        return "weight"
    return OPERANDS[signature.op][1] if signature.op in OPERANDS else None


def pack(signature: Signature, change: Change) -> tuple[Signature | None, Signature]:
    """(narrowing of the input or None, product) in place of a product with a weight; packing twice combines."""
    before = _described(signature)
    how, group, narrow = (
        (change.scheme, change.group, change.narrow) if change.scheme else [before[k] for k in ("scheme", "group", "narrow")]
    )
    active = how.activation if how and narrow else ""
    sparse = change.sparse or before["sparse"]
    weight, given = before["weight"], before["input"]
    narrowed = replace(given, format=active) if active else given
    arguments = {
        "input": narrowed,
        "weight": weight,
        **packed(weight, how, group, sparse),
        "offsets": before["offsets"],
        "picks": signature.get("picks", 1),
        "zipf": signature.get("zipf", 0),
        "bias": before["bias"],
        "executed": HALF_OF_THE_WEIGHTS if sparse else 1,
        "unpack": how.unpack if how and not active else 0,
        "scaled_output": bool(active),
        "scheme": how.name if how else None,
        "group": group,
        "from_format": given.format,
    }
    return _narrow(given, narrowed, how) if how and active else None, Signature(PACKED, tuple(arguments.items()), signature.outputs)


def _described(signature: Signature) -> dict[str, Any]:
    """A product's operands, whichever operation it is."""
    if signature.op == PACKED:
        name = signature["scheme"]
        given = replace(signature["input"], format=signature["from_format"])
        own = {key: signature[key] for key in ("weight", "offsets", "bias", "group")}
        state = {"sparse": signature["places"] is not None, "narrow": signature["scaled_output"]}
        return own | state | {"input": given, "scheme": schemes()[name] if name else None}
    left, right = OPERANDS[signature.op]
    bias = signature["self"] if signature.op == "aten.addmm" else None
    operands = {"input": signature[left], "weight": signature[right], "bias": bias, "offsets": signature.get("offsets")}
    return operands | {"scheme": None, "group": 0, "sparse": False, "narrow": True}


def _narrow(given: TensorSpec, narrowed: TensorSpec, how: Scheme) -> Signature:
    *rows, k = given.shape
    scales = TensorSpec((*rows, ceil(k / how.group) if how.group else 1), how.scale)
    return Signature("est.narrow", (("input", given), ("quantize", how.quantize)), (narrowed, scales))


def operands(signature: Signature) -> tuple[TensorSpec, ...]:
    """The tensors that hold the weight of a packed product."""
    return tuple(signature[part] for part in PARTS if signature[part] is not None)


def held_bytes(signature: Signature) -> float:
    """Bytes that hold the weight of a packed product."""
    return sum(spec.bytes for spec in operands(signature))
