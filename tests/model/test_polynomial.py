"""Polynomials add, multiply, evaluate and print exactly."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import InvalidSetting
from estimator.model.polynomial import Polynomial, symbols

batch, sequence, past = symbols("batch sequence past")

monomials = st.dictionaries(st.sampled_from(["batch", "sequence", "past"]), st.integers(1, 3), max_size=3).map(
    lambda m: tuple(sorted(m.items()))
)
coefficients = st.fractions(-(10**12), 10**12, max_denominator=12)
polynomials = st.dictionaries(monomials, coefficients, max_size=5).map(Polynomial.from_terms)
sizes = st.fixed_dictionaries({name: st.integers(-50, 10**6) for name in ("batch", "sequence", "past")})


@given(polynomials, polynomials, sizes)
def test_evaluation_commutes_with_arithmetic(p, q, at):
    exact = {name: Fraction(value) for name, value in at.items()}
    assert (p + q)(**exact) == p(**exact) + q(**exact)
    assert (p - q)(**exact) == p(**exact) - q(**exact)
    assert (p * q)(**exact) == p(**exact) * q(**exact)


@given(polynomials, polynomials, polynomials)
def test_polynomials_form_a_commutative_ring(p, q, r):
    assert p + q == q + p and p * q == q * p
    assert p * (q + r) == p * q + p * r
    assert p - p == 0 and hash(p - p) == hash(0)


@given(polynomials)
def test_the_text_form_reads_back_to_the_same_polynomial(p):
    assert Polynomial.parse(str(p)) == p
    assert hash(Polynomial.parse(str(p))) == hash(p)


@given(polynomials, sizes)
@settings(max_examples=20)
def test_sympy_agrees(p, at):
    names = {name: sympy.Symbol(name) for name in at}
    assert sympy.simplify(p(**names).subs(at) - sympy.Rational(str(p(**at)))) == 0 if p.symbols else p(**at) == p(**names)


def test_whole_numbers_stay_whole_and_exact():
    # 8B training at batch 64, 131072 tokens: 2^19 * 64 * 2^34 = 2^59, beyond the 53 bits of a float
    flop = 524288 * batch * sequence**2 + batch * sequence + 1
    assert flop(batch=64, sequence=131072) == 2**59 + 2**23 + 1
    assert isinstance((batch * (batch + 1) / 2)(batch=7), int)
    assert (batch * (batch + 1) / 2)(batch=7) == 28
    assert (batch / 2)(batch=7) == 3.5


def test_arrays_are_widened_so_that_they_do_not_overflow():
    flop = 10**12 * batch * sequence**2
    values = flop(batch=np.array([1, 64]), sequence=np.int64(131072))
    np.testing.assert_allclose(values, [10.0**12 * 2.0**34, 64 * 10.0**12 * 2.0**34], rtol=1e-15)


def test_a_constant_equals_its_number():
    assert Polynomial.constant(3) == 3 and hash(Polynomial.constant(3)) == hash(3)
    assert batch - batch + 0.5 == 0.5
    assert batch != 3 and batch != "batch"


def test_polynomials_can_stand_for_a_size():
    assert (batch * sequence)(batch=batch, sequence=past + 1) == batch * past + batch


def test_printing_reads_like_algebra():
    assert str(3 * batch * sequence**2 / 2 - batch - 1) == "3/2*batch*sequence^2 - batch - 1"
    assert repr(-batch) == "Polynomial('-batch')"


def test_a_missing_size_is_named():
    with pytest.raises(InvalidSetting, match=r"missing sequence: batch\*sequence needs a value for each of batch, sequence"):
        (batch * sequence)(batch=1)


def test_text_that_is_no_polynomial_is_refused():
    with pytest.raises(InvalidSetting, match="expected terms such as"):
        Polynomial.parse("batch**")


def test_a_ratio_of_polynomials_is_refused():
    with pytest.raises(TypeError):
        batch / sequence
