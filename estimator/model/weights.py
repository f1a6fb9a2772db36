"""Which operands of a lifted program are weights: those whose sizes depend on neither batch nor sequence."""

from collections.abc import Iterable
from dataclasses import dataclass

from estimator.model.work import Dim, Kernel, Signature, TensorSpec

MATRIX_KINDS = ("matmul", "convolution")
TABLES = ("aten.embedding",)


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight matrix: where it is used, under which argument name, its shape, in how many layers (or repeats)."""

    module: str
    argument: str
    spec: TensorSpec
    count: Dim
    hidden: bool  # neither a table of embeddings nor a head as large as one


def weights_of(kernels: Iterable[Kernel]) -> list[Weight]:
    """The weights of the forward kernels of a lifted program, matrices before tables; tied ones appear once for each use."""
    forward = [(kernel, signature) for kernel in kernels if kernel.phase == "forward" for signature in kernel.signatures]
    tables = [(kernel, "weight", signature["weight"]) for kernel, signature in forward if signature.op in TABLES]
    products = [(kernel, signature) for kernel, signature in forward if kernel.kind in MATRIX_KINDS]
    matrices = [(kernel, *found) for kernel, signature in products if (found := weight_of(signature))]
    heads = {frozenset(spec.shape) for _, _, spec in tables}
    return [
        Weight(kernel.module, argument, spec, kernel.launches, frozenset(spec.shape) not in heads)
        for kernel, argument, spec in [*matrices, *tables]
    ]


def weight_of(signature: Signature) -> tuple[str, TensorSpec] | None:
    """(argument, spec) of the constant matrix or filter among the operands of a product, if there is one."""
    for name, value in signature.arguments:
        if isinstance(value, TensorSpec) and len(value.shape) > 1 and all(isinstance(size, int) for size in value.shape):
            return name, value
    return None
