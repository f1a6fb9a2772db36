"""The optimizer step of a lifted model, and the state that an optimizer keeps.

Every named optimizer is one fused pass over the parameters. Muon (Jordan, 2024) orthogonalises the update of each hidden matrix
by `NEWTON_SCHULZ_STEPS` steps of three products, X Xᵀ, its square and the product with X; other parameters get AdamW.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, TypeVar

from estimator.model.rules.optimizer import MASTER_FORMAT, update_of
from estimator.model.rules.updates import ORTHOGONALISED, UPDATES
from estimator.model.weights import Weight, weights_of
from estimator.model.work import BYTES, Kernel, Signature, TensorSpec

OPTIMIZERS = tuple(UPDATES)
NEWTON_SCHULZ_STEPS = 5  # exact: ns_steps of Jordan's Muon and of torch.optim.Muon
T = TypeVar("T")


def shares(name: str, hidden: Sequence[T], others: Sequence[T]) -> list[tuple[str, tuple[T, ...]]]:
    """Which optimizer updates what: Muon is for the matrices of hidden layers, AdamW for embeddings, heads, biases and norms."""
    parts = [(name, hidden), ("adamw", others)] if name == "muon" else [(name, [*hidden, *others])]
    return [(part, tuple(tensors)) for part, tensors in parts if tensors]


def optimizer_signature(name: str, parameters: tuple[TensorSpec, ...]) -> Signature:
    """One call that updates all `parameters` with optimizer `name`; its moments, and the master copy of narrow weights, are fp32."""
    arguments = (("name", name), ("parameters", parameters), ("state_format", MASTER_FORMAT), ("master", _has_master(parameters[0].format)))
    return Signature("est.optimizer_step", arguments, parameters)


def optimizer_kernels(name: str, parameters: int, number_format: str, forward: Iterable[Kernel] = ()) -> tuple[Kernel, ...]:
    """The step over `parameters` weights held in `number_format`; the kernels of the lifted `forward` pass tell their shapes."""
    hidden, others = _shapes(parameters, number_format, weights_of(forward))
    parts = shares(name, [_matrices(spec) for spec in hidden] if name == "muon" else hidden, others)
    steps = [optimizer_signature(part, specs) for part, specs in parts]
    products = [kernel for part, specs in parts if part == "muon" for spec in specs for kernel in _newton_schulz(spec)]
    return (*products, *(Kernel(step.op, "optimizer", "optimizer", "", (step,), format=MASTER_FORMAT) for step in steps))


def state_bytes(signature: Signature) -> Any:
    """Bytes of moments and master weights that the optimizer of one `est.optimizer_step` keeps on the device."""
    update, width = update_of(signature["name"]), BYTES[signature["state_format"]]
    master = BYTES[MASTER_FORMAT] if signature["master"] else 0
    return sum(update(spec, width).state_bytes + master * spec.elements for spec in signature["parameters"])


def _shapes(parameters: int, number_format: str, weights: Sequence[Weight]) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Matrices of hidden layers, one stack for all layers; and the other tensors, those that nothing multiplies by as one vector."""
    hidden: list[TensorSpec] = []
    others: list[TensorSpec] = []
    left = parameters
    for weight in weights:
        spec = TensorSpec((weight.count, *weight.spec.shape), number_format)
        if len(weight.spec.shape) < 2 or spec.elements > left:  # tied to one that was met before
            continue
        (hidden if weight.hidden else others).append(spec)
        left -= spec.elements
    return hidden, [*others, TensorSpec((left,), number_format)] if left else others


def _matrices(spec: TensorSpec) -> TensorSpec:
    """A stack of filters (layers, out, in, height, width, …) as matrices with a row per filter; anything smaller is a stack of them."""
    layers, *shape = spec.shape
    return TensorSpec((layers, shape[0], prod(shape[1:])), spec.format) if len(shape) >= 4 else spec  # exact: ranks of filters in the plane


def _newton_schulz(spec: TensorSpec) -> list[Kernel]:
    """The products for a stack of matrices, each launch on one of them."""
    *stack, rows, columns = spec.shape
    short, long = sorted((rows, columns))
    x, tall, square = (TensorSpec(shape, ORTHOGONALISED) for shape in ((short, long), (long, short), (short, short)))
    count = NEWTON_SCHULZ_STEPS * prod(stack)
    products = (None, x, tall, square), (square, square, square, square), (x, square, x, x)
    return [_product(added, a, b, out, count) for added, a, b, out in products]


def _product(added: TensorSpec | None, a: TensorSpec, b: TensorSpec, out: TensorSpec, count: int) -> Kernel:
    if added is None:
        signature = Signature("aten.mm", (("self", a), ("mat2", b)), (out,))
    else:
        signature = Signature("aten.addmm", (("self", added), ("mat1", a), ("mat2", b), ("beta", 1), ("alpha", 1)), (out,))
    return Kernel(signature.op, "matmul", "optimizer", "", (signature,), format=ORTHOGONALISED, count=count)


def _has_master(number_format: str) -> bool:
    return BYTES[number_format] < BYTES[MASTER_FORMAT]
