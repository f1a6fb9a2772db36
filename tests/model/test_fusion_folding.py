"""Repeats as counts: totals stay exact, folding is idempotent, and every launch finds its layer again."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.fusion import fold, unfold
from estimator.model.work import Kernel
from tests.model.signatures import signature, tensor
from tests.model.streams import totals

MODULES = ["", "head", "model.layers.{}.mlp", "model.layers.{}.attention.heads.1", "{}", "blocks.{}"]


def kernel(module="net", size=4, **settings):
    x = tensor(size)
    return Kernel("aten.silu", "pointwise", "forward", module, (signature("aten.silu", x, self=x),), **settings)


launches = st.builds(
    lambda module, layer, size, count, phase: replace(kernel(module.format(layer), size, count=count), phase=phase),
    st.sampled_from(MODULES), st.integers(0, 5), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["forward", "backward"]),
)  # fmt: skip


def census(kernels):
    """How often each kernel is launched in each module."""
    found = Counter()
    for one in unfold(kernels):
        found[replace(one, count=1)] += one.count
    return found


@given(st.lists(launches, max_size=40))
def test_folding_keeps_every_launch_and_every_total(kernels):
    folded = fold(kernels)
    assert totals(folded) == totals(kernels)
    assert census(folded) == census(kernels)
    assert len(folded) <= len(kernels)


@given(st.lists(launches, max_size=40))
def test_folding_twice_changes_nothing(kernels):
    folded = fold(kernels)
    assert fold(folded) == folded
    assert census(fold(unfold(folded))) == census(folded)


def test_the_same_launch_in_many_layers_is_one_kernel():
    (folded,) = fold(kernel(f"model.layers.{layer}.mlp") for layer in range(32))
    assert (folded.module, folded.layers, folded.count, folded.launches) == ("model.layers.*.mlp", tuple(range(32)), 1, 32)
    assert [one.module for one in unfold([folded])] == [f"model.layers.{layer}.mlp" for layer in range(32)]


def test_repeats_within_a_module_are_a_count():
    (folded,) = fold([kernel("net")] * 5)
    assert (folded.module, folded.layers, folded.count) == ("net", (), 5)


def test_a_layer_that_differs_stays_by_itself():
    kernels = [kernel("layers.0.mlp", 8), *(kernel(f"layers.{layer}.mlp") for layer in (1, 2)), kernel("layers.2.mlp")]
    assert [(one.module, one.layers, one.count) for one in fold(kernels)] == [
        ("layers.0.mlp", (), 1), ("layers.1.mlp", (), 1), ("layers.2.mlp", (), 2),
    ]  # fmt: skip


def test_only_the_first_number_in_a_path_is_the_layer():
    (folded,) = fold(kernel(f"layers.{layer}.experts.3.up") for layer in (4, 7))
    assert folded.module == "layers.*.experts.3.up"
    assert [one.module for one in unfold([folded])] == ["layers.4.experts.3.up", "layers.7.experts.3.up"]


@pytest.mark.parametrize(
    "change", [{"phase": "backward"}, {"format": "bf16"}, {"kind": "copy"}, {"writes": (tensor(1),)}, {"module": "other"}]
)
def test_launches_that_differ_are_not_merged(change):
    assert len(fold([kernel(), replace(kernel(), **change)])) == 2


def test_equal_operations_from_different_traces_are_merged():
    assert len(fold([kernel(), kernel()])) == 1  # two signature objects, one operation
