"""The records that pass from a traced model to the hardware: tensors, operations, kernels, and the work in them.

They hold plain data: no torch object gets in, so a trace can be stored, lifted to polynomials and evaluated anywhere.
A dimension is an int, or anything that multiplies like one (float, array, `Polynomial`).

Conventions: a multiply-add is 2 FLOP; bytes are bytes; `matmul_flop` counts a masked matrix product as if it were dense
(the convention of other counters), `tensor_flop` counts what a kernel executes when it skips masked blocks.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

Dim = Any  # int | float | ndarray | Polynomial

BYTES = {
    "fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1, "fp4": 0.5,
    "complex64": 8, "complex128": 16, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "int4": 0.5,
}  # fmt: skip

PHASES = ("forward", "backward", "recompute", "optimizer")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and number format of a tensor; `expanded` names the dimensions that repeat one element (stride 0)."""

    shape: tuple[Dim, ...]
    format: str
    expanded: tuple[int, ...] = ()

    @property
    def elements(self) -> Dim:
        """Number of elements as indexed, repeated ones included."""
        return prod(self.shape)

    @property
    def bytes(self) -> Dim:
        """Bytes of the distinct elements: a stride-0 dimension counts once."""
        distinct = [size for axis, size in enumerate(self.shape) if axis not in self.expanded] if self.expanded else self.shape
        return prod(distinct) * BYTES[self.format]


@dataclass(frozen=True, slots=True)
class Signature:
    """One operation as called: its name and its arguments by name (tensors as `TensorSpec`, scalars as they are).

    `op` is `namespace.name` without the overload: `aten.addmm`, `est.attention`. `arguments` are (name, value) pairs in the
    order of the operator's schema, defaults included, lists as tuples.
    """

    op: str
    arguments: tuple[tuple[str, Any], ...]
    outputs: tuple[TensorSpec, ...]

    def __getitem__(self, name: str) -> Any:
        return dict(self.arguments)[name]

    def get(self, name: str, default: Any = None) -> Any:
        for known, value in self.arguments:
            if known == name:
                return value
        return default

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors among the arguments, lists flattened."""
        return tuple(_tensors(value for _, value in self.arguments))


def _tensors(values):
    for value in values:
        if isinstance(value, TensorSpec):
            yield value
        elif isinstance(value, tuple):
            yield from _tensors(value)


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """`batch` products of an m×k by a k×n matrix; `executed` is the share of multiply-adds that masks or sparsity leave (1 = dense).

    `held`: bytes for each element of the k×n matrix as it lies in memory, where that is not the format of the product.
    """

    batch: Dim
    m: Dim
    n: Dim
    k: Dim
    executed: Dim = 1
    held: Dim | None = None

    @property
    def flop(self) -> Dim:
        """Dense count, 2 per multiply-add."""
        return 2 * self.batch * self.m * self.n * self.k


@dataclass(frozen=True, slots=True)
class Work:
    """What an operation asks of the hardware. Adds, and scales by a count."""

    products: tuple[MatrixProduct, ...] = ()
    vector_flop: Dim = 0
    special_flop: Dim = 0
    read: Dim = 0
    write: Dim = 0

    @property
    def matmul_flop(self) -> Dim:
        return sum([product.flop for product in self.products])

    @property
    def tensor_flop(self) -> Dim:
        return sum([product.flop * product.executed for product in self.products])

    @property
    def flop(self) -> Dim:
        """Everything executed: matrix, vector and special-function FLOP."""
        return self.tensor_flop + self.vector_flop + self.special_flop

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.products + other.products,
            self.vector_flop + other.vector_flop,
            self.special_flop + other.special_flop,
            self.read + other.read,
            self.write + other.write,
        )

    def __rmul__(self, count: Dim) -> "Work":
        products = tuple(replace(product, batch=count * product.batch) for product in self.products)
        return Work(products, count * self.vector_flop, count * self.special_flop, count * self.read, count * self.write)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch on the device: one operation, or several fused, with the tensors that it moves to and from memory.

    `kind` is the efficiency class: matmul, attention, convolution, pointwise, reduction, gather, copy, optimizer, unknown.
    `module` is the dotted path of the module it belongs to; where identical layers were folded it holds `*` in place of the
    layer index and `layers` lists the indices, so `count` launches per layer happen in each of them.
    `reads` and `writes` are what leaves or enters a fused group; None means: as the rule of the single operation says.
    `resident` is the part of the reads that the launch before wrote: where it fits, the last-level cache still holds it.
    `estimator.model.rules.work_of(kernel)` gives the work of one launch.
    """

    name: str
    kind: str
    phase: str
    module: str
    signatures: tuple[Signature, ...]
    reads: tuple[TensorSpec, ...] | None = None
    writes: tuple[TensorSpec, ...] | None = None
    format: str = "fp32"
    count: Dim = 1
    layers: tuple[int, ...] = ()
    resident: tuple[TensorSpec, ...] = ()

    @property
    def launches(self) -> Dim:
        """Launches in all layers."""
        return self.count * max(len(self.layers), 1)
