"""Operations that move data touch what they must and no more: gathers, scatters, copies, fills, pools, sorts, normalisations."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.rules import work_of_signature
from estimator.model.work import Work
from tests.model.signatures import called, meta, signature, tensor

aten = torch.ops.aten
sizes = st.integers(1, 3000)


def ids(*shape):
    return meta(*shape, dtype=torch.int64)


def moved(overload, *args, **kwargs):
    """(bytes read, bytes written) of a call on meta tensors."""
    work = work_of_signature(called(overload, *args, **kwargs))
    return work.read, work.write


@given(sizes, sizes, sizes)
def test_an_embedding_reads_its_rows_whatever_the_vocabulary(vocabulary, width, tokens):
    read, write = moved(aten.embedding.default, meta(vocabulary, width), ids(tokens))
    assert read == 4 * tokens * width + 8 * tokens
    assert write == 4 * tokens * width


@pytest.mark.parametrize(
    "call, read, write",
    [
        # rows picked of a 1000x16 table of floats: 3x16x4 = 192 bytes, indices of 8 bytes
        ((aten.index_select.default, meta(1000, 16), 0, ids(3)), 192 + 24, 192),
        ((aten.index.Tensor, meta(1000, 16), [ids(3)]), 192 + 24, 192),
        ((aten.gather.default, meta(1000, 16), 0, ids(3, 16)), 192 + 384, 192),
        ((aten.take.default, meta(1000, 16), ids(3)), 12 + 24, 12),
        # rows written into it, unread; and with addition, read as well
        ((aten.index_copy_.default, meta(1000, 16), 0, ids(3), meta(3, 16)), 24 + 192, 192),
        ((aten.index_put_.default, meta(1000, 16), [ids(3)], meta(3, 16)), 24 + 192, 192),
        ((aten.index_put_.default, meta(1000, 16), [ids(3)], meta()), 24 + 4, 192),
        ((aten.index_put_.default, meta(1000, 16), [ids(3)], meta(3, 16), True), 192 + 24 + 192, 192),
        ((aten.index_put_.default, meta(1000, 16), [None, ids(3)], meta(1000, 3)), 24 + 12000, 12000),
        ((aten.index_add_.default, meta(1000, 16), 0, ids(3), meta(3, 16)), 192 + 24 + 192, 192),
        ((aten.index_fill_.int_Scalar, meta(1000, 16), 0, ids(3), 0.0), 24, 192),
        ((aten.scatter_add_.default, meta(1000, 16), 0, ids(3, 16), meta(3, 16)), 192 + 384 + 192, 192),
        ((aten.scatter_.value, meta(1000, 16), 0, ids(3, 16), 1.0), 384, 192),
        # out of place the whole table is copied
        ((aten.index_put.default, meta(1000, 16), [ids(3)], meta(3, 16)), 64000 + 24 + 192, 64000),
        ((aten.scatter_add.default, meta(1000, 16), 0, ids(3, 16), meta(3, 16)), 64000 + 384 + 192, 64000),
        # copies: source in, destination out; what is overwritten is not read
        ((aten.copy_.default, meta(10, 10), meta(10, 10)), 400, 400),
        ((aten.copy_.default, meta(10, 10), meta(10, 10, dtype=torch.bfloat16)), 200, 400),
        ((aten.clone.default, meta(10, 10)), 400, 400),
        ((aten.clone.default, meta(10, 1).expand(10, 10)), 40, 400),
        ((aten.cat.default, [meta(2, 10), meta(3, 10)]), 200, 200),
        ((aten.slice_backward.default, meta(2, 10), [5, 10], 0, 0, 2, 1), 80, 200),
        # creation only writes
        ((aten.zeros.default, [10, 10]), 0, 400),
        ((aten.zeros_like.default, meta(10, 10)), 0, 400),
        ((aten.fill_.Scalar, meta(10, 10), 1.0), 0, 400),
        ((aten.zero_.default, meta(10, 10)), 0, 400),
        ((aten.normal_.default, meta(10, 10)), 0, 400),
        ((aten.arange.default, 10), 0, 80),
        # dropout writes result and mask
        ((aten.native_dropout.default, meta(10, 10), 0.5, True), 400, 400 + 100),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_bytes_of(call, read, write):
    overload, *args = call
    kwargs = {"device": "meta"} if overload in (aten.zeros.default, aten.arange.default) else {}
    assert moved(overload, *args, **kwargs) == (read, write)


def test_the_gradient_of_an_embedding_writes_the_whole_table():
    # 3 tokens of width 16: 48 additions; the gradient and the indices in, the table of 1000 rows out
    call = called(aten.embedding_dense_backward.default, meta(3, 16), ids(3), 1000, -1, False)
    assert work_of_signature(call) == Work((), 48, 0, 192 + 24, 64000)


def test_views_and_bare_allocations_are_free():
    for call in (called(aten._unsafe_view.default, meta(4, 4), [16]), signature("aten.empty_like", tensor(4), self=tensor(4))):
        assert work_of_signature(call) == Work()


def test_cross_entropy_reads_one_probability_per_target():
    forward = called(aten.nll_loss_forward.default, meta(8, 50000), ids(8), None, 1, -100)
    assert work_of_signature(forward).read == 8 * 4 + 8 * 8
    out, weight = forward.outputs
    arguments = {"grad_output": out, "self": forward["self"], "target": forward["target"], "weight": None, "total_weight": weight}
    backward = signature("aten.nll_loss_backward", tensor(8, 50000), **arguments)
    assert (work_of_signature(backward).read, work_of_signature(backward).write) == (4 + 64 + 4, 8 * 50000 * 4)


def test_batch_norm_reads_its_input_twice_only_in_training():
    weights = [meta(16) for _ in range(4)]
    image, statistics = 4 * 8 * 16 * 7 * 7, 4 * 16 * 4
    training, inference = (
        called(aten.native_batch_norm.default, meta(8, 16, 7, 7), *weights, training, 0.1, 1e-5) for training in (True, False)
    )
    assert work_of_signature(training).read == 2 * image + statistics
    assert work_of_signature(inference).read == image + statistics
    assert work_of_signature(training).vector_flop == 4 * work_of_signature(inference).vector_flop


def test_layer_norm_needs_one_pass():
    # a row of 64 stays on chip: 8 FLOP per element (mean and spread 4, normalise 2, weight and bias 2)
    call = called(aten.native_layer_norm.default, meta(10, 64), [64], meta(64), meta(64), 1e-5)
    assert work_of_signature(call).read == 4 * (640 + 128)
    assert work_of_signature(call).vector_flop == 8 * 640


@given(st.integers(1, 4), st.integers(1, 3), st.integers(4, 12))
def test_a_max_pool_compares_every_window_element(batch, kernel, size):
    call = called(aten.max_pool2d_with_indices.default, meta(batch, 3, size, size), [kernel, kernel])
    outputs = (size // kernel) ** 2 * 3 * batch
    assert work_of_signature(call).vector_flop == outputs * kernel**2


def test_a_single_kernel_size_stands_for_every_dimension():
    image = tensor(1, 1, 8, 8)
    both, one = (signature("aten.avg_pool2d", tensor(1, 1, 4, 4), self=image, kernel_size=size) for size in ((2, 2), (2,)))
    assert work_of_signature(both).vector_flop == work_of_signature(one).vector_flop == 16 * (4 + 1)


def test_pooling_backward_does_not_read_the_input():
    call = called(aten._adaptive_avg_pool2d_backward.default, meta(2, 3, 1, 1), meta(2, 3, 7, 7))
    assert (work_of_signature(call).read, work_of_signature(call).write) == (2 * 3 * 4, 2 * 3 * 49 * 4)


@given(st.integers(1, 8), st.integers(1, 10**5))
def test_sorting_is_linear_in_keys_and_passes(times, keys):
    def work(n, format):
        return work_of_signature(signature("aten.sort", tensor(n, format=format), tensor(n, format="int64"), self=tensor(n, format=format)))

    assert work(times * keys, "fp32").flop == times * work(keys, "fp32").flop
    assert work(keys, "fp32").flop == 2 * work(keys, "bf16").flop  # four 8-bit digits against two


def test_selecting_costs_less_than_sorting():
    top = called(aten.topk.default, meta(16, 128), 2)
    everything = called(aten.sort.default, meta(16, 128))
    assert 0 < work_of_signature(top).flop < work_of_signature(everything).flop


@pytest.mark.parametrize(
    "exponent, vector, special", [(2, 1, 0), (3.0, 2, 0), (4, 2, 0), (0.5, 0, 1), (-0.5, 0, 1), (-1, 0, 1), (1.7, 1, 2)]
)
def test_powers_cost_what_their_exponent_needs(exponent, vector, special):
    work = work_of_signature(called(aten.pow.Tensor_Scalar, meta(10), exponent))
    assert (work.vector_flop, work.special_flop) == (10 * vector, 10 * special)


def test_a_tensor_of_exponents_needs_logarithms():
    work = work_of_signature(called(aten.pow.Tensor_Tensor, meta(10), meta(10)))
    assert (work.vector_flop, work.special_flop) == (10, 20)


@pytest.mark.parametrize("approximate, vector, special", [("none", 19, 2), ("tanh", 8, 1)])
def test_gelu_costs_what_its_approximation_does(approximate, vector, special):
    work = work_of_signature(called(aten.gelu.default, meta(10), approximate=approximate))
    assert (work.vector_flop, work.special_flop) == (10 * vector, 10 * special)


def test_broadcasting_counts_outputs_and_reads_each_operand_once():
    work = work_of_signature(called(aten.add.Tensor, meta(8, 1), meta(1, 16)))
    assert work == Work((), 128, 0, 4 * (8 + 16), 4 * 128)
