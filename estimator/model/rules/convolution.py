"""Convolutions as the implicit matrix products that they are (im2col): Chetlur et al., cuDNN, arXiv:1410.0759, section 3.

With g groups and a weight of shape (A, B/g, k…), A = output channels (input channels if transposed), every group multiplies
the `positions` at which the kernel is laid: output positions, or input positions if transposed.

    forward             positions × (B/g · k)  by  (B/g · k) × (A/g)
    gradient of input   positions × (A/g)      by  (A/g) × (B/g · k)
    gradient of weight  (A/g) × positions      by  positions × (B/g · k)

A transposed convolution swaps the first two. Each costs the same 2 · positions · A · (B/g) · k FLOP.
"""

from math import prod

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.matmul import REAL_PRODUCTS
from estimator.model.rules.registry import moved, rule
from estimator.model.work import MatrixProduct, Signature, TensorSpec, Work


def _sizes(op: Signature, output: TensorSpec):
    weight, groups = op["weight"], op["groups"]
    laid = op["input"] if op["transposed"] else output
    positions = laid.shape[0] * prod(laid.shape[2:])
    batch = REAL_PRODUCTS.get(weight.format, 1) * groups
    return batch, positions, weight.shape[0] // groups, prod(weight.shape[1:])


def _gather_product(batch, positions, a, b):
    """Every position takes in the b inputs under the kernel and gives a outputs."""
    return MatrixProduct(batch, positions, a, b)


def _spread_product(batch, positions, a, b):
    """Every position spreads its a inputs over the b outputs under the kernel."""
    return MatrixProduct(batch, positions, b, a)


@rule("aten.convolution", "aten._convolution", "aten.convolution_overrideable", kind="convolution")
def convolution(op: Signature) -> Work:
    """One implicit matrix product per group, and the bias."""
    out = op.outputs[0]
    product = (_spread_product if op["transposed"] else _gather_product)(*_sizes(op, out))
    return moved(op, products=(product,), vector=0 if op.get("bias") is None else out.elements)


@rule("aten.convolution_backward", "aten.convolution_backward_overrideable", kind="convolution")
def convolution_backward(op: Signature) -> Work:
    """Up to three gradients, as `output_mask` asks: input, weight, bias (a sum over batch and positions)."""
    need_input, need_weight, *need_bias = op["output_mask"]
    batch, positions, a, b = _sizes(op, op["grad_output"])
    products = []
    if need_input:
        products.append((_gather_product if op["transposed"] else _spread_product)(batch, positions, a, b))
    if need_weight:
        products.append(MatrixProduct(batch, a, b, positions))
    return moved(op, products=tuple(products), vector=op["grad_output"].elements if any(need_bias) else 0)


@touches("aten.convolution_backward", "aten.convolution_backward_overrideable")
def operands_of_wanted_gradients(op: Signature) -> Touch:
    """The input serves the weight's gradient, the weight the input's."""
    need_input, need_weight, *_ = op["output_mask"]
    return Touch({"input": op["input"] if need_weight else None, "weight": op["weight"] if need_input else None})
