"""Convolutions: brute-force counts, torch's own formulas, groups, transposition, the gradients that are asked for."""

from itertools import product as grid
from math import prod

import numpy as np
import pytest
import sympy
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.flop_counter import flop_registry

from estimator.model.rules import work_of_signature
from tests.model.signatures import called, meta, signature, tensor

aten = torch.ops.aten
few = st.integers(1, 4)
geometry = st.tuples(few, few, few, st.integers(4, 9), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(1, 3))


def forward(batch, inner, outer, size, kernel, stride, padding, groups, transposed=False, bias=False):
    channels, features = inner * groups, outer * groups
    weight = (channels, outer, kernel, kernel) if transposed else (features, inner, kernel, kernel)
    args = (meta(batch, channels, size, size), meta(*weight), meta(features) if bias else None)
    return called(aten.convolution.default, *args, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], groups)


def backward(call, mask=(True, True, False)):
    """The backward call that belongs to a forward one."""
    names = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    settings = {name: call[name] for name in names}
    operands = {"grad_output": call.outputs[0], "input": call["input"], "weight": call["weight"], "bias_sizes": None}
    outputs = tuple(spec for spec, needed in zip((call["input"], call["weight"]), mask) if needed)
    return signature("aten.convolution_backward", *outputs, **operands, **settings, output_mask=mask)


def flop(call):
    return work_of_signature(call).matmul_flop


def count(call):
    """Multiply-adds of the textbook loops: every laid kernel, every input channel of the group, every output channel."""
    weight, transposed = call["weight"].shape, call["transposed"]
    laid = call["input"] if transposed else call.outputs[0]
    positions = grid(*(range(size) for size in (laid.shape[0], *laid.shape[2:])))
    per_position = sum(1 for _ in grid(*map(range, weight)))  # each weight meets one input and one output per position
    return sum(per_position for _ in positions)


@given(geometry, st.booleans())
def test_flop_is_what_the_loops_count(sizes, transposed):
    call = forward(*sizes, transposed=transposed)
    assert flop(call) == 2 * count(call)


@given(geometry, st.booleans())
def test_each_gradient_costs_as_much_as_forward(sizes, transposed):
    call = forward(*sizes, transposed=transposed)
    assert flop(backward(call, (True, False, False))) == flop(backward(call, (False, True, False))) == flop(call)
    assert flop(backward(call)) == 2 * flop(call)


@given(geometry, st.booleans())
def test_forward_equals_torchs_formula(sizes, transposed):
    call = forward(*sizes, transposed=transposed)
    shapes = (call["input"].shape, call["weight"].shape, None, None, None, None, transposed)
    assert flop(call) == flop_registry[aten.convolution](*shapes, out_val=meta(*call.outputs[0].shape))


@given(geometry)
def test_backward_of_one_group_equals_torchs_formula(sizes):
    """With more groups torch counts the weight's gradient that many times too much (its issue, not ours)."""
    call = forward(*sizes[:-1], groups=1)
    shapes = (call.outputs[0].shape, call["input"].shape, call["weight"].shape, None, None, None, None, False, None, 1, (True, True, False))
    expected = flop_registry[aten.convolution_backward](*shapes, out_val=(meta(*call["input"].shape), meta(*call["weight"].shape), None))
    assert flop(backward(call)) == expected


@given(geometry, st.integers(2, 4))
def test_groups_divide_the_work_of_the_same_channels(sizes, groups):
    batch, inner, outer, size, kernel, stride, padding, _ = sizes
    assume(size + 2 * padding >= kernel)
    dense = forward(batch, inner * groups, outer * groups, size, kernel, stride, padding, 1)
    grouped = forward(batch, inner, outer, size, kernel, stride, padding, groups)
    assert flop(dense) == groups * flop(grouped)
    assert flop(backward(dense)) == groups * flop(backward(grouped))


def test_a_depthwise_convolution():
    # 32 channels of 56x56, each with its own 3x3 kernel: 2 * 56*56 * 32 * 9 forward, twice that backward
    call = called(aten.convolution.default, meta(1, 32, 56, 56), meta(32, 1, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 32)
    assert flop(call) == 2 * 56 * 56 * 32 * 9
    assert flop(backward(call)) == 4 * 56 * 56 * 32 * 9
    assert work_of_signature(call).products[0].batch == 32


def test_a_transposed_convolution_in_two_groups():
    # 16 -> 32 channels, 4x4, stride 2, groups 2, from 2 images of 8x8: 2 * 2*64 positions * 16 * 16 * 16 = 1,048,576
    call = called(aten.convolution.default, meta(2, 16, 8, 8), meta(16, 16, 4, 4), None, [2, 2], [1, 1], [1, 1], True, [0, 0], 2)
    assert flop(call) == 1_048_576
    assert flop(backward(call)) == 2_097_152


def test_the_first_convolution_of_resnet_50():
    # 64 kernels of 7x7x3 at 112x112 positions (He et al., CVPR 2016, table 1): 118,013,952 multiply-adds
    call = called(aten.convolution.default, meta(1, 3, 224, 224), meta(64, 3, 7, 7), None, [2, 2], [3, 3], [1, 1], False, [0, 0], 1)
    assert flop(call) == 2 * 118_013_952


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_any_number_of_dimensions(dimensions):
    sizes, kernel = (6, 5, 4)[:dimensions], (3, 2, 2)[:dimensions]
    ones = [1] * dimensions
    call = called(
        aten.convolution.default, meta(2, 4, *sizes), meta(6, 4, *kernel), None, ones, [0] * dimensions, ones, False, [0] * dimensions, 1
    )
    assert flop(call) == 2 * 2 * prod(s - k + 1 for s, k in zip(sizes, kernel)) * 6 * 4 * prod(kernel)


def test_a_bias_is_added_forward_and_summed_backward():
    call = forward(2, 3, 4, 6, 3, 1, 1, 1, bias=True)
    assert work_of_signature(call).vector_flop == call.outputs[0].elements
    assert work_of_signature(backward(call, (True, True, True))).vector_flop == call.outputs[0].elements


def test_a_gradient_reads_only_what_it_needs():
    call = forward(1, 2, 3, 6, 3, 1, 1, 1)
    gradient, image, weight = (spec.bytes for spec in (call.outputs[0], call["input"], call["weight"]))
    assert work_of_signature(backward(call, (True, False, False))).read == gradient + weight
    assert work_of_signature(backward(call, (False, True, False))).read == gradient + image
    assert work_of_signature(backward(call)).read == gradient + image + weight


def symbolic(batch, size, transposed):
    settings = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "transposed": transposed, "output_padding": (0, 0), "groups": 2}
    image, weight = tensor(batch, 8, size, size), tensor(8, 4, 3, 3)
    return signature("aten.convolution", tensor(batch, 8, size, size), input=image, weight=weight, bias=None, **settings)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("turn", [lambda call: call, backward], ids=["forward", "backward"])
def test_symbols_and_arrays_give_what_numbers_give(turn, transposed):
    batch, size = sympy.symbols("batch size", positive=True, integer=True)
    expected = flop(turn(symbolic(3, 14, transposed)))
    assert flop(turn(symbolic(batch, size, transposed))).subs({batch: 3, size: 14}) == expected
    assert flop(turn(symbolic(np.array([1.0, 3.0]), np.array([7.0, 14.0]), transposed)))[1] == expected
