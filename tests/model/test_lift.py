"""Kernels traced at a few sizes become programs that hold at every size, or say why they cannot."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting, LiftError, UnknownName
from estimator.model.lift import grid, lift
from estimator.model.polynomial import symbols
from estimator.model.program import Program
from estimator.model.work import Kernel, Signature, TensorSpec

batch, sequence, past = symbols("batch sequence past")
POINTS = grid(batch=(2, 3), sequence=(5, 8))
HELD_OUT = [{"batch": 7, "sequence": 12}]


def linear(batch, sequence):
    """One matrix product of a layer of width 4 → 6, folded over three layers, and a fused pair of pointwise operations."""
    tokens, weight, out = TensorSpec((batch * sequence, 4), "bf16"), TensorSpec((4, 6), "bf16"), TensorSpec((batch * sequence, 6), "bf16")
    mm = Signature("aten.mm", (("self", tokens), ("mat2", weight)), (out,))
    view = TensorSpec((batch, 1, sequence, 6), "bf16", expanded=(1,))
    gelu = Signature("aten.gelu", (("self", view), ("approximate", "tanh"), ("lengths", (sequence, 3, None, True))), (view,))
    scale = Signature("aten.mul", (("self", view), ("other", float("inf"))), (view,))
    return (
        Kernel("mm", "matmul", "forward", "layers.*.up", (mm,), format="bf16", layers=(0, 1, 3)),
        Kernel("gelu+mul", "pointwise", "forward", "layers.*.act", (gelu, scale), reads=(out,), writes=(out,), format="bf16", count=2),
    )


def lifted():
    return lift(POINTS, HELD_OUT, linear)


def test_dimensions_become_polynomials_and_the_rest_stays():
    mm, fused = lifted()
    assert mm.signatures[0]["self"].shape == (batch * sequence, 4)
    assert mm.signatures[0]["mat2"] == TensorSpec((4, 6), "bf16")
    assert fused.signatures[0]["lengths"] == (sequence, 3, None, True)
    assert fused.reads[0].shape == (batch * sequence, 6)
    assert (mm.name, mm.layers, fused.count) == ("mm", (0, 1, 3), 2)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_lifted_program_equals_the_trace_at_every_size(b, s):
    program = Program(("batch", "sequence"), {"eager": lifted()})
    assert program.at("eager", batch=b, sequence=s) == linear(b, s)


def test_arrays_make_every_dimension_an_array():
    program = Program(("batch", "sequence"), {"eager": lifted()})
    tokens = program.at("eager", batch=np.array([1, 2, 3]), sequence=10)[0].signatures[0]["self"]
    np.testing.assert_array_equal(tokens.elements, [40.0, 80.0, 120.0])


def test_a_program_survives_json():
    program = Program(("batch", "sequence"), {"eager": lifted(), "fused": lifted()[1:]})
    text = json.dumps(program.to_json(), allow_nan=False)
    assert Program.from_json(json.loads(text)) == program


@given(st.lists(st.integers(0, 20), max_size=12).map(tuple))
def test_layers_in_any_order_survive_json(layers):
    kernel = replace(linear(2, 3)[0], layers=layers)
    program = Program((), {"eager": (kernel,)})
    assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 9), st.integers(0, 9))
def test_any_bilinear_size_is_recovered_exactly(a, b, c, d):
    def kernels_at(batch, sequence):
        size = a * batch * sequence + b * batch + c * sequence + d
        return (Kernel("copy", "copy", "forward", "", (Signature("aten.clone", (("self", TensorSpec((size,), "fp32")),), ()),)),)

    (kernel,) = lift(POINTS, HELD_OUT, kernels_at)
    assert kernel.signatures[0]["self"].shape == (a * batch * sequence + b * batch + c * sequence + d,)


def with_size(size):
    def kernels_at(batch, sequence):
        zeros = Signature("aten.zeros", (), (TensorSpec((size(batch, sequence),), "fp32"),))
        return (Kernel("fill", "pointwise", "forward", "net.mask", (zeros,)),)

    return kernels_at


CROOKED = {"ceil": lambda b, s: -(-s // 4), "window": lambda b, s: min(s, 6), "square": lambda b, s: s**2, "floor": lambda b, s: s // 2 * b}


@pytest.mark.parametrize("size", CROOKED.values(), ids=CROOKED)
def test_a_size_that_is_no_polynomial_is_refused(size):
    what = r"kernel 'fill' in 'net.mask': a size is no polynomial: .* at batch=7, sequence=12.*trace it at each size"
    with pytest.raises(LiftError, match=what):
        lift(POINTS, HELD_OUT, with_size(size))


def test_three_values_of_a_size_reveal_its_square():
    (kernel,) = lift(grid(batch=(2,), sequence=(5, 8, 11)), [{"batch": 2, "sequence": 12}], with_size(lambda b, s: s * s + s // 1))
    assert kernel.signatures[0].outputs[0].shape == (sequence**2 + sequence,)


def test_a_program_whose_length_depends_on_the_sizes_is_refused():
    with pytest.raises(LiftError, match="the number of kernels depends on the sizes: 5 at batch=2, sequence=5; 8 at batch=2, sequence=8"):
        lift(POINTS, HELD_OUT, lambda batch, sequence: linear(batch, sequence)[:1] * sequence)


def test_a_kernel_that_changes_with_the_sizes_is_refused():
    def kernels_at(batch, sequence):
        mm, fused = linear(batch, sequence)
        return (replace(mm, module="layers.*.down" if sequence > 6 else mm.module), fused)

    with pytest.raises(LiftError, match="the module of kernel 'mm' in 'layers.*.up' depends on the sizes"):
        lift(POINTS, HELD_OUT, kernels_at)


def test_an_option_that_changes_with_the_sizes_is_refused():
    def kernels_at(batch, sequence):
        return (Kernel("mul", "pointwise", "forward", "", (Signature("aten.mul", (("other", 1 / sequence),), ()),)),)

    with pytest.raises(LiftError, match="a value that is no size changes: 0.2 at batch=2, sequence=5"):
        lift(POINTS, HELD_OUT, kernels_at)


def test_points_that_are_no_grid_are_refused():
    with pytest.raises(InvalidSetting, match="the 3 sample points are no grid"):
        lift(POINTS[:3], HELD_OUT, linear)


def test_sizes_are_checked():
    program = Program(("batch", "past"), {"eager": ()})
    assert program.at("eager", batch=1, past=0) == ()
    with pytest.raises(InvalidSetting, match="sizes batch given: expected exactly batch, past"):
        program.at("eager", batch=1)
    with pytest.raises(InvalidSetting, match="batch=0: expected finite numbers of at least 1"):
        program.at("eager", batch=0, past=0)
    with pytest.raises(InvalidSetting, match="at least 0"):
        program.at("eager", batch=1, past=np.array([3.0, np.nan]))
    with pytest.raises(UnknownName, match="unknown fusion 'eagre'. Nearest: eager"):
        program.at("eagre", batch=1, past=0)
