"""Leakage rises with voltage and temperature and meets the silicon that it was measured on."""

import math

from hypothesis import given
from pytest import approx

from estimator.transistor.leakage import leakage_power, power_gated, subthreshold_current, subthreshold_slope, thermal_voltage
from estimator.transistor.nodes import list_nodes, load_node
from tests.strategies import between, shares, temperatures, voltages

N7 = {
    "reference_voltage": 0.517,
    "reference_temperature": 353.15,
    "barrier_lowering": 0.04,
    "ideality": 1.1,
    "temperature_efold": 36.0,
}


@given(voltages, temperatures, between(1.0, 80.0))
def test_leakage_rises_with_temperature(voltage, temperature, warmer):
    assert leakage_power(1e-9, 1e9, voltage, temperature + warmer, **N7) > leakage_power(1e-9, 1e9, voltage, temperature, **N7)


@given(voltages, temperatures, between(0.01, 0.5))
def test_leakage_rises_faster_than_the_voltage(voltage, temperature, more):
    before = leakage_power(1e-9, 1e9, voltage, temperature, **N7)
    after = leakage_power(1e-9, 1e9, voltage + more, temperature, **N7)
    assert after / before > (voltage + more) / voltage


@given(temperatures)
def test_the_slope_is_a_decade_of_current(temperature):
    device = {"threshold_current": 1e-7, "threshold_voltage": 0.3, "barrier_lowering": 0.04, "ideality": 1.1}
    slope = subthreshold_slope(temperature, ideality=1.1)
    on, off = (subthreshold_current(gate, 0.75, temperature, **device) for gate in (slope, 0.0))
    assert on / off == approx(10, rel=1e-9, abs=0)


@given(shares, shares)
def test_power_gating_leaves_between_the_residual_and_everything(gated, residual):
    left = power_gated(1.0, gated, residual=residual)
    assert residual * (1 - 1e-12) <= left <= 1


def test_thermal_voltage_at_room_temperature():
    # 1.380649e-23 J/K · 300 K / 1.602176634e-19 C = 25.85 mV
    assert thermal_voltage(300) == approx(25.852e-3, rel=1e-4, abs=0)


def test_leakage_doubles_every_25_kelvin():
    # an e-fold per 36 K is a doubling per 36 ln 2 = 24.95 K
    doubling = 36 * math.log(2)
    before, after = (leakage_power(1e-9, 1e9, 0.517, T, **N7) for T in (340.0, 340.0 + doubling))
    # the voltage term is 1 at the reference voltage, whatever the temperature
    assert after / before == approx(2, rel=1e-9, abs=0)


def test_twenty_four_billion_transistors_of_n7_silicon():
    # ET-SoC-1: 23.26 W at 80 °C and 0.517 V
    node = load_node("n7")
    watts = leakage_power(
        node.leakage,
        24e9,
        0.517,
        80 + 273.15,
        reference_voltage=node.leakage_voltage,
        reference_temperature=node.leakage_temperature,
        barrier_lowering=node.barrier_lowering,
        ideality=node.subthreshold_ideality,
        temperature_efold=node.leakage_temperature_efold,
    )
    assert watts == approx(23.26, rel=0.01, abs=0)


def at_work(name):
    """Leakage per transistor of a node at its nominal voltage and 80 °C."""
    node = load_node(name)
    return leakage_power(
        node.leakage,
        1,
        node.nominal_voltage,
        80 + 273.15,
        reference_voltage=node.leakage_voltage,
        reference_temperature=node.leakage_temperature,
        barrier_lowering=node.barrier_lowering,
        ideality=node.subthreshold_ideality,
        temperature_efold=node.leakage_temperature_efold,
    )


def test_an_older_transistor_leaks_more_at_its_own_voltage():
    by_age = [at_work(name) for name in list_nodes()]
    assert all(older >= newer * (1 - 1e-12) for older, newer in zip(by_age, by_age[1:]))
    assert at_work("n45") > 3 * at_work("n7")
