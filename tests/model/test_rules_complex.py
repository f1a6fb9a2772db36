"""Element-wise work on complex numbers: the entries as their formulas count, and both parts alike for everything else."""

import cmath

import pytest
import torch

from estimator.model.rules import work_of_signature
from estimator.model.rules.table import flop_per_element, sections
from tests.model.counting import Counted, cos, count, exp, number, reciprocal, sin, sqrt
from tests.model.signatures import called, meta

aten = torch.ops.aten
A, B = 0.7 - 0.3j, 0.2 + 1.1j


def multiply(a, b, c, d):
    return a * c - b * d, a * d + b * c


def divide(a, b, c, d):
    scale = reciprocal(c * c + d * d)
    re, im = multiply(a, b, c, -d)
    return re * scale, im * scale


def inverse(a, b):
    scale = reciprocal(a * a + b * b)
    return a * scale, -b * scale


def exponential(a, b):
    length = exp(a)
    return length * cos(b * 1.0), length * sin(b * 1.0)  # an angle is scaled to a turn


FORMULAS = {
    "complex_mul": (multiply, A * B, (A, B)),
    "complex_div": (divide, A / B, (A, B)),
    "complex_reciprocal": (inverse, 1 / A, (A,)),
    "complex_abs": (lambda a, b: (sqrt(a * a + b * b), 0.0), abs(A) + 0j, (A,)),
    "complex_exp": (exponential, cmath.exp(A), (A,)),
}


@pytest.mark.parametrize("name", sections()["complex"])
def test_an_entry_is_what_its_formula_costs(name):
    formula, expected, numbers = FORMULAS[name]
    (re, im), vector, special = count(formula, *(part for value in numbers for part in (value.real, value.imag)))
    assert complex(number(re), number(im)) == pytest.approx(expected, rel=1e-12, abs=0)
    assert (vector, special) == (flop_per_element(name).vector, flop_per_element(name).special)
    assert isinstance(re, Counted)


def vector(overload, *args):
    return work_of_signature(called(overload, *args)).vector_flop


def test_what_is_done_to_both_parts_counts_twice():
    z, x = meta(3, 5, dtype=torch.complex64), meta(3, 5)
    assert vector(aten.mul.Tensor, z, z) == 6 * 15
    assert vector(aten.add.Tensor, z, z) == vector(aten.mul.Tensor, z, x) == vector(aten.mul.Tensor, z, 2.0) == 2 * 15
    assert vector(aten.add.Tensor, x, x) == 15
