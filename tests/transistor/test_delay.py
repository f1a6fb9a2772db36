"""The alpha-power law, its inverse, and the supply that minimises energy and delay together."""

import math

import pytest
from hypothesis import assume, given
from pytest import approx

from estimator.errors import Infeasible, InvalidSetting
from estimator.transistor.delay import (
    clock_frequency,
    drive_current,
    gain_through,
    gate_delay,
    minimum_energy_delay_voltage,
    voltage_for,
)
from estimator.transistor.nodes import load_node
from tests.strategies import between, frequencies, thresholds, voltages

exponents = between(1.0, 2.0)
H100 = {"gain": 4.29e9, "threshold_voltage": 0.465, "exponent": 1.2}
RANGE = {"floor": 0.725, "ceiling": 1.0}


@given(voltages, thresholds, exponents, between(1e-3, 0.5))
def test_a_higher_voltage_allows_a_higher_clock(voltage, threshold, exponent, more):
    law = {"gain": 1e9, "threshold_voltage": threshold, "exponent": exponent}
    assert clock_frequency(voltage + more, **law) > clock_frequency(voltage, **law)


@given(frequencies, voltages, thresholds, exponents)
def test_the_law_passes_through_its_point(frequency, voltage, threshold, exponent):
    gain = gain_through(frequency, voltage, threshold_voltage=threshold, exponent=exponent)
    again = clock_frequency(voltage, gain=gain, threshold_voltage=threshold, exponent=exponent)
    assert again == approx(frequency, rel=1e-12, abs=0)


@given(voltages, voltages, thresholds, exponents)
def test_voltage_for_inverts_clock_frequency(voltage, other, threshold, exponent):
    floor, ceiling = sorted((voltage, other))
    middle = (floor + ceiling) / 2
    law = {"gain": 2e9, "threshold_voltage": threshold, "exponent": exponent}
    clock = clock_frequency(middle, **law)
    assert voltage_for(clock, floor=floor, ceiling=ceiling, **law) == approx(middle, rel=1e-9, abs=0)


@given(frequencies, voltages, thresholds, exponents)
def test_the_boost_clock_needs_exactly_its_own_voltage(frequency, voltage, threshold, exponent):
    assume(voltage > 0.41)
    law = {"threshold_voltage": threshold, "exponent": exponent}
    gain = gain_through(frequency, voltage, **law)
    assert voltage_for(frequency, gain=gain, floor=0.405, ceiling=voltage, **law) == approx(voltage, rel=1e-9, abs=0)


@given(thresholds, between(1.0, 1.45), between(0.5, 1.5))
def test_no_neighbour_beats_the_energy_delay_voltage(threshold, exponent, weight):
    best = minimum_energy_delay_voltage(threshold, exponent, weight)

    def cost(voltage):  # E D^m up to constants
        return voltage**2 * (voltage / (voltage - threshold) ** exponent) ** weight

    assert cost(best) <= min(cost(best * 0.99), cost(best * 1.01)) * (1 + 1e-12)


def test_the_clock_is_one_over_a_chain_of_gate_delays():
    # C V / (2 I) with I = B (V - Vt)^a is inverse to the law, so the product does not depend on V
    law = {"threshold_voltage": 0.3, "exponent": 1.3}
    products = [
        gate_delay(1e-15, v, drive_current(v, transconductance=1e-4, **law)) * clock_frequency(v, gain=1e9, **law) for v in (0.6, 0.8, 1.0)
    ]
    assert products == approx([products[0]] * 3, rel=1e-12, abs=0)


def test_energy_delay_voltage_of_the_h100_law():
    # 3 Vt / (3 - a) = 3 · 0.465 / 1.8 = 0.775 V; E D²: 4 Vt / (4 - 2 a) = 1.86 / 1.6 = 1.1625 V
    assert minimum_energy_delay_voltage(0.465, 1.2) == approx(0.775, rel=1e-9, abs=0)
    assert minimum_energy_delay_voltage(0.465, 1.2, 2) == approx(1.1625, rel=1e-9, abs=0)


def test_one_law_meets_three_points_of_n7_silicon():
    # ET-SoC-1: 600, 700, 800 MHz at 0.517, 0.568, 0.618 V; the law runs through the first
    node = load_node("n7")
    law = {"threshold_voltage": node.threshold_voltage, "exponent": node.velocity_exponent}
    gain = gain_through(600e6, 0.517, **law)
    assert clock_frequency(0.568, gain=gain, **law) == approx(700e6, rel=0.01, abs=0)
    assert clock_frequency(0.618, gain=gain, **law) == approx(800e6, rel=0.01, abs=0)


def test_a_low_clock_stays_at_the_floor():
    assert voltage_for(210e6, **H100, **RANGE) == 0.725
    assert voltage_for(0.0, **H100, **RANGE) == 0.725


def test_a_clock_beyond_the_ceiling_says_what_is_possible():
    with pytest.raises(Infeasible, match=r"a clock of 2\.5 GHz needs more than the highest voltage of 1 V, which allows 2\.025 GHz; lower"):
        voltage_for(2.5e9, **H100, **RANGE)


@pytest.mark.parametrize("bounds", [{"floor": 0.4, "ceiling": 1.0}, {"floor": 0.9, "ceiling": 0.8}])
def test_a_range_below_the_threshold_or_upside_down_is_refused(bounds):
    with pytest.raises(Infeasible, match=r"expected threshold voltage 0\.465 V < floor <= ceiling; correct the voltage-frequency curve"):
        voltage_for(1e9, **H100, **bounds)


@pytest.mark.parametrize("clock", [-1.0, math.nan, math.inf])
def test_a_clock_that_is_no_clock_is_refused(clock):
    with pytest.raises(InvalidSetting, match="frequency=.*expected a finite number of at least zero"):
        voltage_for(clock, **H100, **RANGE)
