"""Full-adder counts: how they grow, what they are by hand, and what they refuse."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from estimator.circuit.arithmetic import (
    arithmetic_law,
    dot_product_term,
    float_add,
    float_multiply,
    full_adders,
    fused_multiply_add,
    integer_add,
    integer_dot_term,
    integer_multiply,
    storage_bits,
)
from estimator.circuit.formats import list_formats, number_format
from estimator.errors import InvalidSetting, UnknownName
from estimator.model.work import BYTES

LAW = arithmetic_law()
bits = st.integers(1, 128)
formats = st.sampled_from(list_formats())
lengths = st.integers(1, 64)


@given(bits, bits)
def test_a_product_of_independent_halves_adds_up(n, m):
    # splitting one factor in two leaves as many partial-product bits
    whole, parts = integer_multiply(n, 2 * m, LAW), 2 * integer_multiply(n, m, LAW)
    assert whole == approx(parts, rel=1e-12, abs=0)


@given(bits, bits)
def test_more_bits_never_cost_less(p, more):
    for count in (integer_add, lambda p: float_add(p, LAW), lambda p: float_multiply(p, LAW), lambda p: fused_multiply_add(p, 24, LAW)):
        assert count(p + more) > count(p)


@given(formats, lengths)
def test_summing_more_products_before_rounding_saves(number, length):
    longer, shorter = (full_adders("dot", number, dot_length=n) for n in (2 * length, length))
    assert full_adders("multiply", number) > 0 and longer < shorter


@given(formats)
def test_a_multiply_add_costs_more_than_its_multiplication(number):
    assert full_adders("fma", number) > full_adders("multiply", number)


@given(formats, lengths)
def test_a_wider_accumulator_costs_more(number, length):
    narrow, wide = ("int16", "int32") if number_format(number).is_integer else ("fp16", "fp32")
    for operation in ("fma", "dot"):
        costs = [full_adders(operation, number, accumulator=a, dot_length=length) for a in (narrow, wide)]
        assert costs[0] < costs[1]


def test_an_integer_addition_is_a_row_of_full_adders():
    assert full_adders("add", "int32") == 32


def test_half_precision_multiply_add_by_hand():
    # p = 11, P = 24: 1.14 · 121 + 19.4 · 11 + 13.4 · 24 = 137.94 + 213.4 + 321.6
    assert full_adders("fma", "fp16") == approx(672.94, rel=1e-9, abs=0)


def test_a_bfloat_product_in_a_fused_sum_of_eight_by_hand():
    # 1.14 · 64 + 2 · 8 + 27 · (1 + 0.35 · 5) + 1 + 13.4 · 24 / 8 = 72.96 + 16 + 74.25 + 1 + 40.2; window 24 + 3, ⌈log2 27⌉ = 5
    assert full_adders("dot", "bf16", dot_length=8) == approx(204.41, rel=1e-9, abs=0)


def test_four_bit_floats_fit_a_window_of_eight_bits():
    # 2 · 2 product bits and exponents from 2 to 6: 4 + 4 = 8 bits, 3 levels; 1.14 · 4 + 2 · 2 + 8 · 2.05 + 1 + 13.4 · 24 / 32
    assert full_adders("dot", "fp4", dot_length=32) == approx(4.56 + 4 + 16.4 + 1 + 10.05, rel=1e-9, abs=0)


def test_an_integer_dot_product_by_hand():
    # 1.14 · 64 + 2 · 8 + 32 / 16 = 72.96 + 16 + 2
    assert integer_dot_term(8, 32, 16, LAW) == approx(90.96, rel=1e-9, abs=0)
    assert full_adders("dot", "int8", dot_length=16) == integer_dot_term(8, 32, 16, LAW)


def test_a_sum_of_one_product_costs_less_than_a_rounded_multiply_add():
    # the fused form drops the rounding of each product
    alone = dot_product_term(11, 5, 24, 1, LAW, window=27, shift_levels=5)
    assert alone < fused_multiply_add(11, 24, LAW)


def test_double_precision_sums_in_double_precision():
    assert full_adders("fma", "fp64") == full_adders("fma", "fp64", accumulator="fp64")


def test_another_law_can_be_tried():
    cheaper = replace(LAW, partial_product=LAW.partial_product.low)
    assert full_adders("multiply", "fp32", law=cheaper) < full_adders("multiply", "fp32")


def test_every_real_format_of_a_trace_is_known_and_as_wide_as_there():
    real = {name: width for name, width in BYTES.items() if not name.startswith("complex")}
    assert {name: storage_bits(name) / 8 for name in real} == real


def test_a_short_name_is_the_wider_significand_of_its_family():
    assert number_format("fp8") == number_format("fp8_e4m3") and number_format("fp8").significand == 4


def test_formats_hold_their_bits():
    # sign, exponent, fraction without the hidden bit; TF32 is held in 32 bits
    for name in list_formats():
        found = number_format(name)
        if found.exponent and found.name != "tf32":
            assert 1 + found.exponent + found.significand - 1 == found.storage


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda: full_adders("add", "fp12"), r"unknown number format 'fp12'\. Nearest: .*fp16.*`list_formats\(\)` gives all of them"),
        (lambda: full_adders("fma", "fp16", accumulator="fp23"), r"unknown number format 'fp23'\. Nearest: .*fp32"),
        (lambda: full_adders("divide", "fp16"), r"unknown arithmetic operation 'divide'.*add.*Build it from these"),
    ],
)
def test_an_unknown_name_lists_the_nearest(ask, complaint):
    with pytest.raises(UnknownName, match=complaint):
        ask()


def test_a_dot_product_without_its_length_is_refused():
    with pytest.raises(InvalidSetting, match="a dot product in 'bf16' needs dot_length, the products summed before one rounding"):
        full_adders("dot", "bf16")
