"""Many possible chips at once: each voltage is the one that a single chip has, also where a floor touches the threshold."""

from types import SimpleNamespace

import numpy as np
from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.hardware.power import voltage_at
from estimator.hardware.power_many import voltage_many
from estimator.transistor.delay import clock_frequency, gain_through


def chip(floor, threshold):
    curve = SimpleNamespace(
        boost=2.5e9, voltage_at_boost=1.0, voltage_floor=np.array(floor), threshold_voltage=np.array(threshold), velocity_exponent=1.3
    )
    return SimpleNamespace(clock=curve)


def test_a_chip_has_the_voltage_that_it_has_alone():
    profile = load_profile("RTX 4090")
    clocks = np.linspace(float(profile.clock.minimum), float(profile.clock.boost), 7)
    alone = [voltage_at(profile, clock) for clock in clocks]
    assert voltage_many(profile, clocks) == approx(np.array(alone), rel=1e-6, abs=0)


def test_a_floor_that_touches_the_threshold_still_gives_the_voltage_of_the_clock():
    both = [0.7, 0.62]
    found = voltage_many(chip(both, both), np.array([1.2e9, 1.2e9]))
    assert np.isfinite(found).all()
    for voltage, threshold in zip(found, both):
        law = {"threshold_voltage": threshold, "exponent": 1.3}
        assert clock_frequency(voltage, gain=gain_through(2.5e9, 1.0, **law), **law) == approx(1.2e9, rel=1e-6, abs=0)
