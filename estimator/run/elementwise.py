"""What element-wise kernels of eager mode do beside their arithmetic: index, bounds, conversions, loads and stores.

Contiguous operands are read several elements at once. Where an operand is repeated along an axis, or laid out otherwise than the
result, each thread works out the place of every element of every operand, a division for each axis.
"""

from estimator.model.work import Kernel, TensorSpec
from estimator.run.stack import Stack

TWO_PASSES = "aten.native_group_norm"
ELEMENTWISE = ("pointwise", "reduction", "copy")


def addressing_ops(kernel: Kernel, stack: Stack) -> float:
    """Lane operations of one launch that the operation itself does not ask for; 0 where the stack's kernels are generated."""
    if stack.element_ops is None or stack.strided_element_ops is None or kernel.kind not in ELEMENTWISE:
        return 0.0
    return _elements(kernel) * (stack.strided_element_ops if strided(kernel) else stack.element_ops)


def read_again(kernel: Kernel, stack: Stack) -> float:
    """Bytes that are read twice: PyTorch normalises groups in two launches, one for the moments and one that applies them."""
    if stack.element_ops is None:
        return 0.0
    return sum(signature["input"].bytes for signature in kernel.signatures if signature.op == TWO_PASSES)


def strided(kernel: Kernel) -> bool:
    """Whether operands are laid out or shaped differently from the result."""
    if kernel.kind == "copy":
        return True
    shapes = {spec.shape for spec in _tensors(kernel)}
    return kernel.kind == "pointwise" and len(shapes) > 1


def _elements(kernel: Kernel) -> float:
    return max((spec.elements for spec in _tensors(kernel)), default=0.0)


def _tensors(kernel: Kernel) -> list[TensorSpec]:
    return [spec for signature in kernel.signatures for spec in (*signature.inputs, *signature.outputs) if spec.shape]
