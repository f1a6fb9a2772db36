"""How libraries run convolutions: tensor units want channels last, depthwise ones are not matrix products at all."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from estimator.hardware.schema import Profile
from estimator.model.work import Kernel, MatrixProduct, Signature, TensorSpec, Work
from estimator.run.formats import matrix_unit
from estimator.run.stack import Stack, matrix_format

PLAIN, BACKWARD = "aten.convolution", "aten.convolution_backward"


def with_relayouts(kernel: Kernel, profile: Profile, stack: Stack) -> tuple[Kernel, ...]:
    """The kernel, preceded by copies of its tensors to channels-last and back where tensor units need that and the stack does not keep it.

    Forward converts input and output; each gradient is a call of its own, so the output's gradient is converted for both.
    """
    if kernel.kind != "convolution" or not stack.convolution_relayout or is_depthwise(kernel):
        return (kernel,)
    if matrix_unit(matrix_format(kernel, stack), profile)[0] != "tensor":
        return (kernel,)
    tensors = [spec for signature in kernel.signatures for spec in _converted(signature)]
    return (*(_copy(kernel, spec, float(stack.convolution_relayout)) for spec in tensors), kernel)


def is_depthwise(kernel: Kernel) -> bool:
    """Whether every channel has filters of its own, which PyTorch computes directly, one thread for each output."""
    mine = [signature for signature in kernel.signatures if signature.op in (PLAIN, BACKWARD)]
    return bool(mine) and all(signature["groups"] > 1 and signature["weight"].shape[1] == 1 for signature in mine)


def depthwise_l2_bytes(kernel: Kernel, work: Work) -> float:
    """Bytes from L2 of a depthwise kernel: the weight's gradient takes one block for each tap, and each block streams both operands."""
    moved = float(work.read + work.write)
    for signature in kernel.signatures:
        if signature.op == BACKWARD and signature["output_mask"][1]:
            taps = prod(signature["weight"].shape[2:])
            moved += (taps - 1) * (signature["input"].bytes + signature["grad_output"].bytes)
    return moved


def filling(products: Sequence[MatrixProduct], stack: Stack) -> float:
    """Time of a convolution's products over that of their multiply-adds: each tile fills and drains its pipeline once, k deep between."""
    flop = sum(product.flop for product in products)
    return sum(product.flop * (1 + stack.convolution_fill / product.k) for product in products) / flop if flop else 1.0


def _converted(signature: Signature) -> tuple[TensorSpec, ...]:
    if signature.op == PLAIN:
        return (signature["input"], signature.outputs[0])
    if signature.op != BACKWARD:
        return ()
    need_input, need_weight, *_ = signature["output_mask"]
    gradient, given = signature["grad_output"], signature["input"]
    return (*((gradient, given) if need_input else ()), *((gradient, given) if need_weight else ()))


def _copy(kernel: Kernel, spec: TensorSpec, share: float) -> Kernel:
    signature = Signature("aten.clone", (("self", spec), ("memory_format", None)), (spec,))
    return replace(
        kernel,
        name="change of layout",
        kind="copy",
        signatures=(signature,),
        reads=None,
        writes=None,
        resident=(),
        count=kernel.count * share,
    )
