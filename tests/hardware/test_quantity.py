"""A `Quantity` is a float that keeps its provenance."""

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting
from estimator.hardware.quantity import Quantity, Unit, dump
from tests.strategies import between

finite = between(-1e30, 1e30)
positive = between(1e-18, 1e18)
texts = st.text(max_size=20)


@st.composite
def quantities(draw):
    low, value, high = sorted(draw(st.tuples(positive, positive, positive)))
    status = draw(st.sampled_from(["datasheet", "measured", "derived", "assumed"]))
    return Quantity(value, "Hz", low, high, draw(texts), status, draw(texts))


def provenance(quantity: Quantity) -> tuple:
    return (float(quantity), quantity.unit, quantity.low, quantity.high, quantity.source, quantity.status, quantity.note)


@given(finite, finite)
def test_it_computes_and_compares_like_a_float(a, b):
    x, y = Quantity(a, "V"), Quantity(b, "V")
    assert (x + y, x * y, x - 2, -x, abs(x)) == (a + b, a * b, a - 2, -a, abs(a))
    assert (x < y, x == a, hash(x)) == (a < b, True, hash(a))
    assert type(x * y) is float  # a product of sourced numbers is no sourced number


@given(quantities())
def test_copies_and_pickles_keep_the_provenance(quantity):
    twins = [copy.copy(quantity), copy.deepcopy(quantity), pickle.loads(pickle.dumps(quantity))]
    assert all(isinstance(twin, Quantity) and provenance(twin) == provenance(quantity) for twin in twins)


@given(quantities())
def test_what_is_dumped_reads_back_the_same(quantity):
    assert provenance(Unit("Hz").read(dump(quantity))) == provenance(quantity)


@given(quantities(), positive)
def test_scaling_scales_the_range_and_says_derived(quantity, factor):
    scaled = quantity.scaled(factor, "on another node")
    assert (scaled, scaled.low, scaled.high) == (quantity * factor, quantity.low * factor, quantity.high * factor)
    assert (scaled.status, scaled.note, scaled.source, scaled.unit) == ("derived", "on another node", quantity.source, "Hz")


def test_a_number_without_a_range_is_its_own_range():
    assert (Quantity(3).low, Quantity(3).high, Quantity(3).status) == (3, 3, "assumed")


@pytest.mark.parametrize(
    ("unit", "given", "value"),
    [
        ("Hz", "1980 MHz", 1.98e9),
        ("Hz", 5, 5.0),
        ("B", "80 GiB", 80 * 2**30),
        ("B/s", {"value": 3350, "unit": "GB/s"}, 3.35e12),
        ("F/bit", {"value": 99, "unit": "fF/bit"}, 99e-15),
        ("F/transistor", {"value": 0.45, "unit": "aF/transistor"}, 0.45e-18),
        ("m2", "826 mm2", 826e-6),
        ("K", {"value": 85, "unit": "degC"}, 358.15),
        ("1", 132, 132.0),
    ],
)
def test_units_become_si(unit, given, value):
    assert math.isclose(Unit(unit).read(given), value, rel_tol=1e-12)


def test_the_range_has_the_unit_of_the_value():
    voltage = Unit("V").read({"value": 880, "low": 820, "high": 1000, "unit": "mV", "source": "fit", "status": "derived"})
    assert (voltage, voltage.low, voltage.high) == pytest.approx((0.88, 0.82, 1.0), rel=1e-12, abs=0)
    assert (voltage.unit, voltage.source, voltage.status) == ("V", "fit", "derived")


@pytest.mark.parametrize(
    ("unit", "given", "message"),
    [
        ("V", "700 W", "wrong unit 'W': expected 'V', with any SI prefix"),
        ("V", {"value": 1, "unit": "furlong"}, "unknown unit 'furlong'"),
        ("V", "high", "cannot read 'high': expected a number, a space and a unit, such as '1.2 V'"),
        ("V", True, "True is no number"),
        ("V", [1], "[1] is no number"),
        ("V", {"low": 1}, "a sourced value needs 'value'"),
        (
            "V",
            {"value": 1, "sorce": "x"},
            "unknown key ['sorce']; a sourced value has ['high', 'low', 'note', 'source', 'status', 'unit', 'value']",
        ),
        ("V", {"value": 1, "status": "guessed"}, "unknown status 'guessed'; one of datasheet, measured, derived, assumed"),
        ("V", {"value": 1, "low": 2}, "the value 1 lies outside its own range"),
        ("V", {"value": 1, "high": 0.5}, "the value 1 lies outside its own range"),
        ("V", {"value": math.nan}, "the value nan lies outside its own range"),
    ],
)
def test_a_fault_is_named(unit, given, message):
    with pytest.raises(InvalidSetting) as caught:
        Unit(unit).read(given)
    assert message in str(caught.value)
