"""Products with packed weights: quantised, sparse by 2:4, or both; and the narrowing of activations before them.

`weight` is the weight as it was, (…, k, n), which nobody reads; `PARTS` hold it now. Converting weights
back is counted once a call: a kernel with many rows of tiles does it once for each row of them.
"""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.matmul import grouped_product, matrix_product, routing
from estimator.model.rules.registry import moved, rule
from estimator.model.work import Dim, MatrixProduct, Signature, TensorSpec, Work

PARTS = ("values", "scales", "zeros", "places")


@rule("est.packed_mm", kind="matmul")
def packed_mm(op: Signature) -> Work:
    """Input times packed weight, per expert where the weight is a stack; bias and, for narrow products, scales on the output."""
    product, out = _product(op), op.outputs[0].elements
    kept = op["values"].elements * _share(op)
    vector = op["unpack"] * kept + (2 * out if op["scaled_output"] else 0) + (out if op.get("bias") is not None else 0)
    return moved(op, products=(product,), vector=vector)


def _product(op: Signature) -> MatrixProduct:
    a, b = op["input"], op["weight"]
    plain = grouped_product(a, b, op.outputs[0], *routing(op)) if _is_ragged(op) else matrix_product(a, b)
    held = sum(op[part].bytes for part in PARTS if op[part] is not None) / b.elements
    return MatrixProduct(plain.batch, plain.m, plain.n, plain.k, op["executed"], held)


def _is_ragged(op: Signature) -> bool:
    return len(op["weight"].shape) == 3 and len(op["input"].shape) == 2


def _share(op: Signature) -> Dim:
    """Share of a stack's experts that get any work."""
    experts = op["weight"].shape[0]
    return grouped_product(op["input"], op["weight"], op.outputs[0], *routing(op)).batch / experts if _is_ragged(op) else 1


@touches("est.packed_mm")
def packed_operands(op: Signature) -> Touch:
    """What holds the weight, of a stack only the experts that get work."""
    held = {part: op[part] for part in PARTS if op[part] is not None}
    if _is_ragged(op):
        share = _share(op)
        held = {part: TensorSpec((share * spec.shape[0], *spec.shape[1:]), spec.format) for part, spec in held.items()}
    return Touch({"weight": None, **held})


@rule("est.narrow", kind="reduction")
def narrow(op: Signature) -> Work:
    """Activations into a narrower format with a scale of their own."""
    return moved(op, vector=op["quantize"] * op["input"].elements)
