"""Matrix products: linearity, brute-force counts, torch's own formulas, ragged groups, formats, any numeric type."""

from itertools import product as grid
from math import isclose

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import flop_registry

from estimator.model.rules import work_of_signature
from estimator.model.rules.arithmetic import distinct_picks, minimum, positive_part
from tests.model.signatures import called, meta, signature, tensor

aten = torch.ops.aten
small = st.integers(1, 12)
sizes = st.integers(1, 10**5)


def mm(m, k, n, **settings):
    return signature("aten.mm", tensor(m, n, **settings), self=tensor(m, k, **settings), mat2=tensor(k, n, **settings))


def bmm(b, m, k, n, **settings):
    return signature("aten.bmm", tensor(b, m, n, **settings), self=tensor(b, m, k, **settings), mat2=tensor(b, k, n, **settings))


def flop(call):
    return work_of_signature(call).matmul_flop


@given(sizes, sizes, sizes, st.integers(1, 1000))
def test_flop_grows_linearly_with_every_dimension(m, k, n, times):
    assert flop(mm(times * m, k, n)) == flop(mm(m, times * k, n)) == flop(mm(m, k, times * n)) == times * flop(mm(m, k, n))


@given(st.integers(1, 1000), sizes, sizes, sizes)
def test_a_batch_is_that_many_products(b, m, k, n):
    assert work_of_signature(bmm(b, m, k, n)).flop == b * work_of_signature(mm(m, k, n)).flop
    assert work_of_signature(bmm(b, m, k, n)).read == b * work_of_signature(mm(m, k, n)).read


@given(small, small, small)
def test_flop_is_what_three_loops_count(m, k, n):
    assert flop(mm(m, k, n)) == 2 * sum(1 for _ in grid(range(m), range(n), range(k)))


@given(sizes, sizes, sizes)
def test_mm_equals_torchs_formula(m, k, n):
    assert flop(mm(m, k, n)) == flop_registry[aten.mm]((m, k), (k, n))


@given(small, sizes, sizes, sizes)
def test_bmm_equals_torchs_formula(b, m, k, n):
    assert flop(bmm(b, m, k, n)) == flop_registry[aten.bmm]((b, m, k), (b, k, n))


def test_bytes_of_a_product():
    # 3x5 and 5x7 in, 3x7 out, 2 bytes each: 2 (15 + 35) = 100 and 2 * 21 = 42
    work = work_of_signature(mm(3, 5, 7, format="bf16"))
    assert (work.read, work.write) == (100, 42)


def int8(*shape):
    return meta(*shape, dtype=torch.int8)


@pytest.mark.parametrize(
    "call, expected",
    [
        (called(aten.addmm.default, meta(7), meta(3, 5), meta(5, 7)), 2 * 3 * 5 * 7),
        (called(aten.baddbmm.default, meta(2, 3, 7), meta(2, 3, 5), meta(2, 5, 7)), 2 * 2 * 3 * 5 * 7),
        (called(aten.addbmm.default, meta(3, 7), meta(2, 3, 5), meta(2, 5, 7)), 2 * 2 * 3 * 5 * 7),
        (called(aten.mv.default, meta(3, 5), meta(5)), 2 * 3 * 5),
        (called(aten.addmv.default, meta(3), meta(3, 5), meta(5)), 2 * 3 * 5),
        (called(aten.dot.default, meta(5), meta(5)), 2 * 5),
        (called(aten.vdot.default, meta(5), meta(5)), 2 * 5),
        (called(aten.addr.default, meta(3, 7), meta(3), meta(7)), 2 * 3 * 7),
        (called(aten._int_mm.default, int8(32, 16), int8(16, 8)), 2 * 32 * 16 * 8),
        (signature("aten.linear", tensor(2, 3, 7), input=tensor(2, 3, 5), weight=tensor(7, 5), bias=None), 2 * 2 * 3 * 5 * 7),
    ],
    ids=lambda value: value.op if hasattr(value, "op") else None,
)
def test_every_form_of_a_product(call, expected):
    assert flop(call) == expected


def test_a_bias_is_one_addition_per_output():
    with_bias = called(aten.addmm.default, meta(7), meta(3, 5), meta(5, 7))
    assert work_of_signature(with_bias).vector_flop == 3 * 7
    assert work_of_signature(mm(3, 5, 7)).vector_flop == 0


@given(small, small, small)
def test_a_complex_product_is_four_real_ones(m, k, n):
    assert flop(mm(m, k, n, format="complex64")) == 4 * flop(mm(m, k, n))


def test_a_complex_product_of_8x8x8():
    # 8^3 complex multiply-adds of 4 real ones, 2 FLOP each: 4096 (acceptance case of the tracer)
    assert flop(mm(8, 8, 8, format="complex64")) == 4096


