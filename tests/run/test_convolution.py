"""How libraries run convolutions: changes of layout before tensor units, direct kernels for depthwise ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.model.work import Kernel, MatrixProduct, Signature, TensorSpec
from estimator.run.convolution import filling, is_depthwise, with_relayouts
from estimator.run.demands import demand_of
from estimator.run.phase import price
from estimator.run.stack import load_stack

EAGER, COMPILED = load_stack("eager"), load_stack("compiled")


def conv(groups=1, channels=64, form="fp32", mask=None):
    x = TensorSpec((8, channels, 14, 14), form)
    weight = TensorSpec((channels, channels // groups, 3, 3), form)
    shape = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "transposed": False, "output_padding": (0, 0), "groups": groups}
    rest = tuple(shape.items())
    if mask is None:
        op = Signature("aten.convolution", (("input", x), ("weight", weight), ("bias", None), *rest), (x,))
    else:
        given = (("grad_output", x), ("input", x), ("weight", weight), ("bias_sizes", None), *rest, ("output_mask", mask))
        op = Signature("aten.convolution_backward", given, (x, weight, TensorSpec((channels,), form)))
    return Kernel(op.op, "convolution", "forward" if mask is None else "backward", "layer", (op,), format=form)


def test_tensor_units_take_a_copy_of_every_operand_to_channels_last_and_back():
    profile = load_profile("A40")
    forward = with_relayouts(conv(), profile, EAGER)
    assert [k.name for k in forward] == ["change of layout"] * 2 + ["aten.convolution"]
    # input gradient: two tensors; weight gradient: two more
    assert len(with_relayouts(conv(mask=(True, True, False)), profile, EAGER)) == 5
    assert len(with_relayouts(conv(mask=(False, True, False)), profile, EAGER)) == 3


def test_vector_units_and_compilers_keep_the_layout():
    assert len(with_relayouts(conv(), load_profile("V100"), EAGER)) == 1  # fp32 has no tensor unit there
    assert len(with_relayouts(conv(), load_profile("A40"), COMPILED)) == 1


def test_changes_of_layout_are_priced_as_kernels_of_the_same_phase_and_module():
    profile = load_profile("A40")
    phase = price("forward", [conv()], profile, EAGER)
    # each copy reads and writes 8 × 64 × 14 × 14 × 4 B
    copied = [entry.traffic["memory"] for entry in phase.entries if entry.name == "change of layout"]
    assert copied == pytest.approx([2 * 8 * 64 * 14 * 14 * 4] * 2, rel=1e-12, abs=0)
    assert {entry.module for entry in phase.entries} == {"layer"}


def test_depthwise_filters_run_on_the_vector_lanes_with_their_addressing():
    kernel = conv(groups=64)
    assert is_depthwise(kernel) and not is_depthwise(conv()) and not is_depthwise(conv(groups=2))
    demand = demand_of(kernel, load_profile("A40"), EAGER)
    macs = 8 * 64 * 14 * 14 * 9
    assert demand.macs == 0
    assert demand.vector_ops == pytest.approx(macs * (1 + EAGER.depthwise_ops_per_mac), rel=1e-12, abs=0)


def test_the_gradient_of_depthwise_filters_streams_both_operands_for_each_tap():
    profile = load_profile("A40")
    both, weight = (demand_of(conv(groups=64, mask=mask), profile, EAGER) for mask in ((True, False, False), (True, True, False)))
    tensor = 8 * 64 * 14 * 14 * 4
    assert weight.l2_bytes - both.l2_bytes >= 8 * 2 * tensor  # eight taps beyond the first


@given(st.integers(1, 4096), st.integers(1, 4096))
def test_deeper_products_fill_better(k, more):
    shallow, deep = (filling([MatrixProduct(1, 64, 64, depth)], EAGER) for depth in (k, k + more))
    assert 1 < deep < shallow


def test_no_filling_costs_nothing():
    assert filling([MatrixProduct(1, 64, 64, 9)], replace_stack(convolution_fill=0.0)) == 1


def replace_stack(**changes):
    return EAGER.model_copy(update=changes)
