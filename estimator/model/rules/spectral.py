"""Fourier transforms: 5 N log2 N FLOP for N complex numbers, half of that where one side is real.

Cooley & Tukey, Mathematics of Computation 19 (1965): log2 N passes of N/2 butterflies, each a complex multiply (6) and two
complex additions (4). A transform over several dimensions is one over the product of their lengths, as far as the count goes.
Passes after the first are taken to stay on the chip: the bytes are those of one reading and one writing.
"""

from math import prod

from estimator.model.rules.arithmetic import log2
from estimator.model.rules.registry import moved, rule
from estimator.model.work import Dim, Signature, TensorSpec, Work

PER_BUTTERFLY = 10  # exact: a complex multiply, 4 + 2, and two complex additions, 2 + 2


@rule("aten._fft_c2c", kind="reduction", fuses=False)
def complex_transform(op: Signature) -> Work:
    """All of it complex."""
    return moved(op, vector=_flop(op, op["self"]))


@rule("aten._fft_r2c", kind="reduction", fuses=False)
def real_transform(op: Signature) -> Work:
    """A real signal of N numbers is a complex one of N/2."""
    return moved(op, vector=_flop(op, op["self"]) / 2)


@rule("aten._fft_c2r", kind="reduction", fuses=False)
def inverse_to_real(op: Signature) -> Work:
    """The real result has the length of the transform."""
    return moved(op, vector=_flop(op, op.outputs[0]) / 2)


def _flop(op: Signature, full: TensorSpec) -> Dim:
    length = prod(full.shape[axis] for axis in op["dim"])
    return PER_BUTTERFLY * full.elements / 2 * log2(length)
