"""Arithmetic counted in full-adder operations, the unit in which digital logic adds and multiplies.

    integer add, n bits            n
    integer multiply, n × m        c n m
    float add, p bits              a p
    float multiply                 c p² + b p
    fused multiply-add             c p² + b p + a P
    one product of a dot product   c p² + 2 e + W (1 + s ⌈log2 W⌉) + 1 + a P / K

with p and P the significand bits of inputs and accumulator (hidden bit included), e the exponent bits, K the products summed
before one rounding, W the window of bits in which they are summed: P and some guard bits, or all bits of narrow products. The
energy of an operation is its count × C · V² of one full adder at the node. The coefficients a, b, c are fitted to published
energies at 45 and 7 nm, s and W are structure; all stand in `physics/arithmetic.toml`.
Formulas take floats, arrays or SymPy expressions.
"""

from dataclasses import dataclass
from functools import cache

from estimator.circuit.formats import NumberFormat, number_format, storage_bits
from estimator.errors import InvalidSetting, unknown_name
from estimator.facts import load_facts
from estimator.quantity import Numeric

__all__ = ["ArithmeticLaw", "arithmetic_law", "dot_product_term", "float_add", "float_multiply", "full_adders", "fused_multiply_add",
           "integer_add", "integer_dot_term", "integer_multiply", "integer_multiply_add", "storage_bits"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArithmeticLaw:
    """The coefficients, all in full adders: c, b, a, s per bit (² for c), and the guard bits of a dot product's window."""

    partial_product: Numeric
    float_multiply_bit: Numeric
    float_add_bit: Numeric
    multiplexer: Numeric
    guard_bits: int


@cache
def arithmetic_law() -> ArithmeticLaw:
    """The shipped coefficients, each a `Quantity` with its source and range."""
    facts = load_facts("physics/arithmetic")
    dot = facts["dot_product"]
    return ArithmeticLaw(**facts["law"], multiplexer=dot["multiplexer"], guard_bits=int(dot["guard_bits"]))


def integer_add(bits: Numeric) -> Numeric:
    """Full adders of an integer addition: one per bit."""
    return bits


def integer_multiply(bits: Numeric, other_bits: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders of an n × m bit multiplier: every partial-product bit is formed and absorbed once."""
    return law.partial_product * bits * other_bits


def integer_multiply_add(bits: Numeric, accumulator_bits: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders of an integer multiplication whose product is added to an accumulator of its own."""
    return integer_multiply(bits, bits, law) + integer_add(accumulator_bits)


def integer_dot_term(bits: Numeric, accumulator_bits: Numeric, length: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders per product of an integer dot product of `length` K: c n² + 2 n + A / K.

    A full adder takes three bits and returns two, so absorbing K products of 2 n bits into one sum takes 2 n K of them; the
    final addition over the A accumulator bits is shared by the K products.
    """
    return integer_multiply(bits, bits, law) + 2 * bits + integer_add(accumulator_bits) / length


def float_add(significand: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders of a floating-point addition: two shifters, adder, leading-zero count and rounding, per significand bit."""
    return law.float_add_bit * significand


def float_multiply(significand: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders of a floating-point multiplication: the significand product, and rounding and normalisation per bit."""
    return integer_multiply(significand, significand, law) + law.float_multiply_bit * significand


def fused_multiply_add(significand: Numeric, accumulator_significand: Numeric, law: ArithmeticLaw) -> Numeric:
    """Full adders of a multiply-add with one accumulator per product."""
    return float_multiply(significand, law) + float_add(accumulator_significand, law)


def dot_product_term(
    significand: Numeric,
    exponent: Numeric,
    accumulator_significand: Numeric,
    length: Numeric,
    law: ArithmeticLaw,
    *,
    window: Numeric,
    shift_levels: Numeric,
) -> Numeric:
    """Full adders per product of a fused floating-point dot product of `length` K.

    Exponents are added and compared (2 e) and signs combined (1), the product is shifted through `shift_levels` multiplexer
    levels into a common `window` of W bits and absorbed there (W); one floating-point addition is shared by the K products.
    """
    align_and_absorb = window * (1 + law.multiplexer * shift_levels)
    shared = float_add(accumulator_significand, law) / length
    return integer_multiply(significand, significand, law) + 2 * exponent + align_and_absorb + 1 + shared


def _add(inputs: NumberFormat, _total: NumberFormat, _length: Numeric, law: ArithmeticLaw) -> Numeric:
    return integer_add(inputs.significand) if inputs.is_integer else float_add(inputs.significand, law)


def _multiply(inputs: NumberFormat, _total: NumberFormat, _length: Numeric, law: ArithmeticLaw) -> Numeric:
    p = inputs.significand
    return integer_multiply(p, p, law) if inputs.is_integer else float_multiply(p, law)


def _fma(inputs: NumberFormat, total: NumberFormat, _length: Numeric, law: ArithmeticLaw) -> Numeric:
    rule = integer_multiply_add if inputs.is_integer else fused_multiply_add
    return rule(inputs.significand, total.significand, law)


def _dot(inputs: NumberFormat, total: NumberFormat, length: Numeric, law: ArithmeticLaw) -> Numeric:
    if inputs.is_integer:
        return integer_dot_term(inputs.significand, total.significand, length, law)
    window = min(total.significand + law.guard_bits, _product_span(inputs))
    levels = (window - 1).bit_length()  # ⌈log2 window⌉
    return dot_product_term(inputs.significand, inputs.exponent, total.significand, length, law, window=window, shift_levels=levels)


def _product_span(inputs: NumberFormat) -> int:
    """Bits that hold every product exactly: 2 p, shifted by twice the 2^e - 2 steps between the exponents."""
    return 2 * inputs.significand + 2 * (2**inputs.exponent - 2)


OPERATIONS = {"add": _add, "multiply": _multiply, "fma": _fma, "dot": _dot}


def full_adders(
    operation: str, number: str, *, accumulator: str | None = None, dot_length: Numeric = None, law: ArithmeticLaw | None = None
) -> Numeric:
    """Full-adder operations of one "add", "multiply", "fma" or one product of a "dot" in the number format `number`.

    `accumulator` names the format of the sum: by default fp32 (int32 for integers), or `number` itself where that is wider.
    "dot" needs `dot_length`, the products summed before one rounding. Raises `UnknownName` for an operation or a format
    that is not known, `InvalidSetting` for a dot product without its length.
    """
    if operation not in OPERATIONS:
        raise unknown_name("arithmetic operation", operation, OPERATIONS, "Build it from these.")
    if operation == "dot" and dot_length is None:
        raise InvalidSetting(f"a dot product in {number!r} needs dot_length, the products summed before one rounding, such as 8")
    inputs = number_format(number)
    total = number_format(accumulator) if accumulator else _accumulator(inputs)
    return OPERATIONS[operation](inputs, total, dot_length, law or arithmetic_law())


def _accumulator(inputs: NumberFormat) -> NumberFormat:
    usual = number_format("int32" if inputs.is_integer else "fp32")
    return inputs if inputs.significand > usual.significand else usual