def test_bilinear_is_two_multiplies_and_an_addition_per_point():
    # nn.Bilinear: out[b,o] = sum_ij x[b,i] w[o,i,j] y[b,j] over b=4, o=6, i=3, j=5: 4*6*3*5 = 360 points
    call = called(aten._trilinear.default, meta(4, 3), meta(6, 3, 5), meta(4, 5), [1, 3], [0], [1, 2], [2, 3])
    work = work_of_signature(call)
    assert (work.matmul_flop, work.vector_flop) == (2 * 360, 360)


@given(st.integers(1, 6), st.integers(1, 6))
def test_distinct_picks_are_the_mean_over_all_draws(kinds, draws):
    mean = sum(len(set(draw)) for draw in grid(range(kinds), repeat=draws)) / kinds**draws
    assert isclose(distinct_picks(kinds, draws), mean, rel_tol=1e-12)


def grouped(experts, rows, k, n, format="bf16"):
    return signature(
        "est.grouped_mm",
        tensor(rows, n, format=format),
        input=tensor(rows, k, format=format),
        weight=tensor(experts, k, n, format=format),
        offsets=tensor(experts, format="int32"),
    )


@given(st.integers(1, 512), sizes, small, small)
def test_ragged_rows_cost_the_same_however_they_are_split(experts, rows, k, n):
    assert isclose(flop(grouped(experts, rows, k, n)), 2 * rows * k * n, rel_tol=1e-12)


@given(st.integers(2, 512), st.integers(1, 10**4))
def test_weights_of_experts_without_rows_are_not_read(experts, rows):
    read = work_of_signature(grouped(experts, rows, 64, 32)).read
    weights = read - 2 * rows * 64 - 4 * experts
    assert 64 * 32 * 2 * (1 - 1e-9) <= weights <= min(experts, rows) * 64 * 32 * 2 * (1 + 1e-9)


def test_one_row_reads_one_expert():
    # a single token with one expert of 8: 1*64*32 weights of 2 bytes, its row of 64, 8 offsets of 4 bytes
    assert isclose(work_of_signature(grouped(8, 1, 64, 32)).read, 64 * 32 * 2 + 64 * 2 + 32, rel_tol=1e-12)


def test_gradients_of_grouped_products():
    # weight gradient: (64, 100) x (100, 32) with the 100 rows split among 8 experts, 8x64x32 out
    ragged_inner = signature(
        "est.grouped_mm", tensor(8, 64, 32), input=tensor(64, 100), weight=tensor(100, 32), offsets=tensor(8, format="int32")
    )
    assert isclose(flop(ragged_inner), 2 * 64 * 100 * 32, rel_tol=1e-12)
    assert work_of_signature(ragged_inner).write == 8 * 64 * 32 * 4
    ragged_columns = signature(
        "est.grouped_mm", tensor(64, 100), input=tensor(8, 64, 32), weight=tensor(32, 100), offsets=tensor(8, format="int32")
    )
    assert isclose(flop(ragged_columns), 2 * 64 * 32 * 100, rel_tol=1e-12)


CALLS = {
    "mm": lambda a, b, c, d: mm(a, b, c),
    "bmm": bmm,
    "grouped": lambda a, b, c, d: grouped(8, a, c, d),
    "linear": lambda a, b, c, d: signature("aten.linear", tensor(a, b, d), input=tensor(a, b, c), weight=tensor(d, c), bias=None),
    "addr": lambda a, b, c, d: signature("aten.addr", tensor(a, b), self=tensor(a, b), vec1=tensor(a), vec2=tensor(b)),
}


@pytest.mark.parametrize("make", CALLS.values(), ids=CALLS)
def test_symbols_and_arrays_give_what_numbers_give(make):
    symbols, values = sympy.symbols("a b c d", positive=True, integer=True), (6, 10, 14, 22)
    exact, symbolic = work_of_signature(make(*values)), work_of_signature(make(*symbols))
    arrays = work_of_signature(make(*(np.array([value, 2.0 * value]) for value in values)))
    for quantity in ("matmul_flop", "flop", "read", "write"):
        want = getattr(exact, quantity)
        assert isclose(float(sympy.sympify(getattr(symbolic, quantity)).subs(dict(zip(symbols, values)))), want, rel_tol=1e-12)
        assert isclose(np.broadcast_to(getattr(arrays, quantity), (2,))[0], want, rel_tol=1e-12)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_branch_free_minimum_and_positive_part(a, b):
    assert minimum(a, b) == min(a, b)
    assert positive_part(a - b) == max(a - b, 0)
