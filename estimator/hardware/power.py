"""Power that flows whatever is computed: leakage, clock tree, memory idle, board; and the voltage that a clock needs."""

from math import inf

from estimator.errors import Infeasible
from estimator.hardware.schema import Profile
from estimator.quantity import Numeric
from estimator.transistor.delay import gain_through, voltage_for
from estimator.transistor.leakage import leakage_power, thermal_voltage
from estimator.units import KELVIN_AT_ZERO_CELSIUS

NEWTON_STEPS = 50  # exact: more than quadratic convergence ever needs
ROUNDING = 1e-13  # exact: a balance met to the last digits


def voltage_at(profile: Profile, clock: float) -> float:
    """Core voltage in V that `clock` (Hz) needs: the alpha-power law through the boost point, not below the floor."""
    curve = profile.clock
    law = {"threshold_voltage": float(curve.threshold_voltage), "exponent": float(curve.velocity_exponent)}
    gain = gain_through(float(curve.boost), float(curve.voltage_at_boost), **law)
    return voltage_for(clock, gain=gain, floor=float(curve.voltage_floor), ceiling=float(curve.voltage_at_boost), **law)


def leakage(profile: Profile, voltage: Numeric, temperature: Numeric) -> Numeric:
    """Subthreshold leakage of the whole die in W at `voltage` (V) and `temperature` (K)."""
    process = profile.process
    return leakage_power(
        process.leakage,
        profile.die.powered_transistors,
        voltage,
        temperature,
        reference_voltage=process.leakage_voltage,
        reference_temperature=process.leakage_temperature,
        barrier_lowering=process.barrier_lowering,
        ideality=process.subthreshold_ideality,
        temperature_efold=process.leakage_temperature_efold,
    )


def leakage_growth(profile: Profile, voltage: Numeric, temperature: Numeric) -> Numeric:
    """Relative growth of leakage per kelvin, d ln P / dT of its law: 1 / T_L - η (V - V0) / (n vT T)."""
    process = profile.process
    drain = process.barrier_lowering * (voltage - process.leakage_voltage) / (process.subthreshold_ideality * thermal_voltage(temperature))
    return 1 / process.leakage_temperature_efold - drain / temperature


def junction_temperature(profile: Profile, voltage: float, other: float) -> float:
    """Temperature in K at which heat and cooling balance: T = ambient + resistance · (other + leakage(T) / efficiency).

    `other` is the board power in W but for leakage. Infinite where there is no balance at or below `thermal.limit`: the heat is
    too much, or leakage runs away, each kelvin adding more than a kelvin. Leakage is convex in T, so Newton's method climbs
    from the ambient temperature to the first balance and never past it.
    """
    thermal, efficiency = profile.thermal, float(profile.power.regulator_efficiency)
    temperature = float(thermal.ambient)
    for _ in range(NEWTON_STEPS):
        leak = leakage(profile, voltage, temperature) / efficiency
        excess = thermal.ambient + thermal.resistance * (other + leak) - temperature
        if excess <= ROUNDING * temperature:
            return temperature
        slope = thermal.resistance * leak * leakage_growth(profile, voltage, temperature) - 1
        if slope >= 0:
            return inf
        temperature -= excess / slope
        if temperature > thermal.limit:
            return inf
    return temperature


def idle_power(profile: Profile) -> float:
    """Board power in W with no work: clock at its minimum and gated, voltage at the floor, temperature in balance.

    Raises `Infeasible` where the cooling does not even take off that.
    """
    clock = float(profile.clock.minimum)
    voltage = voltage_at(profile, clock)
    tree = profile.clock.tree_capacitance * profile.die.powered_transistors * voltage**2 * clock * profile.clock.gated_share
    efficiency = profile.power.regulator_efficiency
    other = (tree + profile.memory.idle_power) / efficiency + profile.power.board
    temperature = junction_temperature(profile, voltage, other)
    if temperature == inf:
        raise runaway(profile, other)
    return other + leakage(profile, voltage, temperature) / efficiency


def runaway(profile: Profile, still: float) -> Infeasible:
    """The error that says why no temperature holds; `still` is what the part draws in W without work and without leakage."""
    thermal = profile.thermal
    return Infeasible(
        f"{profile.name}: thermal runaway: between {thermal.ambient - KELVIN_AT_ZERO_CELSIUS:.0f} °C around it and its highest junction "
        f"temperature of {thermal.limit - KELVIN_AT_ZERO_CELSIUS:.0f} °C there is none at which {thermal.resistance:.3g} K/W take off "
        f"{still:.3g} W and the leakage, which grows faster than the cooling removes it; lower the ambient temperature, the voltage or "
        "thermal.resistance"
    )
