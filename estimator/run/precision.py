"""Mixed precision: the tensors of a training step in another number format than they were traced in.

Micikevicius et al., Mixed Precision Training, ICLR 2018: products, activations and gradients in 16 bits, a master copy of the
weights in fp32 with the optimizer. fp8 (Micikevicius et al., arXiv:2209.05433) narrows the operands of products alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from estimator.model.work import Kernel, Signature, TensorSpec

FLOATS = ("fp32", "bf16", "fp16")
HELD = {"tf32": "fp32", "fp8": "bf16"}  # what a precision of products keeps its tensors in


def in_precision(kernels: Iterable[Kernel], precision: str | None) -> tuple[Kernel, ...]:
    """The kernels with floating-point tensors in `precision`; None leaves them as they are."""
    if precision is None:
        return tuple(kernels)
    held = HELD.get(precision, precision)
    return tuple(_kernel(kernel, held, precision) for kernel in kernels)


def _kernel(kernel: Kernel, held: str, precision: str) -> Kernel:
    changed = {name: _held(getattr(kernel, name), held) for name in ("signatures", "reads", "writes", "resident")}
    product = precision if precision == "tf32" and kernel.kind in ("matmul", "convolution", "attention") else held
    return replace(kernel, format=product if kernel.format in FLOATS else kernel.format, **changed)


def _held(value: Any, held: str) -> Any:
    if isinstance(value, TensorSpec):
        return replace(value, format=held) if value.format in FLOATS else value
    if isinstance(value, Signature):
        return replace(value, arguments=tuple((name, _held(v, held)) for name, v in value.arguments), outputs=_held(value.outputs, held))
    if isinstance(value, tuple):
        return tuple(_held(part, held) for part in value)
    return value
