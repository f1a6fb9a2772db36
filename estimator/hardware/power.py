"""Power that flows whatever is computed: leakage, clock tree, memory idle, board; and the voltage that a clock needs."""

from math import inf

from estimator.hardware.schema import Profile
from estimator.transistor.delay import gain_through, voltage_for
from estimator.transistor.leakage import leakage_power

HALVINGS = 40  # exact: bisection to 2^-40 of the range, far below any physical uncertainty


def voltage_at(profile: Profile, clock: float) -> float:
    """Core voltage in V that `clock` (Hz) needs: the alpha-power law through the boost point, not below the floor."""
    curve = profile.clock
    law = {"threshold_voltage": float(curve.threshold_voltage), "exponent": float(curve.velocity_exponent)}
    gain = gain_through(float(curve.boost), float(curve.voltage_at_boost), **law)
    return voltage_for(clock, gain=gain, floor=float(curve.voltage_floor), ceiling=float(curve.voltage_at_boost), **law)


def leakage(profile: Profile, voltage: float, temperature: float) -> float:
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


def junction_temperature(profile: Profile, voltage: float, other: float) -> float:
    """Temperature in K at which heat and cooling balance: T = ambient + resistance · (other + leakage(T) / efficiency).

    `other` is the board power in W but for leakage. At most `thermal.limit`, which stands for every balance above it and for
    none at all, where leakage runs away: the power at that temperature is then more than `coolable` takes off. Leakage is
    convex in T, so there is one balance below the limit or none.
    """
    thermal, efficiency = profile.thermal, float(profile.power.regulator_efficiency)
    low, high = float(thermal.ambient), max(float(thermal.limit), float(thermal.ambient))

    def settled(temperature: float) -> bool:
        heat = other + leakage(profile, voltage, temperature) / efficiency
        return thermal.ambient + thermal.resistance * heat <= temperature

    if settled(low) or not settled(high):
        return low if settled(low) else high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high


def coolable(profile: Profile) -> float:
    """Board power in W that brings the junction to its highest temperature: (limit - ambient) / resistance."""
    thermal = profile.thermal
    margin = float(thermal.limit - thermal.ambient)
    if margin < 0:
        return 0.0
    return margin / thermal.resistance if thermal.resistance else inf


def idle_power(profile: Profile) -> float:
    """Board power in W with no work: clock at its minimum and gated, voltage at the floor, temperature in balance."""
    clock = float(profile.clock.minimum)
    voltage = voltage_at(profile, clock)
    tree = profile.clock.tree_capacitance * profile.die.powered_transistors * voltage**2 * clock * profile.clock.gated_share
    efficiency = profile.power.regulator_efficiency
    other = (tree + profile.memory.idle_power) / efficiency + profile.power.board
    return other + leakage(profile, voltage, junction_temperature(profile, voltage, other)) / efficiency
