"""Which operations share a launch and what the launch moves: small streams with every byte derived by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import UnknownName
from estimator.model.fusion import kernels, unfold
from estimator.model.fusion.compiler import limit
from estimator.model.rules import work_of
from tests.model.streams import Stream, moved, totals

N = 8 * 16 * 4  # bytes of an 8x16 tensor


def launches(trace, fusion="fused"):
    return [replace(kernel, count=1) for kernel in unfold(kernels(trace, fusion)) for _ in range(kernel.count)]


def traffic(kernel):
    work = work_of(kernel)
    return work.read, work.write


def test_element_wise_neighbours_of_a_product_share_a_launch():
    s = Stream()
    hidden = s.mm(s.input(8, 4), s.input(4, 16))
    gated = s.binary("mul", s.unary("silu", hidden), hidden)
    product, fused = launches(s.trace(s.mm(gated, s.input(16, 2))))[:2]
    assert product.name == "aten.mm"
    assert (fused.name, fused.kind) == ("fused.silu+mul", "pointwise")
    assert traffic(fused) == (N, N)  # hidden in once, the product out; silu's result stays on chip


def test_eager_launches_every_operation_with_all_its_traffic():
    s = Stream()
    x = s.input(8, 16)
    s.unary("silu", s.unary("exp", x))
    assert [kernel.name for kernel in launches(s.trace(), "eager")] == ["aten.exp", "aten.silu"]
    assert moved(kernels(s.trace(), "eager")) == 4 * N


def test_a_result_with_two_users_is_written_once_and_read_where_needed():
    s = Stream()
    x, w = s.input(8, 16), s.input(16, 16)
    a = s.unary("exp", x)
    b = s.unary("silu", a)
    s.mm(a, w)
    s.mm(b, w)
    fused = launches(s.trace())[0]
    assert traffic(fused) == (N, 2 * N)


def test_a_product_between_them_keeps_two_operations_apart():
    s = Stream()
    a = s.unary("exp", s.input(8, 16))
    b = s.mm(a, s.input(16, 16))
    s.binary("add", s.unary("silu", b), a)
    assert [kernel.name for kernel in launches(s.trace())] == ["aten.exp", "aten.mm", "fused.silu+add"]


def test_siblings_over_the_same_elements_share_a_read():
    s = Stream()
    x = s.input(8, 16)
    s.unary("exp", x)
    s.unary("silu", x)
    (fused,) = launches(s.trace())
    assert traffic(fused) == (N, 2 * N)


def test_a_row_norm_and_its_use_are_one_pass():
    s = Stream()
    x, w = s.input(8, 16), s.input(16)
    squares = s.call("aten.pow", (8, 16), self=x, exponent=2)
    scale = s.unary("rsqrt", s.call("aten.mean", (8, 1), self=squares, dim=(1,)))
    s.binary("mul", s.binary("mul", x, scale), w)
    (fused,) = launches(s.trace())
    assert fused.kind == "reduction"
    assert traffic(fused) == (N + 64, N)


def test_nothing_that_needs_a_sum_over_everything_shares_its_launch():
    s = Stream()
    x = s.input(8, 16)
    whole = s.call("aten.sum", (), self=s.unary("exp", x))
    s.binary("div", x, whole)
    assert [kernel.name for kernel in launches(s.trace())] == ["fused.exp+sum", "aten.div"]


def test_an_embedding_in_a_group_reads_only_its_rows():
    s = Stream()
    table, ids, positions = s.input(50000, 16), s.input(8, format="int64"), s.input(8, 16)
    rows = s.call("aten.embedding", (8, 16), weight=table, indices=ids)
    s.binary("add", rows, positions)
    (fused,) = launches(s.trace())
    assert fused.kind == "gather"
    assert traffic(fused) == (N + 8 * 8 + N, N)


def test_what_existed_before_and_is_overwritten_is_written():
    s = Stream()
    weight, gradient = s.input(8, 16), s.input(8, 16)
    step = s.unary("exp", gradient)
    s.call("aten.add_", (8, 16), into=weight, self=weight, other=step)
    (fused,) = launches(s.trace())
    assert traffic(fused) == (2 * N, N)


def test_an_output_of_the_model_is_written_even_if_read_inside():
    s = Stream()
    a = s.unary("exp", s.input(8, 16))
    s.unary("silu", a)
    assert [traffic(*launches(s.trace(*outputs))) for outputs in ((), (a,))] == [(N, N), (N, 2 * N)]


def test_slices_of_one_tensor_add_up_to_at_most_all_of_it():
    s = Stream()
    joined = s.mm(s.input(8, 4), s.input(4, 32))  # both halves of a gated unit in one product
    gate, up = joined.part(8, 16), joined.part(8, 16)
    s.binary("mul", s.unary("silu", gate), up)
    fused = launches(s.trace())[1]
    assert traffic(fused) == (2 * N, N)


def test_one_slice_of_a_larger_tensor_is_read_alone():
    s = Stream()
    joined = s.mm(s.input(8, 4), s.input(4, 48))
    s.unary("exp", s.unary("silu", joined.part(8, 16)))
    assert traffic(launches(s.trace())[1]) == (N, N)


def test_a_tensor_read_whole_and_in_parts_is_read_once():
    s = Stream()
    x = s.mm(s.input(8, 4), s.input(4, 16))
    turned = s.call("aten.cat", (8, 16), tensors=x.part(8, 8), more=x.part(8, 8))  # the rotation of position embeddings
    s.binary("add", x, turned)
    assert traffic(launches(s.trace())[1]) == (N, N)


def test_an_early_operation_joins_its_only_user():
    s = Stream()
    saved = s.input(8, 16)
    early = s.unary("exp", saved)
    late = s.mm(s.mm(s.input(8, 4), s.input(4, 16)), s.input(16, 16))
    s.binary("mul", late, early)
    assert [kernel.name for kernel in launches(s.trace())] == ["fused.exp+mul", "aten.mm", "aten.mm"]


def test_phases_do_not_share_a_launch():
    s = Stream()
    a = s.unary("exp", s.input(8, 16))
    s.unary("silu", a, phase="backward")
    assert [(kernel.phase, kernel.name) for kernel in launches(s.trace(a))] == [("forward", "aten.exp"), ("backward", "aten.silu")]


@given(st.integers(1, 300))
def test_a_launch_holds_no_more_operations_than_the_compiler_allows(length):
    s = Stream()
    x = s.input(8, 16)
    for _ in range(length):
        x = s.unary("exp", x)
    found = launches(s.trace())
    assert max(len(kernel.signatures) for kernel in found) <= limit("max_fusion_size")
    assert len(found) == -(-length // limit("max_fusion_size"))
    assert totals(found)["special_flop"] == length * 8 * 16


def test_views_and_allocations_launch_nothing():
    s = Stream()
    x = s.unary("exp", s.input(8, 16))
    s.call("aten.unsafe_split", (8, 16), self=x)
    assert len(launches(s.trace(), "eager")) == len(launches(s.trace())) == 1


def test_the_module_is_that_of_most_operations():
    s = Stream()
    x = s.unary("exp", s.input(8, 16), module="block.0")
    s.unary("silu", s.unary("exp", x, module="block.1.norm"), module="block.1.norm")
    (fused,) = launches(s.trace())
    assert fused.module == "block.1.norm"


def test_an_unknown_fusion_is_refused():
    with pytest.raises(UnknownName, match="unknown fusion 'fuse'. Nearest: fused"):
        kernels(Stream().trace(), "fuse")


def test_a_trace_without_calls_has_no_kernels():
    assert kernels(Stream().trace(), "fused") == kernels(Stream().trace()) == ()
