"""Voltage, temperature and idle power of many possible chips at once: `estimator.hardware.power` for arrays.

`chip` is a profile whose numbers are arrays or floats, one entry for each sample.
"""

from typing import Any

import numpy as np

from estimator.hardware.power import NEWTON_STEPS, leakage, leakage_growth
from estimator.transistor.delay import clock_frequency, gain_through

Array = Any  # of numbers; the formulas below that it passes through are written for floats
CLOSE = 1e-9  # exact: relative error at which a search ends


def voltage_many(chip: Any, clock: Array) -> Array:
    """Core voltage in V of each clock: Newton's method on the logarithm of the alpha-power law, which is concave and rises."""
    curve, floor = chip.clock, chip.clock.voltage_floor
    law = {"threshold_voltage": curve.threshold_voltage, "exponent": curve.velocity_exponent}
    gain = gain_through(curve.boost, curve.voltage_at_boost, **law)
    lowest = curve.threshold_voltage * (1 + np.sqrt(CLOSE))  # a sampled floor may touch the threshold, where the law's clock is zero
    voltage = np.broadcast_to(np.maximum(floor, lowest), clock.shape)
    for _ in range(NEWTON_STEPS):
        short = np.log(clock / clock_frequency(voltage, gain=gain, **law))
        step = np.maximum(short, 0) / (curve.velocity_exponent / (voltage - curve.threshold_voltage) - 1 / voltage)
        voltage = voltage + step
        if (step <= CLOSE * voltage).all():
            break
    return np.minimum(voltage, curve.voltage_at_boost)


def junction_temperature_many(chip: Any, voltage: Array, other: Array) -> Array:
    """`power.junction_temperature` for arrays, where there is a balance: Newton's method climbs to it from the ambient temperature."""
    thermal, efficiency = chip.thermal, chip.power.regulator_efficiency
    temperature = np.broadcast_to(thermal.ambient, other.shape)
    for _ in range(NEWTON_STEPS):
        leak = leakage(chip, voltage, temperature) / efficiency
        excess = thermal.ambient + thermal.resistance * (other + leak) - temperature
        if (excess <= CLOSE * temperature).all():
            break
        temperature = temperature + np.maximum(excess, 0) / (1 - thermal.resistance * leak * leakage_growth(chip, voltage, temperature))
    return temperature


def idle_power_many(chip: Any, samples: int) -> Array:
    """`power.idle_power` of each of `samples`: W, NaN where the cooling does not even take off that."""
    clock = np.broadcast_to(chip.clock.minimum, samples)
    voltage = voltage_many(chip, clock)
    tree = chip.clock.tree_capacitance * chip.die.powered_transistors * voltage**2 * clock * chip.clock.gated_share
    other = (tree + chip.memory.idle_power) / chip.power.regulator_efficiency + chip.power.board
    with np.errstate(over="ignore", invalid="ignore"):
        temperature = junction_temperature_many(chip, voltage, other)
        power = other + leakage(chip, voltage, temperature) / chip.power.regulator_efficiency
        balanced = np.abs(chip.thermal.ambient + chip.thermal.resistance * power - temperature) <= np.sqrt(CLOSE) * temperature
    return np.where(balanced & (temperature <= chip.thermal.limit), power, np.nan)
