"""Switching energy: C V² per full cycle, half per edge, a quarter per random bit on a wire."""

from hypothesis import given
from pytest import approx

from estimator.transistor.switching import (
    crossover_time,
    dynamic_power,
    short_circuit_energy,
    switching_energy,
    transition_energy,
    wire_energy,
)
from tests.strategies import between, capacitances, frequencies, shares, voltages


@given(capacitances, voltages, between(0.1, 3))
def test_energy_grows_with_the_square_of_the_voltage(capacitance, voltage, factor):
    scaled = switching_energy(capacitance, factor * voltage)
    assert scaled == approx(factor**2 * switching_energy(capacitance, voltage), rel=1e-12, abs=0)


@given(capacitances, voltages)
def test_two_edges_make_one_event(capacitance, voltage):
    assert transition_energy(capacitance, voltage, 2) == approx(switching_energy(capacitance, voltage), rel=1e-12, abs=0)


@given(shares, capacitances, voltages, frequencies)
def test_power_is_energy_times_events_per_second(activity, capacitance, voltage, frequency):
    expected = switching_energy(capacitance, voltage, activity * frequency)
    assert dynamic_power(activity, capacitance, voltage, frequency) == approx(expected, rel=1e-12, abs=0)


def test_a_millimetre_of_bare_wire():
    # ¼ · 200 fF/mm · 1 mm · (0.8 V)² = 50 fF · 0.64 V² = 32 fJ per random bit
    assert wire_energy(1e-3, 0.8, capacitance_per_length=200e-12) == approx(32e-15, rel=1e-12, abs=0)


def test_a_clock_like_wire_costs_four_random_ones():
    ones = wire_energy(1e-3, 0.8, capacitance_per_length=200e-12, activity=1)
    assert ones == approx(4 * wire_energy(1e-3, 0.8, capacitance_per_length=200e-12), rel=1e-12, abs=0)


def test_short_circuit_loss_ends_at_twice_the_threshold():
    # at V = 2 Vt the n-transistor starts to conduct where the p-transistor stops
    assert short_circuit_energy(0.7, 1e-4, crossover_time(0.7, 20e-12, threshold_voltage=0.35)) == 0


def test_short_circuit_loss_of_an_inverter():
    # t = 20 ps · (1.0 - 0.6) / 1.0 = 8 ps; E = 1 V · 50 uA · 8 ps = 0.4 fJ, some 10 % of the 3.7 fJ of 3.7 fF at 1 V
    loss = short_circuit_energy(1.0, 50e-6, crossover_time(1.0, 20e-12, threshold_voltage=0.3))
    assert loss == approx(0.4e-15, rel=1e-12, abs=0)
    assert 0.05 < loss / switching_energy(3.7e-15, 1.0) < 0.15
