"""Every formula of the two lowest floors takes floats, arrays and SymPy symbols, and its units come out right."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
import sympy
from hypothesis import given
from sympy.physics import units as u

import estimator.circuit
import estimator.transistor
from estimator.circuit import clock_tree, dram, serdes, sram, wire
from estimator.circuit.arithmetic import ArithmeticLaw, arithmetic_law
from estimator.transistor import delay, landauer, leakage, switching
from tests.strategies import voltages

VALID = {"threshold_voltage": 0.2, "voltage": 0.8, "ceiling": 1.0, "temperature": 330.0, "reference_temperature": 350.0}


def formulas():
    """All public functions whose every argument is a bare number, by dotted name."""
    for package in (estimator.transistor, estimator.circuit):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
                kinds = {parameter.annotation for parameter in inspect.signature(function).parameters.values()}
                home = function.__module__ == module.name
                if home and not name.startswith("_") and kinds <= {estimator.quantity.Numeric, ArithmeticLaw} and kinds:
                    yield pytest.param(function, id=f"{module.name.removeprefix('estimator.')}.{name}")


FORMULAS = list(formulas())


def call(function, make):
    """`function` with `make(name)` for every number."""
    given_ = {
        name: arithmetic_law() if parameter.annotation is ArithmeticLaw else make(name)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    positional = [given_.pop(name) for name, p in inspect.signature(function).parameters.items() if p.kind is not p.KEYWORD_ONLY]
    return function(*positional, **given_)


def test_all_formulas_are_found():
    folders = [Path(package.__path__[0]) for package in (estimator.transistor, estimator.circuit)]
    assert len(FORMULAS) > 30 and all(folder.is_dir() for folder in folders)


@pytest.mark.parametrize("function", FORMULAS)
def test_symbols_pass_through(function):
    symbols = {}
    result = call(function, lambda name: symbols.setdefault(name, sympy.Symbol(name, positive=True)))
    results = result if isinstance(result, tuple) else (result,)
    assert set().union(*(r.free_symbols for r in results)) == set(symbols.values())


@pytest.mark.parametrize("function", FORMULAS)
def test_arrays_give_what_floats_give(function):
    factors = np.array([1.0, 1.1, 1.3])
    together = np.array(call(function, lambda name: VALID.get(name, 0.7) * factors))
    alone = [np.array(call(function, lambda name, f=f: VALID.get(name, 0.7) * float(f))) for f in factors]
    assert np.allclose(together, np.stack(alone, axis=-1), rtol=1e-12, atol=0)


BASE = (u.kilogram, u.meter, u.second, u.ampere, u.kelvin)
V, T = u.volt, 300 * u.kelvin
HALF_MORE = sympy.Rational(3, 2)
LAW = {"threshold_voltage": V / 4, "exponent": HALF_MORE}


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (lambda: switching.switching_energy(u.farad, V, 3), u.joule),
        (lambda: switching.transition_energy(u.farad, V), u.joule),
        (lambda: switching.dynamic_power(1, u.farad, V, u.hertz), u.watt),
        (lambda: switching.wire_energy(u.meter, V, capacitance_per_length=u.farad / u.meter), u.joule),
        (lambda: switching.crossover_time(V, u.second, threshold_voltage=V / 4), u.second),
        (lambda: switching.short_circuit_energy(V, u.ampere, u.second), u.joule),
        (lambda: leakage.thermal_voltage(T), V),
        (lambda: leakage.subthreshold_slope(T, ideality=1), V),
        (
            lambda: leakage.subthreshold_current(
                V, V, T, threshold_current=u.ampere, threshold_voltage=V / 3, barrier_lowering=1, ideality=1
            ),
            u.ampere,
        ),
        (
            lambda: leakage.leakage_power(
                u.watt, 5, 2 * V, T, reference_voltage=V, reference_temperature=T / 2, barrier_lowering=1, ideality=1, temperature_efold=T
            ),
            u.watt,
        ),
        (lambda: delay.gate_delay(u.farad, V, u.ampere), u.second),
        (lambda: delay.clock_frequency(V, gain=u.hertz / sympy.sqrt(V), **LAW), u.hertz),
        (lambda: delay.gain_through(u.hertz, V, **LAW), u.hertz / sympy.sqrt(V)),
        (lambda: delay.minimum_energy_delay_voltage(V, HALF_MORE), V),
        (lambda: landauer.landauer_limit(T), u.joule),
        (lambda: clock_tree.clock_power(u.farad, 5, u.farad, V, u.hertz), u.watt),
        (lambda: wire.mean_distance(u.meter**2), u.meter),
        (lambda: sram.array_side(7, bit_area=u.meter**2), u.meter),
        (lambda: dram.refresh_power(8, u.joule, 2, u.second), u.watt),
        (lambda: serdes.module_energy_per_bit(u.watt, 1 / u.second), u.joule),
    ],
)
def test_units_come_out_right(value, unit, monkeypatch):
    monkeypatch.setattr(leakage, "BOLTZMANN", leakage.BOLTZMANN * u.joule / u.kelvin)
    monkeypatch.setattr(leakage, "ELEMENTARY_CHARGE", leakage.ELEMENTARY_CHARGE * u.coulomb)
    monkeypatch.setattr(landauer, "BOLTZMANN", landauer.BOLTZMANN * u.joule / u.kelvin)
    ratio = sympy.simplify(sympy.nsimplify(u.convert_to(value() / unit, BASE), rational=True))
    assert not ratio.has(u.Quantity), ratio


@given(voltages)
def test_no_voltage_no_energy_no_leakage(voltage):
    assert switching.switching_energy(1e-15, 0 * voltage) == 0
    still = {"reference_voltage": 0.5, "reference_temperature": 350.0, "barrier_lowering": 0.04, "ideality": 1.1, "temperature_efold": 36.0}
    assert leakage.leakage_power(1e-9, 1e9, 0 * voltage, 350.0, **still) == 0
