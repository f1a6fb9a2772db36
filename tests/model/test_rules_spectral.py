"""Fourier transforms and matrix factorisations: FLOP by hand, laws between them, and none of it silently free in a trace."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.rules import work_of_signature
from estimator.model.rules.arithmetic import log2
from estimator.model.tracing import trace
from tests.model.cases import Calls, empty
from tests.model.signatures import called, meta

aten = torch.ops.aten
sizes = st.integers(1, 40)


def vector(overload, *args, **kwargs):
    work = work_of_signature(called(overload, *args, **kwargs))
    assert work.matmul_flop == 0
    return work.vector_flop


def complex_transform(*shape, dims):
    return vector(aten._fft_c2c.default, meta(*shape, dtype=torch.complex64), dims, 0, True)


def test_eight_points_are_three_passes_of_four_butterflies():
    assert complex_transform(8, dims=[0]) == 3 * 4 * (6 + 2 + 2)
    assert vector(aten._fft_r2c.default, meta(8), [0], 0, True) == 60
    assert vector(aten._fft_c2r.default, meta(5, dtype=torch.complex64), [0], 0, 8) == 60


@given(sizes, sizes, sizes)
def test_a_transform_over_two_dimensions_is_one_over_each(batch, rows, columns):
    both, first, second = (complex_transform(batch, rows, columns, dims=dims) for dims in ([1, 2], [1], [2]))
    assert both == pytest.approx(first + second, rel=1e-12, abs=0)
    assert complex_transform(2 * batch, rows, columns, dims=[1, 2]) == pytest.approx(2 * both, rel=1e-12, abs=0)


def test_logarithms_of_arrays_are_those_of_their_numbers():
    assert log2(np.array([1, 2, 1024])).tolist() == [log2(1), log2(2), log2(1024)] == [0, 1, 10]


@given(sizes, sizes, sizes)
def test_solving_is_factoring_and_two_substitutions(batch, n, columns):
    matrix, right = meta(batch, n, n), meta(batch, n, columns)
    factor = vector(aten.linalg_lu_factor_ex.default, matrix)
    triangle = vector(aten.linalg_solve_triangular.default, matrix, right, upper=True)
    assert factor == pytest.approx(batch * 2 / 3 * n**3, rel=1e-12, abs=0)
    assert triangle == batch * n * n * columns  # each unknown: n/2 multiply-adds on average
    assert vector(aten._linalg_solve_ex.default, matrix, right) == pytest.approx(factor + 2 * triangle, rel=1e-12, abs=0)


@given(sizes)
def test_symmetric_matrices_are_factored_at_half_the_cost(n):
    assert vector(aten.linalg_cholesky_ex.default, meta(n, n)) == pytest.approx(n**3 / 3, rel=1e-12, abs=0)
    assert vector(aten.linalg_inv_ex.default, meta(n, n)) == 2 * n**3


@given(sizes, sizes)
def test_vectors_cost_more_than_values_and_sides_may_be_swapped(m, n):
    values, vectors = (vector(aten._linalg_svd.default, meta(m, n), False, wanted) for wanted in (False, True))
    assert 0 < values < vectors
    assert values == vector(aten._linalg_svd.default, meta(n, m), False, False)
    symmetric = [vector(aten._linalg_eigh.default, meta(n, n), "L", wanted) for wanted in (False, True)]
    assert symmetric == pytest.approx([4 / 3 * n**3, 9 * n**3], rel=1e-12, abs=0)


def test_householder_columns_cost_as_much_again_as_the_triangle():
    # 2 n² (m - n/3) with m = 30, n = 12
    assert vector(aten.linalg_qr.default, meta(30, 12), "r") == 2 * 144 * 26
    assert vector(aten.linalg_qr.default, meta(30, 12), "reduced") == 2 * 2 * 144 * 26


def test_a_model_that_transforms_and_solves_is_covered_forward_and_backward():
    def forward(m, x):
        mixed = torch.fft.fft2(x @ m.w).real + torch.fft.irfft(torch.fft.rfft(x), n=x.shape[-1])
        return torch.linalg.solve(mixed @ mixed.mT, x)

    traced = trace(Calls(forward, w=torch.nn.Parameter(empty(8, 8))), empty(2, 8, 8), backward=True)
    assert traced.coverage.unknown == ()
    assert {"aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r", "aten._linalg_solve_ex"} <= {row["name"] for row in traced.rows("op")}
